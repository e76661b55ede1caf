"""Source and target languages agree: losses between the two sides of a batch of translations.

The source side is a frozen teacher, the target side learns. Both arrive centred and scaled by the
frozen source-language states (see ``alignment_terms.py``): what is crowded in one corner of the space,
as sentence embeddings are, would otherwise look alike to every cosine. A loss says what it needs
beyond the pooled states, so that nothing is computed that no loss of the recipe looks at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from ...core.records import States
from ...core.registry import Registry
from ...recipe.blocks import Block

Need: TypeAlias = Literal["tokens", "predictions", "word_alignment"]


@dataclass(frozen=True)
class View:
    """One side of a batch of translations at one layer; row i of the target translates row i of the source.

    ``states`` are ``[B, T, H]``, centred and scaled. Those of the source may be a single token per
    row, the pooled state, where no loss needs ``tokens``. ``logits [B, C]`` are there where a loss
    needs ``predictions``. ``word_alignment [K, 3]`` (row, source position, target position; positions count
    from the first token of the text, prompts left out) are on the target view where one needs
    ``word_alignment``.
    ``prefix_tokens`` is how many tokens at the start of each text are no content: what opens it, and a model's prefix;
    ``closing`` how many at its end.
    """

    states: States
    logits: Tensor | None = None
    word_alignment: Tensor | None = None
    prefix_tokens: int = 1
    closing: int = 1

    def whole(self) -> View:
        """Return the same view in single precision, where it is in half: distances and logarithms need it."""
        half = (torch.float16, torch.bfloat16)
        tokens, logits = self.states.tokens, self.logits
        return replace(
            self,
            states=replace(self.states, tokens=tokens.float()) if tokens.dtype in half else self.states,
            logits=logits.float() if logits is not None and logits.dtype in half else logits,
        )

    def detach(self) -> View:
        """Return the same view, out of the reach of gradients."""
        return replace(
            self,
            states=replace(self.states, tokens=self.states.tokens.detach()),
            logits=None if self.logits is None else self.logits.detach(),
        )


@dataclass(frozen=True)
class AlignmentLoss:
    """What a factory returns: ``compute(source, target)`` is a scalar whose gradient reaches the target only.

    The source language's own texts are their own translations: a loss on pooled states holds them to their frozen
    states (source regularisation). One that ``needs`` more has an ``anchor`` for them, or leaves them alone.
    """

    compute: Callable[[View, View], Tensor]
    needs: frozenset[Need] = frozenset()
    anchor: AlignmentLoss | None = None

    @property
    def of_source(self) -> AlignmentLoss | None:
        """The loss of the source language's texts against their own frozen states; None where there is none."""
        return self.anchor if self.needs else self

    def __call__(self, source: View, target: View) -> Tensor:
        """Compute the loss of ``target`` against ``source``, whose gradient is stopped here for every loss.

        Raises:
            ValueError: A view lacks what :attr:`needs` asks for.
        """
        if "predictions" in self.needs and (source.logits is None or target.logits is None):
            raise ValueError("the loss needs predictions: give both views their logits [B, C]")
        if "word_alignment" in self.needs and target.word_alignment is None:
            raise ValueError("the loss needs a word alignment: give the target view its word_alignment [K, 3]")
        return self.compute(source.detach().whole(), target.whole())


alignment = Registry("lingraft.alignment", "lingraft.training.alignment")


def names_that_need(what: Need, blocks: Iterable[Block]) -> list[str]:
    """Return the names of the losses of a recipe that need ``what``."""
    return [block.name for block in blocks if what in alignment.build(block.name, block.options).needs]
