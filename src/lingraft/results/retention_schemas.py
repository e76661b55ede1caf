"""What the file of retention must be: how much of the model's ability is kept."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from .schemas import Count, File, Model, Name, Number


class Bounded(BaseModel):
    """A number with its interval, and nothing else."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    value: Number
    low: Number
    high: Number


class SourceScore(Model):
    """The source language's development score."""

    metric: str = "accuracy"
    n: Count
    before: Number
    after: Number
    low: Number | None = None
    high: Number | None = None


class Retrieval(Model):
    """How often translations find each other."""

    sentences: Literal["test", "learn"]
    n: Count
    before: Bounded
    after: Bounded
    difference: Bounded


class Similarity(Model):
    """How similar states stayed."""

    sentences: str
    n: Count
    cosine: Number
    cka: Number | None


class BitsPerToken(Model):
    """How well a decoder says texts of a language."""

    sentences: str
    n: Count
    tokens: Count
    before: Bounded
    after: Bounded
    difference: Bounded


class Disabled(Model):
    """The network without its adapters."""

    texts: Count
    max_difference: Number
    tolerance: Number


class Retention(File):
    """``retention.json``."""

    source_score: SourceScore | None = None
    retrieval: dict[Name, Retrieval] = Field(default_factory=dict)
    similarity: dict[Name, Similarity] = Field(default_factory=dict)
    bits_per_token: dict[Name, BitsPerToken] = Field(default_factory=dict)
    adapters_disabled: Disabled | None = None


RETENTION: TypeAdapter[Retention] = TypeAdapter(Retention)
