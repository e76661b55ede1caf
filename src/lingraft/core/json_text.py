"""JSON that any program reads: numbers that are none have no word in it, though Python writes (and reads) some."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any


def to_json(value: Any, *, indent: int | None = None, default: Callable[[Any], Any] | None = None) -> str:
    """Return a value as JSON; numbers that are none become what :func:`finite` makes of them.

    Args:
        value: Plain data.
        indent: Blanks before what is inside something else; None for one line.
        default: What is written of a value that JSON has no word for, such as a date; by default it is an error.
    """

    def write(one: Any) -> str:
        return json.dumps(one, ensure_ascii=False, indent=indent, default=default, allow_nan=False)

    try:
        return write(value)
    except ValueError:  # a number that is none, which is rare
        return write(finite(value))


def finite(value: Any) -> Any:
    """Return a value with None for each number that is none, or infinite, as pandas and browsers write it."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [finite(one) for one in value]
    return value
