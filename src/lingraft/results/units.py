"""How the values of a metric are written: a share in percent, a correlation as the number that it is."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["CORRELATIONS", "ERROR", "ERRORS", "MINUS", "PERCENT", "PLAIN", "Unit", "unit_of"]

MINUS = "\u2212"


@dataclass(frozen=True, slots=True)
class Unit:
    """What a value is multiplied by, and what stands beside it."""

    factor: int
    places: int
    """Digits behind the point where none are asked for."""
    sign: str
    """Behind a value."""
    points: str
    """Behind a difference."""
    scale: str
    """Of many values, in words."""
    steps: str
    """Of many differences, in words."""
    ends: tuple[float, float] | None
    """The lowest and the highest value that there can be; None where there are none."""

    def number(self, value: float, digits: int = 0, *, plus: bool = False) -> str:
        """Write a value alone: ``65``, ``0.65``; with a digit more, ``64.7`` and ``0.647``."""
        return self._scaled(self.factor * value, digits, plus)

    def apart(self, before: float, after: float, digits: int = 0, *, plus: bool = False) -> str:
        """Write the difference of two values, rounded once."""
        return self._scaled(self.factor * after - self.factor * before, digits, plus)

    def write(self, value: float, digits: int = 0) -> str:
        """Write a value with its sign: ``65 %``, ``0.65``."""
        return f"{self.number(value, digits)}{self.sign}"

    def tick(self, value: float, _: object = None) -> str:
        """Write a value beside an axis: ``65``, ``0.65``."""
        return f"{self.factor * value:.3g}"

    def _scaled(self, value: float, digits: int, plus: bool) -> str:
        return f"{value:{_sign(plus)}.{self.places + digits}f}"


@dataclass(frozen=True, slots=True)
class Amount(Unit):
    """One that knows no scale, and writes three digits of whatever it is."""

    def _scaled(self, value: float, digits: int, plus: bool) -> str:
        behind = max(0, 2 - math.floor(math.log10(abs(value)))) if value else 0
        return f"{value:{_sign(plus)}.{behind}f}"


def _sign(plus: bool) -> str:
    """Return how signs are written: none before 0, but where all have one, -0.0 is an end just below it."""
    return "+" if plus else "z"


PERCENT = Unit(100, 0, " %", " points", "in percent", "in points", (0.0, 1.0))
PLAIN = Unit(1, 2, "", "", f"from {MINUS}1 to 1", "in units of the score", (-1.0, 1.0))

ERROR = Amount(1, 0, "", "", "in units of the answers", "in units of the answers", None)

CORRELATIONS = ("spearman", "quadratic_kappa", "pearson")
"""Metrics between -1 and 1, where an answer that is always the same has 0."""


ERRORS = ("mean_absolute_error",)
"""Metrics of which less is better, in units of what is predicted; by none are trials chosen or methods compared."""


def unit_of(metric: str) -> Unit:
    """Return how the values of a metric are written."""
    return PLAIN if metric in CORRELATIONS else ERROR if metric in ERRORS else PERCENT
