"""Generators of pseudo-data, one file and one registration each.

A factory takes options and returns a :class:`Generator`; which ones a recipe wants is said in ``pseudo.generators``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from ...core.examples import Example
from ...core.registry import Registry
from .. import Sources


class Generate(Protocol):
    """What makes examples."""

    def __call__(self, sources: Sources) -> Iterator[Example]:
        """Yield labelled examples of ``sources.language``, the same for the same sources.

        Each has an id of its own among all that the generator makes, the group of what it was made from (so that
        what is held out for evaluation takes it along), the generator's name as ``origin``, and a ``weight``. One that
        several examples were shown for has their traces in ``shown``, for the same end; where a generator of shots
        says nothing there, all shots are taken to have been shown.
        """
        ...


@dataclass(frozen=True)
class Generator:
    """What makes examples, and what it needs for it.

    ``needs`` names fields of :class:`Sources` that must not be empty; ``kinds`` the kinds of task that it can make
    examples of, all if empty. What waits for a model or a service is ``costly``: it is made in a run, but never to be
    counted alone. What ``mixes`` languages within a text is not judged by which one it is in. ``refuse_absent`` raises,
    for source and target language, what ``generate`` would where a program or a model is not there. ``by_shots`` says
    whether it gives others for another number of shots without needing any; what needs them always does.
    """

    generate: Generate
    needs: frozenset[str] = frozenset()
    kinds: frozenset[str] = frozenset()
    costly: bool = False
    mixes: bool = False
    refuse_absent: Callable[[str, str], object] = lambda source, target: None
    by_shots: Callable[[], bool] = lambda: False


generators = Registry("lingraft.generators", "lingraft.pseudo.generators")
