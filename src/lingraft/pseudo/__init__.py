"""Pseudo-data: labelled examples of a target language that nobody labelled, made from what is there.

A generator gets what a draw has (:class:`Sources`) and yields examples with a label, an ``origin`` (its name) and a
``weight``; filters take out what looks wrong; what is left is learnt from beside what people labelled. Nothing here
knows a model: what needs one receives a function.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from ..core.examples import Example
from ..core.records import Prediction
from ..core.shots import Shots
from ..data.lexicon import Lexicon
from ..tasks import Task
from ..tasks.material import Pair

LEAST_WEIGHT, MOST_WEIGHT = 1e-9, 10.0
"""A weight that is nothing in single precision would leave a batch without any."""

Weight = Annotated[float, Field(ge=LEAST_WEIGHT, le=MOST_WEIGHT)]
"""How much a made example counts, where one that people labelled counts 1."""

Predict = Callable[[Sequence[Example], str], Sequence[Prediction]]
"""What a trained model says of examples in a language; where there are classes, with the probabilities of all of the
task's, in the task's order."""

WordAlignment = Sequence[tuple[int, int]]
"""Which words of two texts, numbered from 0, translate each other."""

Align = Callable[[Sequence[tuple[Sequence[str], Sequence[str]]]], Sequence[WordAlignment]]
"""Pairs of texts, each as its words, which may have blanks in them, to the alignment of the words of each."""


def say_nothing(sentence: str) -> None:
    """Tell nobody."""


def record_nothing(facts: Mapping[str, Any]) -> None:
    """Keep nothing."""


@dataclass(frozen=True)
class Sources:
    """What a generator may use for one language and draw."""

    task: Task
    language: str
    """Of what is made."""
    draw: int
    """Number of the draw; the same one gives the same examples."""
    labelled: Sequence[Example] = ()
    """Of the source language, with labels."""
    pairs: Sequence[Pair] = ()
    """Translations, source side first, without labels."""
    k: Shots | None = None
    """How many shots of each class there are; None where what is made is the same for any number."""
    shots: Sequence[Example] = ()
    """Of the language, with labels."""
    texts: Sequence[str] = ()
    """Text of the language that nobody labelled or translated."""
    lexicon: Lexicon | None = None
    """Words of the source language with their translations."""
    predict: Predict | None = None
    second_view: Predict | None = None
    """What the same model says without the language's map and n-grams, where it has some."""
    align: Align | None = None
    languages: Sequence[str] = ()
    """All that examples are made of, one after the other; none said are all that the task has."""
    drop: Callable[[str], None] = say_nothing
    """Called once for each example that cannot be made, with the reason: reasons are counted, so they name no text."""
    say: Callable[[str], None] = say_nothing
    """Tells the user a sentence."""
    record: Callable[[Mapping[str, Any]], None] = record_nothing
    """Keeps beside the examples what else is to be known of them, as plain data: what wrote them, what that cost."""
