"""Which predicted label is which right one: the same thing is often written in two ways by two programs.

``1.0`` and ``1``, ``Positive`` and ``positive``, NFD and NFC are one label, if only one label of each file can be
meant. Everything else is compared as it is written.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping

from ..core.errors import DataError
from ..data.labels import describe_variants, label_key, spelling_variants


def form_of(label: str) -> str:
    """Return what labels that are the same thing have in common: a number, or the text without its case."""
    text = label_key(label)
    try:
        number = float(text) if text.isascii() and "_" not in text else None
    except ValueError:
        return text
    return text if number is None or number != number else f"{number:.17g}"


def match_labels(predicted: Collection[str], right: Collection[str], where: str) -> Mapping[str, str]:
    """Return the right label that each predicted one is, which may be itself, or none of the right ones.

    Args:
        predicted: Labels that were predicted, without blanks at their ends.
        right: Labels that are right.
        where: The files, for messages.

    Raises:
        DataError: None of those predicted is one of the right ones; or several labels of a file could be meant.
    """
    meant, given = _by_form(right), _by_form(predicted)
    found: dict[str, str] = {}
    for label in predicted:
        same = meant.get(form_of(label), [])
        if label in right or not same:
            found[label] = label
        elif len(same) > 1 or len(given[form_of(label)]) > 1:
            raise DataError(f"{where}: {label!r} may be one of several labels; {_both(predicted, right)}")
        else:
            found[label] = same[0]
    if found and not set(found.values()) & set(right):
        raise DataError(f"{where}: no predicted label is one of the right ones; {_both(predicted, right)}")
    return found


def describe_spellings(labels: Iterable[str], where: str) -> str:
    """Say which right labels differ in nothing but their spelling, each of which counts; nothing where none do.

    Args:
        labels: All that are right, as often as they are.
        where: The gold file.
    """
    counts = Counter(labels)
    if not (variants := spelling_variants(counts)):
        return ""
    return (
        f"{where} spells labels in several ways, each of which counts as another label: "
        f"{describe_variants(variants, counts)}; they are one with --labels normalise, as they are to a run whose "
        "recipe has `labels: normalise`"
    )


def _by_form(labels: Collection[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for label in labels:
        found[form_of(label)].append(label)
    return found


def _both(predicted: Collection[str], right: Collection[str]) -> str:
    return (
        f"predicted are {_listed(predicted)}; right are {_listed(right)}; write them the same in both files, name the "
        f"columns with --prediction and --label, or {_read_otherwise(predicted, right)}"
    )


def _read_otherwise(predicted: Collection[str], right: Collection[str]) -> str:
    """Return how else labels can be read: as names of numbers, as alternatives, or without regard to spelling."""
    if all(label.isdecimal() for label in right):
        return "give the names of the numbers, from 0, with --labels NAME,NAME"
    if all(label.isdecimal() for label in predicted):
        return "name the columns of the alternatives that the numbers count with --alternatives"
    return "count spellings as one with --labels normalise"


def _listed(labels: Collection[str], most: int = 20) -> str:
    return ", ".join(map(repr, sorted(labels)[:most])) + (", …" if len(labels) > most else "")
