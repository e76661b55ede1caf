"""How the report says numbers: formats, the headline, what to trust.

Kept apart from the page, because a sentence that claims something deserves tests of its own. A gain
is called a gain only if its interval excludes zero; everything else is said as plainly as a gain.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import ROUND_CEILING, Decimal

from ..core.shots import Shots
from ..core.terminal_text import printable
from .findings import Estimate, Result
from .metrics.calibration import Bin, expected_calibration_error
from .run_files import RunFiles
from .training_history import Conflict, Noticed, Stage, noticed
from .units import MINUS, PERCENT, Unit, unit_of
from .words import Words, words_of

NBSP = "\u00a0"
MANY_NOTICED = 8
POOR_CALIBRATION = 0.1
"""Expected calibration error from which on confidences are no chances."""
FEW_TEXTS = 100
"""Test texts, or pairs, below which an interval is wide whatever happens."""


# --- Numbers ----------------------------------------------------------------------------------------


def score(value: float | None, digits: int = 0, unit: Unit = PERCENT) -> str:
    """Write a value of a metric: ``52 %``, ``0.52``; with a digit more ``51.7 %``, ``0.517``."""
    return "–" if value is None else unit.write(value, digits).replace("-", MINUS).replace(" ", NBSP)


def percent(value: float | None, digits: int = 0) -> str:
    """Write a share: ``52 %``."""
    return score(value, digits)


def percents(first: float, second: float) -> tuple[str, str]:
    """Write two shares with as few digits as tell them apart, up to two: ``40.6 %``, ``40.9 %``."""
    texts = [(percent(first, digits), percent(second, digits)) for digits in range(3)]
    return next((pair for pair in texts if pair[0] != pair[1]), texts[0])


def count(value: float | None) -> str:
    """Write a whole number: ``12,345``."""
    return "–" if value is None else f"{value:,.0f}"


def size(value: float) -> str:
    """Write a large number as it is spoken: ``117.7 M``."""
    for letter, factor in (("G", 1e9), ("M", 1e6)):
        if value >= factor:
            return f"{value / factor:.1f}{NBSP}{letter}"
    return count(value)


def interval(estimate: Estimate | None, digits: int = 0, unit: Unit = PERCENT) -> str:
    """Write the bounds: ``[46, 58]``, ``[0.46, 0.58]``; empty where they are not known."""
    if estimate is None or estimate.low is None or estimate.high is None:
        return ""
    return f"[{unit.number(estimate.low, digits)}, {unit.number(estimate.high, digits)}]".replace("-", MINUS)


def difference(before: float, after: float, digits: int) -> Decimal:
    """Return the difference of two numbers, rounded once, to ``digits`` behind the point.

    The difference of numbers that are rounded already would be off by up to a whole last digit.
    """
    return _said(after - before, digits)


def change(before: float, after: float, digits: int = 0, unit: Unit = PERCENT) -> str:
    """Say the difference of two values, rounded once: ``+28 points``, ``+0.28``."""
    number = unit.apart(before, after, digits).replace("-", MINUS)
    number = f"+{number}" if after > before and float(number) else number
    points = unit.points.removesuffix("s") if number in ("+1", f"{MINUS}1") else unit.points
    return number + points.replace(" ", NBSP)


def digits_of(before: float, after: float) -> int:
    """Return how many digits more tell two values and their difference.

    None, if who subtracts the rounded values finds the rounded difference; else one, for all three.
    """
    return int(_said(100 * after, 0) - _said(100 * before, 0) != difference(100 * before, 100 * after, 0))


def p_value(value: float, resolution: float) -> str:
    """Say a p-value as finely as it is known: ``0.013``; ``< 0.005`` where it is the smallest there can be.

    Args:
        value: The p-value, corrected for how many there are.
        resolution: The smallest that the resamples can give, corrected as well.
    """
    exact = Decimal(resolution)
    step = exact.quantize(Decimal(1).scaleb(exact.adjusted()), ROUND_CEILING).normalize()  # to one digit
    return f"< {step:f}" if value <= resolution else f"{value:.{max(0, -step.adjusted())}f}"


def duration(seconds: float) -> str:
    """Write a time: ``4 min 12 s``."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f}{NBSP}s"
    hours, minutes = whole // 3600, whole % 3600 // 60
    return f"{hours}{NBSP}h {minutes}{NBSP}min" if hours else f"{minutes}{NBSP}min {whole % 60}{NBSP}s"


def plural(number: Shots, noun: str) -> str:
    """Count in words: ``1 draw``, ``3 draws``, ``all draws``."""
    if number == "all":
        return f"all {noun}s"
    return f"{count(number)} {noun}{'' if number == 1 else 's'}"


def _said(value: float, digits: int) -> Decimal:
    """Return a number as it is written with ``digits`` behind the point."""
    return Decimal(f"{value:z.{digits}f}")


# --- Sentences --------------------------------------------------------------------------------------


METRIC_NAMES = {
    "accuracy": "accuracy",
    "macro_f1": "macro-F1",
    "micro_f1": "micro-F1",
    "f1": "F1",
    "exact_match": "exact match",
    "span_f1": "span F1",
    "tag_accuracy": "tag accuracy",
    "spearman": "Spearman correlation",
    "quadratic_kappa": "quadratic kappa",
    "pearson": "Pearson correlation",
    "mean_absolute_error": "mean absolute error, less is better",
}


def metric_name(metric: str) -> str:
    """Return how people call a metric."""
    return METRIC_NAMES.get(metric, metric)


def capital(text: str) -> str:
    """Write with a capital letter first."""
    return text[:1].upper() + text[1:]


def headline(results: Sequence[Result]) -> str:
    """Say what came out, in one line; for several languages, how many of them gained."""
    if not results:
        return "No scores yet"
    if len(results) == 1:
        only = results[0]
        if only.before is None or only.after is None:
            reached = score(only.after.value if only.after else None, unit=unit_of(only.metric))
            return f"{only.name}: {reached} {metric_name(only.metric)}, without a baseline"
        verdict = "" if only.verdict in ("better", "unknown") else f", {_verdict(only)}"
        digits = digits_of(only.before.value, only.after.value)
        before, after = (score(one.value, digits, unit_of(only.metric)) for one in (only.before, only.after))
        return f"{only.name}: {before} → {after} {metric_name(only.metric)}{verdict}"
    better = sum(result.verdict == "better" for result in results)
    worse = [result.name for result in results if result.verdict == "worse"]
    lost = f"; {listed(worse)} lost" if worse else ""
    if not better:
        return f"No clear gain in any of {len(results)} languages{lost}"
    if better == len(results):
        return (
            f"{capital(metric_name(results[0].metric))} rose in {'both' if better == 2 else f'all {better}'} languages"
        )
    return f"{capital(metric_name(results[0].metric))} rose in {better} of {len(results)} languages{lost}"


def _verdict(result: Result) -> str:
    if result.verdict == "unclear":
        return "no clear gain" if result.gain is not None and result.gain.value > 0 else "no gain"
    return {"better": "a gain", "worse": "a loss"}.get(result.verdict, "difference")


def _describe_counts(result: Result) -> str:
    """Say how many are right, where that is what the score of one trial counts and no interval says more."""
    if result.verdict != "unclear" or result.metric not in COUNTED or len(result.draw_means) * result.seeds != 1:
        return ""
    right = [result.n * one.value for one in (result.before, result.after) if one is not None]
    old, new = map(round, right)
    if not (math.isclose(old, right[0], abs_tol=1e-6) and math.isclose(new, right[1], abs_tol=1e-6)):
        return ""  # not every example counts as one
    numbers = count(new) if old == new else f"{count(old)} → {count(new)}"
    return f"; {numbers} of {count(result.n)} right"


COUNTED = ("accuracy", "exact_match")
"""Metrics that are shares of right answers."""


def sentence(result: Result) -> str:
    """Say the result of one language, with its interval, its test texts and the comparison with the frozen head."""
    if result.after is None:
        return f"{result.name}: no score of the adapted model."
    digits, unit = _digits(result), unit_of(result.metric)
    before = f"{score(result.before.value, digits, unit)} → " if result.before is not None else ""
    reached = f"{before}{score(result.after.value, digits, unit)} {metric_name(result.metric)}"
    bounds = interval(result.after, digits, unit)
    return " ".join(filter(None, [f"{result.name}: {reached}", bounds, _measured(result)]))


def particulars(result: Result) -> str:
    """Say of the result of one language what :func:`headline` leaves out."""
    if result.after is None:
        return "There is no score of the adapted model."
    bounds = interval(result.after, _digits(result), unit_of(result.metric))
    return " ".join([f"95 % interval {bounds}", _measured(result)]) if bounds else capital(_measured(result))


def _digits(result: Result) -> int:
    """Return how many digits more the scores of a result have."""
    return digits_of(result.before.value, result.after.value) if result.before and result.after else 0


def _measured(result: Result) -> str:
    on = f"on {plural(result.n, result.words.example)} never seen in training"
    if result.before is None:
        return f"{on}; there is no baseline to compare with."
    return f"{on}{_compared(result)}{_over_instant(result)}."


def describe_gain(result: Result) -> str:
    """Write the gain with its interval, from the numbers of :func:`sentence`: ``+28 points [21, 35]``."""
    if result.before is None or result.after is None:
        return ""
    ends = (result.before.value, result.after.value)
    digits, unit = digits_of(*ends), unit_of(result.metric)
    return " ".join(filter(None, [change(*ends, digits, unit), interval(result.gain, digits, unit)]))


def _compared(result: Result) -> str:
    if result.gain is None:
        return ""
    difference = describe_gain(result)
    if result.verdict == "better":
        return f": {difference} over the frozen head"
    if result.verdict == "worse":
        return f": worse than the frozen head ({difference})"
    than = "no clear gain over" if result.gain.value > 0 else "no better than"
    return f": {than} the frozen head ({difference}{_describe_counts(result)})"


def _over_instant(result: Result) -> str:
    """Say what closed form alone gives, and whether training gave more; empty where that was not computed."""
    instant, after, gain = result.instant, result.after, result.over_instant
    if instant is None or after is None or gain is None:
        return ""
    digits, unit = digits_of(instant.value, after.value), unit_of(result.metric)
    alone = " ".join(filter(None, [score(instant.value, digits, unit), interval(instant, digits, unit)]))
    more = " ".join(filter(None, [change(instant.value, after.value, digits, unit), interval(gain, digits, unit)]))
    clear = gain.low is None or gain.low > 0 or (gain.high is not None and gain.high < 0)
    return f"; in closed form alone {alone}, to which training {'adds' if clear else 'adds nothing clear:'} {more}"


def trust(result: Result) -> str:
    """Say how far the number depends on draws and seeds, which its interval does not say."""
    draws = result.draw_means
    if not draws:
        return ""
    if len(draws) * result.seeds == 1:
        return (
            f"One draw of {labelled_shots(result)} and one seed: other examples or another seed would give "
            "another number, and nothing here says how different."
        )
    over = f"Mean over {plural(len(draws), 'draw')} × {plural(result.seeds, 'seed')} at {labelled_shots(result)}"
    digits, unit = _digits(result), unit_of(result.metric)
    if result.saved is not None and result.after is not None:
        over += f"; the saved trial, which predictions come from, reached {score(result.saved, digits, unit)}"
    if len(draws) == 1:
        return f"{over}. One draw does not tell how much the choice of examples matters."
    worst, best = (score(draw, digits, unit) for draw in (min(draws), max(draws)))
    return f"{over}; the worst draw reached {worst}, the best {best}."


def labelled_shots(result: Result) -> str:
    """Say how much was labelled in the language of a result."""
    return "no shots" if result.shots == 0 else describe_shots(result.shots, result.words)


def describe_shots(shots: Shots, words: Words) -> str:
    """Say how much was labelled: ``5 shots per label``; ``all shots``, however many of each there are."""
    return plural(shots, words.labelled) + ("" if shots == "all" else words.per)


def describe_confidence(bins: Sequence[Bin]) -> str:
    """Say whether the adapted model is surer than it should be, or less sure; empty without predictions."""
    total = sum(part.count for part in bins)
    if not total:
        return ""
    sure = sum(part.confidence * part.count for part in bins) / total
    right = sum(part.accuracy * part.count for part in bins) / total
    numbers = f"it says {percent(sure)} where {percent(right)} are right"
    if abs(sure - right) >= 0.03:
        return f"Too {'sure' if sure > right else 'cautious'}: {numbers}"
    off = expected_calibration_error(bins) or 0.0
    if off > POOR_CALIBRATION:
        return f"Too sure of some and too cautious of others: {100 * off:.0f} points off on average; in all, {numbers}"
    return f"About as sure as it is right: {numbers}"


def listed(names: Sequence[str]) -> str:
    """List things: ``A``, ``A and B``, ``A, B and C``."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


FEW_GROUPS = 10
"""From fewer, an interval is rough: the resamples have too few different ones to be drawn from."""


def describe_few(groups: int, noun: str) -> str:
    """Say that an interval rests on few groups of examples, or that one alone gives none; empty where there are enough.

    Args:
        groups: How many there are.
        noun: What one is called.
    """
    if groups == 1:
        return f"no interval: all that is scored is one {noun}, which says nothing of how another would have scored"
    if groups >= FEW_GROUPS:
        return ""
    return f"the intervals come from {groups} {noun}s only; from fewer than {FEW_GROUPS} they are mostly too narrow"


# --- Training ---------------------------------------------------------------------------------------


CHOSEN = {"head_strength": "the head's strength, its temperature", "threshold": "the head's threshold"}
"""What is chosen on development data, by the fact of a trial that has it."""


def describe_development(run: RunFiles) -> str:
    """Say what the development texts were used for besides their score; empty where for nothing."""
    number = run.data.get("languages", {}).get(run.source_language, {}).get("texts", {}).get("dev")
    trials = run.summary.get("trials", {}).values()
    chosen = [words for fact, words in CHOSEN.items() if any(trial.get(fact) is not None for trial in trials)]
    if chosen:
        shared = capital(f"{', '.join(chosen)} and the choice of the trial share")
    elif len(trials) > 1:
        shared = "The choice of the trial uses"
    else:
        return ""
    texts = plural(number, f"development {words_of(run.data).example}") if number else "development set"
    return f"{shared} the same {texts}, so the development score is optimistic; the test scores are not touched by it."


def describe_parameters(stages: Sequence[Stage]) -> str:
    """Say when what was trained: ``epochs 1–2: head; 3–6: head, prompt, adapter``."""
    texts = [f"{span(stage.epochs)}: {', '.join(map(printable, stage.trained))}" for stage in stages]
    return f"epoch{'' if stages[-1].epochs[1] == stages[0].epochs[0] else 's'} {'; '.join(texts)}" if stages else ""


def span(ends: tuple[int, int]) -> str:
    """Write epochs: ``3`` or ``3–6``."""
    first, last = ends
    return f"{first:,}" if first == last else f"{first:,}–{last:,}"


def describe_conflict(conflict: Conflict) -> str:
    """Say whether task and alignment want the same of the parameters they share."""
    verdict = {
        "fight": "Task and alignment fight: what lowers the loss of one tends to raise that of the other",
        "orthogonal": "Task and alignment hardly touch each other: their gradients are about orthogonal",
        "help": "Task and alignment help each other: what lowers the loss of one tends to lower that of the other",
    }[conflict.verdict]
    cosine = f"{conflict.cosine:+.2f}".replace("-", MINUS)
    size = (
        "" if conflict.ratio is None else f"; alignment's gradient is {conflict.ratio:.2g} times the size of the task's"
    )
    return f"{verdict} (cosine {cosine} on average){size}."


def training_warnings(run: RunFiles) -> list[str]:
    """Return what the trials warned of, each warning once, those of the saved trial first."""
    found = noticed(run.trials, run.selected_trial)
    texts = [_describe_noticed(one, len(run.trials)) for one in found[:MANY_NOTICED]]
    more = len(found) - len(texts)
    return texts + ([f"{plural(more, 'more warning')} in training.jsonl."] if more else [])


def _describe_noticed(one: Noticed, trials: int) -> str:
    epochs = f"epoch{'' if one.epochs[0] == one.epochs[1] else 's'} {span(one.epochs)}"
    where = f"in {one.trials} of {trials} trials, first in {one.trial}, {epochs}" if trials > 1 else epochs
    return f"{capital(printable(one.text)).rstrip('.')} ({where})."
