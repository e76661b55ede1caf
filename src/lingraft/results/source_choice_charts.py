"""Charts of a choice of sources: how candidates rank by each measure, and what was predicted beside what is true."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from .drawing import AFTER, BEFORE, INK, MUTED, as_svg, new_axes, new_figure, write_label
from .experiment_charts import LETTER, ROW, WIDTH, name_row
from .findings import Estimate
from .units import PERCENT, Unit

Box = tuple[float, float, float, float]
"""Left, right, bottom, top, in pixels."""


@dataclass(frozen=True, slots=True)
class Place:
    """A candidate's mean rank, and its rank by each measure; 1 is first."""

    name: str
    mean: float
    ranks: Mapping[str, float]


@as_svg
def rank_dots(places: Sequence[Place], reference: str, said: str) -> Figure:
    """Draw each candidate's ranks as small dots on a line, and their mean as a large one; left is better.

    Args:
        places: From top to bottom.
        reference: The name of the candidate in colour.
        said: What is drawn, for who cannot see it.
    """
    figure = new_figure(WIDTH, ROW * len(places) + 34, said)
    axes = new_axes(figure, left=6, right=12, top=4, bottom=30)
    last = max([2.0, *(rank for place in places for rank in (place.mean, *place.ranks.values()))])
    axes.set_xlim(1 - 0.04 * (last - 1), last + 0.04 * (last - 1))
    axes.set_ylim(len(places) - 0.5, -0.5)
    axes.set_xticks([1, *(tick for tick in MaxNLocator(5, integer=True).tick_values(1, last) if 1 < tick <= last)])
    axes.grid(axis="x", linewidth=0.8)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    for row, place in enumerate(places):
        colour, ink = (AFTER, AFTER) if place.name == reference else (BEFORE, INK)
        name_row(axes, row, place.name, f"{place.mean:.1f}", ink)
        ranks, height = list(place.ranks.values()), row + 0.14
        if ranks:
            axes.plot([min(ranks), max(ranks)], [height] * 2, color=colour, linewidth=1.4)
        axes.plot(ranks, [height] * len(ranks), "o", color=colour, markersize=4, markeredgewidth=0)
        axes.plot([place.mean], [height], "o", color=colour, markersize=9, markeredgewidth=0)
    return figure


@dataclass(frozen=True, slots=True)
class Point:
    """What was predicted of a candidate, and its true score."""

    name: str
    predicted: float
    true: Estimate


@as_svg
def predicted_and_true(
    points: Sequence[Point],
    reference: str,
    said: str,
    *,
    across: Unit = PERCENT,
    less_is_better: bool = False,
    unit: Unit = PERCENT,
) -> Figure:
    """Draw predictions across and true scores with their intervals up; as many names as there is room for.

    Args:
        points: The best prediction first, whose name is written first.
        reference: The name of the candidate in colour.
        said: What is drawn, for who cannot see it.
        across: The unit of predictions.
        less_is_better: Whether the least prediction is the best, and stands at the right.
        unit: Of true scores.
    """
    figure = new_figure(WIDTH, 250, said)
    axes = new_axes(figure, left=34, right=14, top=10, bottom=28)
    predicted = [point.predicted for point in points]
    ends = [end for one in points for end in (one.true.value, one.true.low, one.true.high) if end is not None]
    margin = 0.08 * (max(predicted) - min(predicted)) or 0.01
    axes.set_xlim(*sorted((min(predicted) - margin, max(predicted) + margin), reverse=less_is_better))
    axes.set_ylim(*_with_room(ends))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(unit.tick)
    axes.xaxis.set_major_formatter(across.tick)
    axes.grid(linewidth=0.8)
    for point in points:
        colour, true = AFTER if point.name == reference else BEFORE, point.true
        if true.low is not None and true.high is not None:
            axes.plot([point.predicted] * 2, [true.low, true.high], color=colour, linewidth=1.4, alpha=0.5)
        axes.plot([point.predicted], [true.value], "o", color=colour, markersize=7, markeredgewidth=0)
    _name_points(axes, points, reference)
    return figure


def _with_room(ends: Sequence[float]) -> tuple[float, float]:
    room = 0.04 * (max(ends) - min(ends)) or 0.01
    return min(ends) - room, max(ends) + room


def _name_points(axes: Axes, points: Sequence[Point], reference: str) -> None:
    """Write names beside points, those of the reference, of the first and of the best before others; none upon another.

    A name that would lie on another name or dot, or reach out of the axes, is left out.
    """
    frame, at = axes.get_window_extent(), {}
    for point in points:
        at[point.name] = tuple(axes.transData.transform((point.predicted, point.true.value)))
    taken: list[Box] = [(x - 5, x + 5, y - 5, y + 5) for x, y in at.values()]
    best = max(points, key=lambda point: point.true.value)
    for name in dict.fromkeys([reference, points[0].name, best.name, *at]):
        if name not in at:
            continue
        (x, y), long = at[name], LETTER * len(name)
        for right, up, ha in ((8, 0, "left"), (-8, 0, "right"), (8, 12, "left"), (-8, 12, "right"), (8, -12, "left"),
                              (-8, -12, "right")):  # fmt: skip
            left = x + right - (long if ha == "right" else 0)
            box = (left, left + long, y + up - 7, y + up + 7)
            inside = frame.x0 < box[0] and box[1] < frame.x1 and frame.y0 < box[2] and box[3] < frame.y1
            if inside and not any(_meet(box, other) for other in taken):
                taken.append(box)
                point = next(point for point in points if point.name == name)
                colour = AFTER if name == reference else MUTED
                write_label(axes, name, point.predicted, point.true.value, right=right, up=up, ha=ha, color=colour,
                            size=11)  # fmt: skip
                break


def _meet(one: Box, other: Box) -> bool:
    return one[0] < other[1] and other[0] < one[1] and one[2] < other[3] and other[2] < one[3]
