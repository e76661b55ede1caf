"""Languages that no list has: private tags of BCP 47, such as ``qaa-x-mine``, and plain names, such as ``mylang``."""

from __future__ import annotations

import re

TAG = re.compile(
    r"(?:(?P<base>[a-z]{2,8}(?:[-_][a-z]{4})?(?:[-_](?:[a-z]{2}|[0-9]{3}))?)[-_])?x(?P<own>(?:[-_][a-z0-9]{1,8})+)",
    re.IGNORECASE | re.ASCII,
)
"""A tag that ends in a private part, perhaps after that of a language."""

NAME = re.compile(r"(?P<name>[a-z]{5,8})(?:[-_](?P<script>[a-z]{4}))?", re.IGNORECASE | re.ASCII)
"""What BCP 47 lets a language be called that has no code of two or three letters, perhaps with its script."""

LISTED = re.compile(r"[a-z]{3}-[A-Z][a-z]{3}")
"""A code as lists have them."""


def wrong_part(text: str) -> str | None:
    """Return the part after an ``x`` that makes a text no private tag; None where there is no such part."""
    _, mark, own = re.sub("[-_]", "-", f"-{text.lower()}").partition("-x-")
    parts = own.split("-") if mark else []
    return next((part for part in parts if not re.fullmatch("[a-z0-9]{1,8}", part)), None)


def is_private(code: str) -> bool:
    """Return whether a canonical code is one of somebody's own."""
    return LISTED.fullmatch(code) is None


def private_spellings(code: str) -> tuple[str, ...]:
    """Return spellings of a private code to try in file names: with ``_`` too, and what follows its ``x`` alone."""
    alone = code.rpartition("x-")[2] if re.search(r"(^|-)x-", code) else code
    return tuple(dict.fromkeys([code, code.replace("-", "_"), alone]))
