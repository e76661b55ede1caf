"""A trial on a node of a cluster: other data than the comparison's are refused, and what the trial leaves goes back.

The node works in a scratch folder, with its own copy of the data and its own cache of frozen states. A process keeps
what the trials of a method share for the next one of them.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

from ..core.errors import LingraftError, one_line, problems_of
from ..core.memory import peak_bytes
from ..core.progress import Reporter
from ..experiments.baselines.peft import PeftUnsupportedError
from ..experiments.methods import Method, list_methods
from ..experiments.peers import ImpossibleError
from ..experiments.worker import (
    identities_of,
    prepare_method,
    run_identified,
    try_rate,
    tuning_run,
    with_recipe,
    with_shared_lexicon,
)
from ..recipe.parsing import parse_recipe
from ..recipe.settings import Recipe
from ..runs.folder import trials_of
from ..runs.identity import Identity, note_identity
from ..runs.summary import prove_frozen
from ..training.pools import Context
from .agreement import VERSION, refuse_other, work_in


@dataclass(frozen=True)
class Shared:
    """What all trials of a comparison share; it goes to each node once."""

    recipe: str
    """Of the comparison, as JSON."""
    made: tuple[tuple[str, bytes], ...]
    """Files that were mined and made for the comparison: path in its folder, content."""
    precision: str | None
    """Of the matrix products, so that all trials of a table have the same."""
    folder: str
    """The folder that relative paths of the recipe begin in."""
    version: Mapping[str, str] = field(default_factory=VERSION.copy, hash=False)


@dataclass(frozen=True)
class Wanted:
    """One trial of a method, and what it must be made of."""

    method: str
    trial: str
    identity: Mapping[str, str]
    rate: float | None = None
    """Learning rate; None for the recipe's own."""
    tried: bool = False
    """Whether the rate is only tried, for a few epochs."""


@dataclass(frozen=True)
class Left:
    """What comes back of a trial: its files, or what went wrong."""

    node: str
    files: Mapping[str, bytes] = field(default_factory=dict)
    """Path in the folder of the method, or of its learning rate, to content."""
    said: tuple[str, ...] = ()
    peak: int | None = None
    """Bytes of memory at most."""
    error: str | None = None
    impossible: str | None = None


def train_trial(shared: Shared, wanted: Wanted) -> Left:
    """Train and score a trial in this process; whatever goes wrong is returned as one line."""
    node, said = socket.gethostname(), Noted()
    try:
        work_in(shared.folder)
        refuse_other(shared.version, VERSION)
        method, context, identities = _prepare(shared, wanted.method)
        refuse_other(wanted.identity, identities[wanted.trial])
        with TemporaryDirectory(prefix="lingraft-") as scratch:
            folder, peak = _train(wanted, method, context, _recipe(shared, Path(scratch)), said)
            files = {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
        return Left(node, files, tuple(said.lines), peak)
    except (PeftUnsupportedError, ImpossibleError) as error:
        return Left(node, impossible=str(error))
    except LingraftError as error:
        return Left(node, said=tuple(said.lines), error=one_line("; ".join(problems_of(error))))
    except Exception as error:
        return Left(node, said=tuple(said.lines), error=one_line(f"{type(error).__name__}: {error}"))


def _recipe(shared: Shared, folder: Path) -> Recipe:
    return parse_recipe(json.loads(shared.recipe)).model_copy(update={"output_dir": folder})


@lru_cache(maxsize=1)
def _prepare(shared: Shared, name: str) -> tuple[Method, Context, dict[str, Identity]]:
    """Return a method, what its trials share, and what each is made of on this node."""
    with TemporaryDirectory(prefix="lingraft-") as scratch:
        whole = _recipe(shared, Path(scratch))
        for place, content in shared.made:
            path = whole.output_dir / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        method = next(one for one in list_methods(whole) if one.name == name)
        if shared.precision is not None:
            own = with_shared_lexicon(method, whole)
            note_identity(own.output_dir, trials_of(own)[0], {"precision": shared.precision})
        context, _ = prepare_method(method, whole, Reporter(quiet=True))
        found = identities_of(method, method.recipe, context.materials, context.backbone)
    return method, context, {trial.name: identity for trial, identity in found.items()}


def _train(
    wanted: Wanted, method: Method, context: Context, whole: Recipe, reporter: Reporter
) -> tuple[Path, int | None]:
    """Train and score a trial; returns the folder that its files are in, and the bytes that this took at most."""
    if wanted.tried and wanted.rate is not None:
        run = tuning_run(method, wanted.rate, whole)
        try_rate(run, run.output_dir, context, method, reporter)
        return run.output_dir, None
    recipe, folder = method.recipe_at(wanted.rate), whole.output_dir / method.name
    context = with_recipe(context, recipe, method)
    identities = identities_of(method, recipe, context.materials, context.backbone)
    trial = next(trial for trial in trials_of(recipe) if trial.name == wanted.trial)
    run_identified(trial, folder, context, method, identities[trial], reporter)
    peak = peak_bytes()
    if not method.is_peer:
        prove_frozen(context.backbone)
    return folder, peak


class Noted(Reporter):
    """Notes down what is said, for who started the trial."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        """Note a line."""
        self.lines.append(text)

    def warn(self, text: str) -> None:
        """Note a warning."""
        self.lines.append(f"warning: {text}")
