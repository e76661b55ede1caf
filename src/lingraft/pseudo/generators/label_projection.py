"""Label projection: what a model says of a sentence is learnt as the label of its translation.

A class goes over as it is; the tags of words follow word alignments, with checks (``tag_projection.py``). The model
reads the source language, where it has labels to have learnt from, and is right more often than in the target language.
Where people gave the source side a label, that one goes over.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import Field

from ...core.examples import GOLD, Example, TaggedExample
from ...results.metrics.spans import spans_of
from ...tasks import Task
from ...tasks.kinds.word_splitting import split_words
from ...tasks.material import Pair
from .. import Sources, Weight
from ..class_shares import surest_of_each
from ..tag_projection import (
    LEAST_OF_SPAN,
    LEAST_OF_WORDS,
    OUTSIDE,
    ProjectionError,
    project_spans,
    project_words,
)
from . import Generator, generators

LABEL_PROJECTION = "label-projection"
"""The origin of what is made."""

Part = Annotated[float, Field(gt=0, le=1)]

SHARE, SHARE_OF_SPANS = 0.6, 0.25
"""Of each class so many are kept. Of twenty Hausa sentences with projected names that were read, 10 were wholly right
at 0.6 and 14 at 0.25."""


LEAST = 1e-6
"""The confidence in a sentence of which the model reads no word."""


def marks_spans(task: Task) -> bool:
    """Return whether the tags of a task mark spans."""
    return task.kind.options.get("scheme") == "bio"


@dataclass(frozen=True)
class Projected:
    """A target text with the labels that were carried over, and how sure the model was of them."""

    example: Example
    kind: str
    """Of each of which the surest are kept: its class, or the rarest type of span in it."""
    confidence: float


@generators.register(LABEL_PROJECTION)
def label_projection(
    *, top_share: Part | None = None, least_aligned: Part | None = None, weight: Weight = 1.0
) -> Generator:
    """Give the target side of translations the label that a model gives their source side.

    Args:
        top_share: Of each class so many are kept, the ones that the model is surest of; by default 0.6, and 0.25 where
            tags mark spans.
        least_aligned: Share of a span's words that must be aligned, by default 0.6; of tags that mark no spans, of the
            words of the target sentence that must get one, by default 0.5.
        weight: How much an example counts of which the model is certain; another counts by its probability.
    """

    def generate(sources: Sources) -> Iterator[Example]:
        pairs = [pair for pair in sources.pairs if pair[1].origin == GOLD]
        tagged = sources.task.kind.example is TaggedExample
        found = list(_project_tags(pairs, sources, least_aligned) if tagged else _project_classes(pairs, sources))
        share = top_share or (SHARE_OF_SPANS if marks_spans(sources.task) else SHARE)
        kept = set(surest_of_each([one.kind for one in found], [one.confidence for one in found], share))
        for number, one in enumerate(found):
            if number not in kept:
                sources.drop("the model is surer of others of its class")
                continue
            place = f"{LABEL_PROJECTION}/{sources.draw}/{sources.language}/{one.example.id}"
            yield replace(one.example, id=place, origin=LABEL_PROJECTION, weight=weight * one.confidence)

    needs, kinds = frozenset({"pairs", "predict", "align"}), frozenset({"classification", "tagging"})
    return Generator(generate, needs=needs, kinds=kinds, costly=True)


def _project_classes(pairs: Sequence[Pair], sources: Sources) -> Iterator[Projected]:
    """Yield the target sides with the class of their source sides."""
    assert sources.predict is not None
    texts = {len(example.texts) for example in sources.labelled}
    known = {example.id: example.labels[0] for example in sources.labelled}
    asked = [source for source, _ in pairs if source.id not in known and (not texts or len(source.texts) in texts)]
    said = {one.example_id: one for one in sources.predict(asked, sources.task.source_language)}
    for source, target in pairs:
        if source.id in known:
            label, confidence = known[source.id], 1.0
        elif source.id in said:
            label, confidence = said[source.id].value, said[source.id].confidence or 0.0
        else:
            sources.drop("the task reads two texts, a translation is one")
            continue
        yield Projected(replace(target, label=label), label, confidence)


# ---- Tags ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tagged:
    """A source sentence, and the probability of the tag that the model is least sure of."""

    words: tuple[str, ...]
    tags: tuple[str, ...]
    confidence: float


def _project_tags(pairs: Sequence[Pair], sources: Sources, least_aligned: float | None) -> Iterator[Projected]:
    """Yield the target sides with the tags of their source sides, where these can be carried over."""
    assert sources.align is not None
    project, least = (project_spans, LEAST_OF_SPAN) if marks_spans(sources.task) else (project_words, LEAST_OF_WORDS)
    tagged, words = _tagged([source for source, _ in pairs], sources), [_words_of(target) for _, target in pairs]
    texts = [(one.words, translated) for one, translated in zip(tagged, words, strict=True)]
    found = []
    for one, translated, links, (_, target) in zip(tagged, words, sources.align(texts), pairs, strict=True):
        try:
            tags = project(one.tags, links, len(translated), least_share=least_aligned or least)
        except ProjectionError as reason:
            sources.drop(str(reason))
        else:
            made = TaggedExample(target.id, target.group, target.language, words=translated, tags=tags)
            found.append((made, one.confidence))
    rarest = _rarest_types([made for made, _ in found]) if marks_spans(sources.task) else [""] * len(found)
    for (made, confidence), kind in zip(found, rarest, strict=True):
        yield Projected(made, kind, confidence)


def _tagged(examples: Sequence[Example], sources: Sources) -> list[Tagged]:
    """Return source sentences with the tags that people gave them, or the model."""
    assert sources.predict is not None
    known = {example.texts[0]: example for example in sources.labelled if isinstance(example, TaggedExample)}
    asked = [
        TaggedExample(example.id, example.group, example.language, words=_words_of(example))
        for example in examples
        if example.texts[0] not in known
    ]
    said = {one.example_id: one for one in sources.predict(asked, sources.task.source_language)}
    found = []
    for example in examples:
        if labelled := known.get(example.texts[0]):
            found.append(Tagged(labelled.words, labelled.tags or (), 1.0))
        else:
            one = said[example.id]
            read = [score for score in one.scores if score > 0]  # 0 is of words that the tokenizer reads as nothing
            found.append(Tagged(one.words, tuple(one.value.split()), min(read, default=LEAST)))
    return found


def _words_of(example: Example) -> tuple[str, ...]:
    """Return the words of a sentence that comes as a text."""
    text = example.texts[0]
    return tuple(text[first:last] for first, last in split_words(text))


def _rarest_types(examples: Sequence[TaggedExample]) -> list[str]:
    """Return the type of span in each sentence that is in the fewest of them; the outside tag where there is none."""
    types = [{kind for kind, _, _ in spans_of(example.tags or ())} for example in examples]
    seen = Counter(kind for kinds in types for kind in kinds)
    return [min(kinds, key=lambda kind: (seen[kind], kind), default=OUTSIDE) for kinds in types]
