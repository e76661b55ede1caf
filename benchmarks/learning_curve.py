"""A learning curve as a picture: accuracy by number of examples, with and without a second source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lingraft.results.drawing import ACCENT, AFTER, BEFORE, INK, LINE, STYLE
from lingraft.results.findings import Estimate


@dataclass(frozen=True)
class Point:
    """One training: how much it learned from, and its accuracy by language."""

    examples: int
    translated: bool
    accuracy: Mapping[str, Estimate]


def draw(points: Sequence[Point], majority: Mapping[str, float], path: Path, titles: tuple[str, str]) -> None:
    """One panel a language, from the best to the worst, with the share of the most frequent class.

    Args:
        points: The trials.
        majority: By language, the accuracy of always giving the most frequent class.
        path: The SVG to write; the same bytes for the same points.
        titles: What the lines are called, without the second source and with it.
    """
    most = max(points, key=lambda point: (point.examples, point.translated))
    languages = sorted(majority, key=lambda name: -most.accuracy[name].value)
    with mpl.rc_context(STYLE | {"svg.fonttype": "path"}):
        figure = Figure(figsize=(11, 3.2), facecolor="white", layout="constrained")
        panels = figure.subplots(1, len(languages), sharey=True)
        for panel, name in zip(panels, languages, strict=True):
            _panel(panel, points, name, majority[name], titles)
        panels[0].set_ylabel("accuracy")
        panels[0].legend(frameon=False, fontsize=7, labelcolor=INK, loc="upper left")
        figure.supxlabel("English training pairs", color=INK, fontsize=10)
        figure.savefig(path, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))


def _panel(axes: Axes, points: Sequence[Point], name: str, majority: float, titles: tuple[str, str]) -> None:
    axes.axhline(majority, color=BEFORE, linestyle="--", linewidth=1.2, label="most frequent class")
    for translated, colour in ((False, ACCENT), (True, AFTER)):
        line = sorted((p for p in points if p.translated is translated), key=lambda point: point.examples)
        told = [point.accuracy[name] for point in line]
        errors = [
            [e.value - (e.low if e.low is not None else e.value) for e in told],
            [(e.high if e.high is not None else e.value) - e.value for e in told],
        ]
        axes.errorbar(
            [point.examples for point in line], [e.value for e in told], errors,
            color=colour, marker="o", markersize=4, capsize=2, linewidth=1.5, label=titles[translated],
        )  # fmt: skip
    ticks = sorted({point.examples for point in points})
    axes.set_xscale("log")
    axes.set_xticks(ticks, [str(tick) for tick in ticks], fontsize=8)
    axes.set_xticks([], minor=True)
    axes.set_ylim(0.45, 1.0)
    axes.grid(axis="y", color=LINE)
    axes.set_title(name, fontsize=10, color=INK)
