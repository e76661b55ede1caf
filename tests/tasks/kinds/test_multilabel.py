"""Several labels for each text, or none: read, learnt, decided by a threshold, scored as scikit-learn does."""

import itertools
import json
import math
import random

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score

from invented import FILLER, SOURCE, TARGET, TOPICS, labelled_texts, translated
from lingraft.core.errors import CheckpointError, DataError
from lingraft.core.files import read_lines, read_object
from lingraft.core.records import Features, Prediction
from lingraft.recipe.parsing import parse_recipe
from lingraft.results.pages import write_pages
from lingraft.runs.rescore import rescore
from lingraft.serving.loading import load
from lingraft.tasks import tasks
from lingraft.tasks.kinds import NO_LABEL, kind_of
from lingraft.tasks.kinds.multilabel import (
    MultilabelExample,
    join_labels,
    label_macro_f1,
    marked_texts,
    micro_f1,
    split_labels,
)
from quick_run import run

LABELS = ("bird", "river", "stone")
KIND = kind_of("multilabel", LABELS, {})


def example(name, *marks):
    """A text with labels."""
    return MultilabelExample(name, name, "eng-Latn", text=name, marks=tuple(sorted(marks)))


def rows_of(count):
    """A row for each of so many texts."""
    return [Features(str(i), (0, 1)) for i in range(count)]


# ---- Reading ---------------------------------------------------------------------------------------


def write(folder, name, text):
    """Write a file, and return its path."""
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


FIELDS = {"text": "text", "labels": "labels"}


@pytest.mark.parametrize("separator", ["|", ";", ","])
def test_the_labels_of_a_cell_are_parted_where_the_recipe_says(tmp_path, separator):
    """Each once, without blanks, in sorted order; an empty cell has none."""
    cells = [f"river{separator} bird {separator}river", "", "stone", f"{separator}"]
    text = "text,labels\n" + "".join(f'ada,"{cell}"\n' for cell in cells)
    found = marked_texts(write(tmp_path, "a.csv", text), fields=FIELDS, language="en", separator=separator)
    assert [one.marks for one in found] == [("bird", "river"), (), ("stone",), ()]
    assert [one.gold for one in found] == ["bird|river", "", "stone", ""]
    assert [one.language for one in found] == ["eng-Latn"] * 4


def test_lists_hold_labels_as_well(tmp_path):
    """Names, numbers with names of their own or the recipe's; in one what is between them is not looked for."""
    rows = [{"text": "ada", "labels": one} for one in (["bird;x", "river"], [], None, [1, 0])]
    path = write(tmp_path, "a.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    found = marked_texts(path, fields=FIELDS, language="en", separator=";", names=("zero", "one"))
    assert [one.marks for one in found] == [("bird;x", "river"), (), (), ("one", "zero")]


def test_numbers_of_a_data_set_have_its_names(tmp_path):
    """As `datasets` writes lists of classes into Parquet files."""
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {"text": datasets.Value("string"), "labels": datasets.Sequence(datasets.ClassLabel(names=list(LABELS)))}
    )
    table = datasets.Dataset.from_dict({"text": ["ada", "beli"], "labels": [[2, 0], []]}, features=features)
    table.to_parquet(tmp_path / "a.parquet")
    found = marked_texts(tmp_path / "a.parquet", fields=FIELDS, language="en")
    assert [one.marks for one in found] == [("bird", "stone"), ()]


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([{"text": "ada", "labels": ["a|b"]}], r"line 1: column 'labels' has the label 'a\|b', and \| stands between"),
        ([{"text": "ada", "labels": ["a", ["b"]]}], r"line 1: column 'labels' holds the list \['b'\] among its labels"),
        ([{"text": "ada", "labels": ["a", None]}], "line 1: column 'labels' holds null among its labels"),
        ([{"text": "", "labels": ["a"]}], "line 1: column 'text' has no text"),
        ([{"text": "ada", "labels": ""}], r"a.jsonl: no text has a label in column 'labels'; fill some in"),
        ([{"text": "ada", "label": "a"}], "line 1: .*'labels'"),
    ],
)
def test_a_faulty_file_is_refused(tmp_path, rows, told):
    """With line, column and what to do."""
    path = write(tmp_path, "a.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(DataError, match=told):
        marked_texts(path, fields=FIELDS, language="en")


def test_a_file_in_which_no_text_has_a_label_need_not_be_labelled(tmp_path):
    """Nothing is known of it, whether the column is empty or not there."""
    empty = write(tmp_path, "a.csv", "text,labels\nada,\nbeli,\n")
    without = write(tmp_path, "b.csv", "text\nada\n")
    found = marked_texts(empty, fields=FIELDS, language="en", labelled=False)
    found += marked_texts(without, fields={"text": "text"}, language="en", labelled=False)
    assert [one.gold for one in found] == [None, None, None]


def test_merged_spellings_are_one_label(tmp_path):
    """Of a text that has both, too."""
    write(tmp_path, "train.csv", "text,labels\nada,Bird|bird\nbeli,river|bird\ncora,\n")
    task = tasks.build("multilabel", {
        "source_language": "eng", "target_languages": [], "files": {"train": "train.csv"}, "data_dir": tmp_path,
        "labels": "normalise",
    })  # fmt: skip
    assert task.labels == ("bird", "river")
    assert [one.marks for one in task.examples("eng-Latn", "train")] == [("bird",), ("bird", "river"), ()]


# ---- Learning --------------------------------------------------------------------------------------


def test_targets_say_of_each_label_whether_a_text_has_it(tiny_backbone):
    """A label that is not learnt says nothing; a text of unknown labels has no target."""
    texts = [example("ada", "stone", "sand"), example("beli"), MultilabelExample("c", "c", "eng-Latn", text="cora")]
    found = KIND.encode(texts, tiny_backbone.tokenizer, 16, "")
    assert [one.target for one in found] == [(0, 0, 1), (0, 0, 0), None]
    collated = KIND.collate([one.target for one in found], 9)
    assert collated.tolist() == [[0, 0, 1], [0, 0, 0], [NO_LABEL] * 3]


def test_the_loss_is_binary_cross_entropy():
    """That of torch over all labels of the texts that have known ones, whatever the threshold is."""
    logits = torch.randn(4, 4, generator=torch.Generator().manual_seed(0))
    targets = torch.tensor([[0, 0, 1], [0, 0, 0], [NO_LABEL] * 3, [1, 1, 0]])
    known = [0, 1, 3]
    expected = torch.nn.BCEWithLogitsLoss()(logits[known, :3], targets[known].float())
    found = KIND.loss(logits, targets, torch.ones(4, 2), torch.ones(3), torch.ones(4))
    torch.testing.assert_close(found, expected)
    unknown = KIND.loss(logits[2:3], targets[2:3], torch.ones(1, 2), torch.ones(3), torch.ones(1))
    assert unknown.item() == 0


def drawn(seed, count):
    """Log-odds, some of them equal, with labels that go along with them somewhat."""
    rng = np.random.default_rng(seed)
    odds = np.round(rng.normal(-1, 1.5, (count, 3)), 1)
    marks = rng.random((count, 3)) < 1 / (1 + np.exp(-odds - 1))
    examples = [
        example(str(i), *(one for one, has in zip(LABELS, row, strict=True) if has)) for i, row in enumerate(marks)
    ]
    return odds, marks, examples


@pytest.mark.parametrize("seed", range(5))
def test_the_threshold_is_the_best_of_all(seed):
    """No line between any two log-odds has a better micro-F1, by scikit-learn; of the best it is the nearest to 0."""
    odds, marks, examples = drawn(seed, 12)
    logits = [torch.tensor([*row, 0.0]) for row in odds]
    chosen = KIND.choose_threshold(examples, rows_of(12), logits)
    sides = sorted({*odds.flatten(), 0.0})
    tried = [sides[0] - 1, *((a + b) / 2 for a, b in itertools.pairwise(sides)), sides[-1] + 1, 0.0]
    scores = {t: f1_score(marks, odds > t, average="micro", zero_division=0) for t in tried}
    best = max(scores.values())
    assert f1_score(marks, odds > chosen, average="micro", zero_division=0) == pytest.approx(best)
    assert abs(chosen) <= min(abs(t) for t, score in scores.items() if score >= best - 1e-12) + 0.1


def test_without_a_label_on_development_data_the_threshold_stays():
    """There is nothing to choose it by."""
    logits = [torch.tensor([1.0, -2.0, 0.5, 0.0])]
    assert KIND.choose_threshold([example("0")], rows_of(1), logits) == 0


# ---- Answering -------------------------------------------------------------------------------------


def test_labels_above_the_threshold_are_given():
    """With the probability of just these; one that is below one half may be among them, and there may be none."""
    logits = [torch.tensor([0.3, -0.5, -2.0, -1.0]), torch.tensor([-3.0, -1.0, -1.5, -1.0])]
    p = [[1 / (1 + math.exp(-x)) for x in row.tolist()[:3]] for row in logits]
    found = KIND.decode([example("0"), example("1")], rows_of(2), logits)
    assert [(one.value, one.labels) for one in found] == [("bird|river", ("bird", "river")), ("", ())]
    assert found[0].confidence == pytest.approx(p[0][0] * p[0][1] * (1 - p[0][2]))
    assert found[1].confidence == pytest.approx((1 - p[1][0]) * (1 - p[1][1]) * (1 - p[1][2]))
    every = KIND.probabilities(rows_of(2), logits)
    assert every == [pytest.approx(row) for row in p]
    assert sum(every[1]) < 0.9


def test_an_unsure_answer_is_withheld_whole():
    """Its labels too, and a line says so."""
    unsure = Prediction("0", "eng-Latn", "bird|river", 0.4, labels=("bird", "river"))
    assert KIND.finish("ada", unsure, None) == unsure
    withheld = KIND.finish("ada", unsure, 0.5)
    assert (withheld.value, withheld.labels, withheld.abstained) == ("", (), True)
    assert KIND.details(unsure) == {"labels": ["bird", "river"]}


def test_a_model_that_says_no_to_all_has_said_one_thing():
    """What watches for collapse counts it."""
    assert [list(KIND.answers(value)) for value in ("", "bird", "bird|river")] == [[""], ["bird"], ["bird", "river"]]


# ---- Scoring ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_f1_is_that_of_scikit_learn(seed):
    """Micro and macro, of all texts and of those of a resample, whose intervals are made of the same sums."""
    odds, marks, examples = drawn(seed, 20)
    given = odds > 0.4
    values = [join_labels([one for one, has in zip(LABELS, row, strict=True) if has]) for row in given]
    gold, rows = [one.gold for one in examples], np.random.default_rng(seed).integers(0, 20, 20)
    for metric, average in ((micro_f1, "micro"), (label_macro_f1(LABELS), "macro")):
        table = metric.table(gold, values)
        for some in (np.arange(20), rows):
            expected = f1_score(marks[some], given[some], average=average, zero_division=0)
            assert metric.of_table(table[some]) == pytest.approx(expected)


def test_a_label_that_was_not_learnt_is_missed():
    """It counts against recall of all labels together; the mean over labels knows it not."""
    assert micro_f1(["bird|sand"], ["bird"]) == pytest.approx(2 / 3)
    assert label_macro_f1(("bird", "river"))(["bird|sand"], ["bird"]) == pytest.approx(0.5)
    assert (micro_f1.right("bird|sand", "bird"), micro_f1.right("", ""), micro_f1.right("a|b", "b|a")) == (0, 1, 1)


# ---- A whole run -----------------------------------------------------------------------------------

SIZES = {"train": 24, "dev": 8, "test": 10}


@pytest.fixture(scope="module")
def finished(tiny_checkpoint, tmp_path_factory):
    """A run with shots, and its test texts: a text has the label of each topic that a word of it is of."""
    folder, tested = tmp_path_factory.mktemp("multilabel"), []
    for number, language in enumerate((SOURCE, TARGET)):
        for split, count in SIZES.items():
            rng, rows = random.Random(f"{number}{split}"), []
            for _ in range(count):
                topics = rng.sample(sorted(TOPICS), rng.randint(0, 2))
                words = [rng.choice(TOPICS[topic]) for topic in topics] + FILLER[:1]
                text = " ".join(words)
                rows.append({"text": text if language == SOURCE else translated(text), "labels": sorted(topics)})
            lines = "".join(json.dumps(row) + "\n" for row in rows)
            write(folder, f"{language}.{split}.jsonl", lines)
            tested = rows
    pairs = ["source\ttarget", *(f"{text}\t{translated(text)}" for text, _ in labelled_texts(8, 5))]
    write(folder, f"pairs.{TARGET}.tsv", "\n".join(pairs) + "\n")
    values = {
        "task": {
            "name": "multilabel",
            "source_language": SOURCE,
            "target_languages": [TARGET],
            "files": {split: f"{{language}}.{split}.jsonl" for split in SIZES},
            "data_dir": str(folder),
        },
        "backbone": {"checkpoint": str(tiny_checkpoint), "max_length": 24},
        "parallel": {"files": str(folder / "pairs.{language}.tsv")},
        "alignment": [{"name": "mse"}],
    }
    small = ["train.num_train_epochs=2", "train.batch_size=4", "seeds=[1]", "device=cpu", "shots.k=[4]"]
    return run(parse_recipe(values, [*small, f"output_dir={folder / 'run'}"]), pages=write_pages), tested


def test_a_run_answers_as_its_scores_say(finished):
    """Loaded again it gives the labels of the predictions, by the saved threshold, and evaluating scores the same."""
    folder, tested = finished
    adapted, texts = load(folder), [row["text"] for row in tested]
    answers, every = adapted.predict(texts), adapted.predict_proba(texts)
    (path,) = folder.glob(f"predictions/*/{TARGET}.jsonl")
    rows = list(read_lines(path))
    assert [answer.value for answer in answers] == [row["value"] for row in rows]
    assert [list(split_labels(row["gold"])) for row in rows] == [row["labels"] for row in tested]
    head = adapted.model.adaptation.head
    (facts,) = read_object(folder / "summary.json")["trials"].values()
    assert facts["threshold"] == head.threshold.item()
    above = every.values > 1 / (1 + math.exp(-head.threshold.item()))
    assert [answer.labels for answer in answers] == [
        tuple(label for label, one in zip(every.classes, row, strict=True) if one) for row in above
    ]
    marks = np.array([[label in row["labels"] for label in every.classes] for row in tested])
    scored = {score.metric: score for _, score in rescore(folder, [TARGET], "test", quiet=True)}
    assert list(scored) == ["micro_f1", "macro_f1"]
    for name, score in scored.items():
        average = name.removesuffix("_f1")
        assert score.value == pytest.approx(f1_score(marks, above, average=average, zero_division=0))
        assert score.low <= score.value <= score.high


def test_the_report_of_a_run_speaks_of_labels(finished):
    """Its metrics by name, an empty answer in words, no confusion of classes that exclude each other."""
    folder, _ = finished
    page, card = ((folder / name).read_text(encoding="utf-8") for name in ("report.html", "README.md"))
    assert "Micro-F1" in page
    assert "Macro-F1" in page
    assert "(none)" in page
    assert "Most often confused" not in page
    shared = "threshold and the choice of the trial share the same 8 development texts"
    assert shared in page
    assert "a logistic regression for each label" in page
    assert "says yes or no to each of its labels" in card


def test_what_needs_one_class_is_refused(finished):
    """With the kind by its name."""
    folder, tested = finished
    adapted = load(folder)
    with pytest.raises(CheckpointError, match="the run is for multilabel; what speaks for an answer"):
        adapted.explain(tested[0]["text"])
    with pytest.raises(DataError, match="multilabel takes a text, got"):
        adapted.predict([("ada", "beli")])
