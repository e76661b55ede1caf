"""Labels as people write them: spellings that differ in nothing anybody sees, and numbers where names are expected.

A class that is written ``Billing`` here and ``billing`` there, composed or decomposed, or with an invisible character
behind it, is two classes to a program. What is invisible at the ends of a label is never part of it; what else tells
spellings apart is shown, and merged where that is asked for.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from ..core.examples import Example, TaggedExample
from .text import normalise

INVISIBLE = "\u00ad\u061c\u180e\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"
"""Characters of no width: soft hyphen, zero-width space and joiners, marks of direction, byte order mark."""

NUMBER = re.compile(r"[+-]?\d+(?:[.,]\d+)?(?:[eE][+-]?\d+)?")

WHOLE = re.compile(r"(-?\d+)\.0+")

MANY_NUMBERS = 10
"""So many different numbers look like measurements; fewer may be grades, such as one to five stars."""


def strip_label(label: str) -> str:
    """Return a label without blanks and invisible characters at its ends."""
    first, last = 0, len(label)
    while first < last and _unseen(label[first]):
        first += 1
    while first < last and _unseen(label[last - 1]):
        last -= 1
    return label[first:last]


def whole_number(text: str) -> str:
    """Return ``1.0``, as libraries of tables write a whole number beside a gap, as ``1``; any other text as it is."""
    found = WHOLE.fullmatch(text)
    return found[1] if found else text


def label_key(label: str) -> str:
    """Return what spellings of one label share: all but case, normal form, blanks and invisible characters."""
    return normalise("".join(character for character in label if character not in INVISIBLE))


def spelling_variants(counts: Mapping[str, int]) -> list[tuple[str, ...]]:
    """Return the labels that are spellings of one another, the most frequent first, in the order of their keys.

    Args:
        counts: Label to how often it occurs.
    """
    by_key: dict[str, list[str]] = defaultdict(list)
    for label in counts:
        by_key[label_key(label)].append(label)
    return [
        tuple(sorted(by_key[key], key=lambda label: (-counts[label], label)))
        for key in sorted(by_key)
        if len(by_key[key]) > 1
    ]


def count_labels(examples: Iterable[Example]) -> Counter[str]:
    """Count the labels of examples, of words where these have one each."""
    return Counter(label for example in examples for label in example.labels)


def are_measurements(counts: Mapping[str, int]) -> bool:
    """Return whether labels are numbers that somebody measured, rather than names or numbers of classes.

    They are where all are numbers, and many; unless they count from 0 or 1 without a gap, as numbers of classes do,
    and each occurs at least twice.
    """
    if len(counts) < MANY_NUMBERS or not all(NUMBER.fullmatch(label) for label in counts):
        return False
    whole = {int(label) for label in counts if label.isdecimal()}
    counted = len(whole) == len(counts) and min(whole) in (0, 1) and max(whole) - min(whole) + 1 == len(whole)
    return not (counted and min(counts.values()) > 1)


def ask_of_numbers(counts: Mapping[str, int]) -> str:
    """Ask whether the classes of a task are numbers that somebody measured; nothing where they do not look so."""
    if not are_measurements(counts):
        return ""
    some = ", ".join(sorted(counts, key=lambda label: float(label.replace(",", ".")))[:3])
    return (
        f"the {len(counts)} labels are all numbers ({some}, …): are they measurements or scores? Each is learnt as a "
        "class that knows nothing of its neighbours; put them into few classes (low, middle, high), score them as a "
        "scale (`order: numbers`, in a classification), or, if they do number classes, give their names with "
        "`labels: [name of 0, name of 1, …]`"
    )


def samples_of(examples: Iterable[Example], most: int) -> dict[str, list[str]]:
    """Return for each label the first ``most`` different texts, or words, that have it."""
    found: dict[str, dict[str, None]] = defaultdict(dict)
    for example in examples:
        for label, text in zip(example.labels, _labelled_texts(example), strict=False):
            if len(found[label]) < most:
                found[label].setdefault(text)
    return {label: list(texts) for label, texts in found.items()}


def visible(label: str) -> str:
    """Return a label in quotes, its invisible and decomposed characters written as escapes."""
    return repr(label) if _plain(label) else ascii(label)


def describe_variants(groups: Collection[Sequence[str]], counts: Mapping[str, int], most: int = 5) -> str:
    """List spellings with how often they occur, at most so many groups of them."""
    shown = [", ".join(f"{visible(label)} ({counts[label]})" for label in group) for group in [*groups][:most]]
    return "; ".join(shown) + ("; …" if len(groups) > most else "")


def _plain(label: str) -> bool:
    """Return whether a label is composed and all of it can be seen."""
    return unicodedata.is_normalized("NFC", label) and not any(character in INVISIBLE for character in label)


def _unseen(character: str) -> bool:
    return character.isspace() or character in INVISIBLE


def _labelled_texts(example: Example) -> Sequence[str]:
    """Return what each label of an example is of."""
    return example.words if isinstance(example, TaggedExample) else example.texts[:1] * len(example.labels)
