"""What Optuna keeps of a search, in an SQLite file: which settings were tried, and which come next.

Settings are proposed by TPE (Bergstra et al., 2011) from the scores so far, with random numbers of the proposal's place
alone, so that a search that was stopped goes on as if it had not been. No combination is tried twice: in the place of
one that was, another is drawn at random. What is kept are numbers and JSON; nothing is pickled.
"""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from math import inf, prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.errors import RunError
from ..recipe.stability import Value
from ..recipe.tuning import Range, Searched, Space

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial, TrialState

STUDY = "tuning.db"
"""Optuna's file in the folder."""

DIGITS = 3
"""Of proposed numbers that are not whole, as people write them."""

ENOUGH = 10
"""Scores, below which nothing is said of the importance of settings."""

OWN = "own"
"""Marks the proposal that is the recipe's own settings."""

ABOUT = "about"
"""Names what the scores of a study depend on, among its notes."""


@dataclass(frozen=True)
class Proposal:
    """A combination of settings; of the recipe's own, ``values`` has those that lie in what is searched."""

    number: int
    values: Mapping[str, Value]
    own: bool
    done: bool = False
    """Whether it was tried, well or not."""
    score: float | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What was noted of it: ``seconds``, ``error``."""

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"trial-{self.number:03d}"


@contextmanager
def open_study(folder: Path, about: Mapping[str, Any]) -> Iterator[Study]:
    """Open the study of a folder, or begin one; what the file refuses is said in a line.

    Args:
        folder: Where it is kept.
        about: What scores and proposals depend on, as plain data; those of the study must be the same.

    Raises:
        RunError: Optuna is not there; or the file is none of Optuna's, another search's, or cannot be written.
    """
    try:
        import optuna
        from sqlalchemy.exc import SQLAlchemyError
    except ImportError:
        raise RunError("lingraft tune needs Optuna: pip install 'lingraft[tune]'") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    path = folder / STUDY
    try:
        # The path goes to SQLite as it is: in an address, some of its characters would mean something else.
        engine = {"creator": partial(sqlite3.connect, path, check_same_thread=False)}
        storage = optuna.storages.RDBStorage("sqlite:///tuning.db", engine_kwargs=engine)
        study = optuna.create_study(storage=storage, study_name="tuning", direction="maximize", load_if_exists=True)
        _refuse_other(study, about, path)
        try:
            yield study
        finally:
            storage.remove_session()
            storage.engine.dispose()
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        why = str(error.__cause__ or error).splitlines()[0]
        raise RunError(f"{path} cannot be used: {why}; if it is damaged, delete {folder} and tune anew") from None


def _refuse_other(study: Study, about: Mapping[str, Any], path: Path) -> None:
    before, now = study.user_attrs.get(ABOUT), json.loads(json.dumps(about))
    if before is None:
        study.set_user_attr(ABOUT, now)
        return
    if changed := [key for key in now if now[key] != before.get(key)]:
        raise RunError(
            f"{path} is of another search: {changed[0]} is {json.dumps(before.get(changed[0]))} there and "
            f"{json.dumps(now[changed[0]])} now; choose another output_dir, or delete {path.parent}"
        )


def proposals(study: Study) -> list[Proposal]:
    """Return all that was proposed, in order, what was being tried when the search was stopped included."""
    notes = study.user_attrs
    found = [_proposal(trial, notes) for trial in study.get_trials(deepcopy=False) if trial.state.name != "WAITING"]
    return [one for one in found if not one.facts.get("dropped")]


def next_proposal(study: Study, space: Space, own: Mapping[str, Value]) -> Proposal | None:
    """Return the settings to try next: those that were being tried, the recipe's own, or new ones.

    Args:
        study: Of the search.
        space: What is searched.
        own: The recipe's own settings, as far as they lie in it.

    Returns:
        None where every combination has been tried.
    """
    there = proposals(study)
    tried = [one for one in there if one.done]
    known = {_key(one.values) for one in tried if one.values.keys() == space.keys()}
    for one in there:
        if not one.done:
            if one.values.keys() == (own if one.own else space).keys() and _key(one.values) not in known:
                return one
            _drop(study, one)  # the search was stopped while it was proposed
    if not any(one.own for one in tried):
        if not any(trial.user_attrs.get(OWN) for trial in study.get_trials(deepcopy=False, states=_waiting())):
            study.enqueue_trial(dict(own), user_attrs={OWN: True})
        return _ask(study, {key: space[key] for key in own})
    if len(known) >= _combinations(space):
        return None
    found = _ask(study, space)
    if _key(found.values) not in known:
        return found
    _drop(study, found)
    study.enqueue_trial(_untried(space, known, found.number))
    return _ask(study, space)


def note(study: Study, proposal: Proposal, score: float | None, **facts: Any) -> None:
    """Note the score of a proposal, None where it failed, and what else is to be known of it."""
    from optuna.trial import TrialState

    study.set_user_attr(proposal.name, facts)
    if score is None:
        study.tell(proposal.number, state=TrialState.FAIL)
    else:
        study.tell(proposal.number, score)


def importance(study: Study, space: Space) -> dict[str, float]:
    """Return the share of each setting in the variance of the scores, by fANOVA (Hutter et al., 2014).

    Args:
        study: Of the search.
        space: What is searched.

    Returns:
        Shares by setting, the largest first; empty of fewer than ``ENOUGH`` trials, or where all scores are one.
    """
    import optuna

    finished = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    whole = [trial for trial in finished if trial.params.keys() == space.keys()]
    if len(whole) < ENOUGH or len({trial.value for trial in whole}) < 2:
        return {}
    alone = optuna.create_study(direction="maximize")
    alone.add_trials(whole)
    found = optuna.importance.get_param_importances(
        alone, evaluator=optuna.importance.FanovaImportanceEvaluator(seed=0)
    )
    return {key: float(share) for key, share in found.items()}


# ---- Proposing ---------------------------------------------------------------------------------------


def _proposal(trial: FrozenTrial, notes: Mapping[str, Any]) -> Proposal:
    values = {key: _as_written(value, trial.distributions[key]) for key, value in trial.params.items()}
    found = Proposal(trial.number, values, bool(trial.user_attrs.get(OWN)), trial.state.is_finished(), trial.value)
    return replace(found, facts=notes.get(found.name, {}))


def _ask(study: Study, space: Space) -> Proposal:
    from optuna.samplers import TPESampler

    study.sampler = TPESampler(seed=len(study.get_trials(deepcopy=False)))
    number = study.ask({key: _distribution(one) for key, one in space.items()}).number
    return _proposal(study.get_trials(deepcopy=False)[number], {})


def _drop(study: Study, proposal: Proposal) -> None:
    """Leave a proposal out of all that is counted and shown."""
    note(study, proposal, None, dropped=True)


def _waiting() -> tuple[TrialState, ...]:
    from optuna.trial import TrialState

    return (TrialState.WAITING,)


def _distribution(searched: Searched) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if not isinstance(searched, Range):
        return CategoricalDistribution(searched)
    if searched.whole:
        return IntDistribution(int(searched.low), int(searched.high), log=searched.logarithmic)
    return FloatDistribution(searched.low, searched.high, log=searched.logarithmic)


def _as_written(value: Value, distribution: BaseDistribution) -> Value:
    """Return a proposed number with few digits, within its range."""
    from optuna.distributions import FloatDistribution

    if not isinstance(distribution, FloatDistribution) or not isinstance(value, float):
        return value
    return min(max(float(f"{value:.{DIGITS}g}"), distribution.low), distribution.high)


def _combinations(space: Space) -> float:
    return prod(_count(one) for one in space.values())


def _count(searched: Searched) -> float:
    if not isinstance(searched, Range):
        return len(searched)
    return searched.high - searched.low + 1 if searched.whole else inf


def _untried(space: Space, known: Set[str], seed: int) -> dict[str, Value]:
    """Draw a combination that is not known; there is one."""
    rng = random.Random(seed)
    while True:
        found = {key: _drawn(one, rng) for key, one in space.items()}
        if _key(found) not in known:
            return found


def _drawn(searched: Searched, rng: random.Random) -> Value:
    if not isinstance(searched, Range):
        return rng.choice(searched)
    if searched.whole:
        return rng.randint(int(searched.low), int(searched.high))
    return rng.uniform(searched.low, searched.high)


def _key(values: Mapping[str, Value]) -> str:
    return json.dumps(dict(sorted(values.items())))
