"""What a model says words with: its vocabulary and, in a decoder, the matrix that makes logits of the next token.

Where that is not the word embeddings, it is read from the files of the checkpoint beside the encoder, which Hugging
Face loads without it, and stays mapped: nobody pays for it who does not ask a decoder for words.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from ..core.errors import CheckpointError
from . import LayerStack
from .causal import CausalStack
from .encoder_decoder import EncoderDecoderStack
from .spelling import Spelling

NAME = "lm_head.weight"


def add_language_head(stack: LayerStack, tokenizer: Any, files: Sequence[Path], checkpoint: str) -> None:
    """Give who writes a vocabulary and, where words of a decoder are not tied to it, the matrix of its files, if any.

    Args:
        stack: Any stack; an encoder is left alone. A decoder that was loaded with its encoder has its matrix.
        tokenizer: Of the checkpoint.
        files: Safetensors files of the checkpoint.
        checkpoint: What it is called.

    Raises:
        CheckpointError: The matrix is of another shape than the word embeddings.
    """
    if not isinstance(stack, CausalStack | EncoderDecoderStack):
        return
    stack.spelling = Spelling(tokenizer)
    if isinstance(stack, EncoderDecoderStack) or stack.tied:
        return
    found, words = _stored(files), stack.words.weight
    assert isinstance(words, Tensor)
    if found is not None and found.shape != words.shape:
        raise CheckpointError(
            f"{NAME} of {checkpoint} is stored as {tuple(found.shape)}, the word embeddings are {tuple(words.shape)}; "
            "the two belong to different models: copy the checkpoint again"
        )
    stack.unembedding = found


def _stored(files: Sequence[Path]) -> Tensor | None:
    from safetensors import safe_open

    for file in files:
        with safe_open(file, framework="pt") as tensors:
            opened: Any = tensors
            if NAME in opened.keys():  # noqa: SIM118
                found: Tensor = opened.get_tensor(NAME)
                return found
    return None
