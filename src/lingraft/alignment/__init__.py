"""Source and target languages agree: losses between the states of two sides of a parallel text.

The source side is a frozen teacher, the target side learns. Both arrive centred and scaled by the
frozen source-language states (see ``transfer.py``): what is crowded in one corner of the space,
as sentence embeddings are, would otherwise look alike to every cosine.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from ..records import States
from ..registry import Registry

AlignmentLoss = Callable[[States, States], Tensor]
"""Source states, target states (row i translates row i) to a scalar."""

alignment = Registry("lingraft.alignment")
