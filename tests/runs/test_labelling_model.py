"""The model that labels pseudo-data: what a run says that learns from source labels alone, or a finished run."""

from dataclasses import replace

import pytest

from invented import FILLER, SOURCE, TARGET, TOPICS, translated, world_recipe, write_world
from lingraft.core.errors import ConfigError
from lingraft.core.files import read_lines
from lingraft.core.progress import Reporter
from lingraft.recipe.presets import preset_values
from lingraft.recipe.settings import PseudoSettings
from lingraft.runs.checks import gather_checked
from lingraft.runs.labelling_model import asked_of_models, fit_labelling_model, load_labelling_model
from lingraft.runs.plan import plan
from lingraft.runs.preparation import load
from lingraft.tasks.kinds import kind_of
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


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Topics and names."""
    return write_tags(write_world(tmp_path_factory.mktemp("world"), train=40, dev=8, test=8, pairs=30))


def recipe_of(kind, world, checkpoint, output, **changes):
    """A small recipe; topics have pairs of their own, names those of a file."""
    files = {split: f"{{language}}.{split}.conll" for split in ("train", "dev", "test")}
    languages = {"source_language": SOURCE, "target_languages": [TARGET]}
    tagging = {
        "task": {"name": "tagging", **languages, "files": files, "data_dir": str(world)},
        "parallel": {"files": str(world / "pairs.{language}.tsv")},
    }
    return world_recipe(
        world,
        [*SMALL, f"output_dir={output}"],
        backbone={"checkpoint": str(checkpoint), "max_length": 32},
        **({"parallel": {"from": "task"}} if kind == "classification" else tagging) | changes,
    )


@pytest.fixture(scope="module", params=["classification", "tagging"])
def finished(request, world, tiny_checkpoint, tmp_path_factory):
    """A recipe without training, and its run."""
    output = tmp_path_factory.mktemp("finished") / "run"
    recipe = recipe_of(request.param, world, tiny_checkpoint, output, **preset_values("instant"))
    return recipe, run(recipe)


def answers(folder, language, column="value"):
    """What a run answered to its test set."""
    return [row[column] for row in read_lines(folder / "predictions" / TRIAL / f"{language}.jsonl")]


def fitted(recipe):
    """The model that is fitted for a recipe, and what it was gathered from."""
    materials = gather_checked(recipe)
    return fit_labelling_model(recipe, materials, materials.draws[0], *load(recipe, QUIET), QUIET), materials


def labelling(recipe, folder):
    """The recipe, its pseudo-data labelled by a finished run."""
    block = PseudoSettings.model_validate({"generators": [{"name": "label-projection"}], "predictor": folder})
    return recipe.model_copy(update={"pseudo": block})


def test_it_says_what_a_run_without_training_says(finished):
    """Map and n-grams included; without them, what the run's frozen head says."""
    recipe, folder = finished
    model, materials = fitted(recipe)
    for language in (SOURCE, TARGET):
        test = materials.test[language]
        said = model.predict_examples(test, language)
        alone = model.predict_examples(test, language, ensembled=False)
        assert [one.value for one in said] == answers(folder, language)
        assert [one.value for one in alone] == answers(folder, language, "before")


@pytest.mark.parametrize(
    "freezing", [{"name": "frozen"}, {"name": "frozen_then_lora", "share": 0.4, "rank": 2}], ids=lambda one: one["name"]
)
def test_names_are_found_by_what_the_recipe_trains_on_the_source_language_alone(
    world, tiny_checkpoint, tmp_path, freezing
):
    """As by a run that has no translations to learn from, also where the last epochs adapt all layers."""
    parts = {
        "train": {"num_train_epochs": 3, "batch_size": 8, "learning_rate": 1e-2},
        "prompt": {"name": "deep", "length": 2, "language_length": 1},
        "adapter": {"name": "bottleneck", "width": 4, "language_width": 2},
        "freezing": freezing,
    }
    alone = recipe_of("tagging", world, tiny_checkpoint, tmp_path / "run", **parts, parallel=None, alignment=[])
    model, materials = fitted(recipe_of("tagging", world, tiny_checkpoint, tmp_path / "other", **parts))
    folder = run(alone)
    for language in (SOURCE, TARGET):
        said = model.predict_examples(materials.test[language], language)
        assert [one.value for one in said] == answers(folder, language)
        assert answers(folder, language) != answers(folder, language, "before")


def test_the_probabilities_of_all_classes_come_with_it_where_there_are_some(finished):
    """They sum to one, and the answer's is its confidence."""
    recipe, _ = finished
    model, materials = fitted(recipe)
    classes = materials.task.kind.classes
    for one in model.predict_examples(materials.test[TARGET], TARGET, probabilities=True):
        assert len(one.probabilities) == len(classes)
        said = dict(zip(classes, one.probabilities, strict=True)) or {one.value: one.confidence}
        assert said[one.value] == pytest.approx(one.confidence)
        assert sum(said.values()) == pytest.approx(1.0 if classes else one.confidence)


def test_a_finished_run_says_what_it_said(finished):
    """With the backbone of the run that learns, where it is the same."""
    recipe, folder = finished
    wanted = labelling(recipe, folder)
    backbone, _ = load(recipe, QUIET)
    model = load_labelling_model(wanted, backbone)
    said = model.predict_examples(gather_checked(recipe).test[TARGET], TARGET)
    assert model.backbone is backbone
    assert [one.value for one in said] == answers(folder, TARGET)
    other = load_labelling_model(wanted, replace(backbone, weights_digest="another"))
    assert other.backbone.weights_digest == backbone.weights_digest


def test_one_model_is_fitted_for_all_languages_of_a_draw_and_none_before_it_is_asked(finished):
    """A draw has labels of its own."""
    recipe, _ = finished
    materials, told = gather_checked(recipe), []
    reporter = Reporter(quiet=True)
    reporter.say = told.append
    of_model = asked_of_models(recipe, lambda: load(recipe, QUIET), reporter)
    draw = materials.draws[0]
    first, second, third = (of_model(materials, one) for one in (draw, draw, replace(draw, draw=1)))
    assert not told
    for functions in (first, second, third):
        functions["predict"](materials.test[SOURCE], SOURCE)
    assert len(told) == 2


def test_words_are_numbered_as_they_come_those_with_a_blank_in_them_too(finished):
    """Each is aligned with itself: "20 000" is one word, as corpora of tagged words have it."""
    recipe, _ = finished
    materials = gather_checked(recipe)
    of_model = asked_of_models(recipe, lambda: load(recipe, QUIET), QUIET)
    align = of_model(materials, materials.draws[0])["align"]
    words = ["ada\u00a0beli", "cora", "ada beli", "cora."]
    found = align([(words, words), (words[1:2], words[1:2])])
    assert [{(a, b) for a, b in links if a == b} for links in found] == [{(i, i) for i in range(4)}, {(0, 0)}]
    assert all(max(a, b) < 4 for a, b in found[0])


def test_probabilities_are_told_by_the_names_of_the_classes_whatever_order_a_finished_run_has(finished):
    """A class that it was not taught has none."""
    recipe, folder = finished
    materials = gather_checked(recipe)
    kind = materials.task.kind
    turned = kind_of(kind.name, ("never taught", *reversed(kind.labels)), kind.options)
    other = replace(materials, task=replace(materials.task, kind=turned))
    wanted, test = labelling(recipe, folder), materials.test[TARGET]
    said = load_labelling_model(wanted, load(recipe, QUIET)[0]).predict_examples(test, TARGET, probabilities=True)
    of_model = asked_of_models(wanted, lambda: load(recipe, QUIET), QUIET)(other, other.draws[0])
    for one, before in zip(of_model["predict"](test, TARGET), said, strict=True):
        named = dict(zip(turned.classes, one.probabilities, strict=True)) if turned.classes else {}
        known = dict(zip(kind.classes, before.probabilities, strict=True)) if kind.classes else {}
        assert named == ({"never taught": 0.0} | known if known else {})
        assert one.value == before.value


def test_a_language_without_a_map_has_no_second_view(finished):
    """Two answers of one network would always agree."""
    recipe, _ = finished
    materials = gather_checked(recipe)
    second_view = asked_of_models(recipe, lambda: load(recipe, QUIET), QUIET)(materials, materials.draws[0])[
        "second_view"
    ]
    with pytest.raises(ConfigError, match="no map and no n-grams of eng-Latn"):
        second_view(materials.test[SOURCE], SOURCE)


def test_a_run_that_gives_other_labels_is_refused_before_anything_is_read(finished, tmp_path):
    """Those of another kind, or of other classes, are no labels of the task."""
    recipe, folder = finished
    other = world_recipe(write_world(tmp_path, labels=("bird", "river")), ["parallel.from=task"])
    said = {
        "tagging": "is a run of tagging, and classification is classification",
        "classification": "gives 'stone', which is no label of classification",
    }
    with pytest.raises(ConfigError, match=said[recipe.task.name]):
        gather_checked(labelling(other, folder))


def test_a_run_that_is_not_there_is_refused(finished, tmp_path):
    """With the folder's name, and before anything else is read."""
    recipe, _ = finished
    with pytest.raises(ConfigError, match=r"pseudo\.predictor: there is no folder .*nowhere"):
        plan(labelling(recipe, tmp_path / "nowhere"))
