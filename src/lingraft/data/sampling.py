"""Draws that are the same for everyone who names the same number, and that never leak.

Nothing is shuffled: candidates are ranked by a hash of the draw's number and their own identifier,
so a draw depends neither on the order of a file nor on the version of a random generator. Draws keep
groups, not examples, apart: a paragraph or a parallel sentence is on one side of a split, in all
languages at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import TypeVar

from ..core.counted import counted
from ..core.errors import ConfigError, DataError
from ..core.examples import Example
from ..core.shots import Shots

E = TypeVar("E", bound=Example)


def split_groups(groups: Iterable[str], sizes: tuple[int, int], draw: int) -> tuple[frozenset[str], frozenset[str]]:
    """Draw two disjoint random sets of groups, of the given sizes.

    SIB-200's 701 training sentences, for one, split into 350 that may carry labels and 351 that may
    serve as parallel text, the same ones in every language.

    Raises:
        DataError: There are too few groups.
    """
    ranked = sorted(set(groups), key=lambda group: rank(draw, "split", group))
    first, second = sizes
    if first < 0 or second < 0:
        raise DataError(f"cannot split into {first} and {second} groups; sizes begin at 0")
    if len(ranked) < first + second:
        raise DataError(
            f"cannot split {len(ranked)} groups into {first} and {second}: {first + second} are needed; ask for fewer "
            "or give more data"
        )
    return frozenset(ranked[:first]), frozenset(ranked[first : first + second])


def draw_shots(examples: Sequence[E], k: Shots, draw: int, *, per_class: bool = True) -> list[E]:
    """Draw ``k`` examples of every class, at most one of a group.

    Examples are taken in rounds of one per class, so the 5-shot draw is the beginning of the 8-shot
    draw of the same number.

    Args:
        examples: Labelled candidates of one language.
        k: Shots per class; 0 gives none, ``all`` every example, however many each class has.
        draw: Number of the draw.
        per_class: Whether what is right of an example is its class; otherwise ``k`` are drawn in all.

    Raises:
        DataError: A class has fewer than ``k`` examples of different groups; every such class is listed.
    """
    if k == "all":
        return list(examples)
    if k < 0:
        raise DataError(f"cannot draw {k} shots; k begins at 0")
    ranked: dict[str, list[E]] = {}
    for example in sorted(examples, key=lambda e: rank(draw, "shots", e.id)):
        if example.gold is None:
            raise DataError(f"cannot draw shots: example {example.id!r} has no label")
        ranked.setdefault(str(example.gold) if per_class else "", []).append(example)
    counts = {label: len({e.group for e in ranked[label]}) for label in sorted(ranked)}
    short = {label: n for label, n in counts.items() if n < k}
    if short:
        grouped = len({e.group for e in examples}) < len(examples)
        raise DataError(_too_few(k, draw, short, "examples of different groups" if grouped else "examples"))
    # Classes with the least choice go first, lest others take the groups they share.
    order = sorted(counts, key=lambda label: (counts[label], label))
    taken: set[str] = set()
    chosen: list[E] = []
    for round_ in range(k):
        for label in order:
            shot = next((e for e in ranked[label] if e.group not in taken), None)
            if shot is None:
                raise DataError(_too_few(k, draw, {label: round_}, "left once other classes took groups they share"))
            taken.add(shot.group)
            chosen.append(shot)
    return chosen


def draw_of_one_language(labelled: Sequence[E], k: Shots, draw: int, *, per_class: bool) -> list[E]:
    """Draw what is learnt from in a task in one language: there the labelled examples are the shots.

    Args:
        labelled: Labelled candidates.
        k: Shots per class.
        draw: Number of the draw.
        per_class: As for :func:`draw_shots`.

    Raises:
        ConfigError: None are asked for.
    """
    if k == 0:
        raise ConfigError(["shots.k: 0 leaves nothing to learn from in a task in one language; give a number, or all"])
    return draw_shots(labelled, k, draw, per_class=per_class)


def rank(draw: int, purpose: str, identifier: str) -> bytes:
    """Rank an identifier in a draw: by a hash, to sort by."""
    return sha256(f"{draw}:{purpose}:{identifier}".encode()).digest()


def _too_few(k: int, draw: int, short: dict[str, int], what: str) -> str:
    needs = f"draw {draw + 1} needs {counted(k, 'shot')}"
    if list(short) == [""]:
        return f"{needs}, but there are {short['']} {what}; ask for fewer shots or give more data"
    listed = ", ".join(f"{label} {n}" for label, n in sorted(short.items()))
    return f"{needs} of every class, but these have fewer {what}: {listed}; ask for fewer shots or give more data"
