"""JSON lines in what a language model wrote: between remarks and fences, or as one list all the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pydantic_core


def objects_in(text: str) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects that are a line each, or the items of a list that is all of the text.

    What is no object is passed over: fences of code, remarks, a last line that was cut off.
    """
    lines = [line.strip() for line in text.split("\n") if not line.strip().startswith("```")]
    whole = _parsed("\n".join(lines))
    found = whole if isinstance(whole, list) else [_parsed(line.removesuffix(",")) for line in lines]
    yield from (one for one in found if isinstance(one, dict))


def _parsed(text: str) -> Any:
    """Return what a text is as JSON; None where it is none, or holds half a character."""
    try:
        return pydantic_core.from_json(text)
    except ValueError:
        return None
