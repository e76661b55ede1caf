"""Tasks: the named ones and one's own files."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight

from lingraft.core.errors import ConfigError, DataError
from lingraft.core.examples import PairExample
from lingraft.core.records import Features
from lingraft.tasks import tasks
from lingraft.tasks.kinds import NO_LABEL
from lingraft.tasks.kinds.classification import class_weights, cross_entropy, decode_labels, encode_pairs
from tiny import VOCABULARY, random_tokenizer

TOPICS = ["geography", "health", "politics"]
LABELS = ("no", "yes")


@pytest.fixture(scope="module")
def tokenizer():
    """The word-level tokenizer."""
    return random_tokenizer()


def sib200(folder, pattern, *, languages=("eng_Latn", "yor_Latn"), label=lambda i: TOPICS[i % 3]):
    """Write SIB-200's tables of three columns."""
    for language in languages:
        for split, rows in (("train", 6), ("dev", 3), ("test", 4)):
            path = folder / pattern.format(language=language, split=split)
            path.parent.mkdir(parents=True, exist_ok=True)
            lines = [f"{100 * len(split) + i}\t{label(i)}\t{language} {split} sentence {i}" for i in range(rows)]
            path.write_text("\n".join(["index_id\tcategory\ttext", *lines]) + "\n", encoding="utf-8")
    return folder


# ---- SIB-200 ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "pattern", ["data/annotated/{language}/{split}.tsv", "{language}.{split}.tsv"], ids=["publisher", "flat"]
)
def test_sib200_in_both_layouts(tmp_path, pattern):
    """The publisher's folders and one flat folder give the same task."""
    sib200(tmp_path, pattern)
    task = tasks.build("sib200", {"target_languages": ["yo"], "data_dir": str(tmp_path)})
    assert (task.labels, task.languages, task.parallel) == (tuple(TOPICS), ("eng-Latn", "yor-Latn"), True)
    assert {split: len(task.examples("yor-Latn", split)) for split in ("train", "dev", "test")} == {
        "train": 6, "dev": 3, "test": 4,
    }  # fmt: skip
    assert task.examples("yor-Latn", "train")[1] == PairExample(
        "501", "501", "yor-Latn", text_a="yor_Latn train sentence 1", label="health"
    )
    assert "Apache-2.0" in task.licence
    assert "SIB-200" in task.citation


def test_sib200_groups_are_the_same_in_all_languages(tmp_path):
    """An index is a sentence, whatever the language."""
    sib200(tmp_path, "{language}.{split}.tsv")
    task = tasks.build("sib200", {"target_languages": ["yo"], "data_dir": tmp_path})
    assert [e.group for e in task.examples("eng-Latn", "test")] == [e.group for e in task.examples("yor-Latn", "test")]


def test_sib200_without_files_names_what_was_tried(tmp_path):
    """A wrong folder is told with every file name that was looked for."""
    with pytest.raises(ConfigError, match=r"no train examples in English .*\{language\}\.train\.tsv"):
        tasks.build("sib200", {"target_languages": ["yo"], "data_dir": tmp_path})


@pytest.mark.shared
def test_sib200_as_published(shared_data):
    """The public tables: 701, 99 and 204 sentences of seven topics."""
    folder = shared_data / "sib200"
    if not folder.is_dir():
        pytest.skip("SIB-200 is not among the public data sets")
    task = tasks.build("sib200", {"target_languages": ["yor-Latn"], "data_dir": str(folder)})
    assert len(task.labels) == 7
    assert [len(task.examples("yor-Latn", split)) for split in ("train", "dev", "test")] == [701, 99, 204]


# ---- Labels and languages --------------------------------------------------------------------------


def own(folder, *, train="a,yes\nb,no\n", test="c,yes\n", **options):
    """One's own table of texts and labels."""
    for split, content in (("train", train), ("test", test)):
        for language in ("eng-Latn", "yor-Latn"):
            (folder / f"{split}.{language}.csv").write_text("text,label\n" + content, encoding="utf-8")
    files = {split: str(folder / f"{split}.{{language}}.csv") for split in ("train", "test")}
    return tasks.build(
        "classification",
        {"source_language": "eng-Latn", "target_languages": ["yor-Latn"], "files": files} | options,
    )


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_label_that_is_not_known_is_named(tmp_path, split):
    """A label that the source's training set lacks is told with language, split, id, and the known ones."""
    task = own(tmp_path)
    (tmp_path / f"{split}.yor-Latn.csv").write_text("text,label\nx,maybe\n", encoding="utf-8")
    with pytest.raises(
        DataError,
        match=rf"yor-Latn {split} \(.*\.yor-Latn\.csv\), text 2: label 'maybe' does not occur.*which has no, yes",
    ):
        task.examples("yor-Latn", split)


def test_labels_are_sorted_and_those_of_the_source(tmp_path):
    """Class 0 is the first in the alphabet, whatever comes first in the file."""
    assert own(tmp_path, train="a,yes\nb,no\nc,yes\n").labels == LABELS


def test_one_label_is_nothing_to_tell_apart(tmp_path):
    """A training set of one class is refused."""
    with pytest.raises(DataError, match="has the one label 'yes'; there is nothing to tell apart"):
        own(tmp_path, train="a,yes\nb,yes\n")


@pytest.mark.parametrize(
    ("targets", "sentence"),
    [(["yo", "yor-Latn"], "names yor-Latn twice"), (["en"], "names eng-Latn twice")],
)
def test_target_languages_are_checked(tmp_path, targets, sentence):
    """One twice in two spellings, or the source itself is refused."""
    with pytest.raises(DataError, match=sentence):
        own(tmp_path, target_languages=targets)


def test_a_split_without_files_is_empty(tmp_path):
    """Only what `files` names is read."""
    assert own(tmp_path).examples("eng-Latn", "dev") == []


def test_files_need_a_training_split(tmp_path):
    """Without training files there are no labels."""
    with pytest.raises(ConfigError, match="files has no 'train' entry; it has test"):
        own(tmp_path, files={"test": "x"})


def test_a_field_map_reads_anyone_s_columns(tmp_path):
    """Pairs of texts with ids and groups, under whatever names."""
    path = tmp_path / "eng-Latn.jsonl"
    path.write_text(
        '{"uid": 7, "doc": "d1", "premise": "p", "hypothesis": "h", "gold": 0}\n'
        '{"uid": 8, "doc": "d1", "premise": "q", "hypothesis": "i", "gold": 1}\n',
        encoding="utf-8",
    )
    task = tasks.build(
        "classification",
        {
            "source_language": "en",
            "target_languages": ["yo"],
            "files": {"train": "{language}.jsonl"},
            "fields": {"text_a": "premise", "text_b": "hypothesis", "label": "gold", "id": "uid", "group": "doc"},
            "data_dir": str(tmp_path),
            "title": "my-nli",
            "licence": "CC0",
        },
    )
    assert task.examples("eng-Latn", "train")[0] == PairExample(
        "7", "d1", "eng-Latn", text_a="p", text_b="h", label="0"
    )
    assert (task.name, task.kind.name, task.labels, task.licence) == ("my-nli", "classification", ("0", "1"), "CC0")


def test_examples_are_read_once(tmp_path):
    """A second look does not read the file again."""
    task = own(tmp_path)
    first = task.examples("yor-Latn", "test")
    (tmp_path / "test.yor-Latn.csv").unlink()
    assert task.examples("yor-Latn", "test") is first


def test_every_task_s_gold_decodes_to_a_perfect_score(tmp_path, tokenizer):
    """Logits that are sure of the gold label score 1 under every metric."""
    for task in (own(tmp_path), tasks.build("cldr_names", {"target_languages": ["yo"]})):
        examples = [e for language in task.languages for e in task.examples(language, "test")[:20]]
        features = task.kind.encode(examples, tokenizer, 16, "")
        logits = 9.0 * F.one_hot(torch.tensor([f.target for f in features]), len(task.labels)).float()
        predictions = task.kind.decode(examples, features, list(logits))
        gold = [e.label for e in examples]
        assert [p.value for p in predictions] == gold
        assert [p.example_id for p in predictions] == [e.id for e in examples]
        assert task.kind.metrics["accuracy"](gold, [p.value for p in predictions]) == 1.0
        assert task.kind.outputs == len(task.labels)


# ---- Encoding --------------------------------------------------------------------------------------


def example(text, second=None, label="yes", identifier="1"):
    """An example of Yoruba."""
    return PairExample(identifier, identifier, "yor-Latn", text_a=text, text_b=second, label=label)


def ids_of(text):
    """Token ids by hand."""
    return tuple(VOCABULARY.get(word, VOCABULARY["<unk>"]) for word in text.split())


def encoded(examples, tokenizer, max_length=32, prefix=""):
    """Features of examples."""
    return encode_pairs(examples, tokenizer, max_length, prefix, labels=LABELS)


def test_a_text_is_put_between_its_marks(tokenizer):
    """Special tokens around the words, the prefix before them, the label's index as target."""
    (feature,) = encoded([example("beli cora")], tokenizer, prefix="ada ")
    assert feature == Features("1", ids_of("<s> ada beli cora </s>"), target=1, truncated=0)


def test_a_pair_is_one_sequence(tokenizer):
    """Both texts in one sequence with a mark between; the prefix stands before the first."""
    (feature,) = encoded([example("beli", "cora dune", label="no")], tokenizer, prefix="ada ")
    assert feature.input_ids == ids_of("<s> ada beli </s> cora dune </s>")
    assert feature.target == 0


def test_what_does_not_fit_is_cut_and_counted(tokenizer):
    """A text of six words in a length of five loses three."""
    (feature,) = encoded([example("ada beli cora dune eli fara")], tokenizer, max_length=5)
    assert (feature.input_ids, feature.truncated) == (ids_of("<s> ada beli cora </s>"), 3)


def test_the_longer_text_of_a_pair_is_cut_first(tokenizer):
    """The short hypothesis stays whole."""
    (feature,) = encoded([example("ada beli cora dune eli fara", "goma hilu")], tokenizer, max_length=8)
    assert feature.input_ids == ids_of("<s> ada beli cora </s> goma hilu </s>")
    assert feature.truncated == 3


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.lists(st.sampled_from(["ada", "beli", "zzz"]), min_size=1, max_size=12), min_size=1, max_size=8),
    st.integers(3, 16),
)
def test_every_text_keeps_what_fits(texts, max_length):
    """Kept and cut tokens add up to the whole text, and nothing is longer than allowed."""
    tokenizer = random_tokenizer()
    examples = [example(" ".join(words), identifier=str(i)) for i, words in enumerate(texts)]
    for words, feature in zip(texts, encoded(examples, tokenizer, max_length), strict=True):
        assert len(feature.input_ids) == min(max_length, len(words) + 2)
        assert len(feature.input_ids) + feature.truncated == len(words) + 2


def test_texts_and_pairs_may_be_mixed(tokenizer):
    """Parallel sentences beside labelled pairs: each is encoded as it would be alone, in either order."""
    mixed = [example("ada", identifier="1", label=None), example("beli", "cora", identifier="2")]
    alone = [encoded([one], tokenizer)[0] for one in mixed]
    assert encoded(mixed, tokenizer) == alone
    assert encoded(mixed[::-1], tokenizer) == alone[::-1]
    assert alone[1].input_ids == ids_of("<s> beli </s> cora </s>")


def test_no_examples_are_no_features(tokenizer):
    """An empty list is no error."""
    assert encoded([], tokenizer) == []


def test_an_example_without_label_has_no_target(tokenizer):
    """What is not known stays unknown."""
    assert encoded([example("ada", label=None)], tokenizer)[0].target is None


# ---- Loss and decoding -----------------------------------------------------------------------------


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 6), st.integers(2, 5), st.integers(0, 999))
def test_cross_entropy_equals_its_definition(batch, classes, seed):
    """The class-weighted mean of -log p over rows with a label."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(batch, classes, generator=generator)
    targets = torch.randint(0, classes, (batch,), generator=generator)
    targets[1::2] = NO_LABEL
    weights = torch.rand(classes, generator=generator) + 0.1
    total = cost = 0.0
    for row, target in zip(logits.double().tolist(), targets.tolist(), strict=True):
        if target == NO_LABEL:
            continue
        p = torch.softmax(torch.tensor(row), 0)[target].item()
        total += weights[target].item()
        cost -= weights[target].item() * torch.log(torch.tensor(p)).item()
    found = cross_entropy(logits, targets, torch.ones(0), weights, torch.ones(batch))
    assert found.item() == pytest.approx(cost / total, rel=1e-4, abs=1e-5)


def test_rows_without_label_have_no_gradient():
    """They take no part in the loss."""
    logits = torch.randn(3, 2, requires_grad=True)
    cross_entropy(logits, torch.tensor([0, NO_LABEL, 1]), torch.ones(0), torch.ones(2), torch.ones(3)).backward()
    assert (logits.grad[1] == 0).all()
    assert (logits.grad[[0, 2]] != 0).all()


def test_class_weights_are_scikit_learn_s():
    """Inverse class frequency; all ones where not asked for; a class without examples is no division by zero."""
    targets = [0, 0, 0, 1, 2, 2]
    expected = compute_class_weight("balanced", classes=np.arange(3), y=targets)
    torch.testing.assert_close(class_weights(targets, 3, balanced=True).double(), torch.tensor(expected))
    assert class_weights(targets, 3, balanced=False).tolist() == [1.0, 1.0, 1.0]
    assert class_weights([0, 0], 2, balanced=True).isfinite().all()


def test_decoding_takes_the_likeliest_label():
    """With its probability, in the order of the examples."""
    examples, features = [example("x", identifier="a"), example("y", identifier="b")], [Features("a", (1,))] * 2
    logits = torch.tensor([[0.0, 0.0], [2.0, 5.0]]).log_softmax(-1)
    first, second = decode_labels(examples, features, list(logits), labels=LABELS)
    assert (first.example_id, first.language, first.confidence) == ("a", "yor-Latn", 0.5)
    assert (second.value, round(second.confidence, 4)) == ("yes", round(torch.sigmoid(torch.tensor(3.0)).item(), 4))
