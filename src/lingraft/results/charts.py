"""Charts of a run's report; :mod:`lingraft.results.drawing` says how they are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from rich.cells import cell_len

from .drawing import (
    ACCENT,
    AFTER,
    BEFORE,
    FROZEN,
    INK,
    LINE,
    MUTED,
    PAPER,
    as_svg,
    new_axes,
    new_figure,
    spread,
    write_label,
)
from .metrics.calibration import Bin
from .units import PERCENT, Unit, unit_of
from .wording import capital, digits_of, metric_name, percent, plural, score

if TYPE_CHECKING:
    from .findings import Estimate, Points, Result


def _shortened(text: str, most: int) -> str:
    """Return a text that is at most so many characters wide; one of Chinese is as wide as two."""
    if cell_len(text) <= most:
        return text
    return text[: next(end for end in range(len(text), -1, -1) if cell_len(text[:end]) < most)] + "…"


FEW = 5  # slices of confidence with fewer texts are noise, and not drawn

# --- Results ----------------------------------------------------------------------------------------


@as_svg
def before_after(rows: Sequence[Result], *, narrow: bool = False) -> Figure:
    """Draw one row per result: the scores of the frozen head, in closed form where known, and after adaptation.

    Args:
        rows: Results; those of a language follow each other.
        narrow: Whether for a phone: names stand above their rows, and not beside.
    """
    several_shots = len({row.shots for row in rows}) > 1
    metric, unit = (metric_name(rows[0].metric), unit_of(rows[0].metric)) if rows else ("score", PERCENT)
    names = [_shortened(row.name, 32) for row in rows]
    beside = 9.2 * max(map(cell_len, names), default=0) + 18
    tall, below = (76, 54) if narrow else (62, 38)
    size = (350 if narrow else 920, tall * len(rows) + below + 24)
    figure = new_figure(*size, f"{capital(metric)} before and after adaptation, with 95 % intervals")
    axes = new_axes(figure, left=12 if narrow else beside, right=76, top=24, bottom=below)
    every = [one for row in rows for one in (row.before, row.instant, row.after) if one]
    ends = [one.high or one.value for one in every] + [row.majority for row in rows if row.majority is not None]
    lows = [one.value if one.low is None else one.low for one in every]
    left = min([0.0, *lows]) * 1.08
    axes.set_xlim(left, min(1.0, max([*ends, 0.2]) * 1.08))
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_formatter(lambda value, _: f"{unit.tick(value)}{unit.sign}")
    axes.xaxis.set_major_locator(MaxNLocator(5 if narrow else 8, steps=[1, 2, 5, 10]))
    axes.grid(axis="x", linewidth=0.8)
    axes.set_xlabel(f"{metric} on test texts, 95 % interval")
    for height, row in enumerate(rows):
        first = height == 0 or row.name != rows[height - 1].name
        said = [names[height]] * first + [plural(row.shots, "shot")] * several_shots
        if narrow:
            write_label(axes, " · ".join(said), left, height - 0.44, weight="bold" if first else "normal")
        for at, text in enumerate(said if not narrow else ()):
            bold: Any = {"size": 14, "weight": "bold"} if first and at == 0 else {"color": MUTED}
            aside = 0.0 if len(said) == 1 else -0.13 if at == 0 else 0.2
            write_label(axes, text, left, height + aside, right=-14, ha="right", **bold)
        apart = 0.26 if row.instant else 0.17
        if row.before and row.after:
            axes.plot([row.before.value, row.after.value], [height - apart, height + apart], color=LINE, linewidth=1.5)
        digits = digits_of(row.before.value, row.after.value) if row.before and row.after else 0  # as the text has
        shown = ((row.before, -1, BEFORE, MUTED), (row.instant, 0, ACCENT, ACCENT), (row.after, 1, AFTER, AFTER))
        for estimate, side, when, ink in shown:
            if estimate is not None:
                text = score(estimate.value, digits, unit) + (NOTES[side] if height == 0 else "")
                _dot(axes, estimate, height + apart * side, (when, ink), text)
        if row.majority is not None:
            axes.plot([row.majority] * 2, [height - 0.3, height + 0.4], color=MUTED, linewidth=1, dashes=(2, 2))
    if rows and rows[0].majority is not None:
        text = "always the most frequent label"
        if narrow:
            figure.text(143 / 350, 5 / size[1], f"dotted: {text}", ha="center", color=MUTED)  # as the line above
        else:
            aligned = "right" if rows[0].majority > 0.85 * axes.get_xlim()[1] else "center"
            write_label(axes, text, rows[0].majority, -0.4, up=9, ha=aligned, color=MUTED, size=11)
    return figure


NOTES = {-1: " before", 0: " instant", 1: " after"}
"""What the first row's labels add, above, on and below its line."""


def _dot(axes: Axes, estimate: Estimate, height: float, colours: tuple[str, str], text: str) -> None:
    """Draw a dot on its interval, in the first colour, and at the interval's right end its value, in the second."""
    end, (colour, ink) = estimate.value, colours
    if estimate.low is not None and estimate.high is not None:
        axes.plot([estimate.low, estimate.high], [height] * 2, color=colour, linewidth=5, alpha=0.35)
        end = estimate.high
    axes.plot([estimate.value], [height], "o", color=colour, markersize=9, clip_on=False)
    write_label(axes, text, end, height, right=10, color=ink, size=13, weight="bold")


# --- Training ---------------------------------------------------------------------------------------

Curve = Sequence[tuple[float, float]]


@as_svg
def losses(total: Curve, task: Curve, alignment: Curve, consistency: Curve = ()) -> Figure:
    """Draw the training loss and its parts by step, each line labelled at its end."""
    figure = new_figure(346, 250, "Training loss and its parts by step")
    axes = new_axes(figure, left=32, right=76, top=12, bottom=40)
    parts = [("total", total, INK, 1.2), ("task", task, AFTER, 2.2), ("alignment", alignment, ACCENT, 2.2)]
    parts.append(("consistency", consistency, BEFORE, 2.2))
    drawn = [part for part in parts if part[1]]
    for _, curve, colour, width in drawn:
        axes.plot(*zip(*curve, strict=True), color=colour, linewidth=width)
    axes.set_ylim(0, max((y for _, curve, *_ in drawn for _, y in curve), default=1) * 1.06 or 1)
    heights = spread([curve[-1][1] for _, curve, *_ in drawn], axes.get_ylim()[1] * 0.085)
    for (name, curve, colour, _), height in zip(drawn, heights, strict=True):
        write_label(axes, name, curve[-1][0], height, right=8, color=colour)
    axes.grid(axis="y", linewidth=0.8)
    axes.set_xlabel("step")
    return figure


@as_svg
def dev_score(selected: Curve, others: Sequence[Curve], unit: Unit = PERCENT) -> Figure:
    """Draw the development score by step: the trial that was saved, before a grey crowd of the others."""
    figure = new_figure(346, 250, "Dev score by step")
    axes = new_axes(figure, left=44, right=22, top=12, bottom=40)
    for curve in others:
        axes.plot(*zip(*curve, strict=True), color=BEFORE, linewidth=1, alpha=0.45)
    axes.plot(*zip(*selected, strict=True), "o-", color=AFTER, linewidth=2.2, markersize=4.5)
    step, best = max(selected, key=lambda point: point[1])
    write_label(axes, f"best {score(best, unit=unit)}", step, best, up=12, ha="center", color=AFTER, weight="bold")
    every = [y for curve in (selected, *others) for _, y in curve]
    axes.set_ylim(min(0.0, *every) * 1.18, max(min(1.08, max(every) * 1.18), 0) or 1)
    axes.yaxis.set_major_formatter(lambda value, _: f"{unit.tick(value)}{unit.sign}")
    axes.grid(axis="y", linewidth=0.8)
    axes.set_xlabel("step")
    return figure


# --- What was trained -------------------------------------------------------------------------------


@as_svg
def layer_strip(
    layers: int, cut: int, parts: Sequence[tuple[str, int]], head: int, *, lora: int = 0, frozen: bool = True
) -> Figure:
    """Draw the network from left to right in grey, what was trained above it in blue; a cut below 0 is no cut.

    Args:
        layers: ``L``.
        cut: Below it everything is frozen.
        parts: Name and parameter count of each trained part.
        head: Parameters of the head.
        lora: Parameters of LoRA in all layers, which was there in the last epochs.
        frozen: Whether no layer was unfrozen.
    """
    box, gap, wide = 38.0 if layers <= 13 else 494.0 / layers, 4.0, 70.0
    start = wide + gap  # layer 1; the embeddings stand before it
    end = start + layers * (box + gap)
    where = f"sits above layer {cut}" if cut >= 0 else "may sit anywhere"
    what = f"{layers} {'frozen ' * frozen}layers; everything trained {where}"
    what += ", in the last epochs LoRA in all layers too" if lora else ""
    rows = [*((*part, cut) for part in parts), *([("LoRA in all layers, last epochs", lora, 0)] if lora else [])]

    def left_of(layer: int) -> float:
        return start + layer * (box + gap) if layer >= 0 else 0.0

    top = left_of(cut)  # where training begins
    above = "frozen, run every step" if frozen else "run every step"
    width = max(end + wide, top + 6 + 7.5 * len(above) if cut < layers else 0)
    figure = new_figure(width + 2, 34 * len(rows) + 104, what)
    axes = new_axes(figure)
    axes.set_axis_off()
    axes.set_xlim(-1, width + 1)
    axes.set_ylim(-52, 34 * len(rows) + 52)

    _block(axes, 0, 0, wide, 40, "embed", FROZEN)
    for layer in range(1, layers + 1):
        shown = layers <= 13 or layer == 1 or layer % 4 == 0
        _block(axes, start + (layer - 1) * (box + gap), 0, box, 40, str(layer) if shown else "", FROZEN)
    _block(axes, end, 0, wide, 40, f"head\n{head:,}" if head else "head", AFTER)
    for row, (name, count, layer) in enumerate(rows):
        text, height, left = f"{_shortened(name, 32)} · {count:,}", 50 + 34 * row, left_of(layer)
        _block(axes, left, height, end - gap - left, 26, "", AFTER)
        if 7.5 * len(text) < end - gap - left:
            axes.text((left + end - gap) / 2, height + 13, text, va="center", ha="center", color=PAPER)
        else:
            axes.text(left - 10, height + 13, text, va="center", ha="right", color=AFTER)
    axes.plot([top - gap / 2] * 2, [-34, 50 + 34 * len(rows)], color=ACCENT, linewidth=1.4, dashes=(3, 2))
    axes.text(top - gap / 2, -38, f"cut {cut}" if cut >= 0 else "no cut", ha="center", va="top", color=ACCENT)
    below = "frozen, cached at first" if lora else "frozen, computed once"
    if 7.5 * len(below) < top:
        axes.text(0, -8, below, va="top", color=MUTED)
    if cut < layers:
        axes.text(top + 6, -8, above, va="top", color=MUTED)
    return figure


def _block(axes: Axes, x: float, y: float, width: float, height: float, text: str, colour: str) -> None:
    axes.add_patch(Rectangle((x, y), width, height, facecolor=colour, edgecolor="none"))
    axes.text(x + width / 2, y + height / 2, text, ha="center", va="center", fontsize=11,
              color=PAPER if colour == AFTER else MUTED, linespacing=1.3)  # fmt: skip


# --- States -----------------------------------------------------------------------------------------


@as_svg
def state_pairs(title: str, source: Points, target: Points, names: tuple[str, str], frame: Points) -> Figure:
    """Draw sentences as points, each joined to its translation; ``frame`` must hold both of two charts to compare.

    Args:
        title: Of the picture.
        source: Points of the source sentences.
        target: Points of their translations, in the same order.
        names: Of both languages.
        frame: Points that must fit in.
    """
    figure = new_figure(346, 368, f"{title}: sentence states in {names[0]} and {names[1]}, translations joined")
    axes = new_axes(figure, left=1, right=1, top=26, bottom=1)
    for (x0, y0), (x1, y1) in zip(source, target, strict=True):
        axes.plot([x0, x1], [y0, y1], color=MUTED, linewidth=0.7, alpha=0.5)
    for points, colour, marker in ((source, ACCENT, "o"), (target, AFTER, "s")):
        if points:
            axes.plot(*zip(*points, strict=True), marker, color=colour, markersize=4.5, alpha=0.85, markeredgewidth=0)
    for limit, values in ((axes.set_xlim, [x for x, _ in frame]), (axes.set_ylim, [y for _, y in frame])):
        margin = 0.06 * (max(values) - min(values)) or 1.0
        limit(min(values) - margin, max(values) + margin)
    for spine in axes.spines.values():
        spine.set_visible(True)
    axes.set_xticks([])
    axes.set_yticks([])
    figure.text(0.003, 0.965, title, weight="bold", fontsize=13)
    shown = [_shortened(name, 18) for name in names]
    figure.text(0.60, 0.965, f"● {shown[0]}", color=ACCENT, ha="right")
    figure.text(0.997, 0.965, f"■ {shown[1]}", color=AFTER, ha="right")
    return figure


# --- Predictions ------------------------------------------------------------------------------------


@as_svg
def confusion_matrix(
    counts: Sequence[Sequence[int]], labels: Sequence[str], shown: Sequence[int] | None = None
) -> Figure:
    """Draw gold labels down, predicted across; depth of colour is the share of the gold label's row.

    Args:
        counts: ``[gold, predicted]``.
        labels: Of both.
        shown: Which of them are drawn, by number; default: all.
    """
    shown = range(len(labels)) if shown is None else shown
    names = [_shortened(labels[number], 18) for number in shown]
    widest, end = max(map(cell_len, names), default=0), len(names)
    size = max(16.0, min(44.0, 300.0 / max(end, 1)))
    left, top = 7.2 * widest + 14, 5.2 * widest + 30
    right = max(60.0, top - size / 2)  # names go up and to the right
    figure = new_figure(left + size * end + right, top + size * end + 22, "Confusion matrix, gold by predicted")
    axes = new_axes(figure, left=left, right=right, top=top, bottom=22)
    axes.set_xlim(0, end)
    axes.set_ylim(end, 0)
    axes.set_axis_off()
    axes.add_patch(Rectangle((0, 0), end, end, facecolor=FROZEN, edgecolor="none"))
    for row, gold in enumerate(shown):
        axes.text(-0.2, row + 0.5, names[row], ha="right", va="center", color=MUTED)
        axes.text(row + 0.5, -0.2, names[row], rotation=45, rotation_mode="anchor", ha="left", va="center", color=MUTED)
        total = max(sum(counts[gold]), 1)
        for column, predicted in enumerate(shown):
            if not (count := counts[gold][predicted]):
                continue
            share, colour = count / total, AFTER if row == column else ACCENT
            axes.add_patch(Rectangle((column, row), 1, 1, facecolor=colour, edgecolor="none", alpha=share))
            if size >= 22:
                axes.text(column + 0.5, row + 0.5, str(count), ha="center", va="center", fontsize=11,
                          color=PAPER if share > 0.75 else INK)  # fmt: skip
    for draw in (axes.hlines, axes.vlines):  # a hundred classes have ten thousand cells, and as few lines as this
        draw(range(end + 1), 0, end, color=PAPER, linewidth=0.06 * size, zorder=2)
    axes.text(0, end + 0.1, "rows: gold label, columns: predicted", va="top", color=MUTED, fontsize=11)
    return figure


@as_svg
def reliability_diagram(before: Sequence[Bin], after: Sequence[Bin]) -> Figure:
    """Draw accuracy against confidence; on the diagonal, 70 % sure means right in 70 % of cases."""
    figure = new_figure(346, 330, "Accuracy against confidence, before and after adaptation")
    axes = new_axes(figure, left=60, right=56, top=12, bottom=44)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, dashes=(4, 3))
    drawn: list[tuple[str, list[Bin], str, str]] = []
    for name, bins, colour, ink in (("before", before, BEFORE, MUTED), ("after", after, AFTER, AFTER)):
        filled = [part for part in bins if part.count >= FEW]
        drawn += [(name, filled, colour, ink)] if filled else []
    heights = spread([bins[-1].accuracy for _, bins, *_ in drawn], 0.06)
    for (name, filled, colour, ink), height in zip(drawn, heights, strict=True):
        x, y = [part.confidence for part in filled], [part.accuracy for part in filled]
        total = sum(part.count for part in filled)
        areas = [12 + 260 * part.count / total for part in filled]
        axes.plot(x, y, color=colour, linewidth=2)
        axes.scatter(x, y, s=areas, color=colour, alpha=0.8, linewidths=0, clip_on=False)
        write_label(axes, name, x[-1], height, right=12, color=ink, weight="bold")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _: percent(value))
    axes.tick_params(axis="x", pad=7)
    axes.grid(linewidth=0.8)
    axes.set_xlabel("how sure the model was")
    axes.set_ylabel("how often it was right")
    return figure
