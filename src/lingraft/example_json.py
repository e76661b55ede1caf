"""Examples as JSON objects, and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from .records import Answer, Example


def as_json(example: Example) -> dict[str, Any]:
    """Plain data of an example; what is empty is left out."""
    return {key: value for key, value in asdict(example).items() if value not in (None, ())}


def from_json(values: Mapping[str, Any], kind: Callable[..., Example]) -> Example:
    """The example of some class that plain data describe."""
    given = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
    if "answers" in given:
        given["answers"] = tuple(Answer(**answer) for answer in given["answers"])
    return kind(**given)
