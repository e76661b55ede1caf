"""A chain of filters, and its funnel: how many examples came in, what each took, some of either to read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..core.examples import Example
from ..data.sampling import rank
from .filters import Filter, Setting

SHOWN = 10
"""Examples of what stays, and of what goes, that are kept to be read."""


@dataclass(frozen=True)
class Step:
    """What a filter did: ``taken`` of the examples that came in."""

    name: str
    came: int
    taken: int


@dataclass(frozen=True)
class Rejected:
    """An example that was taken away, and why."""

    example: Example
    filter: str
    reason: str


@dataclass(frozen=True)
class Funnel:
    """What went through a chain."""

    examples: tuple[Example, ...]
    steps: tuple[Step, ...]
    rejected: tuple[Rejected, ...]


def run_chain(chain: Sequence[tuple[str, Filter]], examples: Sequence[Example], setting: Setting) -> Funnel:
    """Pass examples through filters, one after the other.

    Args:
        chain: Names and filters.
        examples: What the generators made.
        setting: What they may be compared with.
    """
    left, steps, rejected = list(examples), list[Step](), list[Rejected]()
    for name, one in chain:
        reasons = one.judge(left, setting)
        gone = [Rejected(e, name, reason) for e, reason in zip(left, reasons, strict=True) if reason]
        steps.append(Step(name, len(left), len(gone)))
        rejected += gone
        left = [example for example, reason in zip(left, reasons, strict=True) if not reason]
    return Funnel(tuple(left), tuple(steps), tuple(rejected))


def some_survivors(funnel: Funnel) -> tuple[Example, ...]:
    """Return a few of the examples that stay, the same ones every time."""
    return tuple(sorted(funnel.examples, key=lambda example: rank(0, "survivors", example.id))[:SHOWN])


def some_rejected(funnel: Funnel) -> tuple[Rejected, ...]:
    """Return a few of the examples that go, of each filter in turn."""
    queues = [
        sorted((one for one in funnel.rejected if one.filter == step.name), key=lambda one: rank(0, "", one.example.id))
        for step in funnel.steps
    ]
    return tuple(_in_turn(queues))[:SHOWN]


def _in_turn(queues: Sequence[Sequence[Rejected]]) -> Iterator[Rejected]:
    for place in range(max(map(len, queues), default=0)):
        yield from (queue[place] for queue in queues if place < len(queue))
