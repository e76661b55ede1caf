"""Presets and fragments: what lies over what."""

import pytest

from lingraft.core.errors import ConfigError
from lingraft.recipe.merging import merge_fragments
from lingraft.recipe.parsing import parse_recipe
from lingraft.recipe.presets import preset_text, presets, with_preset
from lingraft.recipe.settings import Recipe

TASK = {"name": "cldr_names", "target_languages": ["yor-Latn"]}
PARALLEL = {"from": "task"}


def recipe(**changes):
    """A recipe on names, with pairs."""
    return parse_recipe({"task": TASK, "parallel": PARALLEL} | changes)


def test_nested_keys_are_laid_over_one_by_one():
    """A fragment changes what it names, and lists as a whole; the base itself stays."""
    base = {"train": {"batch_size": 4, "learning_rate": 0.1}, "seeds": [1, 2]}
    assert merge_fragments(base, {"train": {"batch_size": 8}, "seeds": [3]}) == {
        "train": {"batch_size": 8, "learning_rate": 0.1},
        "seeds": [3],
    }
    assert base["train"]["batch_size"] == 4


def test_a_block_of_another_name_is_replaced_as_a_whole():
    """Options of one factory mean nothing to another; the same name keeps those that are not mentioned."""
    base = {"prompt": {"name": "deep", "length": 4}}
    assert merge_fragments(base, {"prompt": {"name": "input"}}) == {"prompt": {"name": "input"}}
    assert merge_fragments(base, {"prompt": {"name": "deep", "init": "normal"}})["prompt"]["length"] == 4
    assert merge_fragments(base, {"prompt": {"length": 2}})["prompt"] == {"name": "deep", "length": 2}
    assert merge_fragments(base, {"prompt": None}) == {"prompt": None}
    assert merge_fragments({"prompt": None}, base) == base


def test_the_presets_are_four():
    """Each begins with a comment, which `lingraft list presets` shows."""
    assert presets() == ["best", "fast", "instant", "paper"]
    assert all(preset_text(name).startswith("# ") for name in presets())


@pytest.mark.parametrize("name", ["best", "fast", "instant", "paper"])
def test_a_preset_is_a_valid_recipe_and_lies_under_the_recipes_own_keys(name):
    """It is resolved like any recipe, and what the recipe says itself wins."""
    found = recipe(preset=name, train={"batch_size": 7})
    assert isinstance(found, Recipe)
    assert found.train.batch_size == 7
    assert parse_recipe(found.model_dump(mode="json", by_alias=True)) == found


def test_fast_is_the_default():
    """Who names no preset gets what `fast` says, to the last setting."""
    assert recipe(preset="fast").model_copy(update={"preset": None}) == recipe()


def test_a_presets_losses_need_no_parallel_text_unless_asked_for():
    """A preset fits data without pairs, too; only losses that the recipe itself names must have some."""
    for name in presets():
        assert recipe(preset=name, parallel=None).alignment == []
    assert recipe(preset="fast", parallel=None).model_copy(update={"preset": None}) == recipe(parallel=None)
    for asked in ({"alignment": [{"name": "mse"}]}, {}):
        with pytest.raises(ConfigError, match="alignment: needs parallel text"):
            parse_recipe({"task": TASK, "preset": "fast", **asked}, [] if asked else ["alignment.0.weight=2"])


def test_paper_is_an_input_prompt_and_mse_on_a_frozen_model():
    """The plain reading of the abstract, and nothing that was added since."""
    found = recipe(preset="paper")
    assert found.prompt.name == "input"
    assert found.adapter is None
    assert [block.name for block in found.alignment] == ["mse"]
    assert found.freezing.name == "frozen"
    assert found.train.last_layer_strength is None


def test_an_unknown_preset_is_refused_with_the_nearest():
    """A misspelt preset must not become the default in silence."""
    with pytest.raises(ConfigError, match="unknown preset 'papr'; did you mean 'paper'"):
        with_preset({"preset": "papr"})


def test_without_a_preset_nothing_changes():
    """A recipe that names none is passed on as it is."""
    assert with_preset({"seeds": [1]}) == {"seeds": [1]}
