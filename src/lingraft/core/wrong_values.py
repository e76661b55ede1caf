"""What pydantic finds wrong with a value, in the words of our messages: what was expected."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from .errors import shown

EXPECTED = {
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "dict_type": "keys with values",
    "finite_number": "a finite number",
    "float_parsing": "a number",
    "float_type": "a number",
    "greater_than": "a number greater than {gt}",
    "greater_than_equal": "a number of at least {ge}",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a smaller number",
    "int_type": "a whole number",
    "less_than": "a number less than {lt}",
    "less_than_equal": "a number of at most {le}",
    "list_type": "a list",
    "literal_error": "{expected}",
    "none_required": "nothing",
    "path_type": "the path of a file or a folder",
    "string_too_long": "at most {max_length} characters",
    "string_too_short": "at least {min_length} characters",
    "string_type": "text",
    "too_long": "at most {max_length} of them",
    "too_short": "at least {min_length} of them",
    "tuple_type": "a list",
}
"""By pydantic's type of error; the fields are those of its context."""

MANY = 5
"""So many choices are not all named where one of them is likely meant."""


def say_wrong(error: Mapping[str, Any]) -> str:
    """Return what was expected instead of a value, or what the check that refused it says.

    Args:
        error: One of ``ValidationError.errors()``, with its context.
    """
    if nearest := _nearest_choice(error):
        return f"did you mean {nearest!r}?"
    if expected := EXPECTED.get(error["type"]):
        context = {key: f"{at:.12g}" if isinstance(at, float) else at for key, at in error.get("ctx", {}).items()}
        return f"expected {expected.format(**context)}"
    message: str = error["msg"]
    return message.removeprefix("Value error, ").replace("Input should be", "expected")


def _nearest_choice(error: Mapping[str, Any]) -> str | None:
    """Return which of many choices was likely meant; None where nothing is near, or the choices are soon told."""
    if error["type"] != "literal_error" or not isinstance(error["input"], str):
        return None
    choices = re.findall(r"'([^']+)'", error["ctx"]["expected"])
    near = difflib.get_close_matches(error["input"], choices, 1) if len(choices) >= MANY else []
    return near[0] if near else None


def say_each_wrong(errors: Sequence[Mapping[str, Any]], value: object) -> list[str]:
    """Return what is wrong with a value, a sentence for each part of it: ``expected 'numbers' or a list (got 5)``.

    A value that may be one of several things is wrong as each of them, which is one mistake; where it is nearly one of
    them, what is wrong within that is said alone.

    Args:
        errors: ``ValidationError.errors()``, with their contexts.
        value: What was validated.
    """
    whole = [error for error in errors if error["input"] == value and error["type"] in EXPECTED]
    within = [error for error in errors if error not in whole]
    if len(whole) > 1 and not within:
        choices = list(dict.fromkeys(say_wrong(error).removeprefix("expected ") for error in whole))
        expected = " or ".join(filter(None, [", ".join(choices[:-1]), choices[-1]]))
        return [f"expected {expected} (got {shown(value)})"]
    return [f"{say_wrong(error)} (got {shown(error['input'])})" for error in within or whole]
