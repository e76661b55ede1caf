"""Make the pseudo-data of one language and draw: each generator's examples, what is evaluated on left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..core.records import Example
from ..data.leakage import identity_of
from . import Sources
from .generators import Generator

LEAKED = "it is an evaluation text"
"""Why what was made is not learnt from, whatever the recipe says."""


@dataclass(frozen=True)
class Made:
    """What is learnt from, why the rest is not (reasons with how often each was met), and of what it was made.

    ``made_of`` is the digest of settings and sources; ``records`` are what generators recorded.
    """

    examples: tuple[Example, ...]
    dropped: Counter[str]
    made_of: str = ""
    records: tuple[Mapping[str, Any], ...] = ()


def make(generators: Sequence[Generator], sources: Sources, forbidden: Collection[tuple[str, ...]], where: str) -> Made:
    """Make examples with all generators of a recipe.

    Args:
        generators: In the order of the recipe.
        sources: What they may use; reasons for what cannot be made are counted.
        forbidden: Identities of evaluation texts (:func:`lingraft.data.leakage.identity_of`), in any language.
        where: What the ids begin with; no other language or draw has the same.
    """
    dropped, examples, records = Counter[str](), list[Example](), list[Mapping[str, Any]]()
    counting = replace(sources, drop=lambda reason: dropped.update([reason]), record=records.append)
    for number, generator in enumerate(generators):
        for example in generator.generate(counting):
            if identity_of(example) in forbidden:
                dropped[LEAKED] += 1
            else:
                examples.append(replace(example, id=f"pseudo/{where}/{number}/{example.id}"))
    return Made(tuple(examples), dropped, records=tuple(records))
