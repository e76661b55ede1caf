"""Memories: a trained matrix for each head beside its softmax (PrefixMemory-Tuning, Wang et al., 2025).

A prefix competes with the text inside one softmax, the less heard the longer the text. Linear attention
to a prefix of any length is a product with one matrix, ``phi(q) M``, so the matrix is trained instead.
It has no keys to keep, no position, and no mask hides it: a decoder's cached keys and values are the
plain model's. At zero it adds exactly nothing, and unlike a gate it learns from the first step on.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ...backbones import Branch, LayerStack, Project
from ...backbones.encoder_decoder import AnswerDecoder
from ..answering import answering
from . import Build, Initial, prompts
from .split import SplitParameters


@prompts.register("memory")
def memory(*, task: bool = True, language: bool = True, decoder: bool | None = None) -> Build:
    """Matrix for each head beside its softmax, in each block above the cut; starts as the identity.

    The self-attention of the decoder that writes an encoder-decoder's answers has some, too, unless `decoder: false`.

    Args:
        task: Whether there is a memory that all languages share.
        language: Whether each language has one of its own, which is added to it.
        decoder: Whether the decoder has some, too; by default where one writes the answers.
    """

    def memories(blocks: LayerStack | AnswerDecoder, layers: range, languages: Iterable[str]) -> Memories:
        def empty(layer: int) -> Tensor:
            return torch.zeros(blocks.num_heads, blocks.head_width, blocks.head_width)

        return Memories(layers, languages, empty if task else None, empty if language else None)

    def build(stack: LayerStack, layers: range, languages: Iterable[str], initial: Initial) -> Memories:
        codes = list(languages)
        prompt = memories(stack, layers, codes)
        if writer := answering(stack, decoder, "prompt"):
            prompt.decoder = memories(writer, range(len(writer.layers)), codes)
        return prompt

    return build


@dataclass(frozen=True)
class Memory:
    """What a head remembers, ``matrix [heads, d, d]``: read by its query, without positions."""

    matrix: Tensor

    def attended(self, query: Tensor, project: Project, scale: float) -> Tensor:
        """Return ``(elu(q) + 1) M``, head by head: the feature map of Katharopoulos et al., 2020."""
        return (F.elu(query) + 1) @ self.matrix.to(query.dtype)


class Memories(SplitParameters):
    """Parameters ``task.LAYER [heads, d, d]`` and ``language.CODE.LAYER``, of the same shape.

    A matrix is a parameter divided by ``d``: all of ``phi(q)`` is positive, so a step of Adam in ``d`` rows of it
    would otherwise move what a head says by ``d`` learning rates, where the rows of a prompt move by one.
    """

    carried = False

    def forward(self, layer: int, language: str) -> tuple[Branch, ...] | None:
        """Return the sum of the task's memory and the language's, or None where there is neither."""
        parts = self.parts(layer, language)
        if not parts:
            return None
        return (Memory(torch.stack(parts).sum(0) / parts[0].shape[-1]),)
