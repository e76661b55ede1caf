"""``preset: instant``: a whole run in which nothing is trained by gradient, for texts and for questions."""

import json

import pytest
import torch

from invented import SOURCE, TARGET, labelled_texts, translated, world_recipe, write_world
from lingraft.core.files import read_lines, read_object
from lingraft.core.progress import Reporter
from lingraft.recipe.presets import preset_values
from lingraft.results.pages import write_pages
from lingraft.runs.plan import plan
from lingraft.serving.loading import load
from quick_run import run

SMALL = ["train.batch_size=8", "seeds=[1]", "device=cpu"]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """The invented tables."""
    return write_world(tmp_path_factory.mktemp("world"), train=40, dev=8, test=8, pairs=30)


@pytest.fixture(scope="module")
def recipe(world, tiny_checkpoint, tmp_path_factory):
    """Of a run on texts, with pairs from the task."""
    backbone = {"checkpoint": str(tiny_checkpoint), "max_length": 32}
    given = [*SMALL, f"output_dir={tmp_path_factory.mktemp('instant') / 'run'}"]
    return world_recipe(world, given, backbone=backbone, parallel={"from": "task"}, **preset_values("instant"))


@pytest.fixture(scope="module")
def folder(recipe):
    """The run."""
    return run(recipe, reporter=Reporter(quiet=True), pages=write_pages)


def test_a_run_without_training_is_a_whole_run(folder):
    """It has no epochs, its head reads states after the last layer, and a fresh process gave back its logits."""
    summary = read_object(folder / "summary.json")
    assert list(read_lines(folder / "training.jsonl")) == []
    assert summary["backbone"]["cut"] == summary["backbone"]["layers"]
    assert summary["verification"]["max_difference"] <= 1e-3
    names = {(part["part"], part["name"]) for part in summary["parameters"]}
    fitted = {"map", "character n-gram classifier", "weights"}
    assert names == {("head", "head"), *((f"language:{TARGET}", name) for name in fitted)}
    assert (folder / "report.html").is_file()


def test_a_run_warns_of_what_check_would_warn_of(tiny_checkpoint, tmp_path):
    """Here of a text whose copy has another label; quiet runs say it as well."""
    changed = write_world(tmp_path, train=40, dev=8, test=8, pairs=30)
    with (changed / f"{SOURCE}.train.csv").open("a", encoding="utf-8") as file:
        file.write(f"again,{labelled_texts(1)[0][0]},stone\n")
    given = [*SMALL, f"output_dir={tmp_path / 'run'}"]
    backbone = {"checkpoint": str(tiny_checkpoint), "max_length": 32}
    recipe = world_recipe(changed, given, backbone=backbone, parallel={"from": "task"}, **preset_values("instant"))
    told = []
    run(recipe, reporter=Reporter(quiet=True, callbacks=[told.append]))
    (doubt,) = [line for line in plan(recipe).warnings if "stands there more than once" in line]
    assert doubt in [event["text"] for event in told if event["event"] == "warning"]


def test_it_answers_as_it_was_scored(folder):
    """From Python, with the map of the language."""
    rows = list(read_lines(folder / "predictions" / "k0-draw0-seed1" / f"{TARGET}.jsonl"))
    found = load(folder).predict([row["text"] for row in rows], language=TARGET)
    assert [answer.value for answer in found] == [row["value"] for row in rows]


def test_check_says_that_nothing_is_trained(recipe, tmp_path):
    """And what is fitted instead."""
    (line,) = [
        line for line in plan(recipe.model_copy(update={"output_dir": tmp_path / "other"})).lines if "gradient" in line
    ]
    assert line.startswith(
        "trained by gradient: nothing; in closed form: a kernel map and a character n-gram classifier"
    )


def test_several_labels_get_a_map_and_n_grams(world, tiny_checkpoint, tmp_path):
    """Answers are their weighted sum, above the threshold that the source language's development set says."""
    texts = labelled_texts(80, seed=3)
    rows = [
        (f"{a} {b}", {x, y})
        for (a, x), (b, y) in zip(texts[:40] * 2, [*texts[40:], *texts[41:], texts[40]], strict=True)
    ]
    for language, say in ((SOURCE, str), (TARGET, translated)):
        for split, own in {"train": rows[:60], "dev": rows[60:70], "test": rows[70:]}.items():
            lines = [
                json.dumps({"id": f"{split}{i}", "text": say(a), "labels": sorted(b)}) for i, (a, b) in enumerate(own)
            ]
            (tmp_path / f"{language}.{split}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    task = {
        "name": "multilabel",
        "source_language": SOURCE,
        "target_languages": [TARGET],
        "files": {split: f"{{language}}.{split}.jsonl" for split in ("train", "dev", "test")},
        "fields": {name: name for name in ("id", "text", "labels")},
        "data_dir": str(tmp_path),
        "parallel": True,
    }
    given = [*SMALL, f"output_dir={tmp_path / 'run'}", "shots.k=[2]"]
    backbone = {"checkpoint": str(tiny_checkpoint), "max_length": 32}
    recipe = world_recipe(
        world, given, backbone=backbone, task=task, parallel={"from": "task"}, **preset_values("instant")
    )
    assert "trained by gradient: nothing; in closed form: a kernel map and a character" in " ".join(plan(recipe).lines)
    folder = run(recipe, reporter=Reporter(quiet=True))
    adapted, asked = load(folder), [translated(text) for text, _ in rows[70:]]
    head, ensemble = adapted.model.adaptation.head, adapted.model.adaptation.ensembles[TARGET]
    with torch.no_grad():
        mapped = ensemble.map(asked, torch.tensor(adapted.embed(asked)))
        summed = ensemble.weights[0] * head(mapped) + ensemble.weights[1] * ensemble.classifiers["ngrams"](asked)
    assert adapted.predict_proba(asked).values == pytest.approx(summed.sigmoid().numpy(), abs=1e-4)
    given = [
        tuple(label for label, one in zip(sorted({x for _, x in texts}), row, strict=True) if one)
        for row in summed > head.threshold
    ]
    assert [one.labels for one in adapted.predict(asked)] == given
    assert head.threshold != 0


def write_questions(folder):
    """A context for each question; its last word is the answer."""
    for language, say in ((SOURCE, str), (TARGET, translated)):
        for split, count in {"train": 9, "dev": 4, "test": 5}.items():
            contexts = [say(text) for text, _ in labelled_texts(count, seed=len(split))]
            paragraphs = [
                {
                    "context": context,
                    "qas": [
                        {
                            "id": f"{split}{i}",
                            "question": context.split()[0],
                            "answers": [{"text": context.split()[-1], "answer_start": context.rindex(" ") + 1}],
                        }
                    ],
                }
                for i, context in enumerate(contexts)
            ]
            content = {"data": [{"title": "", "paragraphs": paragraphs}]}
            (folder / f"{language}.{split}.json").write_text(json.dumps(content), encoding="utf-8")


def test_questions_get_the_head_alone_and_check_says_so(world, tiny_checkpoint, tmp_path):
    """A head that reads tokens cannot be fitted: it is trained, for epochs of its own, and nothing else."""
    write_questions(tmp_path)
    files = {split: f"{{language}}.{split}.json" for split in ("train", "dev", "test")}
    languages = {"source_language": SOURCE, "target_languages": [TARGET]}
    task = {"name": "span_qa", **languages, "files": files, "data_dir": str(tmp_path)}
    given = [*SMALL, f"output_dir={tmp_path / 'run'}", "train.head_epochs=2"]
    backbone = {"checkpoint": str(tiny_checkpoint), "max_length": 32}
    recipe = world_recipe(world, given, backbone=backbone, task=task, **preset_values("instant"))
    lines = " ".join(plan(recipe).lines)
    assert "trained by gradient: nothing, but the head; a head on frozen states is all" in lines
    assert "single texts with classes, labels or numbers (not tags, questions or alternatives)" in lines
    folder = run(recipe, reporter=Reporter(quiet=True))
    assert {part["name"] for part in read_object(folder / "summary.json")["parameters"]} == {"head"}
    rows = list(read_lines(folder / "predictions" / "k0-draw0-seed1" / f"{TARGET}.jsonl"))
    assert [row["value"] for row in rows] == [row["before"] for row in rows]
