"""What a server counts of itself, in the text format of Prometheus (https://prometheus.io/docs/instrumenting)."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
"""Bounds of the sizes of batches that are told apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """The counters of one server; several in a process have nothing in common."""

    registry: CollectorRegistry
    requests: Counter
    seconds: Histogram
    items: Counter
    batches: Histogram
    waiting: Gauge

    def text(self) -> bytes:
        """Return all of them, a line each."""
        return generate_latest(self.registry)


def build_metrics() -> Metrics:
    """Return counters that stand at nothing, and what the system says of memory and time of this process."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    return Metrics(
        registry=registry,
        requests=Counter("lingraft_requests", "Requests answered.", ["path", "status"], registry=registry),
        seconds=Histogram("lingraft_request_seconds", "From a request to its answer.", registry=registry),
        items=Counter("lingraft_items", "Items answered.", registry=registry),
        batches=Histogram("lingraft_batch_items", "Items computed together.", registry=registry, buckets=SIZES),
        waiting=Gauge("lingraft_waiting_items", "Items that wait to be computed.", registry=registry),
    )


def count_requests(
    app: ASGIApp, metrics: Metrics, paths: Collection[str], clock: Callable[[], float] = time.perf_counter
) -> ASGIApp:
    """Return an application that does the same and is counted.

    Args:
        app: What answers.
        metrics: Counts.
        paths: That are told apart; all others are ``other``, for anybody may ask for any.
        clock: Seconds.
    """

    async def counted(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        begun, path = clock(), scope["path"] if scope["path"] in paths else "other"

        def count(status: int) -> None:
            metrics.requests.labels(path, status).inc()
            metrics.seconds.observe(clock() - begun)

        async def note(message: Message) -> None:
            if message["type"] == "http.response.start":
                count(message["status"])
            await send(message)

        try:
            await app(scope, receive, note)
        except Exception:  # which is answered further out
            count(500)
            raise

    return counted
