"""How an example of a kind is put to a language model in words: the fields that a prompt template may name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ...core.examples import Example


@dataclass(frozen=True)
class Prompted:
    """What a template is filled with."""

    fields: Callable[[Example], Mapping[str, str]]
    """An example to the value of each field that it has."""
    texts: tuple[str, ...]
    """The fields that are the example's own texts."""
    answer: str
    """The field in whose place each possible answer stands."""
    others: tuple[str, ...] = ()
    """Further fields, which are wording."""
    answers: Callable[[Example], Sequence[str]] | None = None
    """The possible answers of an example, as texts; by default the labels of the kind."""
