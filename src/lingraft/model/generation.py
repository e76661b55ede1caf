"""Answers that an adapted model writes: greedy, with keys and values kept, in batches of similar length."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ..backbones.causal import CausalStack
from ..backbones.encoder_decoder import EncoderDecoderStack, write
from ..backbones.reading import generate, read
from ..backbones.walk import length_batches, pad_batch
from ..core.records import Features, States
from .heads.language_model import LanguageModelHead
from .network import GraftedModel

TOKENS_PER_BATCH = 2048
"""Padded tokens of a batch of prompts at most; keys and values of all layers are held for them."""


def is_generated(model: object) -> bool:
    """Return whether a network answers by writing."""
    return isinstance(model, GraftedModel) and isinstance(model.adaptation.head, LanguageModelHead)


def write_answers(
    model: GraftedModel,
    features: Sequence[Features],
    language: str,
    advance: Callable[[int], None] = lambda rows: None,
) -> tuple[list[Tensor], Tensor]:
    """Generate the answer of each row, from its prompt alone, whatever is known to be right.

    Args:
        model: In eval mode.
        features: ``R`` rows.
        language: Whose parts are used.
        advance: Called with the number of rows that were just answered.

    Returns:
        On the CPU, in the order of the rows: each answer as the head's ``row_of`` has it, and the pooled final states
        of the prompts ``[R, H]``.
    """
    stack, head = model.stack, model.adaptation.head
    assert isinstance(stack, CausalStack | EncoderDecoderStack) and isinstance(head, LanguageModelHead)
    spelling, device = stack.spelling, next(stack.parameters()).device
    assert spelling is not None  # who loads a checkpoint gives it one

    def run(states: States) -> States:
        return model.run_layers(states, language)

    prompts = [feature.asked for feature in features]
    answers, pooled = [torch.empty(0)] * len(prompts), torch.empty(len(prompts), stack.width)
    with torch.no_grad():
        for batch in length_batches([len(prompt) for prompt in prompts], TOKENS_PER_BATCH):
            ids = [prompts[row] for row in batch]
            if isinstance(stack, CausalStack):
                states = replace(read(ids, device, padding_id=stack.padding_id), pooling=stack.pooling)
            else:
                states = pad_batch(ids, stack, device)
            final = run(states)
            pooled[batch] = final.pooled().float().cpu()

            def may_follow(row: int, said: Sequence[int], batch: list[int] = batch) -> Collection[int] | None:
                return head.may_follow(features[batch[row]], said, spelling)

            if isinstance(stack, CausalStack):
                found = generate(run, stack, final, most=head.most, ends=spelling.ends, may_follow=may_follow)
            else:
                writer = model.merged(language)
                assert isinstance(writer, EncoderDecoderStack)
                found = write(writer, final, most=head.most, ends=spelling.ends, may_follow=may_follow)
            for row, said in zip(batch, found, strict=True):
                answers[row] = head.row_of(features[row], said, spelling)
            advance(len(batch))
    return answers, pooled
