"""Prompt templates: a text with named fields, ``{text} Topic: {label}``; a brace that is meant is doubled, ``{{``."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from string import Formatter


def problem_of(template: str, known: Collection[str], *, once: Collection[str] = ()) -> str | None:
    """Return what is wrong with a template; None where nothing is.

    Args:
        template: The text.
        known: The fields that it may name.
        once: Fields of which it must name exactly one, and that once.
    """
    offered = ", ".join(f"{{{name}}}" for name in known)
    try:
        parts = list(Formatter().parse(template))
    except ValueError as error:
        return f"{error}; a field is a name in braces ({offered}), and a brace that is meant is doubled"
    fields = [name for _, name, _, _ in parts if name is not None]
    for _, name, spec, conversion in parts:
        if name is not None and (name not in known or spec or conversion):
            written = name + (f"!{conversion}" if conversion else "") + (f":{spec}" if spec else "")
            return f"{{{written}}} is no field; there are {offered}; a brace that is meant is doubled"
    if once and sum(fields.count(name) for name in once) != 1:
        needed = " or ".join(f"{{{name}}}" for name in once)
        return f"expected {needed} in it, once; found {', '.join(f'{{{name}}}' for name in fields) or 'no field'}"
    return None


def fields_of(template: str) -> list[str]:
    """Return the fields that a template names, in order."""
    return [name for _, name, _, _ in Formatter().parse(template) if name is not None]


def fill(template: str, values: Mapping[str, str]) -> str:
    """Return the template with a value in the place of each field; fields without a value are left as they are."""
    return "".join(
        literal + ("" if name is None else values.get(name, f"{{{name}}}"))
        for literal, name, _, _ in Formatter().parse(template)
    )


def split_at(template: str, field: str, values: Mapping[str, str]) -> tuple[str, str]:
    """Return what stands before and after a field, the other fields filled.

    Args:
        template: Names ``field`` once.
        field: Where to split.
        values: Of all other fields.
    """
    sides, side = ["", ""], 0
    for literal, name, _, _ in Formatter().parse(template):
        sides[side] += literal
        if name == field:
            side = 1
        elif name is not None:
            sides[side] += values[name]
    return sides[0], sides[1]
