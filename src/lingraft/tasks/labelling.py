"""How the labels of a task's examples are read, whatever file they come from: as written, merged, named, converted.

What depends on all labels of a data set (which spelling is the usual one, which scheme tags are in) is fitted to the
source language's training examples, and then applied to the examples of every language and split.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from ..core.errors import RECIPE, ConfigError, DataError
from ..core.examples import E, Example
from ..data.labels import count_labels, describe_variants, label_key, spelling_variants, strip_label, whole_number

Labels = Literal["as_written", "normalise"] | list[str]
"""What a recipe says of labels: merge their spellings, or the names of labels that are numbers, from 0."""


def _as_labels(order: Any) -> Any:
    """Take the numbers of a list for the labels that they are in a table: YAML reads `[1, 2]` as numbers."""
    if not isinstance(order, list):
        return order
    return [str(one) if type(one) in (int, float) else one for one in order]


Order = Annotated[Literal["numbers"] | list[str], BeforeValidator(_as_labels)]
"""What a recipe says of labels that are a scale: all of them, the lowest first, or that each is a number."""


@dataclass(frozen=True)
class Labelling:
    """How labels are read."""

    relabel: Callable[[Sequence[Example]], list[Example]] = list
    """Examples of one split to the same with the labels that they are learnt and scored by."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """What was found out that the kind of task is built with."""


FitLabelling = Callable[[Sequence[Example], Callable[[str], None]], Labelling]
"""Labelled examples of the source language, and what tells the user a sentence, to how labels are read."""


def as_written(training: Sequence[Example], tell: Callable[[str], None]) -> Labelling:
    """Read labels as they are."""
    return Labelling()


def one_after_another(*fits: FitLabelling) -> FitLabelling:
    """Return what reads labels in several ways, each of what the one before made of them."""

    def fit(training: Sequence[Example], tell: Callable[[str], None]) -> Labelling:
        found = []
        for one in fits:
            found.append(one(training, tell))
            training = found[-1].relabel(training)

        def relabel(examples: Sequence[Example]) -> list[Example]:
            for one in found:
                examples = one.relabel(examples)
            return list(examples)

        return Labelling(relabel, {name: value for one in found for name, value in one.options.items()})

    return fit


def labelling_of(labels: Labels) -> FitLabelling:
    """Return what a recipe's ``labels`` asks for.

    Raises:
        ConfigError: Names are given, and they are not at least two different ones.
    """
    if labels == "as_written":
        return as_written
    if labels == "normalise":
        return merge_spellings
    return names_of(checked_names(labels, "task.labels"))


def checked_names(
    names: Sequence[str], setting: str, where: str = RECIPE, cure: str = "give the name of each number, from 0"
) -> tuple[str, ...]:
    """Return names of labels, which are those of numbers or on a scale.

    Args:
        names: From 0, or the lowest first.
        setting: What gives them.
        where: It is in.
        cure: What to give.

    Raises:
        ConfigError: They are not at least two different ones.
    """
    stripped = tuple(map(strip_label, names))
    if len(stripped) < 2 or len(set(stripped)) != len(stripped) or not all(stripped):
        raise ConfigError(
            [f"{setting}: {list(names)} are not two or more different names; {cure}"],
            where,
        )
    return stripped


def strip_labels(examples: Sequence[Example]) -> list[Example]:
    """Return examples whose labels have no blanks and no invisible characters at their ends."""
    return map_labels(examples, strip_label)


def map_labels(examples: Sequence[E], change: Callable[[str], str]) -> list[E]:
    """Return examples with each label changed; what stays the same is not copied."""
    found = []
    for example in examples:
        labels = tuple(map(change, example.labels))
        found.append(example if labels == example.labels else example.with_labels(labels))
    return found  # type: ignore[return-value]


def merge_spellings(training: Sequence[Example], tell: Callable[[str], None]) -> Labelling:
    """Merge labels that differ in nothing but case, normal form, blanks and invisible characters.

    Of several spellings the one that most training examples have is kept, of equals the first in sorted order.
    """
    counts = count_labels(training)
    by_key: dict[str, list[str]] = defaultdict(list)
    for label in sorted(counts, key=lambda label: (-counts[label], label)):
        by_key[label_key(label)].append(label)
    usual = {key: spelt[0] for key, spelt in by_key.items()}
    if variants := spelling_variants(counts):
        tell(f"labels: spellings are merged: {describe_variants(variants, counts)}")
    return Labelling(lambda examples: map_labels(examples, lambda label: usual.get(label_key(label), label)))


def names_of(names: Sequence[str]) -> FitLabelling:
    """Return what gives labels that are numbers their names."""
    numbers = {str(number): name for number, name in enumerate(names)}

    def named(label: str) -> str:
        if label in numbers:
            return numbers[label]
        if label in names:
            return label
        if (number := whole_number(label)) in numbers:
            return numbers[number]
        raise DataError(
            f"the label {label!r} is neither a name in `labels` nor the number of one, 0 to {len(names) - 1}; "
            "correct the label, or add its name"
        )

    return lambda training, tell: Labelling(lambda examples: map_labels(examples, named))


def order_of(order: Order | None) -> FitLabelling:
    """Return what finds the order of the labels that occur, for the kind of task; nothing where they have none.

    Raises:
        ConfigError: Names are given, and they are not at least two different ones.
    """
    if order is None:
        return as_written
    names = (
        None
        if order == "numbers"
        else checked_names(order, "task.order", cure="list each label once, the lowest first")
    )

    def fit(training: Sequence[Example], tell: Callable[[str], None]) -> Labelling:
        found = sorted({label for example in training for label in example.labels})
        if names is None:
            return Labelling(options={"order": _by_number(found)})
        if strange := [label for label in found if label not in names]:
            raise DataError(
                f"the label {strange[0]!r} is not in `order`, which has {', '.join(names)}; add it there, where it "
                "belongs, or correct the label"
            )
        return Labelling(options={"order": tuple(name for name in names if name in found)})

    return fit


def _by_number(labels: Sequence[str]) -> tuple[str, ...]:
    """Return labels that are numbers, the lowest first.

    Raises:
        DataError: One is none, or two are the same.
    """
    numbers: dict[float, str] = {}
    for label in labels:
        try:
            number = float(label)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise DataError(
                f"the label {label!r} is no number, and `order` is numbers; list the labels, the lowest first"
            )
        if number in numbers:
            raise DataError(f"the labels {numbers[number]!r} and {label!r} are one number; write them alike")
        numbers[number] = label
    return tuple(numbers[number] for number in sorted(numbers))
