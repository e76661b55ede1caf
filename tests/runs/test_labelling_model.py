"""The model that labels pseudo-data says what an ``instant`` run would say, and a finished run says what it says."""

import pytest

from invented import FILLER, SOURCE, TARGET, TOPICS, translated, world_recipe, write_world
from lingraft.core.errors import ConfigError
from lingraft.core.files import read_lines
from lingraft.recipe.presets import preset_values
from lingraft.runs.checks import gather_checked
from lingraft.runs.labelling_model import fit_labelling_model, load_labelling_model
from lingraft.runs.preparation import load
from quick_run import QUIET, run

SMALL = ["train.batch_size=8", "seeds=[1]", "device=cpu"]
TRIAL = "k0-draw0-seed1"


def write_tags(folder):
    """Birds and rivers are names; every sentence has other words."""
    names = {word: kind for kind in ("bird", "river") for word in TOPICS[kind]}
    for language, say in ((SOURCE, str), (TARGET, translated)):
        for shift, (split, count) in enumerate({"train": 16, "dev": 4, "test": 8}.items()):
            lines = []
            for i in range(count):
                words = [*(sorted(names)[(i + shift) % 8 :][:2]), FILLER[i % 4]]
                lines += [f"{say(word)} {'B-' + names[word].upper() if word in names else 'O'}" for word in words] + [
                    ""
                ]
            (folder / f"{language}.{split}.conll").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module", params=["classification", "tagging"])
def finished(request, tiny_checkpoint, tmp_path_factory):
    """A recipe without training, and its run."""
    folder = write_tags(write_world(tmp_path_factory.mktemp("world"), train=40, dev=8, test=8, pairs=30))
    tags = {
        "name": "tagging",
        "source_language": SOURCE,
        "target_languages": [TARGET],
        "files": {split: f"{{language}}.{split}.conll" for split in ("train", "dev", "test")},
        "data_dir": str(folder),
    }
    recipe = world_recipe(
        folder,
        [*SMALL, f"output_dir={tmp_path_factory.mktemp('finished') / 'run'}"],
        backbone={"checkpoint": str(tiny_checkpoint), "max_length": 32},
        **(
            {"task": tags, "parallel": {"files": str(folder / "pairs.{language}.tsv")}}
            if request.param == "tagging"
            else {"parallel": {"from": "task"}}
        ),
        **preset_values("instant"),
    )
    return recipe, run(recipe)


def answers(folder, language, column):
    """What a run answered to its test set."""
    return [row[column] for row in read_lines(folder / "predictions" / TRIAL / f"{language}.jsonl")]


def test_it_says_what_a_run_without_training_says(finished):
    """Map and n-grams included; without them, what the run's frozen head says."""
    recipe, folder = finished
    materials = gather_checked(recipe)
    backbone, device = load(recipe, QUIET)
    model = fit_labelling_model(recipe, materials, materials.draws[0], backbone, device, QUIET)
    for language in (SOURCE, TARGET):
        test = materials.test[language]
        said = model.predict_examples(test, language)
        alone = model.predict_examples(test, language, ensembled=False)
        assert [one.value for one in said] == answers(folder, language, "value")
        assert [one.value for one in alone] == answers(folder, language, "before")


def test_the_probabilities_of_all_classes_come_with_it_where_there_are_some(finished):
    """They sum to one, and the answer's is its confidence."""
    recipe, folder = finished
    materials = gather_checked(recipe)
    model = load_labelling_model(folder, materials.task)
    classes = materials.task.kind.classes
    for one in model.predict_examples(materials.test[TARGET], TARGET, probabilities=True):
        assert len(one.probabilities) == len(classes)
        said = dict(zip(classes, one.probabilities, strict=True)) or {one.value: one.confidence}
        assert said[one.value] == pytest.approx(one.confidence)
        assert sum(said.values()) == pytest.approx(1.0 if classes else one.confidence)


def test_a_finished_run_says_what_it_said(finished):
    """Its own backbone is loaded, or that of the run that learns, where it is the same."""
    recipe, folder = finished
    materials = gather_checked(recipe)
    backbone, _ = load(recipe, QUIET)
    for given in (None, backbone):
        model = load_labelling_model(folder, materials.task, given)
        assert (model.backbone is backbone) is (given is not None)
        said = model.predict_examples(materials.test[TARGET], TARGET)
        assert [one.value for one in said] == answers(folder, TARGET, "value")


def test_a_run_that_gives_other_labels_is_refused(finished, tmp_path):
    """Those of another kind, or of other classes, are no labels of the task."""
    recipe, folder = finished
    if recipe.task.name == "tagging":
        other = world_recipe(write_world(tmp_path))
        message = "is a run of tagging, and classification is classification"
    else:
        other = world_recipe(write_world(tmp_path, labels=("bird", "river")))
        message = "gives 'stone', which is no label of classification"
    with pytest.raises(ConfigError, match=message):
        load_labelling_model(folder, gather_checked(other).task)
