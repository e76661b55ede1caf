"""Numbers that people set, with the bounds that they are checked against.

Beyond these no setting means anything, and some would take all memory or time before that is noticed. What lies
within and still needs more than the machine has is estimated before a run, see :mod:`lingraft.runs.needs`.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

Count = Annotated[int, Field(gt=0, le=10**9)]
"""At most so many examples or pairs of those that there are."""

CountOrNone = Annotated[int, Field(ge=0, le=10**9)]

Rounds = Annotated[int, Field(gt=0, le=10_000)]
"""How often something that takes time is done: epochs, iterations."""

RoundsOrNone = Annotated[int, Field(ge=0, le=10_000)]

Steps = Annotated[int, Field(gt=0, le=10**6)]
"""Steps of an optimiser."""

Copies = Annotated[int, Field(gt=0, le=100)]
"""How often each sentence is copied; all copies are in memory."""

Layers = Annotated[int, Field(gt=0, le=1_000)]
"""Layers of a model; the deepest ones have about a hundred."""

LayersOrNone = Annotated[int, Field(ge=0, le=1_000)]

Width = Annotated[int, Field(gt=0, le=16_384)]
"""Numbers in a trained part's inside; the widest models are as wide."""

WidthOrNone = Annotated[int, Field(ge=0, le=16_384)]

TokensOrNone = Annotated[int, Field(ge=0, le=1_024)]
"""Virtual tokens, or tokens of a prefix: they stand in every text, whose length has bounds of its own."""

Factor = Annotated[float, Field(gt=0, le=1e6)]
"""A weight, a temperature, a strength; single precision computes with it."""

FactorOrNone = Annotated[float, Field(ge=0, le=1e6)]

Share = Annotated[float, Field(ge=0, lt=1)]

Rate = Annotated[float, Field(gt=0, le=1e36)]
"""A learning rate, or a norm; what single precision cannot hold ends in an error of torch's."""

Column = Annotated[int, Field(ge=-1_000, le=1_000)]
"""The place of a column; negative ones count from the last."""

MOST_GIGABYTES = 1e6
"""A petabyte; bytes are counted exactly up to here."""
