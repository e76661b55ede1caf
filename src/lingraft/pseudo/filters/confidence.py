"""The surest of each class, by what a model says of the made text: a label that the text does not show is noise.

One threshold for all classes would leave those out that the model is never sure of.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from ...core.examples import Example
from ...core.records import Prediction
from ...tasks import Task
from ..class_shares import surest_of_each
from . import Filter, Setting, filters

Part = Annotated[float, Field(gt=0, le=1)]


@filters.register("confidence")
def confidence(*, share: Part = 0.6) -> Filter:
    """Take all but a share of each class, the ones whose label a model thinks likeliest; for tasks with classes.

    Args:
        share: Of each class so many stay.
    """

    def judge(examples: Sequence[Example], setting: Setting) -> list[str]:
        sources = setting.sources
        if sources.predict is None or not sources.task.kind.classes:
            return [""] * len(examples)
        said = sources.predict(examples, sources.language)
        likely = [likelihood(example, one, sources.task) for example, one in zip(examples, said, strict=True)]
        stay = set(surest_of_each([str(example.gold) for example in examples], likely, share))
        return [
            "" if number in stay else "the model finds the labels of others likelier" for number in range(len(examples))
        ]

    return Filter(judge, needs=frozenset({"predict"}), costly=True)


def likelihood(example: Example, said: Prediction, task: Task) -> float:
    """Return the probability of the label of an example; without all probabilities, that of what was predicted or 0."""
    if said.probabilities:
        return said.probabilities[task.labels.index(str(example.gold))]
    return (said.confidence or 0.0) if said.value == str(example.gold) else 0.0
