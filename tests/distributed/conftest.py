"""A Ray cluster of two nodes with one processor each, on this machine, each node with a cache of states of its own."""

import importlib
import os
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import kill_order
import lingraft
from lingraft.model.adapters import adapters
from lingraft.training.alignment import alignment
from outside import install

PARTS = "killing_parts"

MEGABYTES = 80
"""Of each node's object store; Ray wants 75 at least."""


@pytest.fixture(scope="module")
def killing():
    """The parts that kill, known in this process as long as these tests run: no other test is to see them."""
    with adapters.temporarily(), alignment.temporarily():
        importlib.import_module(PARTS)
        yield
    del sys.modules[PARTS]


@pytest.fixture(scope="module")
def ray_cluster(tmp_path_factory, killing):
    """What is to be known of the cluster: its caches, and the folder that its processes look for orders in."""
    pytest.importorskip("ray", reason="Ray is not installed (pip install lingraft[ray])")
    folder = tmp_path_factory.mktemp("cluster")
    packages = install(folder / "packages", PARTS, ["lingraft.alignment", "lingraft.adapters"])
    shutil.copy(kill_order.__file__, packages)
    caches = [folder / f"cache-{name}" for name in ("one", "other")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(map(str, (Path(lingraft.__file__).parents[1], packages))))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_worker_niceness", "0")  # other tests that run at the same time would come first
        from ray.cluster_utils import Cluster

        cluster = Cluster()
        for cache in caches:
            cluster.add_node(
                num_cpus=1,
                object_store_memory=MEGABYTES << 20,
                include_dashboard=False,
                env_vars={"LINGRAFT_CACHE": str(cache)},
            )
        patch.setenv("RAY_ADDRESS", cluster.address)
        yield SimpleNamespace(caches=caches, orders=folder)
        cluster.shutdown()
