"""What several requests ask for at the same time, computed together by one thread.

Nothing waits for others to come: while one batch is computed those gather that are the next.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import islice
from threading import Condition, Thread
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class BusyError(Exception):
    """No more can wait."""


@dataclass(frozen=True, slots=True)
class Job(Generic[T, R]):
    """What one request asks for."""

    key: Hashable
    given: Sequence[T]
    found: Future[list[R]] = field(default_factory=Future)


class Batcher(Generic[T, R]):
    """Answers jobs of the same key together, first come, first served.

    Args:
        compute: A key and what is given under it to what is found, one for each, in order.
        largest: Of what is given together, unless a single job has more.
        waiting: Of what may wait.
    """

    def __init__(self, compute: Callable[[Hashable, list[T]], list[R]], *, largest: int, waiting: int) -> None:
        self._compute, self._largest, self._most = compute, largest, waiting
        self._jobs: deque[Job[T, R]] = deque()
        self._changed = Condition()
        self._closed = False
        self._thread = Thread(target=self._work, name="lingraft-batches", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """How much waits to be computed."""
        with self._changed:
            return sum(len(job.given) for job in self._jobs)

    def submit(self, key: Hashable, given: Sequence[T]) -> Future[list[R]]:
        """Ask for something, and return where the answer will be.

        Args:
            key: What is computed together has the same.
            given: To be computed.

        Raises:
            BusyError: Too much waits already, or this is closed.
        """
        job: Job[T, R] = Job(key, given)
        if not given:
            job.found.set_result([])
            return job.found
        with self._changed:
            if self._closed:
                raise BusyError("the server is stopping; ask again when it is back")
            waits = sum(len(one.given) for one in self._jobs)
            if waits + len(given) > self._most:
                raise BusyError(
                    f"{waits:,} items wait already, and at most {self._most:,} may; expected no more than "
                    f"{self._most - waits:,}, got {len(given):,}: ask again in a second"
                )
            self._jobs.append(job)
            self._changed.notify()
        return job.found

    def close(self) -> None:
        """Take no more, finish all that was taken, and return then."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _work(self) -> None:
        while jobs := self._next():
            self._answer([job for job in jobs if job.found.set_running_or_notify_cancel()])

    def _next(self) -> list[Job[T, R]]:
        """Wait for jobs, and take the first with as many others of its key as go with it; none once all is done."""
        with self._changed:
            self._changed.wait_for(lambda: self._jobs or self._closed)
            taken: list[Job[T, R]] = []
            left: deque[Job[T, R]] = deque()
            room = self._largest
            for job in self._jobs:
                goes = not taken or (job.key == taken[0].key and len(job.given) <= room)
                (taken if goes else left).append(job)
                room -= len(job.given) if goes else 0
            self._jobs = left
            return taken

    def _answer(self, jobs: Sequence[Job[T, R]]) -> None:
        """Compute jobs together; where that fails, each by itself: one that cannot be answered harms no other."""
        if not jobs:
            return
        try:
            found = self._compute(jobs[0].key, [one for job in jobs for one in job.given])
        except Exception as error:
            if len(jobs) == 1:
                jobs[0].found.set_exception(error)
            else:
                for job in jobs:
                    self._answer([job])
            return
        rest = iter(found)
        for job in jobs:
            job.found.set_result(list(islice(rest, len(job.given))))
