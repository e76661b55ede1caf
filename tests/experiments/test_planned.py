import pytest

from invented import world_recipe, write_world
from lingraft.core.errors import ConfigError
from lingraft.experiments.planned import check_experiments
from lingraft.runs.checks import gather_checked


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Topics of an invented language."""
    return write_world(tmp_path_factory.mktemp("world"), train=24, dev=8, test=20)


def recipe_of(world, checkpoint, **blocks):
    """A recipe with blocks of experiments."""
    parallel = {"files": str(world / "pairs.{language}.tsv")}
    return world_recipe(world, backbone={"checkpoint": str(checkpoint)}, parallel=parallel, **blocks)


def test_a_recipe_without_blocks_has_nothing_to_check(world, tiny_checkpoint):
    """Not even all methods, which `lingraft compare` would run."""
    assert check_experiments(recipe_of(world, tiny_checkpoint), None) == ({}, [])


def test_each_block_says_how_many_trials_it_means(world, tiny_checkpoint):
    """Two methods of 2 × 3 trials, and those with one value changed; two numbers of labels, three draws, two seeds."""
    recipe = recipe_of(
        world,
        tiny_checkpoint,
        compare={"methods": ["frozen-head", "lingraft"]},
        stability={"draws": 2, "seeds": 3, "settings": {"train.learning_rate": [0.02]}},
        shot_curve={"k": [1, 2], "pairs": [0, "all"]},
        tune={"trials": 9, "settings": {"prompt.length": [2, 4]}},
    )
    materials = gather_checked(recipe)
    assert check_experiments(recipe, materials) == (
        {},
        [
            "stability: 18 trials of 3 methods (lingraft stability; how long: --dry-run)",
            "shot_curve: 36 trials of 3 methods (lingraft shots; how long: --dry-run)",
            "tune: 9 trials at most, of 1 setting (lingraft tune; how long: --dry-run)",
        ],
    )


@pytest.mark.parametrize(
    ("blocks", "why"),
    [
        ({"stability": {"draws": 1, "seeds": 1}}, "ask for two of one of them"),
        (
            {"shot_curve": {"k": [1, 2]}, "compare": {"variants": {"many": {"shots": {"k": 4}}}}},
            "which shot_curve.k says for all methods",
        ),
        (
            {"stability": {"draws": 2, "seeds": 2, "settings": {"train.learning_rate": [-1.0]}}},
            "train.learning_rate",
        ),
        ({"tune": {"settings": {"prompt.lenght": [4]}}}, "tune.settings, prompt.lenght 4: .*lenght"),
    ],
    ids=["one trial", "labels of its own", "a value that none can be", "a setting that there is not"],
)
def test_what_a_block_could_not_do_is_said_beforehand(world, tiny_checkpoint, blocks, why):
    """By `lingraft check`, as the command itself would."""
    with pytest.raises(ConfigError, match=why):
        check_experiments(recipe_of(world, tiny_checkpoint, **blocks), None)


def test_methods_that_load_the_checkpoint_in_32_bit_are_left_out_where_the_others_round_it(world, tiny_checkpoint):
    """They would be compared on another backbone, and nothing would say so."""
    pytest.importorskip("peft")
    backbone = {"checkpoint": str(tiny_checkpoint), "cut": 1, "max_length": 32, "weights": "4bit"}
    recipe = world_recipe(world, [], backbone=backbone, compare={"methods": ["lingraft", "peft-lora"]})
    left_out, _ = check_experiments(recipe, gather_checked(recipe))
    assert left_out == {"peft-lora": "peft-lora loads the checkpoint in 32 bit, and backbone.weights is 4bit"}
