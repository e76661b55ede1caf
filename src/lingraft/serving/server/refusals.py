"""What is answered to a request that cannot be: a status, and one line that says what was expected, and what came."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from starlette.responses import Response

from ...core.errors import one_line, shown
from ...core.json_text import to_json
from ...core.wrong_values import say_wrong

JSON = "application/json"


class RefusedError(Exception):
    """A request that is not answered.

    Args:
        status: Of HTTP.
        message: One line.
        headers: Sent with it.
    """

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(one_line(message))
        self.status, self.headers = status, dict(headers or {})

    @property
    def response(self) -> Response:
        """What is sent: an object with the line as its ``error``."""
        return Response(to_json({"error": str(self)}), self.status, self.headers, JSON)


def describe_wrong_body(errors: Sequence[Mapping[str, Any]], known: Collection[str]) -> str:
    """Say what is wrong with a body that is not what a path takes.

    Args:
        errors: Of pydantic, as FastAPI gives them.
        known: The keys that the path takes.
    """
    first = errors[0]
    place = ".".join(map(str, first["loc"][1:]))
    if first["type"] == "json_invalid":
        return f"expected a JSON object, but at character {int(place) + 1} of the body: {first['ctx']['error']}"
    given = first.get("input")
    if not place or isinstance(given, bytes):
        text = given.decode(errors="replace") if isinstance(given, bytes) else given
        what = "nothing" if text is None else shown(text)
        return f"expected a JSON object and the header Content-Type: application/json, got {what}"
    if first["type"] == "missing":
        return f"{place}: is not there; add it"
    if first["type"] == "extra_forbidden":
        return f"{shown(place)}: no such key; there are {', '.join(known)}"
    return f"{place}: {say_wrong(first)}, got {shown(given)}"
