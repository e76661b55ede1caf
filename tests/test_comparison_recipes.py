"""The recipes of ``examples`` that compare: each method of each can be made, on the checkpoint that it is for."""

import pytest

from lingraft.experiments.methods import list_methods
from lingraft.experiments.shot_curve import with_shots
from lingraft.experiments.source_candidates import gather_candidates
from lingraft.experiments.stability import crossed
from lingraft.recipe.parsing import read_recipe
from lingraft.runs.checks import resolve_cut
from lingraft.runs.folder import trials_of
from tiny import REPOSITORY

FOLDER = REPOSITORY / "examples"
COMPARISONS = sorted(path for path in FOLDER.rglob("*.yaml") if "\ncompare:" in path.read_text(encoding="utf-8"))

FULL = ["compare.methods=[full+alignment]", "compare.variants={}"]


@pytest.mark.parametrize("path", COMPARISONS, ids=lambda path: path.relative_to(FOLDER).as_posix())
def test_every_method_fits_its_recipe(path):
    """Its changes are settings that there are, its schedule and its losses go with where the layers are cut."""
    for method in list_methods(read_recipe(path)):
        assert resolve_cut(method.recipe, 12) <= 12, method.name


def test_the_preset_best_is_the_schedule_that_was_measured():
    """To the last setting."""
    path = FOLDER / "closed_form" / "best.yaml"
    measured = next(one.recipe for one in list_methods(read_recipe(path)) if one.name == "frozen-then-lora-25")
    preset = read_recipe(path, ["preset=best", "compare=null", "notes=[]", f"output_dir={measured.output_dir}"])
    assert preset.model_copy(update={"preset": None}) == measured


def test_best_reaches_below_the_cut():
    """Cached states first, or matrices of all layers: each at the rates of what it is compared with."""
    methods = {method.name: method for method in list_methods(read_recipe(FOLDER / "closed_form" / "best.yaml"))}
    cuts = {name: resolve_cut(method.recipe, 12) for name, method in methods.items()}
    assert {cuts[name] for name in ("lingraft", "frozen-then-lora-25", "frozen-then-lora-50")} == {6}
    assert cuts["extract-64"] == 0
    extracted = methods["extract-64"].recipe
    plain = next(one.recipe for one in list_methods(read_recipe(FOLDER / "closed_form" / "best.yaml", FULL)))
    assert extracted.train == plain.train
    assert extracted.alignment == plain.alignment


def test_a_stability_study_has_as_many_trials_as_it_says():
    """The dear methods fewer, some of them in a study of their own."""
    counts = [
        {method.name: len(trials_of(method.recipe)) for method in list_methods(crossed(read_recipe(FOLDER / name)))}
        for name in ("stability/sib200.yaml", "stability/sib200_others.yaml")
    ]
    assert counts == [
        {"frozen-head": 20, "instant": 20, "peft-prompt": 20, "lingraft": 20, "peft-lora": 6},
        {"full-joint": 6, "setfit": 6, "paper": 6, "lingraft": 6},
    ]


@pytest.mark.shared
def test_a_curve_has_two_draws_of_what_is_cheap(shared_data):
    """And ours with fewer translations than there are."""
    recipe = read_recipe(FOLDER / "shots" / "sib200.yaml", [f"task.data_dir={shared_data / 'sib200'}"])
    methods = list_methods(with_shots(recipe))
    trials = {method.name: len(trials_of(method.recipe)) for method in methods}
    assert (trials["lingraft"], trials["lingraft-50-pairs"], trials["lingraft-0-pairs"]) == (8, 8, 8)
    assert (trials["peft-lora"], trials["full-joint"], trials["setfit"]) == (4, 4, 4)


@pytest.mark.shared
def test_every_candidate_of_a_choice_has_as_many_labels_and_pairs(shared_data):
    """Half of the sentences each, the same ones in all languages."""
    path = FOLDER / "sources" / "sib200.yaml"
    gathered, left_out = gather_candidates(read_recipe(path, [f"task.data_dir={shared_data / 'sib200'}"]))
    assert len(gathered) == 8 and not left_out
    for materials in gathered.values():
        (draw,) = materials.draws
        assert (len(draw.labelled), len(materials.dev)) == (350, 99)
        assert {code: len(pairs) for code, pairs in draw.pairs.items()} == {"hau-Latn": 351, "ban-Latn": 351}
