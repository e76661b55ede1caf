"""Labels that are nearly another's spelling: a rare one is more likely a slip of the pen than a class of its own.

Slips hardly ever fall on the first letter of a word (Yannakoudakis & Fawthrop, 1983), where prefixes that change its
meaning stand: ``correct`` and ``incorrect``, ``B-person`` and ``I-person`` are different classes.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from difflib import SequenceMatcher
from itertools import groupby

from .labels import label_key, visible

RARER = 5
"""A label with so many times fewer examples than the one that it is nearly spelt as may be a slip."""

FEWEST_LETTERS = 5
"""Of a word that has a slip: shorter ones, as tags and numbers of groups are, differ by a letter on purpose."""

MOST_COMPARED = 300
"""So many of the rarest labels are compared with so many of the most frequent ones."""

BETWEEN = " -_"
"""What parts the words of a label, one way or the other."""


def likely_slips(counts: Mapping[str, int]) -> dict[str, str]:
    """Return the rare labels that are nearly another's spelling, to that other one.

    Args:
        counts: Label to how often it occurs.
    """
    by_key = Counter[str]()
    usual: dict[str, str] = {}
    for label in sorted(counts, key=lambda label: (-counts[label], label)):
        by_key[label_key(label)] += counts[label]
        usual.setdefault(label_key(label), label)
    common = [key for key, count in by_key.most_common(MOST_COMPARED) if count >= RARER]
    found = {}
    for key, count in sorted(by_key.items(), key=lambda one: (one[1], one[0]))[:MOST_COMPARED]:
        meant = (other for other in common if by_key[other] >= RARER * count and is_nearly(key, other))
        if (first := next(meant, None)) is not None:
            found[usual[key]] = usual[first]
    return found


def nearest_label(label: str, known: Iterable[str]) -> str | None:
    """Return the one of some labels that another is nearly spelt as; None where there is none."""
    return next((one for one in sorted(known) if is_nearly(label_key(label), label_key(one))), None)


def describe_slips(counts: Mapping[str, int], tested: Mapping[str, int], most: int = 5) -> str:
    """Ask of labels that are nearly another's spelling whether they are slips; nothing where none are.

    Args:
        counts: Label to how often it occurs.
        tested: The same in test sets; empty where there are none.
        most: So many are listed.
    """
    slips = likely_slips(counts)
    shown = [
        f"{visible(slip)} ({_examples(counts[slip])}{_in_tests(slip, tested)}) is nearly {visible(meant)} "
        f"({counts[meant]:,})"
        for slip, meant in [*slips.items()][:most]
    ]
    more = "; …" if len(slips) > most else ""
    return f"{'; '.join(shown)}{more}; a slip? correct it in the file, for each is a class of its own" if shown else ""


def is_nearly(one: str, other: str) -> bool:
    """Return whether two keys of labels differ by a slip: a letter or two neighbours of one word, or its blanks.

    Args:
        one: A label as :func:`label_key` gives it.
        other: Another.
    """
    (words, marks), (others, other_marks) = _parts(one), _parts(other)
    if marks != other_marks or not words or not others:
        return False
    if "".join(words) == "".join(others):
        return len("".join(words)) >= FEWEST_LETTERS  # health care, health-care, healthcare
    if len(words) != len(others):
        return False
    different = [(a, b) for a, b in zip(words, others, strict=True) if a != b]
    return len(different) == 1 and _is_slip(*different[0])


def _is_slip(word: str, other: str) -> bool:
    if min(len(word), len(other)) < FEWEST_LETTERS or word[0] != other[0]:
        return False
    changes = [code for code in SequenceMatcher(None, word, other, autojunk=False).get_opcodes() if code[0] != "equal"]
    letters = sum(max(end - start, other_end - other_start) for _, start, end, other_start, other_end in changes)
    return letters == 1 or (letters == 2 and sorted(word) == sorted(other))


def _parts(key: str) -> tuple[list[str], list[str]]:
    """Return the words of a key, and its numbers and signs; without blanks, hyphens and lines between them."""
    inner = key.strip(BETWEEN)
    found = [(kind, "".join(part)) for kind, part in groupby(inner, _kind_of)]
    signs = [part for kind, part in found if kind == "sign"]
    return [part for kind, part in found if kind == "word"], [*signs, *key.split(inner)] if inner else []


def _kind_of(character: str) -> str:
    """Say whether a character, or mark on one, is of a word, parts words, or has a meaning of its own."""
    if character in BETWEEN:
        return "between"
    return "word" if unicodedata.category(character)[0] in "LM" else "sign"


def _examples(count: int) -> str:
    return f"{count:,} example{'s' if count != 1 else ''}"


def _in_tests(label: str, tested: Mapping[str, int]) -> str:
    if not any(tested.values()):
        return ""
    return f", {tested[label]:,} in the tests" if tested.get(label) else ", none in the tests"
