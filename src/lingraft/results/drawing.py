"""How charts are drawn: plain data in, an SVG string out, the same bytes for the same data.

Matplotlib draws, through its object-oriented interface, so no global figure is left behind. Text
stays text: the reader's own fonts shape every script, with all its diacritics, where outlines of
the one font that ships with matplotlib would show boxes. Colours are CSS variables with a fallback,
so a chart follows the page into dark mode; grey is before, blue is after, orange asks for attention
(Okabe & Ito's palette, safe for colour-blind readers).
"""

from __future__ import annotations

import hashlib
import io
import re
import warnings
from collections.abc import Callable, Sequence
from functools import wraps
from html import escape
from itertools import pairwise
from typing import Any, ParamSpec

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..core.terminal_text import printable

INK, MUTED, LINE, PAPER = "#1c2127", "#67707b", "#dfe3e8", "#fefefd"
FROZEN, BEFORE, AFTER, ACCENT, THIRD = "#eceff2", "#8b939d", "#0072b2", "#d55e00", "#00855f"
VARIABLES = {
    INK: "ink", MUTED: "muted", LINE: "line", PAPER: "paper",
    FROZEN: "frozen", BEFORE: "before", AFTER: "after", ACCENT: "accent",
    THIRD: "third",
}  # fmt: skip
STYLE: Any = {  # matplotlib types its hundreds of keys one by one
    "svg.hashsalt": "lingraft",
    "svg.fonttype": "none",
    "font.family": "DejaVu Sans",
    "font.size": 12,
    "text.color": INK,
    "text.parse_math": False,
    "axes.edgecolor": LINE,
    "axes.labelcolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "grid.color": LINE,
    "lines.solid_capstyle": "round",
}
P = ParamSpec("P")


def as_svg(draw: Callable[P, Figure]) -> Callable[P, str]:
    """Run a drawing function under our style and write its figure; the figure's label describes it."""

    @wraps(draw)
    def written(*args: P.args, **kwargs: P.kwargs) -> str:
        with mpl.rc_context(STYLE), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph .* missing")  # the reader's font has it
            figure = draw(*args, **kwargs)
            file = io.StringIO()
            nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
            figure.savefig(file, format="svg", metadata=nothing)
        return _for_the_page(file.getvalue(), figure)

    return written


def _for_the_page(svg: str, figure: Figure) -> str:
    """Make a file into an element: no prologue, unique identifiers, the page's colours and font."""
    svg = printable(svg[svg.index("<svg") :])
    width, height = (round(side * 72) for side in figure.get_size_inches())
    svg = re.sub(
        r'<svg [^>]*?viewBox="([^"]*)"[^>]*>',
        rf'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="\1" '
        rf'width="{width}" height="{height}" role="img" aria-label="{escape(str(figure.get_label()))}">',
        svg,
        count=1,
    )
    svg = re.sub(r"\s*<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)  # numbered names, which other charts use as well
    prefix = "c" + hashlib.sha256(svg.encode()).hexdigest()[:8]
    svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\1{prefix}-", svg)
    svg = svg.replace("'DejaVu Sans'", "system-ui, sans-serif")
    return re.sub("#[0-9a-f]{6}", lambda hit: _variable(hit[0]), svg)


def _variable(colour: str) -> str:
    return f"var(--{VARIABLES[colour]}, {colour})" if colour in VARIABLES else colour


def new_figure(width: float, height: float, description: str) -> Figure:
    """Return a transparent figure whose unit is one CSS pixel."""
    figure = Figure(figsize=(width / 72, height / 72), dpi=72, facecolor="none")
    figure.set_label(description)
    return figure


def new_axes(figure: Figure, *, left: float = 0, right: float = 0, top: float = 0, bottom: float = 0) -> Axes:
    """Return axes with these margins, in pixels."""
    width, height = (side * 72 for side in figure.get_size_inches())
    box = (left / width, bottom / height, (width - left - right) / width, (height - top - bottom) / height)
    axes = figure.add_axes(box, facecolor="none")
    axes.tick_params(length=0)
    return axes


def write_label(
    axes: Axes,
    text: str,
    x: float,
    y: float,
    *,
    right: float = 0,
    up: float = 0,
    ha: str = "left",
    color: str = INK,
    size: float = 12,
    weight: str = "normal",
) -> None:
    """Write text beside a point of the data, moved by so many pixels."""
    style: Any = {"ha": ha, "va": "center", "color": color, "fontsize": size, "weight": weight}
    axes.annotate(text, (x, y), (right, up), textcoords="offset points", annotation_clip=False, **style)


def spread(heights: Sequence[float], gap: float) -> list[float]:
    """Move heights apart, upwards, until labels at them no longer overlap."""
    placed = list(heights)
    order = sorted(range(len(placed)), key=placed.__getitem__)
    for below, above in pairwise(order):
        placed[above] = max(placed[above], placed[below] + gap)
    return placed
