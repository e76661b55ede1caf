"""Choice among alternatives: rows, loss and decoding."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from lingraft.core.errors import CheckpointError, ConfigError
from lingraft.core.examples import ChoiceExample, PairExample, TaggedExample
from lingraft.core.records import Features
from lingraft.data.example_tables import choice_examples
from lingraft.tasks.kinds import NO_LABEL, kind_of
from lingraft.tasks.kinds.choice import COPA, choice_cross_entropy, choice_kind, collate_alternatives
from tiny import USERS_CACHE, VOCABULARY, random_tokenizer

ITEM = ChoiceExample("7", "7", "eng-Latn", text="ada beli", question="cora", alternatives=("dune", "eli"), label=1)
NOTHING = torch.empty(0)


@pytest.fixture(scope="module")
def tokenizer():
    """The word-level tokenizer."""
    return random_tokenizer()


def words(feature):
    """What the row says."""
    names = {i: word for word, i in VOCABULARY.items()}
    return " ".join(names[i] for i in feature.input_ids)


def loss(logits, targets):
    """The loss of rows with these scores."""
    return choice_cross_entropy(logits, targets, torch.ones(len(logits), 1), NOTHING, torch.ones(len(logits)))


# ---- Rows ------------------------------------------------------------------------------------------


def test_each_alternative_is_a_row_after_text_and_question(tokenizer):
    """Prefix, text and question come first, the alternative second; the target says which and whether it is right."""
    rows = choice_kind().encode([ITEM], tokenizer, 64, "zeno ")
    assert [words(row) for row in rows] == [
        "<s> zeno ada beli cora </s> dune </s>",
        "<s> zeno ada beli cora </s> eli </s>",
    ]
    assert [(row.example_id, row.part, row.target) for row in rows] == [("7", 0, (0, 0)), ("7", 1, (1, 1))]


def test_questions_are_put_in_words(tokenizer):
    """A question of the mapping is replaced, another one is left, and there may be none."""
    kind = choice_kind(questions={"cora": "vero wina"})
    items = [
        ITEM,
        ChoiceExample("8", "8", "eng-Latn", text="ada", question="fara", alternatives=("dune",)),
        ChoiceExample("9", "9", "eng-Latn", text="ada", alternatives=("dune",)),
    ]
    rows = kind.encode(items, tokenizer, 64, "")
    assert [words(rows[i]) for i in (0, 2, 3)] == [
        "<s> ada beli vero wina </s> dune </s>",
        "<s> ada fara </s> dune </s>",
        "<s> ada </s> dune </s>",
    ]
    assert [row.target for row in rows[2:]] == [None, None]


def test_copa_has_its_questions():
    """The two words of COPA are known, and saved with the kind."""
    assert choice_kind().options == {"questions": COPA}
    assert choice_kind(**choice_kind(questions={"a": "b"}).options).options == {"questions": {"a": "b"}}


def test_what_does_not_fit_is_cut_and_counted(tokenizer):
    """The longer text is cut first."""
    long = ChoiceExample("1", "1", "eng-Latn", text="ada " * 10, alternatives=("dune eli", "fara"))
    rows = choice_kind().encode([long], tokenizer, 8, "")
    assert [(words(row), row.truncated) for row in rows] == [
        ("<s> ada ada ada </s> dune eli </s>", 7),
        ("<s> ada ada ada ada </s> fara </s>", 6),
    ]


def test_parallel_sentences_stay_plain_text_in_place(tokenizer):
    """A text without alternatives is one row without a target."""
    rows = choice_kind().encode([ITEM, PairExample("p", "p", "eng-Latn", text_a="luma")], tokenizer, 64, "")
    assert (words(rows[2]), rows[2].target, rows[2].part) == ("<s> luma </s>", None, 0)


def test_other_examples_are_refused(tokenizer):
    """A tagged sentence is no choice."""
    with pytest.raises(TypeError, match="not a TaggedExample"):
        choice_kind().encode([TaggedExample("1", "1", "eng-Latn", words=("ada",))], tokenizer, 64, "")


def test_there_are_no_labels():
    """The head has one output, whatever the number of alternatives."""
    assert (choice_kind().labels, choice_kind().outputs, choice_kind().per_token) == ((), 1, False)
    with pytest.raises(ConfigError, match="unknown option of choice 'labels'"):
        kind_of("choice", ("a", "b"), {})


# ---- Learning --------------------------------------------------------------------------------------


def test_collated_rows():
    """A pair of numbers for each row."""
    collated = collate_alternatives([(0, 1), (1, 0), None], 9)
    assert collated.tolist() == [[0, 1], [1, 0], [NO_LABEL, NO_LABEL]]


@settings(max_examples=30, deadline=None)
@given(items=st.lists(st.tuples(st.integers(1, 4), st.booleans()), min_size=1, max_size=5), seed=st.integers(0, 99))
def test_loss_equals_a_softmax_for_each_item(items, seed):
    """Items of several sizes, known and unknown, against one cross-entropy after the other."""
    generator = torch.Generator().manual_seed(seed)
    scores = [torch.randn(size, generator=generator) for size, _ in items]
    labels = [int(torch.randint(size, (1,), generator=generator)) if known else None for size, known in items]
    targets = collate_alternatives(
        [
            None if label is None else (i, int(i == label))
            for item, label in zip(scores, labels, strict=True)
            for i in range(len(item))
        ],
        5,
    )
    logits = torch.cat(scores).unsqueeze(1).requires_grad_()
    found = loss(logits, targets)
    each = [
        F.cross_entropy(item, torch.tensor(label))
        for item, label in zip(scores, labels, strict=True)
        if label is not None
    ]
    torch.testing.assert_close(found, torch.stack(each).mean() if each else torch.tensor(0.0))
    found.backward()
    assert logits.grad.isfinite().all()
    assert (logits.grad[targets[:, 0] == NO_LABEL] == 0).all()


def test_extreme_scores_give_finite_gradients():
    """Items of two and three alternatives with scores far apart."""
    logits = torch.tensor([[1e4], [-1e4], [0.0], [1e4], [-1e4]], requires_grad=True)
    value = loss(logits, torch.tensor([[0, 0], [1, 1], [0, 1], [1, 0], [2, 0]]))
    value.backward()
    assert value.item() == pytest.approx(15_000)
    assert logits.grad.squeeze(1).tolist() == pytest.approx([0.5, -0.5, -0.5, 0.5, 0.0])


# ---- Decoding --------------------------------------------------------------------------------------


def test_best_alternative_with_its_probability():
    """A softmax within each item; the first of equals wins."""
    items = [
        ChoiceExample("a", "a", "yor-Latn", alternatives=("x", "y", "z")),
        ChoiceExample("b", "b", "swh-Latn", alternatives=("x", "y")),
    ]
    rows = [Features(item.id, (1,), part=i) for item in items for i in range(len(item.alternatives))]
    scores = [0.0, 2.0, 1.0, 3.0, 3.0]
    found = choice_kind().decode(items, rows, [torch.tensor([score]) for score in scores])
    assert [(p.example_id, p.language, p.value) for p in found] == [("a", "yor-Latn", "1"), ("b", "swh-Latn", "0")]
    expected = torch.tensor([0.0, 2.0, 1.0]).softmax(0)[1].item()
    assert [p.confidence for p in found] == pytest.approx([expected, 0.5])


def test_nothing_decodes_to_nothing():
    """No examples, no rows."""
    assert choice_kind().decode([], [], []) == []


def test_accuracy_is_the_metric():
    """Gold is the number as text."""
    assert choice_kind().metrics["accuracy"]([ITEM.gold, "0"], ["1", "1"]) == 0.5


# ---- Real data -------------------------------------------------------------------------------------


FIELDS = {"text": "premise", "question": "question", "alternatives": ["choice1", "choice2"], "label": "label"}


@pytest.fixture(scope="module")
def e5_tokenizer():
    """The embedded checkpoint's tokenizer without its weights; mark its tests ``checkpoint``."""
    from lingraft.backbones.loading import load_tokenizer

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LINGRAFT_CACHE", str(USERS_CACHE))
        try:
            return load_tokenizer("bundled:multilingual-e5-small")
        except CheckpointError as error:
            pytest.skip(str(error))


@pytest.mark.shared
@pytest.mark.checkpoint
@pytest.mark.parametrize(
    ("name", "language"), [("copa.train.en.jsonl.gz", "en"), ("test.th.jsonl.gz", "th"), ("test.zh.jsonl.gz", "zh")]
)
def test_gold_scores_decode_to_gold_labels(shared_data, e5_tokenizer, name, language):
    """Every item of XCOPA's files survives encoding and decoding, untruncated."""
    items = choice_examples(shared_data / "xcopa" / name, fields=FIELDS, language=language)
    kind = choice_kind()
    rows = kind.encode(items, e5_tokenizer, 128, "query: ")
    assert len(rows) == 2 * len(items)
    assert not any(row.truncated for row in rows)
    logits = [torch.tensor([float(right)]) for _, right in (row.target for row in rows)]
    assert [p.value for p in kind.decode(items, rows, logits)] == [item.gold for item in items]
