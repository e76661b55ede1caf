"""Seeds of new parameters crossed with seeds of the order: a trial each, and each does what it says alone."""

import pytest
from safetensors.torch import load_file

from invented import world_recipe, write_world
from lingraft.core.errors import ConfigError
from lingraft.core.files import read_lines
from lingraft.results.findings import results
from lingraft.results.run_files import read_run
from lingraft.runs.folder import trials_of
from quick_run import run

SMALL = [
    *("train.num_train_epochs=1", "train.batch_size=8", "train.learning_rate=1e-2", "device=cpu"),
    *("prompt.name=deep", "prompt.length=2", "prompt.language_length=1"),
    *("adapter.name=bottleneck", "adapter.width=4", "adapter.language_width=2"),
]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Topics of an invented language."""
    return write_world(tmp_path_factory.mktemp("world"), train=24, dev=8, test=12)


def recipe_of(world, checkpoint, output, *overrides):
    """A small recipe."""
    backbone = {"checkpoint": str(checkpoint), "max_length": 32}
    return world_recipe(world, [*SMALL, f"output_dir={output}", *overrides], backbone=backbone)


@pytest.fixture(scope="module")
def crossed(world, tiny_checkpoint, tmp_path_factory):
    """A run of two seeds and two orders, and its parameters by trial."""
    folder = run(
        recipe_of(world, tiny_checkpoint, tmp_path_factory.mktemp("runs") / "crossed", "seeds=[1,2]", "orders=[1,5]")
    )
    return folder, {path.parent.name: load_file(path) for path in folder.glob("trials/*/adaptation.safetensors")}


def same(one, other):
    """Whether two sets of parameters are equal to the bit."""
    return one.keys() == other.keys() and all(one[name].equal(other[name]) for name in one)


def test_each_seed_meets_each_order(crossed):
    """In folders that say so; scores know both, and the mean is over all of them."""
    folder, trained = crossed
    assert sorted(trained) == [f"k0-draw0-seed{seed}-order{order}" for seed in (1, 2) for order in (1, 5)]
    rows = [row for row in read_lines(folder / "scores.jsonl") if row["method"] == "lingraft"]
    assert {(row["seed"], row["order"]) for row in rows} == {(seed, order) for seed in (1, 2) for order in (1, 5)}
    assert {result.seeds for result in results(read_run(folder))} == {4}


def test_no_two_of_them_end_the_same(crossed):
    """Another order, or other new parameters, is another training."""
    _, trained = crossed
    names = list(trained)
    assert not any(same(trained[one], trained[other]) for i, one in enumerate(names) for other in names[:i])


def test_a_seed_that_is_also_the_order_is_the_plain_seed(crossed, world, tiny_checkpoint, tmp_path):
    """Bit for bit."""
    folder = run(recipe_of(world, tiny_checkpoint, tmp_path / "plain", "seeds=[1]"))
    (plain,) = folder.glob("trials/*/adaptation.safetensors")
    assert plain.parent.name == "k0-draw0-seed1"
    assert same(load_file(plain), crossed[1]["k0-draw0-seed1-order1"])


def test_a_folder_grows_by_orders(crossed, world, tiny_checkpoint, tmp_path):
    """Those that were there are not trained again, and the others are as in a run from scratch."""
    place = tmp_path / "grown"
    run(recipe_of(world, tiny_checkpoint, place, "seeds=[1]", "orders=[5]"))
    first = (place / "trials" / "k0-draw0-seed1-order5" / "adaptation.safetensors").stat().st_mtime_ns
    run(recipe_of(world, tiny_checkpoint, place, "seeds=[1,2]", "orders=[1,5]"))
    for name, parameters in crossed[1].items():
        path = place / "trials" / name / "adaptation.safetensors"
        assert same(load_file(path), parameters)
    assert (place / "trials" / "k0-draw0-seed1-order5" / "adaptation.safetensors").stat().st_mtime_ns == first


def test_an_order_that_comes_twice_is_refused(world, tiny_checkpoint, tmp_path):
    """As a seed is; both count for how many trials there are."""
    with pytest.raises(ConfigError, match=r"orders: \[3, 3\] names a seed twice"):
        recipe_of(world, tiny_checkpoint, tmp_path, "orders=[3,3]")
    assert (
        len(trials_of(recipe_of(world, tiny_checkpoint, tmp_path, "seeds=[1,2,3]", "orders=[1,2]", "shots.k=[0,1]")))
        == 12
    )
