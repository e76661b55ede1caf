"""Extractive question answering: from characters to tokens and back, windows, and the best piece over all of them."""

import math
import unicodedata

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lingraft.core.errors import ConfigError
from lingraft.core.examples import Answer, PairExample, SpanExample, TaggedExample
from lingraft.core.records import Features
from lingraft.tasks.kinds import NO_LABEL
from lingraft.tasks.kinds.span_qa import shown_characters, span_qa_kind
from tiny import WORDS, random_tokenizer

KIND = span_qa_kind()


@pytest.fixture(scope="module")
def tokenizer():
    """Words are tokens; ``<s> question </s> context </s>``."""
    return random_tokenizer()


@pytest.fixture(scope="module")
def real():
    """The embedded checkpoint's own tokenizer."""
    from lingraft.backbones.loading import load_tokenizer
    from lingraft.core.errors import CheckpointError
    from tiny import USERS_CACHE

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LINGRAFT_CACHE", str(USERS_CACHE))
        try:
            return load_tokenizer("bundled:multilingual-e5-small")
        except CheckpointError as error:
            pytest.skip(str(error))


def asked(context, *answers, question="ada beli", name="q"):
    """A question whose answers are the first places of these texts."""
    found = tuple(Answer(text, context.index(text)) for text in answers)
    return SpanExample(name, "g", "eng-Latn", question=question, context=context, answers=found)


def words(count):
    """A context of so many words."""
    return " ".join(WORDS[i % len(WORDS)] for i in range(count))


def certain(feature):
    """Logits that are sure of the row's target, or of nothing where the answer is elsewhere."""
    logits = torch.zeros(len(feature.input_ids), 2)
    if feature.target not in (None, (0, 0)):
        first, last = feature.target
        logits[first, 0] = logits[last, 1] = 50.0
    return logits


def oracle(examples, tokenizer, max_length=320, kind=KIND):
    """What the questions' own targets decode to."""
    rows = kind.encode(examples, tokenizer, max_length, "query: ")
    return kind.decode(examples, rows, [certain(row) for row in rows])


# ---- Windows ---------------------------------------------------------------------------------------


def test_a_short_context_is_one_window(tokenizer):
    """Special tokens and the question have no characters; the target counts the row's tokens."""
    (row,) = KIND.encode([asked("cora dune eli", "dune eli")], tokenizer, 32, "")
    assert tokenizer.convert_ids_to_tokens(list(row.input_ids)) == [
        "<s>", "ada", "beli", "</s>", "cora", "dune", "eli", "</s>",
    ]  # fmt: skip
    assert row.offsets == (None, None, None, None, (0, 4), (5, 9), (10, 13), None)
    assert (row.target, row.part, row.truncated) == ((5, 6), 0, 0)


def test_windows_are_those_of_the_tokenizer_itself(tokenizer):
    """The same rows and characters as Hugging Face's own windows give, at every length around the fits."""
    kind = span_qa_kind(stride=3)
    for length in range(1, 40):
        example = asked(words(length))
        rows = kind.encode([example], tokenizer, 16, "query ")
        theirs = tokenizer(
            "query ada beli", example.context, truncation="only_second", max_length=16, stride=3,
            return_overflowing_tokens=True, return_offsets_mapping=True,
        )  # fmt: skip
        assert [list(row.input_ids) for row in rows] == theirs["input_ids"], length
        for part, (row, offsets) in enumerate(zip(rows, theirs["offset_mapping"], strict=True)):
            sides = theirs.sequence_ids(part)
            assert list(row.offsets) == [o if s == 1 else None for o, s in zip(offsets, sides, strict=True)]
            assert row.part == part


@pytest.mark.parametrize(("length", "windows"), [(0, 1), (1, 1), (9, 1), (10, 1), (11, 2), (17, 2), (18, 3)])
def test_a_context_that_fits_exactly_needs_no_second_window(tokenizer, length, windows):
    """Ten context tokens fit, seven more with each further window, and an empty context is a row all the same."""
    rows = span_qa_kind(stride=3).encode([asked(words(length))], tokenizer, 15, "")
    assert [row.part for row in rows] == list(range(windows))
    assert max(len(row.input_ids) for row in rows) <= 15


@settings(deadline=None, max_examples=50)
@given(length=st.integers(0, 60), stride=st.integers(0, 200), asking=st.integers(0, 40), limit=st.integers(5, 24))
def test_every_token_of_the_context_is_in_a_window(length, stride, asking, limit):
    """Whatever the sizes, windows end, never exceed the limit, and leave nothing out."""
    example = asked(words(length), question=words(asking))
    rows = span_qa_kind(stride=stride).encode([example], TOKENIZER, limit, "")
    seen = {span for row in rows for span in row.offsets if span}
    assert len(seen) == length
    assert all(len(row.input_ids) == len(row.offsets) <= limit for row in rows)
    assert len(rows) <= max(1, length)
    kept = asking - rows[0].truncated
    assert kept == min(asking, (limit - 3) // 2)
    assert all(row.truncated == 0 for row in rows[1:])


TOKENIZER = random_tokenizer()


def test_an_answer_outside_a_window_points_to_its_first_token(tokenizer):
    """Each window knows the answer only if all of it is inside."""
    example = asked(words(20), " ".join(WORDS[8:11]), WORDS[0])
    rows = span_qa_kind(stride=3).encode([example], tokenizer, 15, "")  # words 0-9, 7-16, 14-19
    assert [row.target for row in rows] == [(0, 0), (5, 7), (0, 0)]


def test_a_question_without_answers_has_no_target(tokenizer):
    """What is to be answered only has rows without a target."""
    assert [row.target for row in KIND.encode([asked(words(50))], tokenizer, 32, "")] == [None, None, None]


def test_an_answer_is_matched_by_the_tokens_that_contain_it(tokenizer):
    """Parts of words count as the word; blanks around an answer do not count."""
    rows = KIND.encode([asked("cora dune eli", "ra du"), asked("cora dune eli", " dune ")], tokenizer, 32, "")
    assert [row.target for row in rows] == [(4, 5), (5, 5)]
    assert [p.value for p in oracle([asked("cora dune eli", "ra du")], tokenizer)] == ["cora dune"]


def test_an_answer_of_which_no_token_has_anything_is_nowhere(tokenizer):
    """An answer of blanks only."""
    assert KIND.encode([asked("cora  dune", "  ")], tokenizer, 32, "")[0].target == (0, 0)


def test_parallel_sentences_are_plain_text(tokenizer):
    """They keep their places among the questions, and have neither target nor characters."""
    examples = [
        PairExample("a", "a", "yor-Latn", text_a="cora dune"),
        asked("eli fara", "fara"),
        PairExample("b", "b", "yor-Latn", text_a="cora", text_b="dune"),
    ]
    first, question, last = KIND.encode(examples, tokenizer, 32, "ada ")
    assert [row.example_id for row in (first, question, last)] == ["a", "q", "b"]
    assert list(first.input_ids) == tokenizer("ada cora dune")["input_ids"]
    assert list(last.input_ids) == tokenizer("ada cora", "dune")["input_ids"]
    assert (first.target, first.offsets, last.target, last.offsets) == (None, (), None, ())


def test_nothing_gives_nothing(tokenizer):
    """No examples, no rows."""
    assert KIND.encode([], tokenizer, 32, "") == []
    assert KIND.decode([], [], []) == []


def test_other_examples_are_refused(tokenizer):
    """The class and the example are named."""
    with pytest.raises(TypeError, match="got TaggedExample 't'"):
        KIND.encode([TaggedExample("t", "t", "yor-Latn", words=("a",))], tokenizer, 32, "")


def test_a_length_without_room_is_refused(tokenizer):
    """Three special tokens and one more are no question with a context."""
    with pytest.raises(ConfigError, match="max_length: 4 tokens have no room"):
        KIND.encode([asked("cora")], tokenizer, 4, "")


def test_all_mistakes_of_the_settings_at_once():
    """Both numbers are told at once."""
    with pytest.raises(ConfigError) as caught:
        span_qa_kind(stride=-1, max_answer_length=0)
    assert len(caught.value.problems) == 2


def test_options_build_the_same_kind():
    """What is saved with a model is enough to read its answers."""
    kind = span_qa_kind(stride=7, max_answer_length=4)
    again = span_qa_kind(**kind.options)
    assert again.options == kind.options == {"stride": 7, "max_answer_length": 4, "normaliser": "squad"}
    assert list(kind.metrics) == ["f1", "exact_match"]


# ---- Characters ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("context", "offsets", "pieces"),
    [
        ("a  bc d", [(0, 1), (2, 5), (5, 7)], ["a", "bc", "d"]),
        ("\u00a0a\u3000b\n", [(0, 2), (2, 4), (4, 5)], ["a", "b", None]),
        ("a\u200bb", [(0, 1), (1, 3)], ["a", "b"]),
        ("Vie\u0323\u0302t Nam", [(0, 2), (2, 3), (5, 6), (6, 10)], ["Vi", "e\u0323\u0302", "t", "Nam"]),
        ("la\u0300", [(0, 2)], ["la\u0300"]),
        ("他在2008", [(0, 1), (0, 2), (2, 6)], [None, "他在", "2008"]),
        ("x😀", [(0, 1), (1, 2), (1, 2), (1, 2)], ["x", None, None, "😀"]),
        ("", [], []),
    ],
)
def test_a_token_shows_its_characters_without_blanks(context, offsets, pieces):
    """Spaces before words, marks that a normaliser composed, lone word boundaries, bytes of a character."""
    assert [span and context[slice(*span)] for span in shown_characters(context, offsets)] == pieces


@pytest.mark.checkpoint
@pytest.mark.parametrize(
    ("context", "answer"),
    [
        ("تقع القاهرة على نهر النيل.", "نهر النيل"),
        ("दिल्ली यमुना नदी के तट पर बसी है।", "यमुना नदी"),
        ("上海位于长江口，是中国最大的城市。", "上海"),
        ("上海位于长江口，是中国最大的城市。", "长江"),
        ("กรุงเทพมหานครตั้งอยู่บนแม่น้ำเจ้าพระยา", "แม่น้ำเจ้าพระยา"),
        ("Hà Nội nằm bên sông Hồng của Việt Nam.", "sông Hồng"),
        (unicodedata.normalize("NFD", "Hà Nội nằm bên sông Hồng của Việt"), unicodedata.normalize("NFD", "sông Hồng")),
        (unicodedata.normalize("NFD", "Hà Nội nằm bên sông Hồng của Việt"), unicodedata.normalize("NFD", "Việt")),
        ("Η Αθήνα απέχει 8 χλμ. από τον Πειραιά", "Αθήνα"),
        ("The panda 🐼 eats  bamboo 🎋 daily", "🐼"),
        ("The panda 🐼 eats  bamboo 🎋 daily", "bamboo 🎋"),
        ("  ﬁrst\u3000½ cup\n\nof\u00a0tea", "½ cup"),
        ("one\u200btwo\u200b three", "two"),
    ],
)
def test_an_answer_in_any_script_comes_back_as_it_is_written(real, context, answer):
    """SentencePiece's spaces and normalisation change no character of an answer."""
    (found,) = oracle([asked(context, answer)], real)
    assert found.value == answer
    assert found.confidence > 0.99


@pytest.mark.checkpoint
@settings(deadline=None, max_examples=100)
@given(
    data=st.data(), context=st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=40)
)
def test_any_piece_of_any_text_comes_back_with_at_most_its_neighbours(real, data, context):
    """What is decoded contains the answer, if any of its characters reached a token."""
    start = data.draw(st.integers(0, len(context) - 1))
    end = data.draw(st.integers(start + 1, len(context)))
    example = SpanExample("q", "g", "und", question="?", context=context, answers=(Answer(context[start:end], start),))
    (row,) = KIND.encode([example], real, 320, "query: ")
    (found,) = KIND.decode([example], [row], [certain(row)])
    assert found.value in context
    tokens = [span for span in row.offsets if span]
    assert all(first < last and not context[first].isspace() for first, last in tokens)
    assert tokens == sorted(tokens)
    shown = {i for first, last in tokens for i in range(first, last)}
    assume(row.target != (0, 0))
    wanted = "".join(context[i] for i in range(start, end) if i in shown)
    reached = range(row.offsets[row.target[0]][0], row.offsets[row.target[1]][1])
    assert wanted in "".join(context[i] for i in reached if i in shown)


@pytest.mark.shared
@pytest.mark.checkpoint
@pytest.mark.parametrize("language", ["ar", "hi", "vi"])
def test_the_gold_spans_of_xquad_decode_to_the_gold_answers(real, shared_data, language):
    """All 1,190 questions through windows and back: a wrong offset anywhere would show."""
    from lingraft.data.squad import squad_examples

    examples = squad_examples(shared_data / "xquad" / f"xquad.{language}.json.gz", language=language)
    kind = span_qa_kind(max_answer_length=100)
    found = oracle(examples, real, kind=kind)
    exact = kind.metrics["exact_match"]([e.gold for e in examples], [p.value for p in found])
    assert len(examples) == 1190
    assert exact >= 0.99  # what is left are answers that begin or end inside a token


# ---- Loss ------------------------------------------------------------------------------------------


def test_targets_become_pairs_of_positions():
    """Rows without one are marked."""
    assert KIND.collate([(3, 4), None, (0, 0)], 9).tolist() == [[3, 4], [NO_LABEL, NO_LABEL], [0, 0]]
    assert KIND.collate([], 9).shape == (0, 2)


def test_the_loss_is_the_mean_of_two_cross_entropies():
    """As written out by hand; padding has no probability, and rows without a target no part."""
    torch.manual_seed(0)
    logits = torch.randn(3, 5, 2, requires_grad=True)
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 1, 1, 1, 0]])
    targets = torch.tensor([[3, 4], [0, 2], [NO_LABEL, NO_LABEL]])
    parts = []
    for row, length in ((0, 5), (1, 3)):
        for side in (0, 1):
            exponentials = [math.exp(x) for x in logits[row, :length, side].tolist()]
            parts.append(-math.log(exponentials[int(targets[row, side])] / sum(exponentials)))
    loss = KIND.loss(logits, targets, mask, torch.ones(0), torch.ones(3))
    assert loss.item() == pytest.approx(sum(parts) / 4, rel=1e-5)
    loss.backward()
    assert torch.isfinite(logits.grad).all()
    assert float(logits.grad[1, 3:].abs().sum() + logits.grad[2].abs().sum()) == 0.0


def test_no_known_target_is_no_loss():
    """Zero, with a gradient of zero."""
    logits = torch.randn(2, 4, 2, requires_grad=True)
    loss = KIND.loss(logits, KIND.collate([None, None], 4), torch.ones(2, 4), torch.ones(0), torch.ones(2))
    loss.backward()
    assert loss.item() == logits.grad.abs().sum().item() == 0.0


# ---- Answers ---------------------------------------------------------------------------------------


def by_hand(windows, longest):
    """Best score, its characters and its probability, by trying every pair of tokens of every window."""
    scored = []
    for feature, logits in windows:
        for i, first in enumerate(feature.offsets):
            for j, last in enumerate(feature.offsets):
                if first and last and i <= j < i + longest:
                    scored.append((float(logits[i, 0]) + float(logits[j, 1]), first[0], last[1]))
    if not scored:
        return (0, 0), 0.0
    score, *piece = max(scored, key=lambda candidate: candidate[0])
    return tuple(piece), 1 / sum(math.exp(other - score) for other, *_ in scored)


@settings(deadline=None, max_examples=100)
@given(data=st.data(), longest=st.integers(1, 6), seed=st.integers(0, 10_000))
def test_the_best_piece_over_all_windows_equals_the_slow_search(data, longest, seed):
    """With blanks between tokens, windows without any context, and answers longer than a window."""
    generator = torch.Generator().manual_seed(seed)
    context = "abcdefghij"
    examples, features, logits, expected = [], [], [], []
    for name in range(data.draw(st.integers(1, 3))):
        examples.append(SpanExample(str(name), "g", f"l{name}", question="?", context=context))
        windows = []
        for part in range(data.draw(st.integers(1, 3))):
            blanks = data.draw(st.lists(st.booleans(), min_size=0, max_size=10))
            offsets = (None, *((i, i + 1) if keep else None for i, keep in enumerate(blanks)), None)
            feature = Features(str(name), (0,) * len(offsets), part=part, offsets=offsets)
            windows.append((feature, torch.randn(len(offsets), 2, generator=generator) * 3))
        features += [feature for feature, _ in windows]
        logits += [scores for _, scores in windows]
        expected.append(by_hand(windows, longest))
    found = span_qa_kind(max_answer_length=longest).decode(examples, features, logits)
    for prediction, example, ((first, last), confidence) in zip(found, examples, expected, strict=True):
        assert (prediction.example_id, prediction.language) == (example.id, example.language)
        assert prediction.value == context[first:last]
        assert prediction.confidence == pytest.approx(confidence, rel=1e-9)


def test_a_context_without_tokens_gives_an_empty_answer(tokenizer):
    """Of confidence 0, rather than a crash."""
    (found,) = oracle([asked("   ")], tokenizer, 32)
    assert (found.value, found.confidence) == ("", 0.0)


def test_half_precision_and_extreme_logits_are_read(tokenizer):
    """Confidence stays between 0 and 1."""
    example = asked("cora dune eli")
    (row,) = KIND.encode([example], tokenizer, 32, "")
    logits = torch.full((len(row.input_ids), 2), -60_000.0, dtype=torch.float16)
    logits[5, 0] = logits[6, 1] = 60_000.0
    (found,) = KIND.decode([example], [row], [logits])
    assert (found.value, found.confidence) == ("dune eli", 1.0)


def test_the_question_is_never_the_answer(tokenizer):
    """However sure the logits are of its tokens, or of an end before the start."""
    example = asked("cora dune eli")
    (row,) = KIND.encode([example], tokenizer, 32, "")
    logits = torch.zeros(len(row.input_ids), 2)
    logits[:4], logits[-1] = 99.0, 99.0
    logits[6, 0], logits[4, 1] = 5.0, 5.1
    assert KIND.decode([example], [row], [logits])[0].value == "cora"
