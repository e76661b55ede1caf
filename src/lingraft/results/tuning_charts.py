"""Charts of a search of settings: trials sorted, the best so far, which settings matter, and what each value gave."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from math import ceil, floor, log10

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from .drawing import ACCENT, AFTER, BEFORE, INK, MUTED, as_svg, new_axes, new_figure
from .experiment_charts import ROW, WIDTH, name_row
from .findings import Estimate
from .units import PERCENT, Unit

HIGH = 190.0
"""Pixels of a chart that has no rows."""


@as_svg
def sorted_trials(scores: Sequence[Estimate], own: int | None, said: str, unit: Unit = PERCENT) -> Figure:
    """Draw trials with their intervals side by side, the best at the left.

    Args:
        scores: The best first.
        own: Which of them is of the recipe's own settings, in colour, with a line at its score.
        said: What is drawn, for who cannot see it.
        unit: Of scores.
    """
    figure = new_figure(WIDTH, HIGH, said)
    axes = new_axes(figure, left=34, right=14, top=10, bottom=14)
    ends = [end for one in scores for end in (one.value, one.low, one.high) if end is not None]
    _scores_up(axes, ends, unit)
    axes.set_xlim(-0.8, len(scores) - 0.2)
    axes.set_xticks([])
    room = (WIDTH - 48) / max(1, len(scores))
    for at, one in enumerate(scores):
        colour = AFTER if at == own else BEFORE
        if one.low is not None and one.high is not None:
            axes.plot([at] * 2, [one.low, one.high], color=colour, linewidth=min(2.0, max(0.6, 0.3 * room)), alpha=0.6)
        axes.plot([at], [one.value], "o", color=colour, markersize=min(7.0, max(2.4, 0.6 * room)), markeredgewidth=0)
    if own is not None:
        axes.axhline(scores[own].value, color=AFTER, linewidth=1.2, dashes=(2, 2))
    return figure


@as_svg
def best_so_far(scores: Sequence[float | None], own: int | None, said: str, unit: Unit = PERCENT) -> Figure:
    """Draw trials in their order, and a line at the best that there was by then.

    Args:
        scores: In the order in which they were tried, at least one of them known; None where a trial failed.
        own: Which of them is of the recipe's own settings, in colour.
        said: What is drawn, for who cannot see it.
        unit: Of scores.
    """
    figure = new_figure(WIDTH, HIGH, said)
    axes = new_axes(figure, left=34, right=14, top=10, bottom=28)
    known = [(at, score) for at, score in enumerate(scores, start=1) if score is not None]
    _scores_up(axes, [score for _, score in known], unit)
    axes.set_xlim(0.4, len(scores) + 0.6)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
    best = list(accumulate((score for _, score in known), max))
    steps = [*(at for at, _ in known), len(scores) + 0.6]
    axes.plot(steps, [*best, best[-1]], color=ACCENT, linewidth=2, drawstyle="steps-post")
    size = min(7.0, max(2.4, 0.6 * (WIDTH - 48) / len(scores)))
    for at, score in known:
        colour = AFTER if own is not None and at == own + 1 else BEFORE
        axes.plot([at], [score], "o", color=colour, markersize=size, markeredgewidth=0)
    failed = [at for at, score in enumerate(scores, start=1) if score is None]
    axes.plot(failed, [axes.get_ylim()[0]] * len(failed), "x", color=ACCENT, markersize=6, clip_on=False)
    return figure


@as_svg
def share_bars(shares: Sequence[tuple[str, float]], said: str) -> Figure:
    """Draw a bar for each name, as long as its share of all.

    Args:
        shares: Names and shares between 0 and 1, from top to bottom.
        said: What is drawn, for who cannot see it.
    """
    figure = new_figure(WIDTH, ROW * len(shares) + 8, said)
    axes = new_axes(figure, left=6, right=12, top=4, bottom=4)
    axes.set_xlim(0, 1)
    axes.set_ylim(len(shares) - 0.5, -0.5)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
    for row, (name, share) in enumerate(shares):
        name_row(axes, row, name, f"{share:.0%}", INK)
        axes.add_patch(Rectangle((0, row + 0.02), share, 0.3, facecolor=AFTER, edgecolor="none"))
    return figure


@as_svg
def score_by_value(
    values: Sequence[float],
    scores: Sequence[float],
    own: int | None,
    said: str,
    *,
    logarithmic: bool = False,
    unit: Unit = PERCENT,
) -> Figure:
    """Draw the score of each trial over the value that a setting had in it.

    Args:
        values: Of the setting, above zero where its logarithm was searched.
        scores: Of the trials, in the same order.
        own: Which of them is of the recipe's own settings, in colour.
        said: What is drawn, for who cannot see it.
        logarithmic: Whether the logarithm was searched.
        unit: Of scores.
    """
    figure = new_figure(WIDTH, HIGH, said)
    axes = new_axes(figure, left=34, right=14, top=10, bottom=28)
    _scores_up(axes, scores, unit)
    if logarithmic:
        axes.set_xscale("log")
        axes.set_xlim(min(values) / 1.1, max(values) * 1.1)
        axes.set_xticks(round_numbers(min(values), max(values)), minor=False)
        axes.set_xticks([], minor=True)
    else:
        room = 0.05 * (max(values) - min(values)) or 0.5
        axes.set_xlim(min(values) - room, max(values) + room)
        axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.3g}")
    size = 7.0 if len(values) <= 60 else 4.5
    for at, (value, score) in enumerate(zip(values, scores, strict=True)):
        colour, layer = (AFTER, 3) if at == own else (BEFORE, 2)
        axes.plot([value], [score], "o", color=colour, markersize=size, markeredgewidth=0, zorder=layer)
    return figure


def round_numbers(low: float, high: float) -> list[float]:
    """Return at most five round numbers between two above zero, for a logarithmic scale; the two where there are none.

    They are ten times each other, or begin with 1, 2 and 5 where that gives no more than five.
    """
    tens = range(floor(log10(low)), ceil(log10(high)) + 1)
    for digits in ((1, 2, 5), (1,)):
        found = [one for ten in tens for digit in digits if low <= (one := float(f"{digit}e{ten}")) <= high]
        if 2 <= len(found) <= 5:
            return found
    return found[:: ceil(len(found) / 5)] if len(found) > 5 else [low, high]


def _scores_up(axes: Axes, ends: Sequence[float], unit: Unit) -> None:
    """Let the axis upwards hold some scores, with a line from each round number."""
    room = 0.06 * (max(ends) - min(ends)) or 0.01
    axes.set_ylim(min(ends) - room, max(ends) + room)
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(unit.tick)
    axes.grid(axis="y", linewidth=0.8)
    axes.tick_params(axis="both", labelcolor=MUTED)
