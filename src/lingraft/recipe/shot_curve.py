"""The recipe's ``shot_curve:`` block: how many labels are tried, in how many draws, beside how many translations."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from .stability import Levels

Labels = Annotated[int, Field(strict=True, ge=0, le=10**6)]
Pairs = Annotated[int, Field(strict=True, ge=0, le=10**9)]

SHOTS = [0, 1, 2, 4, 8, 16, 32, 64, 128]


class ShotCurveSettings(BaseModel):
    """What `lingraft shots` tries."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    k: Annotated[list[Labels], Field(min_length=2, max_length=50)] | None = None
    """Labelled examples of each class; by default 0, 1, 2, 4 and so on up to 128, as far as every class has them."""
    draws: Levels = 3
    """Draws of the labelled examples and of the pairs; each number of labels begins with those of the one before."""
    pairs: Annotated[list[Pairs | Literal["all"]], Field(min_length=1, max_length=10)] = [0, 50, "all"]
    """How many translations `lingraft` and `instant` have; what is not named like the recipe's own is a variant."""

    @field_validator("k")
    @classmethod
    def _rising(cls, k: list[int] | None) -> list[int] | None:
        if k is not None and len(set(k)) < len(k):
            raise ValueError("names a number of labels twice")
        return None if k is None else sorted(k)


METHODS = ["frozen-head", "instant", "peft-lora", "lingraft"]
"""What is compared where a recipe compares nothing."""

WITH_PAIRS = ("instant", "lingraft")
"""Methods that are tried with fewer translations."""
