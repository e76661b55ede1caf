"""What stands in a chart: texts, marks, lines and bars, read from its SVG."""

import re
from xml.etree import ElementTree

from lingraft.results.drawing import ACCENT, AFTER, BEFORE

SVG = "{http://www.w3.org/2000/svg}"


def texts(svg):
    """Everything written in a chart."""
    return ["".join(element.itertext()).strip() for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def marks(svg, colour):
    """Where marks of a colour stand, across and down; a band is none, it begins at 0."""
    uses = ElementTree.fromstring(svg).iter(f"{SVG}use")
    return [
        (float(one.get("x")), float(one.get("y")))
        for one in uses
        if f"fill: var({_variable(colour)}" in one.get("style") and float(one.get("x"))
    ]


def lines(svg, colour, width):
    """Where straight lines of a colour and width begin and end."""
    found = []
    for path in ElementTree.fromstring(svg).iter(f"{SVG}path"):
        style = path.get("style", "")
        if f"stroke: var({_variable(colour)}" in style and f"stroke-width: {width}" in style:
            found.append([tuple(map(float, point)) for point in re.findall(r"[ML] ([\d.]+) ([\d.]+)", path.get("d"))])
    return found


def _variable(colour):
    return {AFTER: "--after", BEFORE: "--before", ACCENT: "--accent"}[colour]


def parts_of(svg, colour):
    """How long the bars of a colour are."""
    found = []
    for path in ElementTree.fromstring(svg).iter(f"{SVG}path"):
        if path.get("style", "").startswith(f"fill: var({_variable(colour)}"):
            across = [float(x) for x, _ in re.findall(r"[ML] ([\d.]+) ([\d.]+)", path.get("d"))]
            found.append(max(across) - min(across))
    return found
