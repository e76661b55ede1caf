"""A server that runs: bound, answering, and ended in order."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Collection, Generator, Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path
from types import FrameType

import uvicorn
from fastapi import FastAPI

from ...core.errors import ServiceError
from ...core.examples import Example
from ...core.memory import release_freed_memory
from ...core.signals import ASKED_TO_END
from ..items import LARGEST
from ..predictor import Adapted
from .app import create_app
from .asking import compute
from .batching import Batcher
from .doors import LOCAL, is_local
from .limits import Limits
from .metrics import build_metrics
from .page import build_page

MOST_CONNECTIONS = 1_000
"""Each of which may send a body; who comes beyond is told 503."""

RELEASE_EVERY = 50
"""Batches between two times that freed memory goes back to the system: each batch has other lengths."""


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Args:
        host: Name or address of this machine.
        port: 0 takes any that is free.

    Raises:
        ServiceError: It is in use, or none of this machine.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, kind, protocol)
        try:
            if os.name == "posix":  # after a restart; on Windows it would let two servers listen at one address
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(address)
            bound.listen(1024)
        except OSError:
            bound.close()
            raise
    except (OSError, OverflowError, UnicodeError) as error:
        said = getattr(error, "strerror", None) or error
        raise ServiceError(
            f"cannot listen at {host}, port {port}: {said}; choose others with --host and --port"
        ) from None
    return bound


def address_of(bound: socket.socket) -> str:
    """Return what to type into a browser."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextmanager
def application(
    adapted: Adapted,
    folder: Path | None,
    *,
    limits: Limits,
    hosts: Collection[str] = LOCAL,
    release: Callable[[], object] = release_freed_memory,
) -> Iterator[FastAPI]:
    """Yield the application that answers with a run; what was asked of it is answered before it ends.

    Args:
        adapted: The run.
        folder: Where its mistakes are read from; None shows none.
        limits: Of what is asked.
        hosts: That it may be asked by; none means any.
        release: Gives freed memory back to the system.

    Raises:
        RunError: A file of the folder is damaged.
    """
    page, metrics = build_page(adapted, folder, limits), build_metrics()

    number = count(1)

    def counted(key: object, examples: list[Example]) -> list[object]:
        metrics.batches.observe(len(examples))
        answers: list[object] = list(compute(adapted, key, examples))
        if next(number) % RELEASE_EVERY == 0:
            release()
        return answers

    with closing(Batcher(counted, largest=LARGEST, waiting=limits.waiting)) as batcher:
        yield create_app(adapted, batcher, metrics, page, limits=limits, hosts=hosts)


class Server(uvicorn.Server):
    """Runs an application; told to end, it ends when all requests are answered, and told again at once."""

    refused = 0
    """Requests that were not answered in the time that there was for it."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Finish what was begun, and count what had to be given up."""
        await super().shutdown(sockets)
        self.refused = len(self.server_state.tasks)

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Take what asks a process to end, a terminal that is closed too; uvicorn would pass it on afterwards."""
        told = (signal.SIGINT, *(one for one in ASKED_TO_END if signal.getsignal(one) is not signal.SIG_IGN))
        main = threading.current_thread() is threading.main_thread()
        before = {one: signal.signal(one, self.handle_exit) for one in told if main}
        try:
            yield
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end; the second time, end as whom nobody taught to."""
        if self.should_exit:
            signal.signal(sig, signal.SIG_DFL)
            signal.raise_signal(sig)
        self.should_exit = True


def server_of(app: FastAPI, limits: Limits) -> Server:
    """Return what runs an application."""
    return Server(
        uvicorn.Config(
            app,
            http="h11",
            loop="asyncio",
            ws="none",
            lifespan="off",
            log_level="warning",
            access_log=False,
            server_header=False,
            limit_concurrency=MOST_CONNECTIONS,
            timeout_graceful_shutdown=round(limits.seconds),
        )
    )


def serve(adapted: Adapted, folder: Path, bound: socket.socket, limits: Limits, started: Callable[[], None]) -> int:
    """Answer until a signal says to end (SIGTERM, SIGHUP, Ctrl-C); what was begun is finished first.

    Args:
        adapted: The run.
        folder: Of it.
        bound: Where to listen, see :func:`bind`.
        limits: Of what is asked.
        started: Called when all is ready.

    Returns:
        How many requests were refused because they took longer than there was time for at the end.
    """
    host, shown = bound.getsockname()[0], folder if folder.is_dir() else None  # else the saved parts alone
    hosts = tuple(dict.fromkeys((*LOCAL, host))) if is_local(host) else ()
    with closing(bound), application(adapted, shown, limits=limits, hosts=hosts) as app:
        started()
        server = server_of(app, limits)
        server.run(sockets=[bound])
    return server.refused
