"""Charts of experiments: intervals, curves with bands, what the spread comes from, and all trials in one line.

A chart is as wide as a phone, so that its text is never scaled down; names stand above what they name, however long
they are. :mod:`lingraft.results.drawing` says how charts are drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import log1p

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from .drawing import ACCENT, AFTER, BEFORE, INK, LINE, MUTED, THIRD, as_svg, new_axes, new_figure, write_label
from .experiment_tables import describe_factors
from .findings import Estimate
from .trial_variance import Component
from .units import PERCENT, Unit

WIDTH = 335.0
"""Pixels: a phone's 375, without the margins of the page."""
ROW = 44.0
LETTER = 6.6
"""Pixels of a letter, of which the longest name is made."""


# ---- Intervals -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Bar:
    """A score with its whiskers, and the trials that it is the mean of."""

    name: str
    estimate: Estimate
    trials: Sequence[float] = field(default=())


@as_svg
def intervals(
    bars: Sequence[Bar], reference: str, said: str, always: float | None = None, unit: Unit = PERCENT
) -> Figure:
    """Draw a dot with whiskers for each of some methods, the reference in colour, trials as small dots.

    Args:
        bars: From top to bottom.
        reference: The name of the method that the others are compared with.
        said: What is drawn, for who cannot see it.
        always: The score of always giving the most frequent class.
        unit: Of scores.
    """
    figure = new_figure(WIDTH, ROW * len(bars) + 34, said)
    axes = new_axes(figure, left=6, right=12, top=4, bottom=30)
    ends = [end for bar in bars for end in (bar.estimate.low, bar.estimate.high, bar.estimate.value, *bar.trials)]
    _score_axis(axes, [end for end in ends if end is not None] + ([] if always is None else [always]), unit)
    axes.set_ylim(len(bars) - 0.5, -0.5)
    for row, bar in enumerate(bars):
        colour, ink = (AFTER, AFTER) if bar.name == reference else (BEFORE, INK)
        name_row(axes, row, bar.name, unit.number(bar.estimate.value, 1), ink)
        height = row + 0.1
        if always is not None:  # below the names, which it would cross
            axes.plot([always] * 2, [height - 0.12, height + 0.28], color=MUTED, linewidth=1, dashes=(2, 2))
        axes.plot(bar.trials, [height + 0.19] * len(bar.trials), "o", color=colour, markersize=3.4, alpha=0.6,
                  markeredgewidth=0)  # fmt: skip
        if bar.estimate.low is not None and bar.estimate.high is not None:
            axes.plot([bar.estimate.low, bar.estimate.high], [height] * 2, color=colour, linewidth=2)
            axes.plot([bar.estimate.low, bar.estimate.high], [height] * 2, "|", color=colour, markersize=8)
        axes.plot([bar.estimate.value], [height], "o", color=colour, markersize=8)
    return figure


def _score_axis(axes: Axes, ends: Sequence[float], unit: Unit) -> None:
    """Let an axis hold some scores, with a line down from each round number."""
    low, high = min(ends), max(ends)
    room = 0.04 * (high - low) or 0.01
    axes.set_xlim(low - room, high + room)
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(unit.tick)
    axes.grid(axis="x", linewidth=0.8)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)


def name_row(axes: Axes, row: float, name: str, value: str, ink: str) -> None:
    """Write a name over a row at the left, and what it comes to at the right."""
    left, right = axes.get_xlim()
    room = int((WIDTH - 40) / LETTER) - len(value)
    shown = name if len(name) <= room else name[: room - 1] + "…"
    write_label(axes, shown, left, row - 0.22, color=ink, size=12)
    write_label(axes, value, right, row - 0.22, ha="right", color=ink, weight="bold")


# ---- Curves ----------------------------------------------------------------------------------------

Points = Mapping[int, Estimate]


@as_svg
def learning_curve(
    name: str, points: Points, reference: str, beside: Points, frame: Sequence[float], unit: Unit = PERCENT
) -> Figure:
    """Draw a method's scores by number of labels, on a scale of log(1 + k), with bands, before those of the reference.

    Args:
        name: Of the method.
        points: Its scores.
        reference: The name of the method that it is compared with; of the method itself where it is that.
        beside: Scores of the reference.
        frame: Scores that must fit in, the same for charts to compare.
        unit: Of scores.
    """
    figure = new_figure(WIDTH, 210, f"{name} by number of labels, with 95 % intervals")
    axes = new_axes(figure, left=34, right=14, top=10, bottom=28)
    drawn = [(points, BEFORE if name != reference else AFTER)] + ([(beside, AFTER)] if name != reference else [])
    for curve, colour in drawn:
        across = [log1p(shots) for shots in curve]
        known = [one for one in curve.values() if one.low is not None]
        if len(known) == len(curve):
            ends = [one.low or 0.0 for one in known], [one.high or 0.0 for one in known]
            axes.fill_between(across, *ends, color=colour, alpha=0.22, linewidth=0)
        axes.plot(across, [one.value for one in curve.values()], "o-", color=colour, linewidth=2, markersize=5)
    shots = sorted({*points, *beside})
    axes.set_xticks([log1p(number) for number in shots], list(map(str, shots)))
    low, high = min(frame), max(frame)
    axes.set_ylim(low - 0.03 * (high - low or 1), high + 0.03 * (high - low or 1))
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(unit.tick)
    axes.grid(axis="y", linewidth=0.8)
    return figure


# ---- What the spread comes from --------------------------------------------------------------------

CAUSES: Mapping[tuple[str, ...], str] = {("draw",): AFTER, ("seed",): ACCENT, ("order",): THIRD}
"""The colour of each factor; what several do together is grey."""


@as_svg
def spread_bars(rows: Sequence[tuple[str, float, Sequence[Component]]], said: str, unit: Unit = PERCENT) -> Figure:
    """Draw a bar as long as each method's standard deviation, divided by the shares of what it comes from.

    Args:
        rows: Name, standard deviation of a trial, and its components.
        said: What is drawn, for who cannot see it.
        unit: Of scores.
    """
    there = {part.factors for _, _, parts in rows for part in parts}
    legend = [(describe_factors(factors), colour) for factors, colour in CAUSES.items() if factors in there]
    legend += [("several together", BEFORE)] if there - CAUSES.keys() else []
    figure = new_figure(WIDTH, ROW * len(rows) + 58, said)
    axes = new_axes(figure, left=6, right=12, top=26, bottom=30)
    longest = max((deviation for _, deviation, _ in rows), default=0.0) or 0.01
    _score_axis(axes, [0, longest], unit)
    axes.set_xlim(0, longest * 1.02)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    for row, (name, deviation, parts) in enumerate(rows):
        name_row(axes, row, name, unit.number(deviation, 2), INK)
        left = 0.0
        for part in parts:
            width = deviation * part.share
            colour = CAUSES.get(part.factors, BEFORE)
            axes.add_patch(Rectangle((left, row + 0.02), width, 0.36, facecolor=colour, edgecolor="none"))
            left += width
    at, height = 6.0, ROW * len(rows) + 58
    for text, colour in legend:
        ink = MUTED if colour == BEFORE else colour
        figure.text(at / WIDTH, 1 - 10 / height, f"■ {text}", color=ink, fontsize=11, va="center")
        at += 7.0 * len(text) + 24
    return figure


# ---- All trials ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Placed:
    """The score of a trial, and what it was made of: method, shots, draw, seed, order."""

    score: float
    made_of: Mapping[str, str]


@as_svg
def specification_curve(trials: Sequence[Placed], reference: str, said: str, unit: Unit = PERCENT) -> Figure:
    """Draw all trials sorted by score, and below them what each was made of (Simonsohn et al., 2020).

    Args:
        trials: In any order.
        reference: The method in colour.
        said: What is drawn, for who cannot see it.
        unit: Of scores.
    """
    placed = sorted(trials, key=lambda trial: trial.score)
    rows = _choices(placed)
    curve, line = 130.0, 30.0
    height = curve + line * len(rows) + 14
    figure = new_figure(WIDTH, height, said)
    colours = [AFTER if trial.made_of["method"] == reference else BEFORE for trial in placed]
    top = new_axes(figure, left=34, right=14, top=8, bottom=height - curve)
    top.scatter(range(len(placed)), [trial.score for trial in placed], s=_size(placed), c=colours, linewidths=0)
    top.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    top.yaxis.set_major_formatter(unit.tick)
    top.grid(axis="y", linewidth=0.8)
    below = new_axes(figure, left=34, right=14, top=curve + 8, bottom=6)
    below.set_ylim(len(rows) - 0.5, -0.5)
    for axes in (top, below):
        axes.set_xlim(-0.7, len(placed) - 0.3)
        axes.set_xticks([])
    below.set_yticks([])
    for spine in below.spines.values():
        spine.set_visible(False)
    for row, (factor, value) in enumerate(rows):
        has = [at for at, trial in enumerate(placed) if trial.made_of.get(factor) == value]
        chosen = AFTER if (factor, value) == ("method", reference) else BEFORE
        below.plot([-0.7, len(placed) - 0.3], [row + 0.22] * 2, color=LINE, linewidth=0.8)
        below.plot(has, [row + 0.22] * len(has), "|", color=chosen, markersize=9, markeredgewidth=_width(placed))
        named = value if factor == "method" else f"{factor} {value}"
        room = int((WIDTH - 40) / LETTER)
        shown = named if len(named) <= room else named[: room - 1] + "…"
        write_label(below, shown, -0.7, row - 0.18, color=chosen if chosen == AFTER else MUTED, size=11)
    return figure


def _choices(placed: Sequence[Placed]) -> list[tuple[str, str]]:
    """Return each value of what differs between trials: methods by their best trial, others in their order."""
    values: dict[str, list[str]] = {}
    for trial in reversed(placed):
        for factor, value in trial.made_of.items():
            values.setdefault(factor, [])
            values[factor] += [value] if value not in values[factor] else []
    found = []
    for factor in ("method", "shots", "draw", "seed", "order"):
        several = values.get(factor, [])
        found += [(factor, value) for value in (several if factor == "method" else sorted(several, key=_number))]
    return [(factor, value) for factor, value in found if len(values[factor]) > 1]


def _number(value: str) -> float:
    return float(value) if value.isdigit() else float("inf")


def _size(placed: Sequence[Placed]) -> float:
    """Return the area of a dot, so that those side by side touch at most."""
    return min(36.0, max(5.0, ((WIDTH - 48) / max(1, len(placed))) ** 2))


def _width(placed: Sequence[Placed]) -> float:
    return min(2.5, max(0.8, 0.6 * (WIDTH - 48) / max(1, len(placed))))
