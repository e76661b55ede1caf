"""What a run found out, as numbers: means and intervals, gains, mistakes, confusions, calibration.

Between the files of a run and the sentences and pictures of its report. A mean over draws and seeds
gets the bootstrap interval of *that mean*: test examples are drawn once for all trials, so the
interval says how far the number depends on which texts happened to be in the test set. How far it
depends on which shots were drawn is said apart, by the range over draws.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

import numpy as np

from ..core.errors import RunError
from ..core.files import Row
from ..core.records import Score
from ..core.shots import Shots, order_of_shots
from .metrics import Formula, OfExamples, formula, formulas
from .metrics.calibration import Bin, calibration_bins
from .resampling import Floats, resample
from .run_files import COLUMNS, RunFiles, counts_of, is_right, share_right, trial_of
from .statistics import Ends, ends_of_difference, interval_of_groups
from .units import CORRELATIONS, unit_of
from .words import NEUTRAL, Words, words_of

BEFORE, INSTANT, AFTER = "frozen-head", "instant", "lingraft"
Verdict = Literal["better", "unclear", "worse", "unknown"]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its 95 % interval, where one is known."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """One language at one number of shots, before and after adaptation; means over draws and seeds."""

    language: str
    name: str
    shots: Shots
    before: Estimate | None
    after: Estimate | None
    gain: Estimate | None
    """Of ``after`` over ``before``."""
    second_before: float | None
    """The run's second metric (macro-F1, for classification), as the first; None without one."""
    second_after: float | None
    draw_means: tuple[float, ...]
    seeds: int
    n: int
    majority: float | None
    metric: str = "accuracy"
    """What ``before``, ``after`` and ``gain`` are."""
    context_language: str | None = None
    """Of the contexts of questions, where that differs."""
    saved: float | None = None
    """What the saved trial reached, which ``predict`` and ``evaluate`` use; None where it is not among several."""
    words: Words = NEUTRAL
    """What an example and a shot are called."""
    instant: Estimate | None = None
    """In closed form, before any training; None where the run has no map, or is no more than that."""
    over_instant: Estimate | None = None
    """The gain of ``after`` over ``instant``."""

    @property
    def verdict(self) -> Verdict:
        """Whether adaptation helped; ``unclear`` where the data cannot tell."""
        if self.before is None or self.after is None or self.gain is None:
            return "unknown"
        if self.gain.low is not None and self.gain.high is not None:
            return "better" if self.gain.low > 0 else "worse" if self.gain.high < 0 else "unclear"
        if _above(self.after, self.before):
            return "better"
        return "worse" if _above(self.before, self.after) else "unclear"


def _above(upper: Estimate, lower: Estimate) -> bool:
    """Return whether the first interval lies wholly above the second; false where one is not known."""
    return upper.low is not None and lower.high is not None and upper.low > lower.high


# --- Scores -----------------------------------------------------------------------------------------


def metrics_of(data: Row) -> list[str]:
    """Return the metrics of a task by the content of ``data.json``, the one that counts first."""
    return list(_formulas(data))


def formula_of(data: Row) -> Formula:
    """Return what makes the metric that counts, by the content of ``data.json``.

    Raises:
        RunError: Its formula is not known here, or takes other counts than predictions have, which its use shows.
    """
    metric, name = next(iter(_formulas(data).items()))
    if name not in formulas:
        raise RunError(
            f"data.json: {metric} is made by the formula {name!r}, which is not known here (known: "
            f"{', '.join(formulas)}); install the package that registers it under {formulas.group}"
        )
    made = formula(name)

    def refused(of_counts: Callable[..., Floats]) -> Callable[..., Floats]:
        def of(*given: Floats) -> Floats:
            try:
                return of_counts(*given)
            except (ValueError, IndexError):  # the counts lie in other files than the formula's name
                raise RunError(
                    f"data.json: {metric} is made by the formula {name!r}, which takes other counts than the "
                    f"{given[-1].shape[-1]} of each prediction; run the recipe again, into another folder"
                ) from None

        return of

    return OfExamples(refused(made.made)) if isinstance(made, OfExamples) else refused(made)


def _formulas(data: Row) -> Mapping[str, str]:
    """Return the formula of each metric, by its name."""
    found = data.get("metrics") or {"accuracy": "mean", "macro_f1": "macro_f1"}
    if not isinstance(found, Mapping):
        raise RunError(
            f"data.json: metrics: expected {{name: formula}}, found {found!r}; an older version wrote it: run "
            "the recipe again, into another folder"
        )
    return found


def results(run: RunFiles) -> list[Result]:
    """Return results in the order of the run's languages, then of shots."""
    found = []
    for language in run.languages:
        here = [score for score in run.scores if score.language == language]
        for context in dict.fromkeys(score.context_language for score in here):
            about = [score for score in here if score.context_language == context]
            for shots in sorted({score.shots for score in about}, key=order_of_shots):
                found.append(_result(run, language, context, shots, [score for score in about if score.shots == shots]))
    return found


def _result(run: RunFiles, language: str, context: str | None, shots: Shots, scores: Sequence[Score]) -> Result:
    main, *more = metrics_of(run.data)
    second = more[0] if more else ""
    before, instant, after = (_of(scores, method, main) for method in (BEFORE, INSTANT, AFTER))
    aligned = _aligned(run, language, context, sorted({trial_of(score) for score in after}))
    resampled, groups, ends = *_resampled(aligned, formula_of(run.data)), unit_of(main).ends
    draws = sorted({score.draw for score in after})
    return Result(
        language=language,
        name=run.name(language) if context in (None, language) else f"{run.name(language)} about {run.name(context)}",
        shots=shots,
        before=_estimate(before, resampled.get("before"), groups, ends),
        instant=_estimate(instant, resampled.get("instant"), groups, ends),
        after=_estimate(after, resampled.get("after"), groups, ends),
        gain=_gain(before, after, _apart(resampled, "before"), groups, ends),
        over_instant=_gain(instant, after, _apart(resampled, "instant"), groups, ends),
        second_before=_mean(_of(scores, BEFORE, second)),
        second_after=_mean(_of(scores, AFTER, second)),
        draw_means=tuple(fmean(score.value for score in after if score.draw == draw) for draw in draws),
        seeds=len({(score.seed, score.order) for score in after}),
        n=min((score.n for score in after or scores), default=0),
        majority=_majority(aligned, main) if has_classes(run.data) else None,
        metric=main,
        context_language=context,
        saved=_saved(run, after),
        words=words_of(run.data),
    )


def _saved(run: RunFiles, scores: Sequence[Score]) -> float | None:
    """Return the score of the saved trial, where the mean is over others too."""
    found = [score.value for score in scores if trial_of(score) == run.selected_trial]
    return found[0] if found and len(scores) > 1 else None


def mean_of_trials(run: RunFiles, one: Score) -> float | None:
    """Return the mean over a run's trials that ``one``, of the saved trial, is among.

    None where there is one trial alone, or ``one`` is not of the examples that the run was scored on.
    """
    like = ("method", "language", "context_language", "metric", "shots", "n")
    same = [score for score in run.scores if all(getattr(score, name) == getattr(one, name) for name in like)]
    return fmean(score.value for score in same) if len(same) > 1 else None


def _of(scores: Sequence[Score], method: str, metric: str) -> list[Score]:
    return [score for score in scores if score.method == method and score.metric == metric]


def _mean(scores: Sequence[Score]) -> float | None:
    return fmean(score.value for score in scores) if scores else None


def _aligned(run: RunFiles, language: str, context: str | None, trials: Sequence[str]) -> list[list[Row]]:
    """Return predictions ``[U, N]`` of the same examples in the same order; empty where trials differ in examples."""
    rows = [sorted(answers_of(run, trial, language, context), key=lambda row: str(row["id"])) for trial in trials]
    identifiers = {tuple(row["id"] for row in trial) for trial in rows}
    return rows if len(identifiers) == 1 and rows[0] else []


def answers_of(run: RunFiles, trial: str, language: str, context: str | None) -> list[Row]:
    """Return predictions in a language; questions in it about contexts in another are in the file of one of the two.

    Args:
        run: The files of a run.
        trial: Its name.
        language: Of the questions, or texts.
        context: Language of the contexts, where that is another.
    """
    if context is None:
        return run.predictions(trial, language)
    rows = [row for name in dict.fromkeys((language, context)) for row in run.predictions(trial, name)]
    return [r for r in rows if (r.get("language", language), r.get("context_language", context)) == (language, context)]


def _resampled(aligned: list[list[Row]], made: Formula) -> tuple[dict[str, Floats], int]:
    """Return the metric of each of :data:`COLUMNS` on each resample, ``[R]``, as far as there are predictions.

    Returns:
        That, and how many groups of examples are drawn from.
    """
    if not aligned:
        return {}, 0
    groups = [str(row.get("group", row["id"])) for row in aligned[0]]
    if len(set(groups)) == 1:  # every resample would be the same
        return {}, 1
    drawn = resample(groups if len(set(groups)) < len(groups) else len(groups))
    found = {
        when: drawn.metric(made, np.array([[counts_of(row, when) for row in trial] for trial in aligned]))  # [U, N, K]
        for when, start in COLUMNS.items()
        if f"{start}counts" in aligned[0][0]
    }
    return found, drawn.groups


def _apart(resampled: Mapping[str, Floats], when: str) -> Floats | None:
    """Return what is after less ``when`` on each resample, ``[R]``; None where predictions are missing."""
    return resampled["after"] - resampled[when] if when in resampled else None


def _estimate(scores: Sequence[Score], resampled: Floats | None, groups: int, ends: Ends | None) -> Estimate | None:
    """Return the mean over trials; the interval comes from the score if there is one trial, else from predictions."""
    value = _mean(scores)
    if value is None:
        return None
    bounds = [(score.low, score.high) for score in scores if score.low is not None and score.high is not None]
    if len(scores) == 1 and bounds:
        return Estimate(value, *bounds[0])
    if resampled is not None:
        return Estimate(value, *interval_of_groups(resampled, groups, ends))
    if len(bounds) == len(scores):  # cautious: a mean over trials varies less than one trial does
        return Estimate(value, fmean(low for low, _ in bounds), fmean(high for _, high in bounds))
    return Estimate(value)


def _gain(
    before: Sequence[Score], after: Sequence[Score], apart: Floats | None, groups: int, ends: Ends | None
) -> Estimate | None:
    """Return after minus before, paired by example.

    Args:
        before: Scores of each trial.
        after: As many.
        apart: The difference on each resample.
        groups: How many groups of examples were drawn from.
        ends: The lowest and the highest value of the metric.
    """
    old, new = _mean(before), _mean(after)
    if old is None or new is None:
        return None
    if apart is None:
        return Estimate(new - old)
    return Estimate(new - old, *interval_of_groups(apart, groups, ends_of_difference(ends)))


def has_classes(data: Row) -> bool:
    """Return whether every example has one of the task's classes, which may be confused, by ``data.json``."""
    return bool(data.get("classes"))


def _majority(aligned: list[list[Row]], metric: str) -> float | None:
    return score_of_majority([str(row["gold"]) for row in aligned[0]], metric) if aligned else None


def score_of_majority(gold: Sequence[str], metric: str) -> float:
    """Return what always answering the most frequent of some labels scores: a correlation has 0 of it."""
    return 0.0 if metric in CORRELATIONS else Counter(gold).most_common(1)[0][1] / len(gold)


# --- Predictions ------------------------------------------------------------------------------------


def mistakes(predictions: Sequence[Row], limit: int = 12) -> list[Row]:
    """Return the wrong predictions the model was surest of, of equally sure ones those that are least right."""

    def place(row: Row) -> tuple[float, float, str]:
        return -float(row.get("confidence") or 0), share_right(row), str(row["id"])

    return sorted((row for row in predictions if not is_right(row)), key=place)[:limit]


def confusion(predictions: Sequence[Row], labels: Sequence[str], column: str = "value") -> list[list[int]]:
    """Return counts ``[gold, predicted]`` in the order of the labels."""
    counts = Counter((str(row["gold"]), row[column]) for row in predictions)
    return [[counts[gold, predicted] for predicted in labels] for gold in labels]


def most_confused(counts: Sequence[Sequence[int]], most: int) -> list[int]:
    """Return the numbers of the classes that are most often in mistakes, gold or predicted, in their order.

    Args:
        counts: ``[gold, predicted]``.
        most: Classes at most.
    """
    mistakes = [
        sum(gold) + sum(predicted) - 2 * gold[number]
        for number, (gold, predicted) in enumerate(zip(counts, zip(*counts, strict=True), strict=True))
    ]
    return sorted(sorted(range(len(counts)), key=lambda number: -mistakes[number])[:most])


def labels_of(predictions: Sequence[Row], declared: Sequence[str]) -> list[str]:
    """Return the declared labels in their order, then those that only the predictions know."""
    columns = ("gold", "value", "before", "instant")
    seen = {str(row[key]) for row in predictions for key in columns if row.get(key) is not None}
    return [*declared, *sorted(seen - set(declared))]


def reliability(predictions: Sequence[Row], when: str) -> list[Bin]:
    """Return the bins of the confidence ``before``, ``instant`` or ``after``, of the predictions that have one."""
    column = f"{COLUMNS[when]}confidence"
    confident = [row for row in predictions if row.get(column) is not None]
    return calibration_bins([float(row[column]) for row in confident], [share_right(row, when) for row in confident])


# --- States -----------------------------------------------------------------------------------------

Points = Sequence[Sequence[float]]


def pair_distance(source: Points, target: Points) -> float | None:
    """Return the mean distance of translations over that of any two sentences across languages; 1 means unaligned."""
    if not source or len(source) != len(target):
        return None
    apart = np.linalg.norm(np.asarray(source)[:, None] - np.asarray(target)[None], axis=-1)  # [N, N]
    everything = float(apart.mean())
    return float(np.diag(apart).mean()) / everything if everything > 0 else None
