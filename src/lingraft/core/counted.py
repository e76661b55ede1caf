"""Numbers of things in words: one pair, 1,997 pairs."""

from __future__ import annotations


def counted(number: int, noun: str, nouns: str | None = None) -> str:
    """Count in words: ``1 draw``, ``3,000 draws``.

    Args:
        number: How many there are.
        noun: What one is called.
        nouns: What several are called; by default with an ``s``.
    """
    return f"{number:,} {noun if number == 1 else nouns or noun + 's'}"
