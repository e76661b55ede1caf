"""Code-switching: copies of sentences in which words are replaced by their translations (Qin et al., 2020)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Annotated

from pydantic import Field

from ...core.records import PairExample
from ..lexicon import Lexicon, Words, matches
from ..sampling import rank
from . import Generator, augmentation

CODE_SWITCHING = "code-switching"
"""The origin of the copies."""


@augmentation.register(CODE_SWITCHING)
def code_switching(*, ratio: Annotated[float, Field(gt=0, le=1)] = 0.5) -> Generator:
    """Words replaced by their translations: a share of those in a sentence that the lexicon knows."""
    return Generator(partial(switch_words, ratio=ratio), needs_lexicon=True)


def switch_words(
    example: PairExample, lexicon: Lexicon, language: str, *, ratio: float, draw: int, copy: int
) -> PairExample | None:
    """Copy ``example`` with ``ratio`` of the different entries that it contains, at least one, replaced.

    An entry is replaced wherever it occurs, by the same translation, in both texts of an example that
    has two: otherwise a paraphrase could stop being one.

    Args:
        example: Of the source language.
        lexicon: What is replaced by what.
        language: Of the translations; the copy is learnt from as a text of it.
        ratio: Share of the entries that are replaced.
        draw: Number of the draw.
        copy: Number of the copy; another one is switched elsewhere.

    Returns:
        The copy without a label, or ``None`` if the lexicon knows no word of the example.
    """
    texts = [text for text in (example.text_a, example.text_b) if text is not None]
    known = {match.words for text in texts for match in matches(text, lexicon)}
    if not known:
        return None
    where = f"{language}/{copy}/{example.id}"
    ranked = sorted(known, key=lambda words: rank(draw, "switch", f"{where}/{' '.join(words)}"))
    chosen = {
        words: min(lexicon.entries[words], key=lambda word: rank(draw, "translation", f"{where}/{words}/{word}"))
        for words in ranked[: max(1, round(ratio * len(known)))]
    }
    text_a, *rest = (_replaced(text, lexicon, chosen) for text in texts)
    return replace(
        example,
        id=f"switched/{draw}/{language}/{copy}/{example.id}",
        language=language,
        origin=CODE_SWITCHING,
        text_a=text_a,
        text_b=rest[0] if rest else None,
        label=None,
    )


def _replaced(text: str, lexicon: Lexicon, chosen: Mapping[Words, str]) -> str:
    parts, at = [], 0
    for match in matches(text, lexicon):
        if match.words in chosen:
            parts += [text[at : match.start], _cased(chosen[match.words], text[match.start : match.end])]
            at = match.end
    return "".join([*parts, text[at:]])


def _cased(translation: str, original: str) -> str:
    """Return the translation with a capital where the original has one; its own capitals stay."""
    if len(original) > 1 and original.isupper():
        return translation.upper()
    return translation[:1].upper() + translation[1:] if original[:1].isupper() else translation
