"""How long a workload takes on this machine: its floating-point operations, at a rate that is measured now."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from ..backbones import LayerStack, Precision
from ..backbones.encoder_decoder import EncoderDecoderStack
from ..backbones.precision import Rates
from ..model.freezing import strategy_of
from ..model.maps.kernel import MOST_PAIRS
from ..recipe.settings import Recipe
from .counted_work import TrialWork

EFFICIENCY: Rates = {"float32": 0.6, "bfloat16": 0.35}
"""Share of the matrix rate that layers reach, attention and the rest included; the rest takes as long in either."""

STEP_PER_PARAMETER = 3e-9
"""Seconds that AdamW takes for a parameter in a step: seven reads and writes of four bytes at 10 GB/s."""

CUBE_SECONDS = 1.5e-9
"""Seconds that a map and an n-gram classifier take, for the cube of their texts: two eigenvalue decompositions."""

STARTING = 5.0
"""Seconds for a process to start and to load a backbone."""


def trial_seconds(work: TrialWork, stack: LayerStack, *, depth: int, passes: int, rate: float) -> float:
    """Return the seconds that a trial takes.

    Args:
        work: What it does.
        stack: The layers of the backbone.
        depth: How many of them its tokens go through, those apart that go through all.
        passes: How often a token in training does: forward is one, each gradient another (see :func:`passes_of`).
        rate: Floating-point operations per second.
    """
    whole = passes * work.whole_depth_tokens
    tokens = passes * work.tokens - whole + work.head_tokens
    # With layers below the cut adapted, most of what is only read goes through all of them as well.
    tokens, whole = (tokens, whole + work.tokens_read) if whole else (tokens + work.tokens_read, whole)
    return (
        (tokens * operations_per_token(stack, depth) + whole * operations_per_token(stack, stack.num_layers)) / rate
        + answer_operations(work, stack) / rate
        + work.steps * work.trained * STEP_PER_PARAMETER
        + sum(min(count, MOST_PAIRS) ** 3 for count in work.fitted.values()) * CUBE_SECONDS
    )


def passes_of(recipe: Recipe, layers: int) -> int:
    """Return how often a token goes through the layers in training: forward, for states, and for weights."""
    if strategy_of(recipe.freezing).highest_cut(layers) < layers:
        return 3
    return 2 if recipe.prompt is not None or recipe.adapter is not None else 1


def operations_per_token(stack: LayerStack, depth: int) -> float:
    """Return the floating-point operations of a token in ``depth`` layers: a multiplication and an addition each."""
    weights = sum(parameter.numel() for parameter in stack.layers.parameters() if parameter.dim() > 1)
    return 2 * weights * depth / stack.num_layers


def answer_operations(work: TrialWork, stack: LayerStack) -> float:
    """Return the floating-point operations of the decoder that writes the answers of an encoder-decoder.

    Its matrices are frozen, so in training each token of an answer goes forward and once back for the states of the
    text, and so does what the decoder makes of each token of the text.
    """
    if not isinstance(stack, EncoderDecoderStack) or not work.said + work.written:
        return 0.0
    of_answer, of_text = stack.answer_weights()
    return 2.0 * (of_answer * (2 * work.said + work.written) + of_text * (2 * work.tokens + work.tokens_read))


def layer_rate(device: torch.device, width: int, precision: Precision, rates: Rates) -> float:
    """Return the floating-point operations of matrix products per second that the layers of a model reach.

    Args:
        device: Where they are computed; anything but the processor is measured now.
        width: Of the model.
        precision: Of the products.
        rates: Of the processor.
    """
    rate = rates[precision] if device.type == "cpu" else matrix_rate(width, precision, device)
    return EFFICIENCY[precision] * rate


def matrix_rate(width: int, precision: Precision, device: torch.device, seconds: float = 0.3) -> float:
    """Measure the floating-point operations per second on matrix products of the model's shapes.

    Args:
        width: Of the model.
        precision: Of the products.
        device: Where they are computed.
        seconds: How long to measure.
    """
    dtype, wait = getattr(torch, precision), _waiting(device)
    a, b = (torch.randn(shape, device=device).to(dtype) for shape in ((1024, width), (width, 4 * width)))
    for _ in range(3):
        a @ b
    wait()
    done, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        for _ in range(10 if device.type != "cpu" else 1):
            a @ b
            done += 1
        wait()
    return done * 2 * a.shape[0] * a.shape[1] * b.shape[1] / (time.perf_counter() - started)


def _waiting(device: torch.device) -> Callable[[], None]:
    """Return what waits until a device has done what was asked of it; a processor has when the call returns."""
    waiting: dict[str, Callable[[], None]] = {"cuda": torch.cuda.synchronize, "mps": torch.mps.synchronize}
    return waiting.get(device.type, lambda: None)
