"""A Ray cluster: one that runs already, or one of this machine's processors for as long as it is needed.

``RAY_ADDRESS`` names a cluster, as it does for all programs that use Ray. Ray is imported when it is asked for, tells
nobody that it is used, and brings no dashboard along.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from ..core.counted import counted
from ..core.errors import ServiceError, one_line

ADDRESS = "RAY_ADDRESS"

PATIENCE = 20.0  # seconds that the first machine of a cluster may take to answer


def require_ray() -> None:
    """Refuse to go on where Ray is not installed.

    Raises:
        ServiceError: It is not; with how it is got.
    """
    if find_spec("ray") is None:
        raise ServiceError('--ray needs Ray, which is not installed: pip install "lingraft[ray]"')


@contextmanager
def cluster() -> Iterator[Any]:
    """Join the cluster that ``RAY_ADDRESS`` names, or start one here; yields the module ``ray``.

    What Ray prints of workers that died goes to standard error meanwhile: standard output may be full of answers.

    Raises:
        ServiceError: Nothing answers at the address.
    """
    require_ray()
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ENABLE_AUTO_CONNECT", "0")  # what Ray forgets to end would join again afterwards
    address = os.environ.get(ADDRESS) or "local"
    ray = import_module("ray")
    here = {"include_dashboard": False} if address == "local" else {}
    with _own_signals():
        try:
            _knock(address)
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **here)
        except (OSError, RuntimeError, ValueError) as error:
            raise ServiceError(
                f"{ADDRESS}={address}: no Ray cluster could be joined ({one_line(str(error), 300)}); start one with "
                "`ray start --head`, or leave the variable out for a cluster of this machine's processors"
            ) from None
    with redirect_stdout(sys.stderr):
        try:
            yield ray
        finally:
            ray.shutdown()


def _knock(address: str) -> None:
    """Find out soon whether anything listens at an address as ``10.0.0.1:6379``; Ray would try for minutes.

    Raises:
        OSError: Nothing does.
    """
    host, _, port = address.rpartition(":")
    if port.isdigit() and "/" not in host:
        socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE).close()


@contextmanager
def _own_signals() -> Iterator[None]:
    """Keep what this process does when it is asked to end; Ray has ways of its own."""
    main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if main:
            signal.signal(signal.SIGTERM, before)


def gpus_each(ray: Any, device: str) -> int:
    """Return how many GPUs each process takes that computes on a device as recipes name them."""
    return 1 if device != "cpu" and ray.cluster_resources().get("GPU") else 0


def describe_cluster(ray: Any) -> str:
    """Say how large a cluster is: ``16 processors and 2 GPUs on 3 nodes``."""
    there, nodes = ray.cluster_resources(), sum(node["Alive"] for node in ray.nodes())
    gpus = round(there.get("GPU", 0))
    parts = [counted(round(there.get("CPU", 0)), "processor"), *([counted(gpus, "GPU")] if gpus else [])]
    return f"{' and '.join(parts)} on {counted(nodes, 'node')}"
