"""Labels that are a scale: their order, their scores, and a whole run."""

import json

import pytest
from scipy.stats import spearmanr

from invented import SOURCE, TARGET, world_recipe, write_world
from lingraft.core.errors import ConfigError, DataError
from lingraft.core.files import read_lines, read_object
from lingraft.recipe.parsing import parse_recipe
from lingraft.results.pages import write_pages
from lingraft.serving.loading import load
from lingraft.tasks import tasks
from lingraft.tasks.kinds import kind_of
from quick_run import run

ORDER = ("low", "fair", "high")
METRICS = ["spearman", "quadratic_kappa", "accuracy"]


def test_what_is_saved_builds_it_again():
    """Classes in their order, and the same metrics; an order of other labels is refused."""
    kind = kind_of("classification", tuple(sorted(ORDER)), {"order": ORDER})
    again = kind_of(kind.name, kind.labels, kind.options)
    assert (again.labels, again.classes, list(again.metrics)) == (ORDER, ORDER, METRICS)
    for other in (("low", "high", "high"), ("low", "fair", "other"), ("low", "fair")):
        with pytest.raises(ConfigError, match="are not the labels, each once"):
            kind_of("classification", ORDER, {"order": other})


def written(folder, labels, test=None):
    """A task on files with these labels in training, in turn."""
    for name, found in (("train", labels), ("test", test or labels)):
        rows = "".join(f"bako {i},{label}\n" for i, label in enumerate(found))
        for language in (SOURCE, TARGET):
            (folder / f"{name}.{language}.csv").write_text(f"text,label\n{rows}", encoding="utf-8")
    return {
        "source_language": SOURCE,
        "target_languages": [TARGET],
        "files": {name: f"{name}.{{language}}.csv" for name in ("train", "test")},
        "data_dir": folder,
    }


@pytest.mark.parametrize(
    ("labels", "order", "found"),
    [
        (["10", "9", "2", "-1.5"], "numbers", ("-1.5", "2", "9", "10")),
        (["good", "bad", "fair"], ["bad", "fair", "good"], ("bad", "fair", "good")),
        (["good", "bad"], ["bad", "fair", "good"], ("bad", "good")),  # what does not occur is no class
    ],
)
def test_the_order_is_the_recipes(tmp_path, labels, order, found):
    """By number or as listed, and never the alphabet's."""
    task = tasks.build("classification", written(tmp_path, labels) | {"order": order})
    assert (task.kind.name, task.kind.labels, task.kind.options) == ("classification", found, {"order": found})


def test_an_order_may_list_numbers(tmp_path):
    """YAML reads them as numbers, and they are the labels of the table."""
    block = written(tmp_path, ["3", "1", "0.5"]) | {"order": [3, 1, 0.5], "data_dir": str(tmp_path)}
    recipe = parse_recipe({"task": {"name": "classification", **block}})
    task = tasks.build("classification", recipe.task.options)
    assert task.kind.options == {"order": ("3", "1", "0.5")}


@pytest.mark.parametrize(
    ("labels", "order", "error", "said"),
    [
        (["1", "two"], "numbers", DataError, "the label 'two' is no number, and `order` is numbers; list the labels"),
        (["1", "nan"], "numbers", DataError, "the label 'nan' is no number"),
        (["1", "1.0", "2"], "numbers", DataError, "the labels '1' and '1.0' are one number; write them alike"),
        (["a", "b", "c"], ["a", "b"], DataError, "the label 'c' is not in `order`, which has a, b; add it there"),
        (["a", "b"], ["a"], ConfigError, "task.order: .'a'. are not two or more different names"),
        (["a", "b"], ["a", "b", "a"], ConfigError, "different names; list each label once, the lowest first"),
    ],
)
def test_an_order_that_does_not_fit_is_refused(tmp_path, labels, order, error, said):
    """With the label, and what to do."""
    with pytest.raises(error, match=said):
        tasks.build("classification", written(tmp_path, labels) | {"order": order})


def test_a_run_is_scored_by_ranks_and_answers_as_it_was_scored(tiny_checkpoint, tmp_path):
    """Map, n-grams and last layer included; saved, loaded, reported."""
    world = write_world(tmp_path)
    wanted = world_recipe(
        world,
        [
            "train.num_train_epochs=6",
            "train.learning_rate=1e-2",
            "seeds=[1]",
            "device=cpu",
            f"output_dir={tmp_path / 'run'}",
        ],
        backbone={"checkpoint": str(tiny_checkpoint), "max_length": 32},
        parallel={"files": str(world / "pairs.{language}.tsv")},
    )
    values = json.loads(wanted.model_dump_json(exclude_none=True))
    values["task"]["order"] = ["stone", "bird", "river"]
    folder = run(parse_recipe(values))
    scores = {row["metric"]: row["value"] for row in read_lines(folder / "scores.jsonl") if row["method"] == "lingraft"}
    assert list(scores) == METRICS
    model = load(folder)
    assert model.identity.labels == ("stone", "bird", "river")
    rows = [row.split(",") for row in (world / f"{TARGET}.test.csv").read_text(encoding="utf-8").splitlines()[1:]]
    answers = [one.value for one in model.predict([row[1] for row in rows], language=TARGET)]
    places = {label: i for i, label in enumerate(model.identity.labels)}
    expected = spearmanr([places[row[2]] for row in rows], [places[answer] for answer in answers]).statistic
    assert scores["spearman"] == pytest.approx(expected, abs=1e-9)
    assert scores["spearman"] > 0.3
    kept, change = read_object(folder / "retention.json")["source_score"], read_object(folder / "summary.json")
    began = next(iter(change["trials"].values() if isinstance(change["trials"], dict) else change["trials"]))
    assert kept["metric"] == "spearman"
    assert kept["before"] == pytest.approx(began["source_change"]["before"])  # not the accuracy that it began with
    write_pages(folder)
    for page in ("report.html", "README.md"):
        text = (folder / page).read_text(encoding="utf-8").replace("\\", "")
        assert "Spearman correlation" in text
        assert f"{scores['spearman']:.3f}" in text
        assert f"{100 * scores['spearman']:.1f}" not in text
    assert read_object(folder / "data.json")["metrics"] == {
        "spearman": "spearman", "quadratic_kappa": "quadratic_kappa", "accuracy": "mean",
    }  # fmt: skip
