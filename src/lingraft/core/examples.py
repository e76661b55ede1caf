"""What is learnt from and tested on, as frozen records: a text or two, a question, a tagged sentence, a choice.

The module imports no torch, so that yesterday's scores become a report on any laptop.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cache
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter

GOLD = "gold"
"""The origin of what people wrote."""


@dataclass(frozen=True, slots=True)
class Example:
    """Something to learn from or to be tested on; the classes below say what.

    ``group`` names what must stay on one side of a split (a paragraph, a parallel sentence);
    ``origin`` is :data:`GOLD` or the name of the generator that made it up; ``weight`` how much it counts in what is
    learnt, where what people labelled counts 1. ``shown`` has the :attr:`trace` of each example that whoever made it
    was shown, beside that whose group it has.
    """

    id: str
    group: str
    language: str
    origin: str = GOLD
    weight: float = 1.0
    shown: tuple[str, ...] = field(default=(), kw_only=True)

    @property
    def trace(self) -> str:
        """What it is called in ``shown`` of another; an id alone may be that of an example in each language."""
        return f"{self.language}/{self.id}"

    @property
    def texts(self) -> tuple[str, ...]:
        """All that is written in it."""
        return ()

    @property
    def identity(self) -> tuple[str, ...]:
        """The texts that make it the same example as another, which leakage is judged on."""
        return self.texts

    @property
    def gold(self) -> Any:
        """What is known to be right, as plain data; None where it is not known."""
        return None

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that occur in it, where the kind of task has some: a class, the tags of the words."""
        return ()

    def with_labels(self, labels: tuple[str, ...]) -> Example:
        """Return the same example with other labels, as many as it has."""
        return self

    @property
    def context_language(self) -> str | None:
        """Language of a text that ``language`` is not about, as that of the context of a question."""
        return None


E = TypeVar("E", bound=Example)


@dataclass(frozen=True, slots=True)
class PairExample(Example):
    """One or two texts with a label (``None`` where it is not known)."""

    text_a: str = ""
    text_b: str | None = None
    label: str | None = None

    @property
    def texts(self) -> tuple[str, ...]:
        """One text, or two."""
        return (self.text_a,) if self.text_b is None else (self.text_a, self.text_b)

    @property
    def gold(self) -> str | None:
        """The label."""
        return self.label

    @property
    def labels(self) -> tuple[str, ...]:
        """The label, where it is known."""
        return () if self.label is None else (self.label,)

    def with_labels(self, labels: tuple[str, ...]) -> PairExample:
        """Return the same example with another label, where it has one."""
        return replace(self, label=labels[0]) if labels else self


@dataclass(frozen=True, slots=True)
class Answer:
    """A piece of a context; ``start`` counts characters."""

    text: str
    start: int


@dataclass(frozen=True, slots=True)
class SpanExample(Example):
    """A question whose answer is a piece of a context; ``language`` is the question's.

    Any of several answers is right; where none is known, there are none. ``unanswerable`` says that it is known that
    the context does not answer the question.
    """

    question: str = ""
    context: str = ""
    context_language: str = ""
    answers: tuple[Answer, ...] = ()
    unanswerable: bool = False

    @property
    def texts(self) -> tuple[str, ...]:
        """Question and context."""
        return self.question, self.context

    @property
    def identity(self) -> tuple[str, ...]:
        """The context: another question about it would give much away."""
        return (self.context,)

    @property
    def gold(self) -> list[str] | None:
        """The texts of all answers; an empty one where it is known that there is none."""
        return [answer.text for answer in self.answers] or ([""] if self.unanswerable else None)


@dataclass(frozen=True, slots=True)
class TaggedExample(Example):
    """Words with a tag each (``None`` where they are not known)."""

    words: tuple[str, ...] = ()
    tags: tuple[str, ...] | None = None

    @property
    def texts(self) -> tuple[str, ...]:
        """The sentence, words joined by blanks."""
        return (" ".join(self.words),)

    @property
    def gold(self) -> str | None:
        """The tags, joined by blanks."""
        return None if self.tags is None else " ".join(self.tags)

    @property
    def labels(self) -> tuple[str, ...]:
        """The tags of all words."""
        return self.tags or ()

    def with_labels(self, labels: tuple[str, ...]) -> TaggedExample:
        """Return the same sentence with other tags, where it has some."""
        return replace(self, tags=labels) if labels else self


@dataclass(frozen=True, slots=True)
class ChoiceExample(Example):
    """A text and some alternatives, of which the one at ``label`` (from 0) goes with it.

    ``question`` is what is asked of the text, where that differs from item to item (``cause`` or ``effect``).
    """

    text: str = ""
    question: str | None = None
    alternatives: tuple[str, ...] = ()
    label: int | None = None

    @property
    def texts(self) -> tuple[str, ...]:
        """The text and its alternatives."""
        return self.text, *self.alternatives

    @property
    def gold(self) -> str | None:
        """The number of the right alternative."""
        return None if self.label is None else str(self.label)


@dataclass(frozen=True, slots=True)
class ParallelPair:
    """The same sentence, or word, in two languages; ``group`` as in :class:`Example`."""

    source: str
    target: str
    source_language: str
    target_language: str
    group: str = ""


def as_json(example: Example) -> dict[str, Any]:
    """Write an example as plain data; what is empty by default is left out, and a weight of 1."""
    usual = {one.name: one.default for one in fields(example) if not one.default or one.name == "weight"}
    return {
        key: value for key, value in asdict(example).items() if value == "" or key not in usual or value != usual[key]
    }


def from_json(values: Mapping[str, Any], example: type[E]) -> E:
    """Return the example of a class that plain data describe.

    Raises:
        ValueError: They do not fit its fields.
    """
    known: Any = example
    return cast("E", _adapter(known).validate_python(values))


@cache
def _adapter(example: type[Example]) -> TypeAdapter[Example]:
    return TypeAdapter(example)
