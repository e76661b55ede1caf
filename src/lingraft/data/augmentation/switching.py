"""Copies of examples in which words are replaced by their translations, labels included (CoSDA-ML, Qin et al., 2020).

What is replaced in one text of an example is replaced in all of them, by the same translation: two sentences stay
paraphrases, a question keeps asking for what its context says. Answers and tags follow their words, so the copy of a
labelled example is a labelled one. What is replaced, and by what, is a hash of the draw, the copy and the example.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Generic

from ...core.examples import Answer, ChoiceExample, E, Example, PairExample, SpanExample, TaggedExample
from ..lexicon import Lexicon, Words, anywhere, matches
from ..sampling import rank

CODE_SWITCHING = "code-switching"
"""The origin of the copies."""

CAN_BE_SWITCHED = (PairExample, SpanExample, TaggedExample, ChoiceExample)

PIECE = re.compile(r"\S+")


@dataclass(frozen=True, slots=True)
class Edit:
    """Characters ``start:end`` of a text, and what stands in their place."""

    start: int
    end: int
    text: str


Place = tuple[int, int]
"""First and last (exclusive): characters of a context, or words of a tagged sentence."""


@dataclass(frozen=True, slots=True)
class Switched(Generic[E]):
    """A code-switched copy of an example."""

    original: E
    example: E
    edits: tuple[tuple[Edit, ...], ...]
    """Of each text of the original that was looked at."""

    @property
    def places(self) -> list[tuple[Place, Place]]:
        """What corresponds where each token counts, in the original and in the copy, in the order of both.

        Of a question, the pieces of its context between blanks, and what stands in place of what. Of tagged words,
        each word and its own; of several in place of one, or one in place of several, the first. Nothing of texts.
        """
        original = self.original
        if isinstance(original, SpanExample):
            return _corresponding_pieces(original.context, self.edits[1] if len(self.edits) > 1 else ())
        return _corresponding_words(original, self.edits[0]) if isinstance(original, TaggedExample) else []


def switch_example(
    example: E, lexicon: Lexicon, language: str, *, ratio: float, draw: int, copy: int, inflections: bool = False
) -> E | None:
    """Copy ``example`` with ``ratio`` of the different entries that it contains, at least one, replaced.

    An entry is replaced wherever it occurs, phrases before words. The label is kept. Each answer of a question is
    carried to where its words stand in the copy, and no entry is replaced that is partly in an answer. Words keep
    their tags: what replaces a phrase of one tag, or within one span, goes on with its first tag; a phrase of several
    is left to its words.

    Args:
        example: Of the lexicon's source language: texts, a question with its context, tagged words, or a choice.
        lexicon: What is replaced by what.
        language: Of the translations; the copy is learnt from as a text of it.
        ratio: Share of the entries that are replaced, from 0 to 1.
        draw: Number of the draw.
        copy: Number of the copy; another one is switched elsewhere.
        inflections: Whether an English word that is no entry may stand for one that it is a form of.

    Returns:
        The copy, with an id of its own and the group of the original; None where nothing is replaced, or an answer
        does not stand where it is said to.
    """
    found = switch(example, lexicon, language, ratio=ratio, draw=draw, copy=copy, inflections=inflections)
    return None if found is None else found.example


def switch(
    example: E, lexicon: Lexicon, language: str, *, ratio: float, draw: int, copy: int, inflections: bool = False
) -> Switched[E] | None:
    """Copy an example as :func:`switch_example` does, and say what of it corresponds to what."""
    passages = _passages(example)
    found = [matches(text, lexicon, inflected=inflections, allowed=allowed) for text, allowed in passages]
    known = {match.words for one in found for match in one}
    if not known or ratio <= 0:
        return None
    chosen = _choose(known, lexicon, ratio, draw, f"{language}/{copy}/{example.id}")
    edits = tuple(
        tuple(Edit(m.start, m.end, _cased(chosen[m.words], text[m.start : m.end])) for m in one if m.words in chosen)
        for (text, _), one in zip(passages, found, strict=True)
    )
    switched = _rebuilt(example, edits, language)
    if switched.texts == example.texts:
        return None
    name = f"switched/{draw}/{language}/{copy}/{example.id}"
    return Switched(example, replace(switched, id=name, language=language, origin=CODE_SWITCHING), edits)


def _choose(known: Collection[Words], lexicon: Lexicon, ratio: float, draw: int, where: str) -> dict[Words, str]:
    """Return the entries that are replaced, each with one of its translations."""
    ranked = sorted(known, key=lambda words: rank(draw, "switch", f"{where}/{' '.join(words)}"))
    return {
        words: min(lexicon.entries[words], key=lambda word: rank(draw, "translation", f"{where}/{words}/{word}"))
        for words in ranked[: max(1, round(ratio * len(known)))]
    }


def _cased(translation: str, original: str) -> str:
    """Return the translation with a capital where the original has one; its own capitals stay."""
    if len(original) > 1 and original.isupper():
        return translation.upper()
    return translation[:1].upper() + translation[1:] if original[:1].isupper() else translation


# ---- What of an example is text, and where entries may be replaced --------------------------------------


Allowed = Callable[[int, int], bool]
"""Whether characters from one place to another (exclusive) may be replaced."""


def _passages(example: Example) -> list[tuple[str, Allowed]]:
    """Return the texts of an example that are in the lexicon's language; none where nothing can be made of it.

    Raises:
        TypeError: It is of a class that is not known here.
    """
    match example:
        case PairExample() | ChoiceExample():
            return [(text, anywhere) for text in example.texts]
        case SpanExample(context=context, answers=answers):
            if any(not a.text or context[a.start : a.start + len(a.text)] != a.text for a in answers):
                return []
            asked: list[tuple[str, Allowed]] = [(example.question, anywhere)]
            same = example.context_language == example.language
            return [*asked, (context, _beside_or_inside(answers))] if same else asked
        case TaggedExample():
            return [(" ".join(example.words), _of_one_tag(example))]
    raise TypeError(f"expected texts, a question, tagged words or a choice, got {type(example).__name__}")


def _beside_or_inside(answers: Sequence[Answer]) -> Allowed:
    """Allow what is wholly in an answer, or wholly out of it, of each."""
    ends = {(answer.start, answer.start + len(answer.text)) for answer in answers}

    def allowed(start: int, end: int) -> bool:
        return all(end <= first or last <= start or (first <= start and end <= last) for first, last in ends)

    return allowed


def _of_one_tag(example: TaggedExample) -> Allowed:
    """Allow whole words, several where one tag, and its continuation, is theirs."""
    starts = {start: i for i, start in enumerate(_starts(example.words))}
    ends = {start + len(example.words[i]): i for start, i in starts.items()}

    def allowed(start: int, end: int) -> bool:
        first, last = starts.get(start), ends.get(end)
        if first is None or last is None:
            return False
        tags = None if example.tags is None else example.tags[first : last + 1]
        return tags is None or tags == _spread(tags[0], len(tags))

    return allowed


def _starts(words: Sequence[str]) -> list[int]:
    """Return the first character of each word in the sentence that they make, joined by blanks."""
    return list(accumulate((len(word) + 1 for word in words[:-1]), initial=0)) if words else []


def _spread(tag: str, count: int) -> tuple[str, ...]:
    """Return the tags of ``count`` words in place of one with ``tag``: a span that begins there goes on."""
    following = f"I{tag[1:]}" if tag == "B" or tag.startswith("B-") else tag
    return (tag, *(following for _ in range(count - 1)))


# ---- The copy --------------------------------------------------------------------------------------------


def _rebuilt(example: E, edits: Sequence[Sequence[Edit]], language: str) -> E:
    """Return the example with the edits of each of its passages made, and all that is known of them carried along."""
    match example:
        case PairExample():
            text_a, *rest = map(_edited, example.texts, edits)
            return replace(example, text_a=text_a, text_b=rest[0] if rest else None)
        case ChoiceExample():
            text, *alternatives = map(_edited, example.texts, edits)
            return replace(example, text=text, alternatives=tuple(alternatives))
        case SpanExample():
            question = _edited(example.question, edits[0])
            if len(edits) == 1:
                return replace(example, question=question)
            context = _edited(example.context, edits[1])
            answers = tuple(_carried(answer, context, edits[1]) for answer in example.answers)
            return replace(example, question=question, context=context, answers=answers, context_language=language)
        case TaggedExample():
            words, tags = _edited_words(example, edits[0])
            return replace(example, words=words, tags=tags)
    raise AssertionError("has passages")


def _edited(text: str, edits: Sequence[Edit]) -> str:
    """Return a text with the edits made, which are in order and do not overlap."""
    parts, at = [], 0
    for edit in edits:
        parts += [text[at : edit.start], edit.text]
        at = edit.end
    return "".join([*parts, text[at:]])


def _carried(answer: Answer, context: str, edits: Sequence[Edit]) -> Answer:
    """Return an answer as it stands in the edited context; no edit crosses one of its ends."""
    start, end = (_moved(place, edits) for place in (answer.start, answer.start + len(answer.text)))
    return Answer(context[start:end], start)


def _moved(place: int, edits: Sequence[Edit]) -> int:
    """Return where a place of a text is after the edits, none of which it is within."""
    return place + sum(len(edit.text) - (edit.end - edit.start) for edit in edits if edit.end <= place)


def _edited_words(example: TaggedExample, edits: Sequence[Edit]) -> tuple[tuple[str, ...], tuple[str, ...] | None]:
    """Return the words with the edits made, and their tags where they are known."""
    starts, words, tags, at = _starts(example.words), list[str](), list[str](), 0
    for edit in edits:
        first, after = bisect_left(starts, edit.start), bisect_left(starts, edit.end)
        new = edit.text.split()
        words += [*example.words[at:first], *new]
        if example.tags is not None:
            tags += [*example.tags[at:first], *_spread(example.tags[first], len(new))]
        at = after
    words += example.words[at:]
    return tuple(words), None if example.tags is None else (*tags, *example.tags[at:])


# ---- What corresponds ------------------------------------------------------------------------------------


def _corresponding_pieces(text: str, edits: Sequence[Edit]) -> list[tuple[Place, Place]]:
    """Return the pieces between blanks, parted where edits begin and end, and where each is after the edits."""
    places: list[tuple[Place, Place]] = []
    at = moved = 0
    for edit in (*edits, Edit(len(text), len(text), "")):
        for piece in PIECE.finditer(text, at, edit.start):
            first, last = piece.span()
            places.append(((first, last), (first + moved, last + moved)))
        if edit.end > edit.start:
            start = edit.start + moved
            places.append(((edit.start, edit.end), (start, start + len(edit.text))))
        at, moved = edit.end, moved + len(edit.text) - (edit.end - edit.start)
    return places


def _corresponding_words(example: TaggedExample, edits: Sequence[Edit]) -> list[tuple[Place, Place]]:
    """Return each word that has one of its own in the copy, with that one; of several, the first."""
    starts, places = _starts(example.words), list[tuple[int, int]]()
    at = new = 0
    for edit in (*edits, None):
        first = len(starts) if edit is None else bisect_left(starts, edit.start)
        places += [(at + i, new + i) for i in range(first - at)]
        new += first - at
        if edit is not None:
            places.append((first, new))
            at, new = bisect_left(starts, edit.end), new + len(edit.text.split())
    return [((ours, ours + 1), (theirs, theirs + 1)) for ours, theirs in places]
