"""Settings chosen on the source language's development data, never on a target's: ``lingraft tune``.

Each combination of settings is a variant of the recipe with a folder and a process of its own, trained without test
sets: none is read, so no choice can have seen one. The recipe's own settings come first, and what is chosen is compared
with them. A search that was stopped goes on with the training it was at.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from ..core.errors import ConfigError, RunError
from ..core.files import announce, locked, read_object, write_json, write_text
from ..core.progress import Advance, Reporter, roughly
from ..core.version import __version__, source_revision
from ..core.yaml_text import as_yaml
from ..recipe.comparison import CompareSettings
from ..recipe.settings import Recipe
from ..recipe.stability import Value
from ..recipe.tuning import Range, Searched, Space, TuneSettings, as_fragment, default_space, own_values
from ..results.pages.experiment_page import write_report
from ..results.pages.tuning_markdown import describe_values, tuning_page
from ..results.pages.tuning_report import tuning_report
from ..results.schemas import DATA, FORMAT
from ..results.tuning import FACTS, PAGE, read_tuning
from ..results.wording import plural
from ..runs.checks import gather_checked
from ..runs.folder import LOCK, open_run_folder, trials_of
from ..training.finished import read_facts
from .cost import estimates
from .methods import Method, make_method
from .processes import Start, start_worker, work
from .tuning_study import Proposal, importance, next_proposal, note, open_study, proposals

if TYPE_CHECKING:
    from optuna import Study

TUNED = "tuned.yaml"
"""The recipe with the settings that were chosen."""

FEWEST_TO_CHOOSE_BY = 50
"""With fewer development examples one answer moves the score by more than most settings do."""

_SHARE = 100
"""What part of the bar a trial is."""


@dataclass(frozen=True)
class Search:
    """What is searched, on which trials of the recipe, and for how long."""

    recipe: Recipe
    asked: TuneSettings
    space: Space

    @property
    def own(self) -> Mapping[str, Value]:
        """The recipe's own settings, as far as they lie in what is searched."""
        return {key: value for key, value in own_values(self.recipe, self.space).items() if value in self.space[key]}

    @property
    def base(self) -> Recipe:
        """The recipe with the trials that settings are judged by: its fewest labels, first draw, first seeds."""
        shots = self.recipe.shots.model_copy(update={"k": self.recipe.shots.ks[0], "draws": 1})
        orders = self.recipe.orders[:1] if self.recipe.orders else None
        none = dict.fromkeys(("compare", "stability", "shot_curve", "source_choice", "tune"))
        trials = {"shots": shots, "orders": orders, "seeds": self.recipe.seeds[: self.asked.seeds]}
        return self.recipe.model_copy(update=none | trials)

    @property
    def about(self) -> dict[str, Any]:
        """What proposals and scores depend on beside the recipe's deciding settings, as plain data."""
        space = {key: one.model_dump() if isinstance(one, Range) else one for key, one in self.space.items()}
        return {"settings": space, "trials": [trial.name for trial in trials_of(self.base)]}

    def variant(self, name: str, values: Mapping[str, Value]) -> tuple[Method, Recipe]:
        """Return a combination of settings as a method, and the recipe of the comparison that it is in.

        Raises:
            ConfigError: The settings do not go together.
        """
        compared = CompareSettings(methods=[], variants={name: as_fragment(values)})
        whole = self.base.model_copy(update={"compare": compared})
        return make_method(name, whole, compared), whole


def tune(
    recipe: Recipe,
    *,
    quiet: bool = False,
    command: str | None = None,
    start: Start = start_worker,
    clock: Callable[[], float] = time.monotonic,
) -> Path:
    """Search settings until the budget is spent, or go on where the search stopped; returns the folder.

    Args:
        recipe: Whose ``tune`` block says what is searched, and for how long.
        quiet: Say nothing but warnings.
        command: What was typed, for the page.
        start: Starts a process that trains one combination of settings.
        clock: Gives the seconds that ``tune.minutes`` are counted by.

    Raises:
        LingraftError: With one clear message; what was finished stays finished.
    """
    reporter, search = Reporter(quiet=quiet), plan_search(recipe)
    output = recipe.output_dir
    with open_run_folder(output, search.base):
        _refuse_other_use(output)
        with open_study(output, search.about) as study:
            _search(search, study, reporter, start, clock)
            _collect(search, study, command)
    return output


def plan_search(recipe: Recipe) -> Search:
    """Return the search that a recipe asks for, once each value of each setting is known to fit the recipe.

    Raises:
        ConfigError: With all that does not.
    """
    asked = recipe.tune or TuneSettings()
    space = asked.settings or default_space(recipe)
    problems = [] if space else ["tune.settings: nothing is trained by gradient, so name the settings to search"]
    if asked.seeds > len(recipe.seeds):
        problems.append(f"tune.seeds: {asked.seeds} are more than the recipe's {plural(len(recipe.seeds), 'seed')}")
    search = Search(recipe, asked, space)
    for key, searched in space.items():
        for value in (searched.low, searched.high) if isinstance(searched, Range) else searched:
            try:
                search.variant("trial", {key: value})
            except ConfigError as error:
                problems += [f"tune.settings, {key} {value!r}: {problem}" for problem in error.problems]
    if problems:
        raise ConfigError(problems)
    return search


def describe_search(recipe: Recipe) -> list[str]:
    """Say what a search would try and how long that takes; nothing is trained.

    Raises:
        LingraftError: The recipe, the data or the checkpoint does not allow it.
    """
    search = plan_search(recipe)
    seconds, most = _seconds(search), _combinations(search)
    trials = search.asked.trials if most is None else min(search.asked.trials, most)
    lines = [f"{key}: {_describe(one)}" for key, one in search.space.items()]
    each = plural(len(trials_of(search.base)), "training")
    lines.append(f"{plural(trials, 'trial')} of {each}, about {roughly(seconds)} each with the recipe's own settings")
    if search.asked.minutes is not None:
        lines.append(f"no further trial begins after {roughly(60 * search.asked.minutes)}")
        trials = min(trials, int(60 * search.asked.minutes // seconds) + 1)
    lines.append(_judged_by(search))
    return [*lines, f"in all about {roughly(trials * seconds)}, and the frozen states, where the cache lacks them"]


def _judged_by(search: Search) -> str:
    """Say how many development examples settings are chosen by, and whether these are too few."""
    materials = gather_checked(search.base)
    said = f"chosen by {plural(len(materials.dev), 'development example')} of {materials.task.source_language}"
    if len(materials.dev) >= FEWEST_TO_CHOOSE_BY:
        return said
    return f"{said}, which can hardly tell settings apart: give a larger development set"


def _combinations(search: Search) -> int | None:
    """Return how many there are to try, the recipe's own among them; None where a range has no end of them."""
    choices = [one for one in search.space.values() if not isinstance(one, Range)]
    if len(choices) < len(search.space):
        return None
    return math.prod(map(len, choices)) + (len(search.own) < len(choices))


def _describe(searched: Any) -> str:
    if not isinstance(searched, Range):
        return f"one of {', '.join(map(str, searched))}"
    return f"{searched.low:g} to {searched.high:g}" + (", on a logarithmic scale" if searched.logarithmic else "")


def _seconds(search: Search) -> float:
    """Return how long the recipe's own settings take, and refuse data and checkpoints that do not suit it."""
    method, whole = search.variant("trial", {})
    return estimates([method], whole, tested=False)[0].seconds


# ---- Searching ---------------------------------------------------------------------------------------


def _refuse_other_use(output: Path) -> None:
    """Refuse the folder of a run or a comparison.

    Raises:
        RunError: It is one.
    """
    methods = (path.parent.name for path in output.glob("*/method.json"))
    if (output / "trials").exists() or any(not name.startswith("trial-") for name in methods):
        raise RunError(
            f"{output} holds a run or a comparison; give the search a folder of its own: output_dir={output}-tuning"
        )


def _search(search: Search, study: Study, reporter: Reporter, start: Start, clock: Callable[[], float]) -> None:
    """Try combinations of settings until the budget is spent, or there are no more."""
    asked, own = search.asked, search.own
    done = _tried(study)
    if _is_spent(search, done):
        return
    reporter.say(f"about {roughly(_seconds(search))} a trial with the recipe's own settings")
    with reporter.task("tuning", asked.trials * _SHARE, counted=False) as advance:
        advance(len(done) * _SHARE)
        while not _is_spent(search, done) and (found := next_proposal(study, search.space, own)):
            place = f"trial {len(done) + 1} of {asked.trials}"
            began = clock()
            score, error = _try(search, found, reporter, advance, start, place)
            facts = {"seconds": clock() - began, "error": error}
            note(study, found, score, **facts, version=__version__, revision=source_revision())
            said = "the recipe's own settings" if found.own else describe_values(found.values)
            reporter.say(f"{found.name}: {f'{score:.4f}' if score is not None else f'failed: {error}'} ({said})")
            done = _tried(study)


def _tried(study: Study) -> list[Proposal]:
    return [one for one in proposals(study) if one.done]


def _is_spent(search: Search, done: list[Proposal]) -> bool:
    minutes = search.asked.minutes
    spent = sum(one.facts.get("seconds", 0.0) for one in done)
    return len(done) >= search.asked.trials or (minutes is not None and spent >= 60 * minutes)


def _try(
    search: Search, proposal: Proposal, reporter: Reporter, advance: Advance, start: Start, place: str
) -> tuple[float | None, str | None]:
    """Train a combination of settings in a process of its own; returns its score, or why it has none."""
    try:
        method, whole = search.variant(proposal.name, {} if proposal.own else proposal.values)
    except ConfigError as wrong:
        return None, "; ".join(wrong.problems)
    folder = method.recipe.output_dir
    if folder.exists():
        with locked(folder / LOCK):  # a search that was killed may have left its process at work
            pass
    announce("create", folder)  # a worker would make a folder that is gone again
    error = work(method, whole, reporter, advance, _SHARE, encode_only=False, start=start, place=place, tested=False)
    if error is not None:
        return None, error
    return fmean(read_facts(folder, trial.name)["dev_score"] for trial in trials_of(method.recipe)), None


# ---- Results -----------------------------------------------------------------------------------------


def _collect(search: Search, study: Study, command: str | None) -> None:
    """Write what was found: ``tuning.json``, the page, and the recipe with the settings that were chosen.

    Raises:
        RunError: Every combination of settings failed.
    """
    output, done = search.recipe.output_dir, _tried(study)
    finished = [one for one in done if one.score is not None]
    if not finished:
        reasons = "; ".join(dict.fromkeys(str(one.facts.get("error")) for one in done))
        raise RunError(f"all {len(done)} combinations of settings failed, so there is nothing to choose: {reasons}")
    own = own_values(search.recipe, search.space)
    facts = {
        "format": FORMAT,
        "data": read_object(output / finished[0].name / "data.json", DATA),
        "settings": {key: _searched(one) for key, one in search.space.items()},
        "units": search.about["trials"],
        "importance": importance(study, search.space),
        "trials": [
            {"name": one.name, "own": one.own, "values": dict(own if one.own else one.values), **one.facts}
            for one in done
        ],
    }
    write_json(output / FACTS, facts)
    found = read_tuning(output)
    best = found.best.values
    write_text(output / TUNED, _tuned(search, {} if found.best.own else best).to_yaml())
    settings = as_yaml(as_fragment(best)).partition("---\n")[2]  # without the version of YAML, which a part has not
    write_text(output / PAGE, tuning_page(found, settings, command=command))
    write_report(tuning_report(found, settings), output, command=command)


def _searched(searched: Searched) -> Any:
    """Return what was searched of a setting as plain data: a list, or a range with its scale."""
    return searched.model_dump() | {"log": searched.logarithmic} if isinstance(searched, Range) else searched


def _tuned(search: Search, values: Mapping[str, Value]) -> Recipe:
    """Return the whole recipe with settings, to be run in a folder beside that of the search."""
    output = search.recipe.output_dir
    method, _ = search.variant("trial", values)
    whole = {name: getattr(search.recipe, name) for name in ("seeds", "orders", "shots")}
    return method.recipe.model_copy(update=whole | {"output_dir": output.parent / f"{output.name or 'tuned'}-run"})
