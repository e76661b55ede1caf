"""A number for each text, or pair of texts: read, learnt, scored as scipy does, answered as files have it."""

import io
import json
import math
import random
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import pearsonr, spearmanr
from sklearn.linear_model import RidgeCV

from invented import FILLER, SOURCE, TARGET, TOPICS, labelled_texts, translated
from lingraft.core.errors import CheckpointError, ConfigError, DataError
from lingraft.core.files import read_lines, read_object
from lingraft.core.records import Batch, Features, States
from lingraft.experiments.planned import check_experiments
from lingraft.integrations.pipeline import Pipeline
from lingraft.model.kernel_ridge import STRENGTHS
from lingraft.recipe.parsing import parse_recipe, read_recipe
from lingraft.results.pages import write_pages
from lingraft.results.units import unit_of
from lingraft.runs.checks import gather_checked, refuse_other_start
from lingraft.runs.rescore import rescore
from lingraft.serving.answer_file import Request, open_file
from lingraft.serving.export.writing import export_run
from lingraft.serving.loading import load
from lingraft.tasks import tasks
from lingraft.tasks.kinds import kind_of
from lingraft.tasks.kinds.regression import NumberExample, numbered_texts
from quick_run import quick_compare, run

KIND = kind_of("regression", (), {"mean": 3.0, "deviation": 2.0})
FIELDS = {"text": "text", "number": "number"}


def write(folder, name, text):
    """Write a file, and return its path."""
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


# ---- Reading ---------------------------------------------------------------------------------------


def test_numbers_are_read_as_they_are_written(tmp_path):
    """With or without a point, negative, with an exponent, in a JSON file as numbers or texts."""
    path = write(tmp_path, "a.csv", "text,number\nada,3\nbeli, -0.5 \ncora,2e-1\n")
    assert [one.gold for one in numbered_texts(path, fields=FIELDS, language="en")] == ["3", "-0.5", "2e-1"]
    rows = "".join(json.dumps({"text": "ada", "number": one}) + "\n" for one in (3, 3.0, 0.25, "1.5"))
    found = numbered_texts(write(tmp_path, "a.jsonl", rows), fields=FIELDS, language="en")
    assert [(one.gold, one.number) for one in found] == [("3", 3.0), ("3", 3.0), ("0.25", 0.25), ("1.5", 1.5)]
    assert [(one.language, one.labels) for one in found] == [("eng-Latn", ())] * 4


def test_pairs_of_texts_have_a_number_each(tmp_path):
    """Two columns of text; without `text_b` there is one."""
    path = write(tmp_path, "a.csv", "one,two,number\nada,beli,0\ncora,ada,5\n")
    fields = {"text": "one", "text_b": "two", "number": "number"}
    assert [one.texts for one in numbered_texts(path, fields=fields, language="en")] == [
        ("ada", "beli"), ("cora", "ada"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        ('"four"', "holds the text 'four'; expected a number below 1e15, written as 3.5 or -2"),
        ('"3,5"', "holds the text '3,5'; expected a number below 1e15, written as 3.5 or -2; did you mean 3.5\\?"),
        ('"NaN"', "holds the text 'NaN'; expected a number"),
        ('"inf"', "holds the text 'inf'; expected a number"),
        ('"1_000"', "holds the text '1_000'; expected a number"),
        ("1e400", "holds .*; expected a number"),
        ("2e15", "holds .*; expected a number"),
        ("true", "holds true; expected a number"),
        ("[3]", r"holds the list \[3\]; expected a number"),
        ("null", "has no number; fill it in or remove the line"),
        ('" "', "has no number; fill it in or remove the line"),
    ],
)
def test_what_is_no_number_is_refused(tmp_path, cell, told):
    """With file, line, column and value, and what to do."""
    path = write(tmp_path, "a.jsonl", f'{{"text": "ada", "number": 1}}\n{{"text": "beli", "number": {cell}}}\n')
    with pytest.raises(DataError, match=rf"a.jsonl, line 2: .*{told}"):
        numbered_texts(path, fields=FIELDS, language="en")


@given(st.lists(st.floats(-1e15, 1e15), min_size=1, max_size=6))
@settings(deadline=None, max_examples=40)
def test_every_number_comes_back(tmp_path_factory, numbers):
    """Through CSV and through JSON, to the last digit."""
    folder = tmp_path_factory.mktemp("numbers")
    table = write(folder, "a.csv", "text,number\n" + "".join(f"ada,{one!r}\n" for one in numbers))
    lines = write(folder, "a.jsonl", "".join(json.dumps({"text": "ada", "number": one}) + "\n" for one in numbers))
    for path in (table, lines):
        assert [one.number for one in numbered_texts(path, fields=FIELDS, language="en")] == numbers


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8))
@settings(deadline=None, max_examples=80)
def test_any_cell_is_a_number_or_an_error_of_one_line(tmp_path_factory, cell):
    """Never a traceback, and never a number that cannot be computed with."""
    line = json.dumps({"text": "ada", "number": cell})
    path = write(tmp_path_factory.mktemp("cells"), "a.jsonl", line + "\n")
    try:
        (found,) = numbered_texts(path, fields=FIELDS, language="en")
    except DataError as error:
        assert "a.jsonl, line 1: column 'number' h" in str(error)
        assert "\n" not in str(error)
    else:
        assert math.isfinite(found.number)


def test_a_file_need_not_have_numbers_where_nothing_is_scored(tmp_path):
    """Empty cells, or no column."""
    empty, without = (
        write(tmp_path, f"{name}.csv", text) for name, text in (("a", "text,number\nada,\n"), ("b", "text\nada\n"))
    )
    assert numbered_texts(empty, fields=FIELDS, language="en", labelled=False)[0].gold is None
    assert numbered_texts(without, fields={"text": "text"}, language="en", labelled=False)[0].gold is None


def block(folder, **changes):
    """A task block on JSON files."""
    files = {split: f"{{language}}.{split}.jsonl" for split in ("train", "dev", "test")}
    usual = {"source_language": SOURCE, "target_languages": [TARGET], "files": files, "data_dir": str(folder)}
    return usual | changes


@pytest.mark.parametrize(
    ("numbers", "told"),
    [([2, 2.0, 2], "all 3 training numbers are 2; there is nothing to learn from"), ([5], "all 1 training numbers")],
)
def test_training_numbers_must_differ(tmp_path, numbers, told):
    """Of one number there is nothing to tell."""
    write(tmp_path, "train.jsonl", "".join(json.dumps({"text": "ada", "number": one}) + "\n" for one in numbers))
    with pytest.raises(DataError, match=told):
        tasks.build("regression", block(tmp_path, target_languages=[], files={"train": "train.jsonl"}))


def test_the_scale_is_that_of_the_training_numbers(tmp_path):
    """Their mean and standard deviation, which the saved kind is built with again."""
    write(tmp_path, "train.jsonl", "".join(json.dumps({"text": "ada", "number": one}) + "\n" for one in (0, 2, 10)))
    task = tasks.build("regression", block(tmp_path, target_languages=[], files={"train": "train.jsonl"}))
    assert task.labels == ()
    assert task.kind.options == {"mean": 4.0, "deviation": pytest.approx(np.std([0, 2, 10]))}
    assert kind_of("regression", (), task.kind.options).words.wrong == "off by more than 2.2"


@pytest.mark.parametrize("options", [{"deviation": 0.0}, {"deviation": -1.0}, {"mean": math.nan}])
def test_a_scale_that_is_none_is_refused(options):
    """A damaged adaptation ends in a message."""
    with pytest.raises(ConfigError, match=next(iter(options))):
        kind_of("regression", (), options)


# ---- Learning --------------------------------------------------------------------------------------


def example(text, number=None):
    """A text with a number."""
    return NumberExample(text, text, "eng-Latn", text_a=text, label=number)


def test_targets_are_deviations_from_the_mean(tiny_backbone):
    """NaN where no number is known; a batch knows which are, whatever their sign."""
    found = KIND.encode([example("ada", "1"), example("beli"), example("cora", "8")], tiny_backbone.tokenizer, 16, "")
    assert [one.target for one in found] == [-1.0, None, 2.5]
    collated = KIND.collate([one.target for one in found], 5)
    assert collated.dtype == torch.float32
    assert collated.isnan().tolist() == [False, True, False]
    states = States(torch.ones(3, 2, 4), torch.ones(3, 2), 0)
    batch = Batch(states, "eng-Latn", collated, torch.zeros(3, 4), torch.zeros(3, dtype=torch.bool))
    assert batch.labelled.tolist() == [True, False, True]


def test_the_loss_is_the_mean_squared_error():
    """That of torch over the texts that have a number; without any it is 0, and has a gradient."""
    logits = torch.randn(4, 1, generator=torch.Generator().manual_seed(0)).requires_grad_()
    targets, known = torch.tensor([0.5, math.nan, -2.0, 0.0]), [0, 2, 3]
    found = KIND.loss(logits, targets, torch.ones(4, 2), torch.ones(1), torch.ones(4))
    torch.testing.assert_close(found, torch.nn.functional.mse_loss(logits[known, 0], targets[known]))
    found.backward()
    assert logits.grad[1].item() == 0
    assert logits.grad[known].abs().min() > 0
    assert KIND.loss(logits[1:2], targets[1:2], torch.ones(1, 2), torch.ones(1), torch.ones(1)).item() == 0


@pytest.mark.parametrize(
    ("deviation", "written"), [(2.0, "4.0000"), (200.0, "103.00"), (0.02, "3.010000"), (1e9, "500000003")]
)
def test_answers_are_in_units_of_the_files(deviation, written):
    """With some digits more than the deviation has, and no confidence."""
    kind = kind_of("regression", (), {"mean": 3.0, "deviation": deviation})
    (answer,) = kind.decode([example("ada")], [Features("ada", (0, 1))], [torch.tensor([0.5])])
    assert (answer.value, answer.confidence) == (written, None)
    assert kind.details(answer) == {"label": float(written)}


def test_an_answer_of_nearly_nothing_is_zero():
    """And not minus zero."""
    kind = kind_of("regression", (), {"mean": 0.0, "deviation": 1.0})
    (answer,) = kind.decode([example("ada")], [Features("ada", (0, 1))], [torch.tensor([-1e-9])])
    assert answer.value == "0.0000"


# ---- A whole run -----------------------------------------------------------------------------------

SIZES = {"train": 24, "dev": 8, "test": 12}
SMALL = ["train.num_train_epochs=2", "train.batch_size=4", "train.learning_rate=1e-2", "seeds=[1]", "device=cpu"]


def rows_of(language, split, *, paired):
    """Texts with the number of their words about birds, or of pairs those that both have; 10 is taken off."""
    rng, say = random.Random(f"{language}{split}{paired}"), str if language == SOURCE else translated
    rows = []
    for _ in range(SIZES[split]):
        texts = []
        for _ in range(1 + paired):
            birds = rng.randint(0, 4)
            words = [rng.choice(TOPICS["bird"]) for _ in range(birds)] + [rng.choice(FILLER) for _ in range(5 - birds)]
            texts.append((birds, say(" ".join(words))))
        number = min(birds for birds, _ in texts) - 10 + rng.random() / 4
        rows.append(dict(zip(("text", "text_b"), (text for _, text in texts), strict=False)) | {"number": number})
    return rows


def wanted(folder, checkpoint, *overrides, paired=False, **changes):
    """Write the files, and return a recipe with pairs and shots."""
    for language in (SOURCE, TARGET):
        for split in SIZES:
            rows = rows_of(language, split, paired=paired)
            write(folder, f"{language}.{split}.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    pairs = ["source\ttarget", *(f"{text}\t{translated(text)}" for text, _ in labelled_texts(16, 5))]
    write(folder, f"pairs.{TARGET}.tsv", "\n".join(pairs) + "\n")
    fields = {"text": "text", "number": "number"} | ({"text_b": "text_b"} if paired else {})
    values = {
        "task": {"name": "regression", "fields": fields} | block(folder),
        "backbone": {"checkpoint": str(checkpoint), "max_length": 24},
        "parallel": {"files": str(folder / "pairs.{language}.tsv")},
    }
    return parse_recipe(values | changes, [*SMALL, "shots.k=[4]", f"output_dir={folder / 'run'}", *overrides])


@pytest.fixture(scope="module", params=[False, True], ids=["texts", "pairs"])
def finished(request, tiny_checkpoint, tmp_path_factory):
    """A run of single texts, and one of pairs; with its test rows."""
    folder = tmp_path_factory.mktemp("regression")
    recipe = wanted(folder, tiny_checkpoint, paired=request.param, alignment=[{"name": "mse"}])
    return run(recipe, pages=write_pages), rows_of(TARGET, "test", paired=request.param), request.param


def items_of(rows):
    """What a user would ask."""
    return [(row["text"], row["text_b"]) if "text_b" in row else row["text"] for row in rows]


def test_a_run_answers_as_its_scores_say(finished):
    """Loaded again it gives the numbers of the predictions, whose scores are those of scipy."""
    folder, rows, _ = finished
    adapted = load(folder)
    answers = adapted.predict(items_of(rows), language=TARGET)
    (path,) = folder.glob(f"predictions/*/{TARGET}.jsonl")
    lines = list(read_lines(path))
    told, gold = [float(answer.value) for answer in answers], [row["number"] for row in rows]
    assert told == pytest.approx([float(line["value"]) for line in lines], abs=1e-3)
    assert [float(line["gold"]) for line in lines] == gold
    assert {line["confidence"] for line in lines} == {answer.confidence for answer in answers} == {None}
    scored = {score.metric: score for _, score in rescore(folder, [TARGET], "test", quiet=True)}
    assert list(scored) == ["spearman", "mean_absolute_error", "pearson"]
    assert scored["spearman"].value == pytest.approx(spearmanr(gold, told).statistic, abs=1e-3)
    assert scored["pearson"].value == pytest.approx(pearsonr(gold, told).statistic, abs=1e-3)
    assert scored["mean_absolute_error"].value == pytest.approx(np.abs(np.subtract(gold, told)).mean(), abs=1e-3)
    assert all(one.low <= one.value <= one.high for one in scored.values())
    assert scored["mean_absolute_error"].value < 5  # without the mean of the numbers, some 9 would be missing


def test_closed_form_is_reported_beside_a_training_of_single_texts(finished):
    """The ridge head on mapped states; of pairs nothing is mapped."""
    folder, _, paired = finished
    methods = {row["method"] for row in read_lines(folder / "scores.jsonl")}
    assert methods == {"frozen-head", "lingraft"} | (set() if paired else {"instant"})
    assert ("with an n-gram classifier" in (folder / "report.html").read_text(encoding="utf-8")) is False


def test_the_scale_is_kept_with_what_was_learnt(finished):
    """In the adaptation file, as options of its kind."""
    folder, _, paired = finished
    numbers = [row["number"] for row in rows_of(SOURCE, "train", paired=paired)]
    options = load(folder).identity.kind_options
    assert (options["mean"], options["deviation"]) == pytest.approx((np.mean(numbers), np.std(numbers)))


def test_the_report_says_errors_in_units_of_the_answers(finished):
    """Less is better stands where an error does; nothing is said of confidences or classes."""
    folder, _, _ = finished
    page, card = ((folder / name).read_text(encoding="utf-8") for name in ("report.html", "README.md"))
    kind, data = load(folder).kind, read_object(folder / "data.json")
    assert list(data["metrics"]) == ["spearman", "mean_absolute_error", "pearson"]
    for text in (page, card):
        assert "Spearman correlation before" in text
        assert "Mean absolute error, less is better" in text
        assert "None" not in text
    scores = {
        (row["method"], row["language"]): row["value"]
        for row in read_lines(folder / "scores.jsonl")
        if row["metric"] == "mean_absolute_error"
    }
    unit = unit_of("mean_absolute_error")
    after, before = (unit.write(scores[method, TARGET]) for method in ("lingraft", "frozen-head"))
    assert f"<b>{after}</b><br><small>from {before}</small>" in page
    assert f"| {before} | {after} |" in card
    assert f"of {SIZES['test']} {kind.words.wrong}" in page
    assert "the furthest off before all" in page
    for absent in ("calibration error", ">Sure<", "surest", "Are confidences chances", "frequent label"):
        assert absent not in page
    assert "spearmanr" in card
    assert "mae" in card


def test_the_largest_errors_come_first(finished):
    """In the report, of answers that are further off than half a deviation."""
    folder, _, _ = finished
    page = (folder / "report.html").read_text(encoding="utf-8")
    (found,) = re.findall(r'id="searched">(.*?)</script>', page, re.DOTALL)
    lines = [line for line in json.loads(found)["lines"] if line[0] == 0]
    errors = [abs(float(line[2]) - float(line[3])) for line in lines]
    wrong = [error for error, line in zip(errors, lines, strict=True) if not line[6]]
    tolerance = load(folder).identity.kind_options["deviation"] / 2
    assert wrong == sorted(wrong, reverse=True)
    assert [error > tolerance for error in errors] == [not line[6] for line in lines]


def test_files_are_answered_with_numbers(finished, tmp_path):
    """JSON has them as numbers, a text that is empty has none, and there is no column for a confidence."""
    folder, rows, paired = finished
    given = rows[:2] + ([] if paired else [{"text": ""}])
    given = [{name: value for name, value in row.items() if name != "number"} for row in given]
    path = write(tmp_path, "asked.jsonl", "".join(json.dumps(row) + "\n" for row in given))
    stream = io.StringIO()
    open_file(folder, path, Request(language=TARGET)).answer()(stream)
    found = [json.loads(line) for line in stream.getvalue().splitlines()]
    answers = load(folder).predict(items_of(given[:2]), language=TARGET)
    assert [line["label"] for line in found[:2]] == pytest.approx([float(one.value) for one in answers], abs=1e-3)
    assert [line["label"] for line in found[2:]] == [None] * (len(given) - 2)
    assert all("confidence" not in line for line in found)


def test_what_numbers_have_not_is_refused_in_a_line(finished, tmp_path):
    """Probabilities, withheld answers, explanations, pipelines of others, formats of others."""
    folder, rows, _ = finished
    adapted, items = load(folder), items_of(rows)
    with pytest.raises(
        CheckpointError, match=r"no probabilities of classes: the run is for regression.*predictions alone$"
    ):
        adapted.predict_proba(items, language=TARGET)
    with pytest.raises(DataError, match="abstain: the run is for regression, whose answers have no confidence"):
        adapted.predict(items, language=TARGET, abstain=0.5)
    with pytest.raises(DataError, match="abstain: the run is for regression"):
        open_file(folder, None, Request(abstain=0.5))
    with pytest.raises(CheckpointError, match="regression; what speaks for an answer"):
        adapted.explain(items[0], language=TARGET)
    with pytest.raises(CheckpointError, match="no pipeline for regression"):
        Pipeline(adapted)


def test_a_run_goes_on_with_numbers_of_its_own_scale_alone(finished):
    """What was learnt is in standard deviations; of others it would mean something else."""
    folder, _, _ = finished
    recipe = read_recipe(folder / "recipe.yaml", [f"train.continue_from={folder}", "output_dir=elsewhere"])
    task, cut = gather_checked(recipe).task, load(folder).identity.cut
    refuse_other_start(recipe, task, cut)
    other = replace(task, kind=kind_of("regression", (), task.kind.options | {"mean": 2.5}))
    with pytest.raises(CheckpointError, match=r"have mean -\d.* and deviation .*, those of this recipe mean 2\.5 and"):
        refuse_other_start(recipe, other, cut)


# ---- In closed form --------------------------------------------------------------------------------


def test_in_closed_form_numbers_are_told_by_a_ridge_and_a_map(tiny_checkpoint, tmp_path):
    """As scikit-learn tells those of the source language; nothing is trained by gradient, and there are no n-grams."""
    recipe = wanted(tmp_path, tiny_checkpoint, "shots.k=0", "train.num_train_epochs=0", preset="instant")
    folder = run(recipe)
    adapted = load(folder)
    ensemble = adapted.model.adaptation.ensembles[TARGET]
    assert ensemble.map is not None
    assert list(ensemble.classifiers) == []
    train, test = (rows_of(SOURCE, split, paired=False) for split in ("train", "test"))
    assert read_object(folder / "data.json")["languages"][SOURCE]["texts"]["train"] == len(train)
    states, asked = (adapted.embed(items_of(rows), language=SOURCE).astype(float) for rows in (train, test))
    size = float(((states - states.mean(0)) ** 2).sum(1).mean())
    ridge = RidgeCV(size * STRENGTHS).fit(states, [row["number"] for row in train])
    told = [float(one.value) for one in adapted.predict(items_of(test), language=SOURCE)]
    assert told == pytest.approx(ridge.predict(asked), abs=2e-3)
    assert np.std(told) > 0.05


# ---- Comparing -------------------------------------------------------------------------------------


def test_methods_that_tell_no_numbers_are_named_before_anything_is_computed(tiny_checkpoint, tmp_path):
    """With the reason, where a recipe is checked."""
    compared = {
        "methods": ["lingraft", "frozen-head", "prototype", "label-words"],
        "label_words": {"template": "{text} {label}"},
    }
    recipe = wanted(tmp_path, tiny_checkpoint, compare=compared)
    left_out, _ = check_experiments(recipe, gather_checked(recipe))
    assert left_out == {
        "prototype": "prototypes score classes, which the outputs of regression are not",
        "label-words": "label words are of classes or alternatives, and this is regression",
    }


def test_copies_need_a_distribution(tiny_checkpoint, tmp_path):
    """Of one number there is none that copies could have in common."""
    lexicon = write(tmp_path, f"lexicon.{TARGET}.tsv", "".join(f"{w}\t{translated(w)}\n" for w in FILLER))
    copies = {"lexicon": str(lexicon)}
    recipe = wanted(tmp_path, tiny_checkpoint, consistency=copies, parallel=None, alignment=[])
    with pytest.raises(ConfigError, match=r"consistency: regression \(regression\) is answered by a number"):
        gather_checked(recipe)


def test_methods_are_compared_by_correlation(tiny_checkpoint, tmp_path):
    """The best first; an error is no number that a method wins by."""
    quick_compare(wanted(tmp_path, tiny_checkpoint, compare={"methods": ["lingraft", "frozen-head"]}))
    folder = tmp_path / "run"
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert "Spearman correlation on the test sets" in text
    assert "ridge regression on the frozen model's last-layer means" in text
    found = {
        name: next(
            row["value"]
            for row in read_lines(next(folder.glob(f"{name}/trials/*/scores.jsonl")))
            if (row["language"], row["metric"]) == (TARGET, "spearman") and row["method"] == name
        )
        for name in ("lingraft", "frozen-head")
    }
    best = max(found, key=found.__getitem__)
    first = next(line for line in text.splitlines() if line.startswith("| `"))
    assert first.startswith(f"| `{best}` | {found[best]:.3f} [")


def test_formats_of_other_libraries_are_refused(finished, tmp_path):
    """In a line, before anything is written."""
    for name, told in (("hf", "is a run for regression, whose answers"), ("onnx", "is a run for regression; what")):
        with pytest.raises(CheckpointError, match=told):
            export_run(finished[0], name, tmp_path / name)
        assert not (tmp_path / name).exists()
