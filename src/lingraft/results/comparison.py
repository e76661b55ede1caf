"""What a comparison found, from the files of its folder: means, paired differences, corrected p-values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..core.errors import RunError
from ..core.files import Row, read_object
from ..core.outside import refuse_links
from ..core.shots import Shots, order_of_shots, shots_in
from ..core.written_recipe import read_notes
from .findings import Estimate, formula_of, metrics_of
from .method_schemas import COMPARISON
from .metrics import values_of
from .reach import Reach, reach
from .resampling import RESAMPLES, Floats, resample_jointly
from .run_files import counts_of, read_mark, read_predictions
from .statistics import (
    Difference,
    Ends,
    difference,
    ends_of_difference,
    holm,
    interval_of_groups,
    resamples_for,
    variance_of_groups,
)
from .units import Unit, unit_of

Tested = tuple[str, str, str]
"""Id, group and right answer of a test example."""


Answers = Floats
"""What each answer adds to the sums that the metric is made of: ``[U, N, K]``."""


@dataclass(frozen=True)
class Comparison:
    """What a comparison left in its folder."""

    folder: Path
    about: Row
    methods: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    """Remarks of its recipe, in Markdown."""

    @property
    def reference(self) -> str:
        """What the others are tested against."""
        return str(self.about["reference"])

    @property
    def targets(self) -> list[str]:
        """Target languages, in the order of the recipe; where it is in one language, that one."""
        data = self.about["data"]
        return list(data["target_languages"]) or [str(data["source_language"])]

    @property
    def unit(self) -> Unit:
        """How scores are written."""
        return unit_of(metrics_of(self.about["data"])[0])

    def language(self, code: str) -> str:
        """Return its English name."""
        return str(self.about["data"]["languages"][code]["name"])

    def has(self, method: str, trial: str, language: str) -> bool:
        """Return whether a method was tested in a language."""
        return self._path(method, trial, language).is_file()

    def answers(self, method: str, trials: Sequence[str], language: str) -> tuple[Answers, tuple[Tested, ...]]:
        """Return counts ``[U, N, K]`` in the order of the examples' ids, and what was asked ``[N]``.

        Raises:
            RunError: Two trials were tested on different examples.
        """
        rows = [
            sorted(read_predictions(self._path(method, trial, language)), key=lambda row: str(row["id"]))
            for trial in trials
        ]
        examples = {tuple((str(row["id"]), str(row["group"]), str(row["gold"])) for row in trial) for trial in rows}
        if len(examples) != 1:
            raise RunError(
                f"{self.folder / method}: not all trials were tested on the same {language} examples; delete that "
                "folder and run the comparison again"
            )
        right = np.array([[counts_of(row) for row in trial] for trial in rows])
        return right, examples.pop()

    def _path(self, method: str, trial: str, language: str) -> Path:
        return self.folder / method / "predictions" / trial / f"{language}.jsonl"


@dataclass(frozen=True)
class Result:
    """One row: a method on the trials and languages of its block; ``difference`` is method minus reference."""

    method: Row
    mean: Estimate
    languages: dict[str, Estimate]
    of_trials: dict[str, float]
    """The score of each trial, mean over languages."""
    difference: Difference | None
    p_value: float | None
    reach: Reach | None
    seconds: float
    steps: float | None

    @property
    def name(self) -> str:
        """Of the method."""
        return str(self.method["name"])

    @property
    def worst(self) -> str:
        """The language with the lowest score."""
        return min(self.languages, key=lambda code: self.languages[code].value)


@dataclass(frozen=True)
class Block:
    """Methods that have all the same trials, best first."""

    shots: Shots
    trials: tuple[str, ...]
    languages: tuple[str, ...]
    examples: int
    results: tuple[Result, ...]
    resolution: float
    """How fine the corrected p-values are: the smallest that there can be."""


def read_comparison(folder: Path) -> Comparison:
    """Read the folder of a finished comparison.

    Raises:
        RunError: There is none, or its files are not what a comparison leaves.
    """
    refuse_links(folder)
    read_mark(folder)
    notes = read_notes(folder)
    about = read_object(folder / "comparison.json", COMPARISON)
    if not about:
        raise RunError(f"{folder} is no comparison that came to its end; finish it with: lingraft compare RECIPE")
    return Comparison(folder, about, tuple(about["methods"]), notes)


def blocks(comparison: Comparison) -> list[Block]:
    """Compare, for each number of shots, all methods on what they share, then those with more on what they share."""
    found = []
    possible = [method for method in comparison.methods if method.get("trials")]
    every = {shots_in(trial) for method in possible for trial in method["trials"]}
    for shots in sorted(every, key=order_of_shots):
        trials = {str(m["name"]): {trial for trial in m["trials"] if shots_in(trial) == shots} for m in possible}
        for names, shared in _sharing({name: held for name, held in trials.items() if held}):
            here = [method for method in possible if method["name"] in names]
            found.append(_block(comparison, here, shots, sorted(shared)))
    return found


def _sharing(trials: dict[str, set[str]]) -> Iterator[tuple[set[str], set[str]]]:
    """Yield methods with what all of them have; then those that share more; then those that share nothing."""
    if not trials:
        return
    held = Counter(trial for names in trials.values() for trial in sorted(names))
    most = max(held, key=lambda trial: held[trial])
    here = {name: names for name, names in trials.items() if most in names}
    rest = {name: names for name, names in trials.items() if most not in names}
    shared = set.intersection(*here.values())
    yield set(here), shared
    while len(here := {name: names for name, names in here.items() if len(names) > len(shared)}) > 1:
        if len(more := set.intersection(*here.values())) > len(shared):
            yield set(here), more
        else:
            break
        shared = more
    yield from _sharing(rest)


@dataclass(frozen=True, slots=True)
class _Scores:
    """A method's scores of languages and trials ``[G, U]``, and of languages on resamples ``[G, R]``."""

    reached: Floats
    resampled: Floats
    groups: tuple[int, ...]
    """How many groups of examples were drawn from in each language."""
    ends: Ends | None
    """The lowest and the highest score that there can be."""

    def mean(self) -> Estimate:
        """Return the mean over trials and languages."""
        return self._estimate(self.reached, self.resampled.mean(0), min(self.groups))

    def languages(self) -> list[Estimate]:
        """Return the mean over trials in each language."""
        rows = zip(self.reached, self.resampled, self.groups, strict=True)
        return [self._estimate(*row) for row in rows]

    def _estimate(self, reached: Floats, resampled: Floats, groups: int) -> Estimate:
        # The first draws are enough for an interval, which then does not depend on how many methods there are.
        return Estimate(float(reached.mean()), *interval_of_groups(resampled[:RESAMPLES], groups, self.ends))

    def less(self, other: _Scores) -> Difference:
        """Return the mean less that of another, paired."""
        apart = float(self.reached.mean() - other.reached.mean())
        paired = self.resampled.mean(0) - other.resampled.mean(0)
        return difference(apart, paired, min(self.groups), self.ends)

    def reach(self, other: _Scores, trials: Sequence[str]) -> Reach:
        """Return how far that difference reaches, for these trials."""
        paired, groups = self.resampled.mean(0) - other.resampled.mean(0), min(self.groups)
        of_examples = variance_of_groups(paired, groups, ends_of_difference(self.ends))
        return reach(self.reached - other.reached, trials, of_examples, groups)


def _block(comparison: Comparison, methods: Sequence[Row], shots: Shots, trials: Sequence[str]) -> Block:
    languages = [
        code
        for code in comparison.targets
        if all(comparison.has(str(m["name"]), trial, code) for m in methods for trial in trials)
    ]
    if not languages:
        raise RunError(f"{comparison.folder}: the methods have no target language in common, so there is no table")
    answers = {
        str(m["name"]): [comparison.answers(str(m["name"]), trials, code) for code in languages] for m in methods
    }
    examples = _shared_examples(comparison, answers)
    others = len(methods) - 1 if comparison.reference in answers else 0
    groups = [[group for _, group, _ in tested] for tested in examples]
    drawn, made = resample_jointly(groups, resamples=resamples_for(others)), formula_of(comparison.about["data"])
    tables = {name: [counts for counts, _ in found] for name, found in answers.items()}
    scores = {
        name: _Scores(
            np.array([values_of(made, one) for one in found]),
            np.array([one.metric(made, table) for one, table in zip(drawn, found, strict=True)]),
            tuple(one.groups for one in drawn),
            comparison.unit.ends,
        )
        for name, found in tables.items()
    }
    apart = {
        name: scores[name].less(scores[comparison.reference])
        for name in answers
        if others and name != comparison.reference
    }
    corrected = dict(zip(apart, holm([one.p_value for one in apart.values()]), strict=True))
    results = []
    for method in methods:
        name = str(method["name"])
        beyond = None
        if name in apart:
            beyond = scores[name].reach(scores[comparison.reference], trials)
        results.append(_result(method, scores[name], languages, trials, apart.get(name), corrected.get(name), beyond))
    return Block(
        shots=shots,
        trials=tuple(trials),
        languages=tuple(languages),
        examples=sum(map(len, examples)),
        results=tuple(sorted(results, key=lambda result: -result.mean.value)),
        resolution=max((others * one.resolution for one in apart.values()), default=1.0),
    )


def _shared_examples(
    comparison: Comparison, answers: Mapping[str, Sequence[tuple[Answers, tuple[Tested, ...]]]]
) -> list[tuple[Tested, ...]]:
    """Return what all methods were asked, for each language ``[N]``.

    Raises:
        RunError: Two were asked something else.
    """
    asked = {name: [tested for _, tested in found] for name, found in answers.items()}
    first, examples = next(iter(asked.items()))
    for name, theirs in asked.items():
        if theirs != examples:
            raise RunError(
                f"{comparison.folder}: {name} was tested on other examples, or other right answers, than {first}; the "
                "files of the task have changed in between: delete the folder of the older one"
            )
    return examples


def _result(
    method: Row,
    scores: _Scores,
    languages: Sequence[str],
    trials: Sequence[str],
    apart: Difference | None,
    p_value: float | None,
    beyond: Reach | None,
) -> Result:
    steps = method.get("steps")  # older folders do not have it
    return Result(
        method=method,
        mean=scores.mean(),
        languages=dict(zip(languages, scores.languages(), strict=True)),
        of_trials=dict(zip(trials, map(float, scores.reached.mean(0)), strict=True)),
        difference=apart,
        p_value=p_value,
        reach=beyond,
        seconds=float(np.mean([method["seconds"][trial] for trial in trials])),
        steps=float(np.mean([steps[trial] for trial in trials])) if steps else None,
    )


def shared_languages(comparison: Comparison) -> list[str]:
    """Return the target languages that all trials of all methods were tested in.

    Raises:
        RunError: There is none.
    """
    tried = [(str(method["name"]), trial) for method in comparison.methods for trial in method.get("trials", ())]
    found = [code for code in comparison.targets if all(comparison.has(*one, code) for one in tried)]
    if not found:
        raise RunError(f"{comparison.folder}: the methods have no target language in common, so there is no table")
    return found
