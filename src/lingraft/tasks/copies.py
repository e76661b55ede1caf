"""Copies of the source language's sentences, made with a lexicon, among the pairs that a draw learns from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product

from ..core.counted import counted
from ..core.errors import ConfigError
from ..core.examples import GOLD, Example, PairExample, ParallelPair
from ..data.augmentation import Generator, augmentation
from ..data.leakage import identity_of, remove_overlapping_pairs
from ..data.lexicon import Lexicon, known_share, lexicon_of
from ..data.parallel_inputs import Given
from ..data.sampling import rank
from ..recipe.settings import ParallelSettings
from . import Task
from .material import Draw, Pair, without_label

COUNTED = 1_000
"""The share of words that a lexicon knows is counted on so many sentences."""


def join_lexicons(
    given: Given, mined: Mapping[str, Sequence[ParallelPair]], evaluation: Sequence[Example]
) -> dict[str, Lexicon]:
    """Join lexicons: what people wrote comes before what was mined."""
    return {
        language: lexicon_of(entries, remove_overlapping_pairs(mined.get(language, ()), evaluation)[0])
        for language, entries in given.entries.items()
    }


def with_copies(
    draws: Sequence[Draw],
    lexicons: Mapping[str, Lexicon],
    settings: ParallelSettings,
    task: Task,
    evaluation: Sequence[Example],
) -> tuple[tuple[Draw, ...], int]:
    """Return the draws with made copies among their pairs, and how many copies are evaluation texts.

    Args:
        draws: What is learnt from so far.
        lexicons: Of each target language, see :func:`join_lexicons`.
        settings: The recipe's ``parallel`` block: what makes copies, and how many.
        task: Names the source language, whose words the lexicons list; labelled examples in another are not copied.
        evaluation: What no copy may be.

    Raises:
        ConfigError: What makes copies needs a lexicon, and there is none.
    """
    generator = _generator(settings)
    forbidden = {identity_of(example) for example in evaluation}
    leaked: set[str] = set()
    found = []
    for draw in draws:
        pairs = dict(draw.pairs)
        sentences = [without_label(example) for example in draw.labelled_in(task.source_language)]
        for language, lexicon in lexicons.items():
            copies = []
            for pair in _copies(sentences, draw, language, lexicon, settings, generator):
                if identity_of(pair[1]) in forbidden:
                    leaked.add(pair[1].id)
                else:
                    copies.append(pair)
            pairs[language] = (*pairs[language], *copies)
        found.append(replace(draw, pairs=pairs))
    return tuple(found), len(leaked)


def _generator(settings: ParallelSettings) -> Generator:
    """Build what makes copies.

    Raises:
        ConfigError: It needs a lexicon, and there is none.
    """
    block = settings.generator
    assert block is not None
    made: Generator = augmentation.build(block.name, block.options)
    if made.needs_lexicon and not (settings.lexicon or settings.text):
        raise ConfigError([f"parallel.augmentation: {block.name} needs a `lexicon`, or `text` that one is mined from"])
    return made


def _copies(
    labelled: Sequence[PairExample],
    draw: Draw,
    language: str,
    lexicon: Lexicon,
    settings: ParallelSettings,
    generator: Generator,
) -> list[Pair]:
    """Return the sentences of the source language that the draw learns from, with the copies that are made of them."""
    order = list({e.id: e for e in (*labelled, *(pair[0] for pair in draw.pairs[language]))}.values())
    if settings.pairs:  # not the head of the file: it may be sorted by class
        order.sort(key=lambda example: rank(draw.draw, "copies", example.id))
    seen = {identity_of(pair[1]) for pair in draw.pairs[language]}
    found: list[Pair] = []
    for copy, example in product(range(settings.copies), order):
        if settings.pairs and len(found) == settings.pairs:
            break
        made = generator.make(example, lexicon, language, draw=draw.draw, copy=copy)
        if made is not None and identity_of(made) not in seen:
            seen.add(identity_of(made))
            found.append((example, made))
    return found


def describe_copies(lexicons: Mapping[str, Lexicon], training: Sequence[Example], draw: Draw) -> list[str]:
    """Return what lexicons and generators give, in sentences.

    Args:
        lexicons: Of each target language.
        training: Sentences whose words are counted.
        draw: With its copies.
    """
    notes = []
    texts = [example.texts[0] for example in training[:COUNTED]]
    for language, lexicon in lexicons.items():
        origins = Counter(made.origin for _, made in draw.pairs[language] if made.origin != GOLD)
        copies = [f"{counted(count, 'copy', 'copies')} by {origin}" for origin, count in origins.items()]
        known = (
            f"the lexicon has {counted(len(lexicon), 'entry', 'entries')}, covering "
            f"{known_share(texts, lexicon):.0%} of the words in the training sentences"
        )
        if found := [*([known] if len(lexicon) else []), *copies]:
            notes.append(f"{language}: {'; '.join(found)}")
    return notes
