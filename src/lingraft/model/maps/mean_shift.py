"""Mean shift: the language's mean state becomes that of the source language; without translations its spread, too."""

from __future__ import annotations

from . import Evidence, FitMap, FittedMap, maps, shift_of


@maps.register("mean_shift")
def mean_shift() -> FitMap:
    """Move the language's mean state onto the source language's; texts without translations will do."""

    def fit(evidence: Evidence) -> FittedMap:
        return FittedMap(shift_of(evidence), None)

    return fit
