"""Trained functions between layers.

A factory takes options and returns ``build(width, layers, languages)``, which returns a module
that maps the states after a block to adapted ones. At initialisation it changes nothing.
"""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from ..registry import Registry


class Adapter(Protocol):
    """A module that adapts the states after a block."""

    def __call__(self, layer: int, language: str, hidden: Tensor) -> Tensor:
        """States ``[B, T, H]`` after block ``layer`` to adapted states of the same shape."""
        ...


adapters = Registry("lingraft.adapters")
