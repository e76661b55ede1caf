"""Filters of pseudo-data, one file and one registration each: what looks wrong is not learnt from.

A factory takes options and returns a :class:`Filter`; which ones a recipe wants, and in which order, is said in
``pseudo.filters``. A filter judges all that the generators made for one language and draw, and that those before it
have left.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ...core.examples import Example
from ...core.registry import Registry
from .. import Sources


@dataclass(frozen=True)
class Setting:
    """What a filter may compare with.

    Attributes:
        sources: What the examples were made from.
        evaluation: What is evaluated on, in all languages.
        mixed: Origins of examples that are meant to be in two languages at once.
    """

    sources: Sources
    evaluation: Sequence[Example] = ()
    mixed: frozenset[str] = frozenset()


Judge = Callable[[Sequence[Example], Setting], Sequence[str]]
"""Examples to a reason for each that is to go, and nothing for each that stays. Reasons are counted, so they name no
text."""


@dataclass(frozen=True)
class Filter:
    """What takes examples away.

    ``needs`` names fields of :class:`lingraft.pseudo.Sources` without which it cannot judge. What waits for a model or
    a service is ``costly``, and is left out where examples are only counted; ``refuse_absent`` raises, for source and
    target language, what ``judge`` would where it is not there.
    """

    judge: Judge
    needs: frozenset[str] = frozenset()
    costly: bool = False
    refuse_absent: Callable[[str, str], object] = lambda source, target: None


filters = Registry("lingraft.filters", "lingraft.pseudo.filters")
