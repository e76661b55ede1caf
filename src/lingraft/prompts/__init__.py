"""Trained vectors between layers.

What a prompt *is* (rows ``[P, H]`` per layer) is kept apart from where it *goes*
(:func:`insert`), as in google-research/prompt-tuning. A factory takes options and returns
``build(width, layers, languages, initial)``, which returns the module.
"""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from ..registry import Registry


class Prompt(Protocol):
    """A module that gives the virtual tokens of a layer."""

    def __call__(self, layer: int, language: str) -> Tensor | None:
        """Rows for the input of block ``layer``: ``[P, H]``, or None to leave them as they are."""
        ...


prompts = Registry("lingraft.prompts")
