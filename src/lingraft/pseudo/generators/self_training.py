"""Self-training on texts of the language that nobody labelled, where two views of them agree (Blum & Mitchell, 1998).

One view is the whole model's: the head on states that the language's map has moved, with its n-grams; the other the
network's alone. A model that learns what it says itself learns its mistakes, too, so texts are taken step by step, the
surest of each class first, and no more once the views agree less than they did at first, or agree on some classes more
than on others. In closed form it changed nothing, right though its labels were; no preset asks for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import Field

from ...core.counted import counted
from ...core.errors import ConfigError
from ...core.examples import GOLD, Example, PairExample
from .. import Sources, Weight
from ..class_shares import drift, surest_of_each
from . import Generator, generators

SELF_TRAINING = "self-training"
"""The origin of what is made."""

STEP = 0.1
"""Of each class so much is looked at in a step."""

Part = Annotated[float, Field(gt=0, le=1)]


@dataclass(frozen=True)
class Taken:
    """Numbers of the texts that are learnt from, in their order; why no more were taken, if that is not the share."""

    numbers: tuple[int, ...]
    stopped: str = ""


@generators.register(SELF_TRAINING)
def self_training(
    *, top_share: Part = 0.5, most_fall: Part = 0.1, most_drift: Part = 0.1, weight: Weight = 0.5
) -> Generator:
    """Texts of the language with the model's own class, where its map and its network agree.

    Args:
        top_share: Of each class so many are looked at, the ones that the model is surest of.
        most_fall: By so much may the share on which the views agree fall from the first tenth to another.
        most_drift: By so much may the shares of the classes move (total variation) between what was looked at and
            what was agreed on.
        weight: How much an example counts of which the model is certain; another counts by its probability.
    """

    def generate(sources: Sources) -> Iterator[Example]:
        assert sources.predict is not None
        assert sources.second_view is not None
        if any(len(example.texts) > 1 for example in sources.labelled):
            raise ConfigError(
                [f"{SELF_TRAINING} takes single texts, and examples of {sources.task.name} are pairs of texts"]
            )
        texts, language = _texts_of(sources), sources.language
        first, second = sources.predict(texts, language), sources.second_view(texts, language)
        classes = [one.value for one in first]
        agreed = [one.value == other.value for one, other in zip(first, second, strict=True)]
        taken = take_in_steps(
            classes,
            [one.confidence or 0.0 for one in first],
            agreed,
            top_share=top_share,
            most_fall=most_fall,
            most_drift=most_drift,
        )
        kept = set(taken.numbers)
        for number, (text, one) in enumerate(zip(texts, first, strict=True)):
            if number in kept:
                yield replace(text, label=one.value, weight=weight * (one.confidence or 0.0))
            else:
                sources.drop("not among the surest" if agreed[number] else "the two views differ")
        if taken.stopped:
            sources.say(f"{language}: {SELF_TRAINING} stopped at {counted(len(kept), 'text')}: {taken.stopped}")

    needs = frozenset({"predict", "second_view"})
    return Generator(generate, needs=needs, kinds=frozenset({"classification"}), costly=True)


def _texts_of(sources: Sources) -> list[PairExample]:
    """Return what nobody labelled: target sides of translations, and raw text, each once."""
    origin, place = SELF_TRAINING, f"{SELF_TRAINING}/{sources.draw}/{sources.language}"
    found = [
        replace(target, id=f"{place}/{target.id}", origin=origin)
        for _, target in sources.pairs
        if target.origin == GOLD
    ]
    raw = [
        PairExample(f"{place}/{i}", f"{place}/{i}", sources.language, origin=origin, text_a=text)
        for i, text in enumerate(sources.texts)
    ]
    unique: dict[str, PairExample] = {}
    for example in (*found, *raw):
        unique.setdefault(example.text_a, example)
    return list(unique.values())


def take_in_steps(
    classes: Sequence[str],
    confidences: Sequence[float],
    agreed: Sequence[bool],
    *,
    top_share: float,
    most_fall: float,
    most_drift: float,
) -> Taken:
    """Return which texts are learnt from: the surest of each class on which the views agree, while nothing drifts.

    Args:
        classes: Of ``N`` texts, as the first view has them.
        confidences: Of the first view.
        agreed: Whether the second view has the same class.
        top_share: Where to end.
        most_fall: Of the agreement in a step below that in the first.
        most_drift: Of the shares of classes from what was looked at to what was agreed on.
    """
    seen, taken, at_first = list[int](), list[int](), 0.0
    share = STEP
    while share < top_share + STEP - 1e-9:
        looked_at = surest_of_each(classes, confidences, min(share, top_share))
        new = sorted(set(looked_at).difference(seen))
        if new:
            agreement = sum(agreed[number] for number in new) / len(new)
            at_first = at_first or agreement
            both = [number for number in looked_at if agreed[number]]
            moved = drift([classes[n] for n in looked_at], [classes[n] for n in both])
            if agreement < at_first - most_fall:
                return Taken(tuple(taken), f"the views agree on {agreement:.0%}, on {at_first:.0%} at first")
            if moved > most_drift:
                return Taken(tuple(taken), f"the shares of the classes have moved by {moved:.0%}")
            seen, taken = looked_at, both
        share += STEP
    return Taken(tuple(taken))
