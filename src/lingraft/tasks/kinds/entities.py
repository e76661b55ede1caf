"""Tags of words as what people look for in a text: entities with their place in it and a score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from ...core.records import Entity, Prediction
from ...results.metrics.spans import spans_of
from . import whole_answer
from .word_splitting import Place, split_words

OUTSIDE = "O"


def find_entities(item: Any, prediction: Prediction, abstain: float | None, *, scheme: str) -> Prediction:
    """Return the prediction with the entities that its tags mark, in the order of the text.

    Args:
        item: What was tagged: a text, or a list of words, which is read as the text that it makes with one blank
            between two words.
        prediction: Its tags, and the probability of each.
        abstain: Leave out entities of a lower score: their words become ``O``. Tags that mark no spans are all
            withheld where their mean probability is lower.
        scheme: ``bio``, or ``plain`` for tags that mark no spans.
    """
    if scheme != "bio":
        return whole_answer(item, prediction, abstain)
    text = item if isinstance(item, str) else " ".join(prediction.words)
    places = split_words(item) if isinstance(item, str) else _joined(prediction.words)
    tags, entities, withheld = prediction.value.split(), [], False
    for label, first, last in sorted(spans_of(tags), key=lambda span: span[1]):
        score = sum(prediction.scores[first:last]) / (last - first)
        if abstain is not None and score < abstain:
            tags[first:last], withheld = [OUTSIDE] * (last - first), True
            continue
        start, end = places[first][0], places[last - 1][1]
        entities.append(Entity(text[start:end], label, start, end, score))
    return replace(prediction, value=" ".join(tags), entities=tuple(entities), abstained=withheld)


def words_and_entities(prediction: Prediction) -> dict[str, Any]:
    """Return the words that were tagged, and the entities as plain data."""
    entities = [asdict(one) | {"score": round(one.score, 4)} for one in prediction.entities]
    return {"words": list(prediction.words), "entities": entities}


def _joined(words: Sequence[str]) -> list[Place]:
    """Return the places of words in the text that they make with one blank between two."""
    places, at = [], 0
    for word in words:
        places.append((at, at + len(word)))
        at += len(word) + 1
    return places
