"""Whole runs that learn from labels that a model gives: projected ones of topics and of names, and its own."""

from shutil import rmtree

import pytest

from invented import SOURCE, TARGET, TOPICS, translated, world_recipe, write_world
from lingraft.core.errors import LingraftError
from lingraft.core.files import read_lines, read_object
from lingraft.recipe.settings import ParallelSettings
from lingraft.runs.checks import gather_checked
from lingraft.runs.labelling_model import fit_labelling_model
from lingraft.runs.plan import plan
from lingraft.runs.preparation import load
from quick_run import QUIET, Stopping, differing, run

SMALL = [
    *("train.num_train_epochs=2", "train.batch_size=8", "train.learning_rate=1e-2", "seeds=[1]", "device=cpu"),
    *("prompt.name=deep", "prompt.length=2", "prompt.language_length=1"),
    *("adapter.name=bottleneck", "adapter.width=4", "adapter.language_width=2"),
]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Topics; and sentences in which birds and rivers are names."""
    folder = write_world(tmp_path_factory.mktemp("world"), train=40, dev=8, test=8, pairs=30)
    kinds = {word: kind.upper() for kind in ("bird", "river") for word in TOPICS[kind]}
    for language, say in ((SOURCE, str), (TARGET, translated)):
        for split in ("train", "dev", "test"):
            lines = []
            for row in (folder / f"{SOURCE}.{split}.csv").read_text(encoding="utf-8").splitlines()[1:]:
                words = row.split(",")[1].split()
                lines += [f"{say(word)} {'B-' + kinds[word] if word in kinds else 'O'}" for word in words] + [""]
            (folder / f"{language}.{split}.conll").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def recipe(kind, world, checkpoint, output, *overrides, generator="label-projection", **options):
    """A small recipe with translations of a file, all of whose labels are kept."""
    tagging = {
        "name": "tagging",
        "source_language": SOURCE,
        "target_languages": [TARGET],
        "files": {split: f"{{language}}.{split}.conll" for split in ("train", "dev", "test")},
        "data_dir": str(world),
    }
    return world_recipe(
        world,
        [*SMALL, f"output_dir={output}", *overrides],
        backbone={"checkpoint": str(checkpoint), "max_length": 32},
        parallel={"files": str(world / "pairs.{language}.tsv")},
        pseudo={"generators": [{"name": generator, "top_share": 1.0} | options]},
        **({"task": tagging} if kind == "tagging" else {}),
    )


def test_topics_of_translations_are_learnt(world, tiny_checkpoint, tmp_path):
    """Each pair gives one text, with the label that the source side is given, which counts by its probability."""
    wanted = recipe("classification", world, tiny_checkpoint, tmp_path / "run")
    rows = list(read_lines(run(wanted) / "pseudo.jsonl"))
    bare = gather_checked(wanted)
    model = fit_labelling_model(wanted, bare, bare.draws[0], *load(wanted, QUIET), QUIET)
    pairs = bare.draws[0].pairs[TARGET]
    said = model.predict_examples([source for source, _ in pairs], SOURCE)
    assert [(row["text_a"], row["label"]) for row in rows] == [
        (target.text_a, one.value) for (_, target), one in zip(pairs, said, strict=True)
    ]
    assert [row["weight"] for row in rows] == pytest.approx([one.confidence for one in said], rel=1e-3)
    assert {(row["language"], row["origin"]) for row in rows} == {(TARGET, "label-projection")}
    assert read_object(tmp_path / "run" / "pseudo.json")["lots"][0]["made"] == {"label-projection": 30}


def test_labels_that_people_gave_go_over_where_the_source_side_has_some(world, tiny_checkpoint, tmp_path):
    """They count as much as others that people gave."""
    wanted = recipe("classification", world, tiny_checkpoint, tmp_path / "run")
    labelled = ParallelSettings.model_validate({"from": "task", "labelled": True})
    folder = run(wanted.model_copy(update={"parallel": labelled}))
    gold = {row["id"]: row["label"] for row in read_lines(folder / "pseudo.jsonl")}
    table = (world / f"{SOURCE}.train.csv").read_text(encoding="utf-8").splitlines()[1:]
    train = {key: topic for key, _, topic in (line.split(",") for line in table)}
    assert {identity.rpartition("/")[2]: label for identity, label in gold.items()} == train
    assert all("weight" not in row for row in read_lines(folder / "pseudo.jsonl"))  # 1 is left out


def test_names_follow_their_words_into_translations(world, tiny_checkpoint, tmp_path):
    """What cannot is counted with its reason."""
    folder = run(recipe("tagging", world, tiny_checkpoint, tmp_path / "run"))
    rows, (lot,) = list(read_lines(folder / "pseudo.jsonl")), read_object(folder / "pseudo.json")["lots"]
    assert len(rows) == lot["made"].get("label-projection", 0)
    assert len(rows) + sum(lot["dropped"].values()) == 30
    assert all(len(row["tags"]) == len(row["words"]) for row in rows)
    assert read_object(folder / "data.json")["languages"][TARGET]["pseudo"] == len(rows)


@pytest.mark.parametrize(("kind", "step"), [("classification", 5), ("tagging", 3), ("tagging", 12)])
def test_a_stopped_run_equals_an_uninterrupted_one(world, tiny_checkpoint, tmp_path, kind, step):
    """Also where it was stopped while the model was trained that labels."""
    whole = run(recipe(kind, world, tiny_checkpoint, tmp_path / "whole"))
    wanted = recipe(kind, world, tiny_checkpoint, tmp_path / "stopped")
    with pytest.raises(KeyboardInterrupt):
        run(wanted, reporter=Stopping(step), save_every=0)
    assert differing(whole, run(wanted)) == []


def test_a_model_labels_texts_itself_where_its_views_agree(world, tiny_checkpoint, tmp_path):
    """With labels of a finished run; the views are its map with n-grams, and its network."""
    of_task = {"from": "task"}
    first = recipe("classification", world, tiny_checkpoint, tmp_path / "first")
    first = run(first.model_copy(update={"pseudo": None, "parallel": first.parallel.model_validate(of_task)}))
    wanted = recipe(
        "classification", world, tiny_checkpoint, tmp_path / "run", f"pseudo.predictor={first}",
        generator="self-training", most_fall=1.0, most_drift=1.0,
    )  # fmt: skip
    rows = list(read_lines(run(wanted) / "pseudo.jsonl"))
    lot = read_object(tmp_path / "run" / "pseudo.json")["lots"][0]
    assert rows
    assert len(rows) + lot["dropped"].get("the two views differ", 0) == 30


def test_check_says_that_they_are_made_in_the_run(world, tiny_checkpoint, tmp_path):
    """A model is asked, and check loads none; of none made it says nothing."""
    lines = plan(recipe("tagging", world, tiny_checkpoint, tmp_path / "run")).lines
    assert "pseudo-data by label-projection are made in the run, and not counted here" in lines
    (situation,) = [line for line in lines if line.startswith("situation of")]
    assert "what label-projection will make is learnt from" in situation.lower()
    fitted = [line for line in lines if line.startswith("the model that labels pseudo-data is fitted")]
    assert fitted[0].endswith("by a training of its own, whose time is not counted here")
    assert not [line for line in lines if "pseudo-data: none" in line]


def test_a_finished_run_does_without_the_model_that_labelled(world, tiny_checkpoint, tmp_path):
    """What it made is kept; a run that is to make more says that the model is gone."""
    first = recipe("classification", world, tiny_checkpoint, tmp_path / "first")
    first = run(first.model_copy(update={"pseudo": None}))
    wanted = recipe("classification", world, tiny_checkpoint, tmp_path / "run", f"pseudo.predictor={first}")
    run(wanted)
    rmtree(first)
    assert run(wanted) == tmp_path / "run"
    with pytest.raises(LingraftError, match=r"there is no .*first"):
        run(wanted.model_copy(update={"output_dir": tmp_path / "other"}))
