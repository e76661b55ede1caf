"""The recipe's ``stability:`` block: how many draws, seeds and orders are crossed, and which settings are varied."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from .comparison import OURS

Levels = Annotated[int, Field(strict=True, ge=1, le=100)]
Whole = Annotated[int, Field(ge=-(10**9), le=10**9)]
Number = Annotated[float, Field(ge=-1e9, le=1e9, allow_inf_nan=False)]
Value = str | bool | Whole | Number | None
Values = Annotated[list[Value], Field(min_length=1, max_length=20)]

CROSSED = {
    "seeds": "set stability.seeds",
    "orders": "set stability.orders",
    "shots.draws": "set stability.draws",
    "shots.k": "several numbers of labels are for `lingraft shots`",
}
"""Settings that no variant of a study has of its own, and what to write."""


class StabilitySettings(BaseModel):
    """What `lingraft stability` crosses: each draw of the labels with each seed, and with each order."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    draws: Levels = 3
    """Draws of the labelled examples and of the pairs."""
    seeds: Levels = 3
    """Seeds of new parameters."""
    orders: Levels = 1
    """Seeds of the order of examples and of dropout; with 1 they are those of the parameters."""
    settings: dict[str, Values] = {}
    """Settings of the recipe, such as `train.learning_rate`, with values to try one at a time: each makes a variant of
    `lingraft` with the same trials."""

    @field_validator("settings")
    @classmethod
    def _others(cls, settings: dict[str, list[Value]]) -> dict[str, list[Value]]:
        for key, values in settings.items():
            if not all(key.split(".")):
                raise ValueError(
                    f"{key!r} is no setting; expected keys with points between, such as train.learning_rate"
                )
            if key in CROSSED:
                raise ValueError(f"{key} is what trials are made of; {CROSSED[key]}")
            if len(set(values)) < len(values):
                raise ValueError(f"{key} has a value twice: {values}")
        return settings

    def variants(self) -> dict[str, dict[str, Any]]:
        """Return a variant for each value of each setting, by its name."""
        return {variant_name(key, value): nested(key, value) for key, value in self.varied()}

    def varied(self) -> Iterator[tuple[str, Value]]:
        """Yield each setting with each of its values."""
        for key, values in self.settings.items():
            for value in values:
                yield key, value


def variant_name(key: str, value: Value) -> str:
    """Return the name of the variant in which a setting has a value: ``train.learning_rate-0.001``."""
    said = value if isinstance(value, str) else json.dumps(value)
    return re.sub(r"[^\w.+-]", "_", f"{key}-{said}")


def nested(key: str, value: Value) -> dict[str, Any]:
    """Return a dotted key with its value as keys within keys."""
    first, _, rest = key.partition(".")
    return {first: nested(rest, value) if rest else value}


METHODS = ["frozen-head", "instant", "peft-prompt", OURS]
"""What is studied where a recipe compares nothing: prompt tuning is what the field's worries are about."""
