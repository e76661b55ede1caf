"""What ``pseudo.json`` must be, which tells what was made of what, and what filters took."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, TypeAdapter

from .schemas import Count, File, Model, Name, Number


class FunnelStep(Model):
    """What a filter of pseudo-data did."""

    filter: str
    came: Count
    taken: Count


class PseudoAnswer(Model):
    """An answer in an example."""

    text: str


class PseudoExample(Model):
    """An example that was made, of any kind of task."""

    origin: str = ""
    weight: Number = 1.0
    text_a: str = ""
    text_b: str | None = None
    question: str | None = None
    context: str = ""
    text: str = ""
    words: list[str] = Field(default_factory=list)
    alternatives: list[str] = Field(default_factory=list)
    answers: list[PseudoAnswer] = Field(default_factory=list)
    tags: list[str] = Field(default_factory=list)
    label: str | int | None = None


class RejectedExample(Model):
    """One that a filter took away."""

    filter: str
    reason: str
    example: PseudoExample


class PseudoLot(Model):
    """What was made for a language in a draw."""

    language: Name
    draw: Count
    made: dict[str, Count]
    dropped: dict[str, Count]
    funnel: list[FunnelStep]
    survivors: list[PseudoExample]
    rejected: list[RejectedExample]
    k: Count | Literal["all"] | None = None
    digest: str = ""
    made_of: str = ""
    records: list[dict[str, Any]] = Field(default_factory=list)


class Pseudo(File):
    """``pseudo.json``."""

    lots: list[PseudoLot] = Field(default_factory=list)


PSEUDO: TypeAdapter[Pseudo] = TypeAdapter(Pseudo)
