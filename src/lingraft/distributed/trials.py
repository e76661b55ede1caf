"""The trials of a comparison on a Ray cluster: sent with digests of their data, put in the folder as they come back.

Each trial goes to whichever processor is free. One whose worker was killed is sent again; what comes back is written
here and nowhere else, so no trial is in a table twice. What is finished already is not sent.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.counted import counted
from ..core.errors import LingraftError, one_line
from ..core.files import write_bytes
from ..core.progress import Advance, Reporter
from ..core.records import Trial
from ..experiments.compare import Train
from ..experiments.cost import Estimate
from ..experiments.facts import note_memory
from ..experiments.methods import Method
from ..experiments.processes import Start, identify, note_impossible, start_worker
from ..experiments.worker import chosen_rate, rates_to_try, scores_of_rates, tuning_run
from ..recipe.settings import Recipe
from ..runs.folder import open_run_folder, trials_of
from ..runs.identity import Identity, refuse_changed, settings_digest
from ..runs.pseudo_data import NAME as PSEUDO
from ..training.finished import is_finished
from .cluster import cluster, describe_cluster, gpus_each, require_ray
from .node import Left, Shared, Wanted, train_trial

ATTEMPTS = 4
"""Times that a trial is sent out at most, where its worker is killed each time."""

LAST = "trial.json"
"""Of a trial's files; it says that the others are there."""


@dataclass(frozen=True)
class Piece:
    """A trial that is sent to the cluster, and where it belongs here."""

    method: Method
    trial: Trial
    folder: Path
    wanted: Wanted
    share: int
    """Of the progress bar."""

    @property
    def name(self) -> str:
        """What people call it."""
        return f"rate {self.wanted.rate:g}" if self.wanted.tried else self.trial.name


class Outcome:
    """Which methods have failed, and which are impossible; each is said at once."""

    def __init__(self, reporter: Reporter) -> None:
        self.reporter = reporter
        self.failed: dict[str, str] = {}
        self.impossible: set[str] = set()

    def fail(self, method: Method, reason: str) -> None:
        """Note why a method is not complete: the first reason is kept."""
        self.reporter.say(f"{method.name}: {reason}")
        self.failed.setdefault(method.name, reason)

    def rule_out(self, method: Method, reason: str) -> None:
        """Note that a method cannot be run, once."""
        if method.name not in self.impossible:
            self.impossible.add(method.name)
            note_impossible(method, reason, self.reporter)

    def is_open(self, method: Method) -> bool:
        """Return whether a method may still become complete."""
        return method.name not in self.failed and method.name not in self.impossible


def on_cluster(start: Start = start_worker) -> Train:
    """Return what trains the trials of a comparison on a Ray cluster.

    Args:
        start: Starts the process that says what the trials are made of here.

    Raises:
        ServiceError: Ray is not installed.
    """
    require_ray()

    def train(planned: Sequence[Estimate], recipe: Recipe, reporter: Reporter, advance: Advance) -> Mapping[str, str]:
        methods = [estimate.method for estimate in planned]
        identities = identify(methods, recipe, reporter, start)
        outcome = Outcome(reporter)
        with cluster() as ray, ExitStack() as held:
            reporter.say(f"training on {describe_cluster(ray)}")
            send = _sender(ray, _shared(recipe, identities), recipe)
            rates = [piece for method in methods for piece in _rates(method, recipe, identities, held, outcome)]
            _train(ray, rates, send, outcome, Advance())
            trials = [piece for one in planned for piece in _trials(one, recipe, identities, held, outcome)]
            if there := sum(one.share for one in planned) - sum(piece.share for piece in trials):
                advance(there)
            _train(ray, trials, send, outcome, advance)
        return outcome.failed

    return train


# ---- What is sent ----------------------------------------------------------------------------------


def _shared(recipe: Recipe, identities: Mapping[str, Mapping[str, Identity]]) -> Shared:
    """Return what every node gets: the recipe, and what was mined and made for it; no data."""
    made = [*recipe.output_dir.glob("mined/**/*"), *recipe.output_dir.glob(f"{Path(PSEUDO).stem}.json*")]
    files = sorted(path for path in made if path.is_file() and not path.name.startswith("."))
    known = (identity for trials in identities.values() for identity in trials.values())
    return Shared(
        recipe=json.dumps(recipe.model_dump(mode="json", by_alias=True)),
        made=tuple((path.relative_to(recipe.output_dir).as_posix(), path.read_bytes()) for path in files),
        precision=next((identity["precision"] for identity in known if "precision" in identity), None),
        folder=str(Path.cwd()),
    )


def _rates(
    method: Method, recipe: Recipe, identities: Mapping[str, Mapping[str, Identity]], held: ExitStack, outcome: Outcome
) -> Iterator[Piece]:
    """Yield what is left to try of a method's learning rates; their folders are held from now on."""
    for rate in rates_to_try(method):
        run = tuning_run(method, rate, recipe)
        trial = trials_of(run)[0]
        try:
            folder = held.enter_context(open_run_folder(run.output_dir, run))
        except LingraftError as error:
            outcome.fail(method, str(error))
            return
        if not is_finished(folder, trial):
            wanted = Wanted(method.name, trial.name, identities[method.name][trial.name], rate, tried=True)
            yield Piece(method, trial, folder, wanted, 0)


def _trials(
    estimate: Estimate,
    recipe: Recipe,
    identities: Mapping[str, Mapping[str, Identity]],
    held: ExitStack,
    outcome: Outcome,
) -> Iterator[Piece]:
    """Yield what is left to train of a method's trials, at its best learning rate; its folder is held from now on."""
    method = estimate.method
    if not outcome.is_open(method):
        return
    try:
        rate = chosen_rate(method, scores_of_rates(method, recipe))
        own = method.recipe_at(rate)
        trials, known = trials_of(own), identities[method.name]
        folder = held.enter_context(open_run_folder(own.output_dir, own))
        here = {trial: {**known[trial.name], "settings": settings_digest(own)} for trial in trials}
        refuse_changed(folder, trials, here)
    except LingraftError as error:
        outcome.fail(method, str(error))
        return
    for number, trial in enumerate(trials):
        share = estimate.share * (number + 1) // len(trials) - estimate.share * number // len(trials)
        if not is_finished(folder, trial):
            yield Piece(method, trial, folder, Wanted(method.name, trial.name, known[trial.name], rate), share)


def _sender(ray: Any, shared: Shared, recipe: Recipe) -> Callable[[Piece], Any]:
    """Return what sends a trial to the cluster; a processor works for one method, and with a GPU where there are some.

    Ray gives a process of its own to each environment, so what a method leaves in memory is not there for the next.
    """
    remote, common = ray.remote(train_trial), ray.put(shared)
    gpus = gpus_each(ray, recipe.device)

    def send(piece: Piece) -> Any:
        environment = {"env_vars": {"LINGRAFT_METHOD": piece.method.name}}
        options = {"num_cpus": 1, "num_gpus": gpus, "max_retries": 0, "runtime_env": environment}
        return remote.options(**options).remote(common, piece.wanted)

    return send


# ---- What comes back -------------------------------------------------------------------------------


def _train(ray: Any, pieces: Sequence[Piece], send: Callable[[Piece], Any], outcome: Outcome, advance: Advance) -> None:
    """Send trials out and keep what comes back, until each is there or has failed."""
    waiting = {send(piece): (piece, 1) for piece in pieces}
    while waiting:
        (done,), _ = ray.wait(list(waiting), num_returns=1)
        piece, attempt = waiting.pop(done)
        try:
            left = ray.get(done)
        except ray.exceptions.RayTaskError as error:  # before our own code began, which catches its errors
            outcome.fail(piece.method, f"{piece.name}: {_last_line(error)}")
        except ray.exceptions.RayError as error:
            if attempt < ATTEMPTS:
                outcome.reporter.say(f"{piece.method.name}: {piece.name} was lost with its worker, and is sent again")
                waiting[send(piece)] = piece, attempt + 1
            else:
                often = counted(ATTEMPTS, "time")
                outcome.fail(piece.method, f"{piece.name} was lost with its worker {often}: {_last_line(error)}")
        else:
            _keep(piece, left, outcome)
            advance(piece.share, f"{piece.method.name}, {piece.name} on {left.node}")


def _keep(piece: Piece, left: Left, outcome: Outcome) -> None:
    """Write what a trial left into its folder, its record last; or note what went wrong."""
    method = piece.method
    for line in left.said:
        outcome.reporter.say(f"{method.name}: {line}")
    if left.impossible is not None:
        outcome.rule_out(method, left.impossible)
    elif left.error is not None:
        outcome.fail(method, f"{piece.name} on {left.node}: {left.error}")
    else:
        for name in sorted(left.files, key=lambda name: (name.endswith(LAST), name)):
            write_bytes(piece.folder / name, left.files[name])
        note_memory(piece.folder / "memory.json", left.peak)
        if not is_finished(piece.folder, piece.trial):
            outcome.fail(method, f"{piece.name} on {left.node}: what came back is not what the trial left")


def _last_line(error: Exception) -> str:
    """Return the line of a traceback from elsewhere that says what went wrong."""
    return one_line(str(error).strip().splitlines()[-1], 500)
