"""The frozen records that stages hand each other: examples, features, states, predictions, scores.

Notation: ``N`` examples, ``B`` batch, ``T`` tokens, ``P`` prompt length, ``H`` hidden width. The
module imports no torch, so that yesterday's scores become a report on any laptop.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Example:
    """Something to learn from or to be tested on.

    ``group`` names what must stay on one side of a split (a paragraph, a parallel sentence);
    ``origin`` is ``"gold"`` or the name of the generator that made it up.
    """

    id: str
    group: str
    language: str
    origin: str = "gold"


@dataclass(frozen=True, slots=True)
class PairExample(Example):
    """One or two texts with a label (``None`` where it is not known)."""

    text_a: str = ""
    text_b: str | None = None
    label: str | None = None


@dataclass(frozen=True, slots=True)
class ParallelPair:
    """The same sentence, or word, in two languages; ``group`` as in :class:`Example`."""

    source: str
    target: str
    source_language: str
    target_language: str
    group: str = ""


@dataclass(frozen=True, slots=True)
class Features:
    """An example as the backbone reads it.

    ``truncated`` counts the tokens that did not fit into the maximum length.
    """

    example_id: str
    input_ids: tuple[int, ...]
    target: int | None = None
    truncated: int = 0


IDS = -1
"""The layer of texts that are not even embedded, for what trains or replaces the embeddings."""


@dataclass(frozen=True, slots=True)
class States:
    """Hidden states of a batch of texts after ``layer`` blocks.

    ``tokens`` is ``[B, T, H]``, ``mask`` ``[B, T]`` (1 for a token, 0 for padding); the first
    ``prompt_length`` of the ``T`` positions are virtual tokens. At layer :data:`IDS` nothing has been
    computed: ``tokens`` are the ids themselves, ``[B, T]``.
    """

    tokens: Tensor
    mask: Tensor
    layer: int
    prompt_length: int = 0

    def pooled(self) -> Tensor:
        """Mean over real tokens, virtual ones left out: ``[B, H]``."""
        real = self.without_prompt()
        weights = real.mask.unsqueeze(-1).to(real.tokens.dtype)
        return (real.tokens * weights).sum(1) / weights.sum(1).clamp(min=1.0)

    def without_prompt(self) -> States:
        """The same states without the rows of virtual tokens."""
        if not self.prompt_length:
            return self
        cut = self.prompt_length
        return replace(self, tokens=self.tokens[:, cut:], mask=self.mask[:, cut:], prompt_length=0)

    def to(self, device: torch.device) -> States:
        """The same states on ``device``."""
        return replace(self, tokens=self.tokens.to(device), mask=self.mask.to(device))

    def take(self, rows: list[int]) -> States:
        """The chosen rows of the batch, in the order given."""
        return replace(self, tokens=self.tokens[rows], mask=self.mask[rows])


@dataclass(frozen=True, slots=True)
class Batch:
    """One step's worth of examples of one language.

    ``targets [B]`` holds class indices, negative where the label is not known; ``teacher [B, H]``
    the pooled frozen states that a row should agree with, where ``taught [B]`` says it has one. For
    losses that need more of the teacher, ``source`` holds the states at the cut of the taught rows'
    translations, ``[B', S, H]``, and ``links [K, 3]`` which of their words correspond (row among
    the taught, source position, target position). ``is_source`` tells the source language's batch.
    """

    states: States
    language: str
    targets: Tensor
    teacher: Tensor
    taught: Tensor
    is_source: bool = False
    source: States | None = None
    links: Tensor | None = None

    def to(self, device: torch.device) -> Batch:
        """The same batch on ``device``."""
        return replace(
            self,
            states=self.states.to(device),
            targets=self.targets.to(device),
            teacher=self.teacher.to(device),
            taught=self.taught.to(device),
            source=None if self.source is None else self.source.to(device),
            links=None if self.links is None else self.links.to(device),
        )


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the model says of one example; ``confidence`` is its probability."""

    example_id: str
    language: str
    value: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Score:
    """One number, with all that is needed to compare it with another.

    ``low`` and ``high`` bound the 95 % bootstrap interval over examples (groups, where examples
    share one).
    """

    task: str
    method: str
    language: str
    metric: str
    value: float
    n: int
    shots: int
    draw: int
    seed: int
    run: str
    context_language: str | None = None
    low: float | None = None
    high: float | None = None
