"""The decoder's own language-model head, of a decoder alone or behind an encoder: nothing of it is trained.

What a row is to say, its last tokens, has a summed log-likelihood, which training raises. Answers are generated, and a
generated answer is a row as well: its probability, then the code points of its characters. So whoever has the rows has
the answers, and a row can be written down and compared.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import torch
from torch import Tensor

from ...backbones import LayerStack
from ...backbones.causal import CausalStack
from ...backbones.encoder_decoder import EncoderDecoderStack
from ...backbones.greedy import Generated
from ...backbones.spelling import Spelling
from ...core.errors import CheckpointError
from ...core.records import Features, States
from . import BuildHead, Head, heads


class LanguageModelHead(Head):
    """Reads final states by the stack's own words.

    Args:
        most: Tokens of a generated answer at most.
    """

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most

    def read(self, final: States) -> Tensor:
        """Refuse to read states alone.

        Raises:
            CheckpointError: Always.
        """
        raise CheckpointError(
            "answers that are generated need the decoder's own head beside its states, which this way of computing "
            "does not have; use lingraft predict"
        )

    def logits(self, final: States, stack: LayerStack) -> Tensor:
        """Return the summed log-likelihood of what each row is to say: ``[B, 1]``; 0 where that is nothing."""
        said = final.said
        sums = final.tokens.new_zeros(len(final.tokens), dtype=torch.float32)
        if said is None or not bool((said >= 0).any()):
            return sums[:, None] + 0.0 * final.tokens.sum()
        assert isinstance(stack, CausalStack | EncoderDecoderStack)
        rows, places = (said >= 0).nonzero(as_tuple=True)
        if isinstance(stack, EncoderDecoderStack):
            spoken = stack.answer(final, stack.shifted(said))[rows, places]
        else:
            spoken = final.tokens[rows, places]
        chances = stack.speak(spoken).log_softmax(-1)
        found = chances.gather(1, said[rows, places][:, None]).squeeze(1)
        return sums.index_add(0, rows, found)[:, None]

    def may_follow(self, asked: Features, said: Sequence[int], spelling: Spelling) -> Collection[int] | None:
        """Return the tokens of which the next is one, after a prompt and what was said; None for all."""
        return None

    def row_of(self, asked: Features, said: Generated, spelling: Spelling) -> Tensor:
        """Return a generated answer as numbers, its probability and its text: ``[1 + characters]``."""
        return torch.tensor([said.probability, *map(ord, spelling.spell(said.ids))], dtype=torch.float32)


@heads.register("language_model")
def language_model() -> BuildHead:
    """Answers that the decoder writes with its own head, of so many tokens at most as the kind has outputs."""

    def build(stack: LayerStack, outputs: int, per_token: bool) -> LanguageModelHead:
        return LanguageModelHead(most_of(stack, outputs))

    return build


def most_of(stack: LayerStack, outputs: int) -> int:
    """Return how many tokens an answer has at most, where the stack can write one.

    Raises:
        CheckpointError: It cannot.
    """
    if not isinstance(stack, CausalStack | EncoderDecoderStack):
        raise CheckpointError(
            f"generation needs a decoder, and this checkpoint is of the family {stack.configuration['model_type']}"
        )
    return outputs
