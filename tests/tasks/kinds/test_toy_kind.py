"""A kind of task from outside goes all the way that ours do: check, run, predict, evaluate, report."""

import json
import random
from types import SimpleNamespace

import pytest

from invented import FILLER, SOURCE, TARGET, TOPICS, labelled_texts, translated
from lingraft.core.files import read_lines, read_object
from lingraft.results.pages import write_page
from lingraft.results.pages.run_markdown import write_results_page
from outside import install, python

SIZES = {"train": 18, "dev": 9, "test": 12}
TRIALS = ("k0-draw0-seed1", "k2-draw0-seed1")
WHOLE = """
import json, sys
from pathlib import Path
import lingraft
from lingraft.core.errors import LingraftError
from lingraft.core.progress import Reporter
from lingraft.recipe.parsing import read_recipe
from lingraft.runs.pipeline import run
from lingraft.results.pages import LAST, write_page
from lingraft.runs.plan import plan
from lingraft.runs.rescore import rescore
from lingraft.serving.loading import needed_columns
from lingraft.serving.verification import verify

recipe, items = read_recipe(Path(sys.argv[1])), json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
found = {"plan": plan(recipe, measure=lambda width: {"float32": 1e9, "bfloat16": 1e9}).lines}
folder = run(recipe, reporter=Reporter(quiet=True), verify=verify, pages=lambda folder: write_page(folder, LAST))
found["needed"] = needed_columns(folder)
adapted = lingraft.load(folder)
found["predicted"] = [[one.value, one.confidence] for one in adapted.predict(items, language=sys.argv[3])]
try:
    adapted.predict([{"stars": 3}], language=sys.argv[3])
except LingraftError as error:
    found["refused"] = str(error)
found["scores"] = [[s.language, s.metric, s.value] for _, s in rescore(folder, None, "test", quiet=True)]
print(json.dumps(found))
"""


def write_reviews(folder, language, split, count, seed):
    """Reviews in which one, two or three words of the river count the stars, as many of each."""
    rng, rows = random.Random(seed), []
    for i in range(count):
        words = TOPICS["river"][: 1 + i % 3] + rng.choices(FILLER + TOPICS["bird"], k=rng.randint(2, 4))
        rng.shuffle(words)
        text = " ".join(words)
        rows.append({"review": text if language == SOURCE else translated(text), "stars": 1 + i % 3})
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / f"{language}.{split}.jsonl").write_text(lines, encoding="utf-8")
    return rows


@pytest.fixture(scope="module")
def whole(tiny_checkpoint, tmp_path_factory):
    """The folder of a run of 0 and of 2 shots, what the process that made it said, and the reviews it was tested on."""
    folder = tmp_path_factory.mktemp("toy")
    packages = install(folder / "packages", "toy_kind", ["lingraft.kinds", "lingraft.tasks"])
    for number, (split, count) in enumerate(SIZES.items()):
        for language in (SOURCE, TARGET):
            tested = write_reviews(folder, language, split, count, number if language == SOURCE else 10 + number)
    pairs = "".join(f"{text}\t{translated(text)}\n" for text, _ in labelled_texts(10, 5))
    (folder / f"pairs.{TARGET}.tsv").write_text(f"source\ttarget\n{pairs}", encoding="utf-8")
    recipe = {
        "output_dir": str(folder / "run"),
        "seeds": [1],
        "device": "cpu",
        "task": {
            "name": "rating",
            "source_language": SOURCE,
            "target_languages": [TARGET],
            "files": {split: f"{{language}}.{split}.jsonl" for split in SIZES},
            "data_dir": str(folder),
            "steepness": 2.0,
        },
        "backbone": {"checkpoint": str(tiny_checkpoint), "max_length": 20},
        "shots": {"k": [0, 2]},
        "parallel": {"files": str(folder / "pairs.{language}.tsv")},
        "alignment": [{"name": "mse"}],
        "prompt": {"name": "deep", "length": 2, "language_length": 1},
        "adapter": {"name": "bottleneck", "width": 4, "language_width": 2},
        "train": {"num_train_epochs": 2, "batch_size": 4, "learning_rate": 1e-2},
    }
    (folder / "recipe.yaml").write_text(json.dumps(recipe), encoding="utf-8")  # JSON is YAML
    (folder / "items.json").write_text(json.dumps([{"review": row["review"]} for row in tested]), encoding="utf-8")
    asked = (folder / "recipe.yaml", folder / "items.json", TARGET)
    said = json.loads(python(WHOLE, *asked, packages=packages, cache=folder / "cache").splitlines()[-1])
    return SimpleNamespace(folder=folder / "run", said=said, tested=tested)


def lines(whole, language, trial=TRIALS[1]):
    """The predictions of a training."""
    return list(read_lines(whole.folder / "predictions" / trial / f"{language}.jsonl"))


def test_a_plan_counts_what_the_kind_trains(whole):
    """Its one output, and no n-grams, which need the logits of classes."""
    (trained,) = (line for line in whole.said["plan"] if line.startswith("trained by gradient: "))
    (counted,) = (part["count"] for part in read_object(whole.folder / "summary.json")["parameters"]
                  if part["part"] == "head")  # fmt: skip
    assert counted == 24 + 1
    assert trained.endswith("head)")


def test_its_examples_are_read_back(whole):
    """What was saved gave the logits of training, for every adaptation, language and example."""
    verified = read_object(whole.folder / "summary.json")["verification"]
    assert verified["texts"] == 2 * 2 * 8
    assert verified["max_difference"] <= 1e-3


def test_its_own_metric_scores_before_and_after(whole):
    """The mean of its own counts, of the frozen head that was trained by gradient, and of the adapted model."""
    scores = {
        (row["shots"], row["language"], row["method"], row["metric"]): row["value"]
        for row in read_lines(whole.folder / "scores.jsonl")
    }
    assert len(scores) == 2 * 2 * 2 * 2
    for shots, trial in zip((0, 2), TRIALS, strict=True):
        for language in (SOURCE, TARGET):
            for method, column in (("frozen-head", "before"), ("lingraft", "value")):
                rows = lines(whole, language, trial)
                close = [1 - abs(int(row["gold"]) - int(row[column])) / 2 for row in rows]
                right = [row["gold"] == row[column] for row in rows]
                assert scores[shots, language, method, "closeness"] == pytest.approx(sum(close) / len(close))
                assert scores[shots, language, method, "exact"] == pytest.approx(sum(right) / len(right))


def test_a_line_has_its_own_columns(whole):
    """Beside the text, what is right and what was said."""
    rows = lines(whole, TARGET)
    assert [(row["text"], row["gold"]) for row in rows] == [(r["review"], str(r["stars"])) for r in whole.tested]
    assert all(row["letters"] == len(row["text"]) for row in rows)
    assert not any("text_b" in row or "alternatives" in row for row in rows)


def test_shots_are_drawn_for_each_of_its_classes(whole):
    """Two of each number of stars."""
    data = read_object(whole.folder / "data.json")
    assert (data["labels"], data["classes"], data["languages"][TARGET]["shots"]) == (["1", "2", "3"],) * 2 + (6,)


def test_it_is_asked_by_its_own_columns(whole):
    """As the test set was read; what lacks the column is told which."""
    assert whole.said["needed"] == ["review"]
    assert whole.said["refused"] == ("text 1 of 1: rating takes objects with review; review is 'None', expected a text")
    rows = lines(whole, TARGET)
    assert [value for value, _ in whole.said["predicted"]] == [row["value"] for row in rows]
    assert [sure for _, sure in whole.said["predicted"]] == pytest.approx([r["confidence"] for r in rows], abs=1e-4)


def test_it_is_scored_again_from_what_was_saved(whole):
    """``evaluate`` finds the numbers of the run."""
    written = {
        (row["language"], row["metric"]): row["value"]
        for row in read_lines(whole.folder / "scores.jsonl")
        if (row["method"], row["shots"]) == ("lingraft", 2)
    }
    assert {(language, metric): value for language, metric, value in whole.said["scores"]} == {
        key: pytest.approx(value) for key, value in written.items()
    }


def test_pages_speak_its_words_where_nobody_knows_it(whole, tmp_path):
    """In this process it was never registered, and every page can be written: the words are in the folder."""
    page = write_page(whole.folder, "report.html").read_text(encoding="utf-8")
    card = (whole.folder / "README.md").read_text(encoding="utf-8")
    table = write_results_page(whole.folder, tmp_path / "page.md", command="x").read_text(encoding="utf-8")
    for text in (page, card):
        assert "12 reviews never seen in training" in text.replace("\u00a0", " ")
        assert "2 reviews for each number of stars" in text
        assert "Closeness before" in text
    assert "Confusion matrix, gold by predicted" in page
    for said in ("| Reviews for each number of stars |", 'predict([{"review": "…"}]', "predict FOLDER reviews.jsonl",
                 "- It always gives stars."):  # fmt: skip
        assert said in card
    assert "pipeline_tag" not in card
    assert "over test reviews. *frozen head* is one score on frozen states" in table
    assert "## 2 reviews for each number of stars in the target language" in table
