"""Code-switched copies of what is learnt from with labels, which are to get the same answers as the originals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from itertools import product

from ..core.counted import counted
from ..core.errors import ConfigError, Faults
from ..core.examples import Example
from ..data.augmentation.switching import Switched, switch
from ..data.differences import SAME, loses_difference
from ..data.languages import canonical
from ..data.leakage import identity_of
from ..data.lexicon import Lexicon, lexicon_of
from ..data.parallel_inputs import read_entries, refuse_shared_pairs
from ..recipe.settings import ConsistencySettings
from . import Task
from .material import Draw, Materials

CONSISTENCY = "consistency"
"""What the ids of the copies begin with."""


def copied_languages(settings: ConsistencySettings, task: Task) -> list[str]:
    """Return the target languages that copies are made in."""
    return list(task.target_languages if settings.languages is None else map(canonical, settings.languages))


def with_switched_copies(
    materials: Materials, settings: ConsistencySettings, evaluation: Sequence[Example]
) -> Materials:
    """Return the materials with copies of the labelled source examples of each draw.

    Args:
        materials: All that is learnt from and tested on.
        settings: The recipe's ``consistency`` block.
        evaluation: What no entry of a lexicon, and no copy, may be.

    Raises:
        DataError: A lexicon is missing or faulty.
        ConfigError: Several are.
    """
    task, lexicons, notes, faults = materials.task, dict[str, Lexicon](), list[str](), Faults()
    languages = copied_languages(settings, task)
    refuse_shared_pairs("consistency.lexicon", settings.lexicon, task.source_language, languages)
    for language in languages:
        with faults:
            entries, _, note = read_entries(settings.lexicon, task.source_language, language, evaluation)
            lexicons[language] = lexicon_of(entries)
            notes.append(note)
    faults.refuse()
    forbidden, merged = {identity_of(example) for example in evaluation}, Counter[tuple[int, str]]()
    draws = tuple(
        replace(
            draw,
            copies={
                code: _copies(
                    draw.labelled_in(task.source_language), draw.draw, code, lexicon, settings, forbidden, merged
                )
                for code, lexicon in lexicons.items()
            },
        )
        for draw in materials.draws
    )
    nothing = list[str]()
    for code in lexicons:
        if not any(rounds for draw in draws for rounds in draw.copies[code]):
            nothing.append(
                f"consistency: nothing is left of what the lexicon of {code} copies: {SAME}"
                if any(language == code for _, language in merged)
                else f"consistency: the lexicon of {code} knows no word of what is labelled, so nothing is copied"
            )
    if nothing:
        raise ConfigError(nothing)
    notes += _describe(draws[0], task, merged)
    return replace(materials, draws=draws, notes=(*materials.notes, *notes))


def _copies(
    examples: Sequence[Example],
    draw: int,
    language: str,
    lexicon: Lexicon,
    settings: ConsistencySettings,
    forbidden: Collection[tuple[str, ...]],
    merged: Counter[tuple[int, str]],
) -> tuple[tuple[Switched[Example], ...], ...]:
    """Return the copies of some examples in a language, those of each number together.

    Those whose label is no longer true, since texts that it tells apart become the same, are counted in ``merged``.
    """
    rounds: list[list[Switched[Example]]] = [[] for _ in range(settings.copies)]
    for number, example in product(range(settings.copies), examples):
        made = switch(
            example,
            lexicon,
            language,
            ratio=settings.ratio,
            draw=draw,
            copy=number,
            inflections=settings.inflections,
        )
        if made is not None and loses_difference(example, made.example):
            merged[draw, language] += 1
        elif made is not None and identity_of(made.example) not in forbidden:
            name = f"{CONSISTENCY}/{draw}/{language}/{number}/{example.id}"
            rounds[number].append(replace(made, example=replace(made.example, id=name)))
    return tuple(map(tuple, rounds))


def _describe(draw: Draw, task: Task, merged: Counter[tuple[int, str]]) -> list[str]:
    """Say of how many examples there are copies, and how many are left out."""
    originals = counted(len(draw.labelled_in(task.source_language)), "labelled example")
    return [
        f"{language}: {counted(sum(map(len, rounds)), 'code-switched copy', 'code-switched copies')} of {originals}, "
        "to be answered as the originals are"
        + (f" ({count:,} left out: {SAME})" if (count := merged[draw.draw, language]) else "")
        for language, rounds in draw.copies.items()
    ]
