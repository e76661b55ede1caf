"""What another library is given, as its user would give it, and what it gives back."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...backbones.silence import quiet
from ...core.progress import Advance

Texts = tuple[str, ...]
"""One text, or the two of a pair."""


@dataclass(frozen=True)
class Given:
    """A checkpoint with labelled texts, and the few settings that are not the library's own defaults.

    Attributes:
        folder: The checkpoint, as Hugging Face reads it; weights are safetensors.
        texts: ``N`` labelled ones, in the order in which the library gets them.
        targets: ``N`` classes, from 0.
        classes: How many there are, ``C``.
        max_length: Tokens of a text, or of a pair, at most.
        learning_rate: Peak learning rate of all parameters.
        batch_size: Of a step, in what the library counts: texts, or pairs of them.
        epochs: Also in what the library counts.
        max_steps: Steps of the optimiser, where the epochs have more than these; no bound where None.
        seed: Of new parameters, dropout and order.
        device: Where to compute.
    """

    folder: Path
    texts: Sequence[Texts]
    targets: Sequence[int]
    classes: int
    max_length: int
    learning_rate: float
    batch_size: int
    epochs: int
    max_steps: int | None
    seed: int
    device: torch.device


@dataclass(frozen=True)
class Classifier:
    """What was learnt.

    Attributes:
        logits: Makes logits ``[N, C]`` of ``N`` texts.
        steps: Of the optimiser.
        trained: Parameters that learnt.
    """

    logits: Callable[[Sequence[Texts]], Tensor]
    steps: int
    trained: int


def budget(steps: int, most: int | None) -> int:
    """Return ``max_steps`` as Hugging Face's trainers take it: -1 where the epochs have no more than are allowed."""
    return -1 if most is None or steps <= most else most


def trained_parameters(model: torch.nn.Module) -> int:
    """Count the parameters that an optimiser changes."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def name_padding(tokenizer: Any) -> None:
    """Let the token that ends a text serve as padding where there is none, as in many decoders."""
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token


def follow(trainer: Any, advance: Advance) -> None:
    """Let a trainer of Hugging Face's say each of its steps to ``advance``, and print nothing."""
    from transformers import PrinterCallback, ProgressCallback, TrainerCallback

    class Steps(TrainerCallback):
        def on_step_end(self, *args: Any, **kwargs: Any) -> None:
            advance(1)

    trainer.remove_callback(PrinterCallback)
    trainer.remove_callback(ProgressCallback)
    trainer.add_callback(Steps())


@contextmanager
def workplace() -> Iterator[str]:
    """Lend a library a folder that is gone afterwards; meanwhile it is silent and asks the Hub for nothing."""
    from huggingface_hub import constants

    offline = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = True  # a model card would look its checkpoint up there
    try:
        with tempfile.TemporaryDirectory(prefix="lingraft-") as folder, quiet():
            yield folder
    finally:
        constants.HF_HUB_OFFLINE = offline
