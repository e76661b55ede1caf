"""The trials of a comparison on a Ray cluster of two nodes, of which one is killed in the middle of its work."""

import shutil
import socket
import sys
from contextlib import contextmanager, redirect_stderr
from io import StringIO
from types import SimpleNamespace

import pytest

from invented import TARGET, world_recipe, write_world
from kill_order import ORDER
from lingraft.backbones.shards import read_digests
from lingraft.core.errors import RunError, ServiceError
from lingraft.core.files import read_lines, read_object
from lingraft.core.stored_states import all_shards
from lingraft.distributed.cluster import cluster
from lingraft.distributed.trials import on_cluster
from lingraft.experiments.compare import compare
from quick_run import start_here

pytestmark = pytest.mark.cluster

RATES = [1e-3, 1e-2]
TRIALS = ["k1-draw0-seed1", "k1-draw0-seed2"]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """The invented tables."""
    return write_world(tmp_path_factory.mktemp("world"))


def recipe(world, checkpoint, output, orders, *overrides, **compared):
    """A comparison of one method at a chosen learning rate, of which a trial is killed where there is an order to."""
    small = ["train.num_train_epochs=2", "train.batch_size=8", "device=cpu", "shots.k=1", "seeds=[1, 2]"]
    return world_recipe(
        world,
        [*small, f"output_dir={output}", *overrides],
        backbone={"checkpoint": str(checkpoint), "max_length": 32},
        parallel={"files": str(world / "pairs.{language}.tsv")},
        alignment=[{"name": "killing", "folder": str(orders), "step": 9}],
        prompt={"name": "deep", "length": 2, "language_length": 1},
        adapter=None,
        compare={"methods": ["lingraft"], "learning_rates": {"lingraft": RATES}, "tuning_epochs": 1} | compared,
    )


def on_ray(wanted, *, start=start_here, quiet=True):
    """Compare the methods of a recipe on the cluster, and draw no charts of it."""
    return compare(wanted, quiet=quiet, start=start, train=on_cluster(start), tell=lambda found, comparison: None)


@pytest.fixture(scope="module")
def undisturbed(world, tiny_checkpoint, ray_cluster, tmp_path_factory):
    """The same comparison without a cluster."""
    place = tmp_path_factory.mktemp("here")
    wanted = recipe(world, tiny_checkpoint, place / "out", ray_cluster.orders)
    return compare(wanted, quiet=True, start=start_here, tell=lambda found, comparison: None)


@pytest.fixture(scope="module")
def killed(world, tiny_checkpoint, ray_cluster, tmp_path_factory):
    """The comparison on the cluster, of which a process is killed in the middle of a trial; and what was said."""
    place, said = tmp_path_factory.mktemp("ray"), StringIO()
    (ray_cluster.orders / ORDER).touch()
    with redirect_stderr(said):
        folder = on_ray(recipe(world, tiny_checkpoint, place / "out", ray_cluster.orders), quiet=False)
    assert not (ray_cluster.orders / ORDER).exists()
    return SimpleNamespace(folder=folder, said=said.getvalue().splitlines())


def trained(folder):
    """Everything that trials and learning rates have left, except how long it took: file to content."""
    places = [*folder.glob("*/trials/*/*"), *folder.glob("*/predictions/*/*"), *folder.glob("tuning/*/*/trials/*/*")]
    found = {path.relative_to(folder).as_posix(): path for path in places if path.is_file()}
    timed = ("seconds", "tokens_per_second", "files")

    def content(path):
        if path.name not in ("trial.json", "training.jsonl"):
            return path.read_bytes()
        return [{key: value for key, value in row.items() if key not in timed} for row in read_rows(path)]

    return {name: content(path) for name, path in found.items()}


def read_rows(path):
    """The objects of a JSON or JSONL file."""
    return list(read_lines(path)) if path.suffix == ".jsonl" else [read_object(path)]


def test_a_killed_worker_changes_no_number_and_no_trial_is_there_twice(undisturbed, killed):
    """What its trial had computed is lost, and computed again elsewhere: every file is as it is without a cluster."""
    (lost,) = [line for line in killed.said if "was lost with its worker, and is sent again" in line]
    assert lost.startswith("lingraft: k1-draw0-seed")
    alone, together = trained(undisturbed), trained(killed.folder)
    assert alone.keys() == together.keys()
    assert [name for name in alone if alone[name] != together[name]] == []
    expected, scores = (list(read_lines(folder / "scores.jsonl")) for folder in (undisturbed, killed.folder))
    assert scores == expected
    assert len({(row["language"], row["metric"], row["seed"]) for row in scores}) == len(scores)


def test_what_a_method_says_of_itself_comes_from_its_trials(undisturbed, killed):
    """The learning rate that was best, steps, labels and pairs are the same; memory is that of the nodes' processes."""
    alone, together = (read_object(folder / "lingraft" / "method.json") for folder in (undisturbed, killed.folder))
    assert 50e6 < together["peak_bytes"] < 5e9
    for found in (alone, together):
        del found["seconds"], found["peak_bytes"]
    assert alone == together


def test_a_node_encodes_each_text_once(ray_cluster, killed):
    """Whichever of its processes comes first; the machine that started the comparison encodes nothing."""
    for cache in ray_cluster.caches:
        shards = all_shards(cache / "states")
        digests = [(shard.path.parent, digest) for shard in shards for digest in read_digests(shard.path)]
        assert digests
        assert len(digests) == len(set(digests))


def test_what_is_finished_is_not_sent_and_what_goes_wrong_on_a_node_is_one_line(
    world, tiny_checkpoint, ray_cluster, killed, tmp_path
):
    """A trial that is missing is made again as it was; the others stay, and so do the methods beside one that fails."""
    shutil.copytree(killed.folder, tmp_path / "out")
    gone, kept = (tmp_path / "out" / "lingraft" / "trials" / name / "scores.jsonl" for name in TRIALS)
    before = gone.read_bytes(), kept.stat().st_mtime_ns
    gone.unlink()
    wild = {"wild": {"method": "top-k", "seeds": [1], "train": {"backbone_learning_rate": 1e30}}}
    with pytest.raises(RunError, match=r"1 of 2 methods failed.*wild: k1-draw0-seed1 on \S+: the (loss|parameters)"):
        on_ray(recipe(world, tiny_checkpoint, tmp_path / "out", ray_cluster.orders, variants=wild))
    assert (gone.read_bytes(), kept.stat().st_mtime_ns) == before
    assert (tmp_path / "out" / "lingraft" / "method.json").exists()
    assert not (tmp_path / "out" / "wild" / "trials").exists()


def test_a_node_with_other_data_is_refused(world, tiny_checkpoint, ray_cluster, tmp_path):
    """A label that is another one on the node than where the comparison was started is said, and nothing is trained."""
    shutil.copytree(world, tmp_path / "world")
    table = tmp_path / "world" / f"{TARGET}.test.csv"

    @contextmanager
    def start_and_change(wanted, complaints):
        with start_here(wanted, complaints) as process:
            yield process
        table.write_text(table.read_text().replace("bird", "river", 1), encoding="utf-8")

    wanted = recipe(
        tmp_path / "world",
        tiny_checkpoint,
        tmp_path / "out",
        ray_cluster.orders,
        methods=["frozen-head"],
        learning_rates={},
    )
    told = rf"k1-draw0-seed[12] on \S+: this node has something else .* started: test set of {TARGET}; give every node"
    with pytest.raises(RunError, match=f"frozen-head: {told}"):
        on_ray(wanted, start=start_and_change)
    assert not (tmp_path / "out" / "frozen-head" / "trials").exists()


def test_without_ray_one_line_says_how_to_get_it(world, tiny_checkpoint, tmp_path, monkeypatch, command):
    """Before anything is read or computed."""
    wanted = recipe(world, tiny_checkpoint, tmp_path / "out", tmp_path)
    (tmp_path / "recipe.yaml").write_text(wanted.to_yaml(), encoding="utf-8")
    monkeypatch.setitem(sys.modules, "ray", None)
    done = command("compare", tmp_path / "recipe.yaml", "--ray")
    assert done.code == 1
    assert done.err == 'error --ray needs Ray, which is not installed: pip install "lingraft[ray]"\n'
    assert not (tmp_path / "out").exists()


def test_an_address_where_nothing_listens_is_one_line(monkeypatch):
    """At once, and not after the minutes that Ray tries for."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        monkeypatch.setenv("RAY_ADDRESS", address)
        told = f"^RAY_ADDRESS={address}: no Ray cluster could be joined .*ray start"
        with pytest.raises(ServiceError, match=told), cluster():
            pytest.fail("nothing was joined")
