"""How much memory and disk a run needs, estimated before any of it is taken.

What a step of training keeps for its gradients, and the states of all texts, are most of it. The constants are
measured on multilingual-e5-small (``benchmarks/footprint.py``): with one target language and with six, the estimate
is within a third of the peak.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..backbones import LayerStack
from ..backbones.encoder_decoder import EncoderDecoderStack
from ..backbones.shards import states_bytes
from ..backbones.state_table import Dtype
from ..core.errors import ConfigError
from ..core.records import Features
from ..core.stored_states import states_folder
from ..recipe.settings import Recipe

PROCESS = 0.7e9
"""Bytes of Python, torch, transformers and the mapped rows of the word embeddings."""

LEARNT = 20
"""Bytes of a parameter that learns: itself, its gradient, two moments of Adam, its average."""

KEPT = 120
"""Bytes that a layer keeps of a token for the gradients, for each number of its width."""

INPUT = 4
"""Of them, those of its input, which are all that is kept with gradient checkpointing, except of one layer."""

LOGITS = 12
"""Bytes of a logit of a word, with its probability and its gradient."""

PREDICTED = 400
"""Bytes of a prediction's line, its text included."""

BYTES = {"8bit": 1.0, "4bit": 0.5 + 4 / 64}
"""Of a number of a matrix, its share of a scale included."""

CERTAIN = 1.5
"""Beyond so many times what the machine has, the estimate need not be exact to be right."""


@dataclass(frozen=True)
class Needs:
    """Bytes that a run takes at its peak.

    Attributes:
        host: Memory of the process.
        device: Memory where it trains, which is the same as the host's on a CPU.
        states: On disk, in the cache.
        folder: On disk, in the run folder.
    """

    host: float
    device: float
    states: int
    folder: int


def estimate_needs(
    recipe: Recipe,
    features: Mapping[tuple[str, str], Sequence[Features]],
    stack: LayerStack,
    *,
    cut: int,
    trained: int,
    trials: int,
) -> Needs:
    """Estimate what a run takes.

    Args:
        recipe: The recipe.
        features: All texts as token ids, by language and purpose.
        stack: The layers of the backbone; without values will do.
        cut: First layer with anything to train.
        trained: Parameters that learn.
        trials: How many there are; each keeps its parameters.
    """
    lengths = {key: [len(one.input_ids) for one in rows] for key, rows in features.items()}
    states = states_size(features, stack.width, recipe.cache.dtype)
    depth = stack.num_layers - max(0, cut)
    batches = 2 if recipe.consistency is None else 3
    kept = min(depth, 1) * KEPT + INPUT * depth if recipe.train.gradient_checkpointing else KEPT * depth
    step = kept * stack.width * sum(_largest_batches(lengths, recipe.train.batch_size)[:batches])
    matrix = BYTES.get(recipe.backbone.weights, 4)
    weights = sum((matrix if one.ndim > 1 else 4) * one.numel() for one in stack.layers.parameters())
    if isinstance(stack, EncoderDecoderStack) and stack.decoder is not None:
        decoder: Any = stack.decoder
        words: Any = stack.words
        answers = {key: [len(one.answer) for one in rows] for key, rows in features.items()}
        said = sum(_largest_batches(answers, recipe.train.batch_size)[:batches])
        weights += sum(4 * one.numel() for one in (words.weight, *decoder.parameters()))
        step += said * (KEPT * stack.width * len(decoder.blocks.block) + LOGITS * len(words.weight))
    members = 4 * trained if recipe.train.ensemble > 1 else 0  # where they begin, and their mean
    tested = sum(len(rows) for (_, purpose), rows in features.items() if purpose == "test")
    return Needs(
        host=PROCESS + 2 * states,
        device=round(weights) + LEARNT * trained + 2 * members + step,
        states=states,
        folder=trials * (4 * trained + PREDICTED * tested) + LEARNT * trained + members,
    )


def states_size(features: Mapping[tuple[str, str], Sequence[Features]], width: int, dtype: Dtype) -> int:
    """Return the bytes on disk of the states of all texts, as a recipe stores them."""
    return sum(
        states_bytes([len(one.input_ids) for one in rows], width=width, dtype=dtype) for rows in features.values()
    )


def roughly_sized(size: float) -> str:
    """Return a number of bytes in words: ``about 1.2 GB``."""
    return f"about {size / 1e9:.1f} GB" if size >= 0.95e9 else f"about {max(1, round(size / 1e6))} MB"


def _largest_batches(lengths: Mapping[tuple[str, str], Sequence[int]], batch_size: int) -> list[int]:
    """Return the tokens, padding included, of the largest batch of each language, the largest first."""
    return sorted(
        (
            min(batch_size, len(rows)) * max(rows)
            for (_, purpose), rows in lengths.items()
            if purpose == "learn" and rows
        ),
        reverse=True,
    )


def memory_problems(needs: Needs, device: torch.device) -> tuple[list[str], list[str]]:
    """Say what of the machine a run would need more than there is.

    Returns:
        Problems, where it is certain, and warnings.
    """
    host, place = needs.host, "this machine"
    there, wanted = machine_memory(), host + needs.device if device.type != "cuda" else host
    if device.type == "cuda":
        card = torch.cuda.get_device_properties(device).total_memory
        if needs.device / card > wanted / there:
            there, wanted, place = card, needs.device, str(device)
    if wanted <= there:
        return [], []
    line = (
        f"the run needs about {wanted / 1e9:,.1f} GB of memory, and {place} has {there / 1e9:,.1f}: lower "
        "train.batch_size, backbone.max_length or the sizes of prompt and adapter, raise backbone.cut, set "
        "train.gradient_checkpointing: true, or give fewer texts"
    )
    return ([line], []) if wanted > CERTAIN * there else ([], [line])


def refuse_too_large(needs: Needs, device: torch.device) -> None:
    """Refuse what this machine certainly has no memory for.

    Raises:
        ConfigError: It needs far more than there is.
    """
    if problems := memory_problems(needs, device)[0]:
        raise ConfigError(problems)


def disk_warnings(needs: Needs, output_dir: Path) -> list[str]:
    """Say where there may be no room for what a run writes; states may be there already."""
    found = []
    for what, folder, wanted in (("states", states_folder(), needs.states), ("run", output_dir, needs.folder)):
        with suppress(OSError):  # a folder that another process has just taken away
            place = next(place for place in (folder, *folder.absolute().parents) if place.exists())
            free = shutil.disk_usage(place).free
            if wanted > free:
                room = f"{place} has {free / 1e9:,.1f} GB free"
                found.append(f"the {what} may take {wanted / 1e9:,.1f} GB of disk, and {room}")
    return found


def machine_memory() -> float:
    """Return the bytes of memory that this process may have: the machine's, or its container's; infinite if unknown."""
    found = [float("inf")]
    with suppress(AttributeError, ValueError, OSError):  # Windows has no sysconf
        found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    limit = Path("/sys/fs/cgroup/memory.max")
    if limit.is_file() and (text := limit.read_text(encoding="ascii").strip()).isdecimal():
        found.append(int(text))
    return min(found)
