"""Methods of a comparison in processes of their own: start one, follow it, say how it ended."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from tempfile import TemporaryFile
from typing import IO, Any, Protocol

from ..core.errors import RunError
from ..core.files import write_json
from ..core.progress import Advance, Reporter
from ..recipe.settings import Recipe
from ..results.schemas import FORMAT
from ..runs.folder import trials_of
from .methods import Method


class Process(Protocol):
    """What is asked of a worker's process: its lines, and how it ended."""

    @property
    def stdout(self) -> Iterable[str] | None:
        """JSON lines; see :mod:`lingraft.experiments.worker`."""
        ...

    def wait(self) -> int:
        """Wait for its exit status."""
        ...


Start = Callable[[str, IO[str]], AbstractContextManager[Process]]
"""Starts a worker, given the JSON that it reads and a file for its complaints."""


def work(
    method: Method,
    recipe: Recipe,
    reporter: Reporter,
    advance: Advance,
    share: int,
    *,
    encode_only: bool,
    start: Start,
    place: str = "",
    tested: bool = True,
) -> str | None:
    """Let a process of its own run one method; returns what went wrong, if anything did.

    Args:
        method: What to run.
        recipe: Of the comparison.
        reporter: Told what the process says.
        advance: The comparison's bar.
        share: What part of the bar is the method's.
        encode_only: Compute the frozen states and nothing else.
        start: Starts the process.
        place: Where the method stands among all: ``method 2 of 3``.
        tested: Score trials on the test sets, and not on the source language's development set alone.
    """
    wanted = {"do": "encode" if encode_only else "run", "names": [method.name], "tested": tested}
    trials, rates = len(trials_of(method.recipe)), len(method.rates) if len(method.rates) > 1 else 0
    progress = _Progress(advance, share, trials, rates, f"{place} ({method.name})".strip())

    def hear(facts: Mapping[str, Any]) -> None:
        if "share" in facts:
            progress.at(facts["trial"], facts["share"])
        if "say" in facts and not encode_only:
            reporter.say(f"{method.name}: {facts['say']}")
        if "impossible" in facts:
            note_impossible(method, facts["impossible"], reporter)

    error = _follow(wanted, recipe, start, hear)
    progress.end()
    return error


def identify(methods: Sequence[Method], recipe: Recipe, reporter: Reporter, start: Start) -> dict[str, dict[str, Any]]:
    """Let a process of its own gather what methods learn from, and say what their trials are made of.

    Args:
        methods: Those of a comparison.
        recipe: Of the comparison.
        reporter: Told what the process says, each thing once.
        start: Starts the process.

    Returns:
        For each method, by its name, what each of its trials is made of, by the trial's name.

    Raises:
        RunError: That went wrong.
    """
    found: dict[str, dict[str, Any]] = {}
    said = set[str]()

    def hear(facts: Mapping[str, Any]) -> None:
        if "identities" in facts:
            found[facts["name"]] = facts["identities"]
        if "say" in facts and facts["say"] not in said:
            said.add(facts["say"])
            reporter.say(facts["say"])

    wanted = {"do": "identify", "names": [method.name for method in methods]}
    if error := _follow(wanted, recipe, start, hear):
        raise RunError(error)
    return found


def note_impossible(method: Method, reason: str, reporter: Reporter) -> None:
    """Write down, and say, why a method cannot be run."""
    note = {"format": FORMAT, "name": method.name, "about": method.about, "impossible": reason}
    write_json(method.recipe.output_dir / "method.json", note)
    reporter.say(f"{method.name}: not possible: {reason}")


def _follow(
    wanted: Mapping[str, Any], recipe: Recipe, start: Start, hear: Callable[[Mapping[str, Any]], None]
) -> str | None:
    """Start a process, pass on what it says until it ends, and return what went wrong, if anything did."""
    error = None
    asked = json.dumps({"recipe": recipe.model_dump(mode="json", by_alias=True), **wanted})
    # What a process complains of is in the encoding of its system, which need not be this one.
    with TemporaryFile("w+", encoding="utf-8", errors="replace") as complaints, start(asked, complaints) as process:
        assert process.stdout is not None
        for line in process.stdout:
            facts = _event(line)
            error = facts.get("error", error)
            hear(facts)
        code = process.wait()
        complaints.seek(0)
        last = (complaints.read().strip().splitlines() or [""])[-1]
    if code and not error:
        what = f"its process ended with code {code}" if code > 0 else f"its process was killed (signal {-code})"
        return f"{what}: {last}" if last else what
    return error


@contextmanager
def start_worker(wanted: str, complaints: IO[str]) -> Iterator[subprocess.Popen[str]]:
    """Start a process that runs a method; it goes when we go."""
    command = [sys.executable, "-m", "lingraft.experiments.worker"]
    pipe = subprocess.PIPE
    spoken: dict[str, Any] = {"encoding": "utf-8", "errors": "replace"}  # libraries print lines of their own
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=complaints, **spoken) as process:
        try:
            assert process.stdin is not None
            process.stdin.write(wanted)
            process.stdin.close()
            process.stdin = None
            yield process
        except BaseException:
            process.terminate()
            raise


def _event(line: str) -> dict[str, Any]:
    """Parse a line of the worker; libraries print lines too."""
    try:
        facts = json.loads(line)
    except json.JSONDecodeError:
        return {}
    return facts if isinstance(facts, dict) else {}


class _Progress:
    """The share of the bar that belongs to a method, as its trials get done."""

    def __init__(self, advance: Advance, share: int, trials: int, rates: int, name: str) -> None:
        self.advance, self.share, self.name = advance, share, name
        self.number, self.parts = trials, max(1, trials + rates)
        self.trials: dict[str, float] = {}
        self.shown = 0

    def at(self, trial: str, share: float) -> None:
        """Take note that ``share`` of a trial is done."""
        self.trials[trial] = max(share, self.trials.get(trial, 0.0))
        done = sum(share for name, share in self.trials.items() if name != "encoding")
        self._show(round(self.share * min(1.0, done / self.parts)), f"{self.name}, {self._place_of(trial)}")

    def _place_of(self, trial: str) -> str:
        """Say which trial of how many it is; what comes before the trials has a name of its own."""
        names = [name for name in self.trials if name.startswith("k")]
        return f"trial {names.index(trial) + 1} of {self.number}" if trial in names else trial

    def end(self) -> None:
        """Go on with the next method: this one is done, or has failed."""
        self._show(self.share, self.name)

    def _show(self, at: int, note: str) -> None:
        if at > self.shown:
            self.advance(at - self.shown, note)
            self.shown = at
