"""The recipe's ``source_choice:`` block: which languages there are to choose from, by what, and how many are chosen."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Language = Annotated[str, Field(min_length=1)]
MEASURES = ("labels", "agreement", "transfer", "retrieval", "tokens", "genetic", "geographic", "syntactic")
"""What is measured of a candidate, in the order of the table; docs/experiments.md says what each is."""


class SourceChoiceSettings(BaseModel):
    """What `lingraft sources` chooses from."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    candidates: Annotated[list[Language], Field(min_length=2, max_length=300)] | None = None
    """Languages with labelled examples of the task; by default all that its data have, without the targets."""
    rank_by: Annotated[list[Literal[MEASURES]], Field(min_length=1)] = ["labels", "agreement", "tokens"]  # type: ignore[valid-type]
    """Measures whose ranks are averaged, those that every candidate has; all that every candidate has, where it has
    none of these."""
    together: Annotated[int, Field(ge=1, le=10)] = 3
    """So many of the first ones are put into the recipe together."""
