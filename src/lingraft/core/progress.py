"""Bars for a person at a terminal, plain lines for a log file, silence where asked."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from .terminal_text import Terminal, printable

Callback = Callable[[Mapping[str, Any]], object]
"""Gets each event of a run as a record: ``{"event": "step", …}``."""

LITTLE = 0.05
"""Of work whose units are estimates: before so much of it is done, nothing is said of the time that is left."""

LINE_EVERY = 10.0  # seconds between two plain lines


class Reporter:
    """Where a run says what it does.

    Args:
        quiet: Say nothing but results and warnings.
        clock: Gives the seconds that a run notes down of its own work, and that lines are apart.
        callbacks: Each is called with every event, see :meth:`tell`, however quiet this is.
    """

    def __init__(
        self,
        *,
        quiet: bool = False,
        clock: Callable[[], float] = time.monotonic,
        callbacks: Sequence[Callback] = (),
    ) -> None:
        self.quiet = quiet
        self.clock = clock
        self.callbacks = tuple(callbacks)
        self.console = Terminal(stderr=True)

    def tell(self, event: str, **facts: Any) -> None:
        """Tell the callbacks of an event; what one raises ends the run, which can be continued.

        Args:
            event: ``message``, ``warning``, ``step``, ``epoch``, ``trial`` or ``finished``.
            facts: What there is to know of it.
        """
        for callback in self.callbacks:
            callback({"event": event, **deepcopy(facts)})  # what one does with its record is nobody else's

    def say(self, text: str) -> None:
        """Say in one line what happens now."""
        self.tell("message", text=text)
        if not self.quiet:
            self.console.print(text)

    def warn(self, text: str) -> None:
        """Say in one line what must not be missed."""
        self.tell("warning", text=text)
        self.console.print(f"warning: {text}")

    @contextmanager
    def task(self, title: str, total: int, *, counted: bool = True) -> Iterator[Advance]:
        """Follow ``total`` units of work; yields what to call with each bit of it.

        Args:
            title: What is done.
            total: How much of it there is.
            counted: Whether the units are things whose number tells a reader something; else the notes alone say
                where it is.
        """
        if self.quiet or not total:
            yield Advance()
        elif not self.console.is_terminal:
            yield PlainLines(self.console, title, total, self.clock, counted=counted)
        else:
            columns = (
                SpinnerColumn(),
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                *([MofNCompleteColumn()] if counted else []),
                TextColumn("{task.fields[note]}", markup=False),
                TimeRemainingColumn(),
            )
            with Progress(*columns, console=self.console, transient=True) as progress:
                yield Bar(progress, title, total)


class Advance:
    """Takes note of work done, and says nothing."""

    def __call__(self, amount: int = 1, note: str = "") -> None:
        """Count ``amount`` units as done; ``note`` says how it goes."""


class Bar(Advance):
    """A bar with a note and the time left."""

    def __init__(self, progress: Progress, title: str, total: int) -> None:
        self.progress = progress
        self.id = progress.add_task(printable(title), total=total, note="")

    def __call__(self, amount: int = 1, note: str = "") -> None:
        """Move the bar."""
        self.progress.update(self.id, advance=amount, note=printable(note))


class PlainLines(Advance):
    """A line every few seconds, for logs and notebooks."""

    def __init__(
        self, console: Terminal, title: str, total: int, clock: Callable[[], float], *, counted: bool = True
    ) -> None:
        self.console, self.title, self.total, self.clock, self.counted = console, title, total, clock, counted
        self.done = 0
        self.started = self.last = clock()

    def __call__(self, amount: int = 1, note: str = "") -> None:
        """Print a line if the last one is long ago."""
        self.done += amount
        now = self.clock()
        if now - self.last < LINE_EVERY:
            return
        self.last = now
        left = roughly((now - self.started) / self.done * max(0, self.total - self.done))
        amounts = [f"{self.done:,} of {self.total:,}", f"{left} left", note]
        known = self.done >= LITTLE * self.total
        said = amounts if self.counted else [note, f"about {left} left" if known else ""]
        self.console.print(": ".join(filter(None, [self.title, ", ".join(filter(None, said))])))


def roughly(seconds: float) -> str:
    """Write a time that is not known exactly: ``40 s``, ``3 min``, ``2 h 10 min``."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
