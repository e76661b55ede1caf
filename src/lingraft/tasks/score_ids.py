"""Which prediction is whose: the ids of two files, compared and brought to one spelling."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from ..core.errors import DataError
from ..data.labels import whole_number

T = TypeVar("T")


def check_ids(
    wanted: Collection[str],
    given: Mapping[str, str],
    predictions: Path,
    gold: Path,
    *,
    missing_is_wrong: bool,
    empty: bool = False,
    cure: str = "add them, or count them as wrong, as the official scripts do, with --missing-is-wrong",
) -> int:
    """Count the ids that have no prediction.

    Args:
        wanted: The ids that are right to have.
        given: What was predicted, by id.
        predictions: The file of it.
        gold: The file of the others.
        missing_is_wrong: Whether there may be such.
        empty: Whether an empty prediction is one.
        cure: What to do about those without a prediction.

    Raises:
        DataError: There are such and they are not wanted to be wrong, or there are predictions of other ids.
    """
    known, predicted = set(wanted), set(given)
    missing = [key for key in wanted if key not in predicted or not (empty or given[key])]
    others = [key for key in given if key not in known]
    if not known & predicted:
        raise DataError(
            f"{predictions}: none of its ids ({_some(others)}) is one of {gold} ({_some(missing)}); are these files of "
            "the same data set?"
        )
    if others:
        raise DataError(
            f"{predictions}: {len(others)} of {len(predicted)} ids are not in {gold}: {_some(others)}; give the gold "
            "file that they were predicted for, or remove them"
        )
    if missing and not missing_is_wrong:
        raise DataError(
            f"{predictions}: {len(missing)} of {len(known)} ids in {gold} have no prediction: {_some(missing)}; {cure}"
        )
    return len(missing)


def align_ids(given: Mapping[str, T], wanted: Collection[str], predictions: Path) -> dict[str, T]:
    """Return what was predicted by the ids of the gold file, where these write whole numbers otherwise: ``1.0`` is 1.

    Args:
        given: What was predicted, by id.
        wanted: The ids of the gold file.
        predictions: The file of it.

    Raises:
        DataError: Two ids are then the same.
    """
    known, by_number = set(wanted), defaultdict[str, list[str]](list)
    for key in wanted:
        by_number[whole_number(key)].append(key)
    found: dict[str, T] = {}
    for key, value in given.items():
        same = by_number.get(whole_number(key), [])
        name = same[0] if key not in known and len(same) == 1 else key
        if name in found:
            raise DataError(f"{predictions}: the id {name!r} occurs twice, written in two ways; keep one of the two")
        found[name] = value
    return found


def _some(keys: Sequence[str], most: int = 3) -> str:
    return ", ".join(map(repr, keys[:most])) + (", …" if len(keys) > most else "")
