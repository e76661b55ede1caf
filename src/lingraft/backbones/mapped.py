"""Weights that stay in their file: reading all of them once must not keep them resident.

Safetensors maps a file privately, so pages are the file's own until somebody writes to them. What a
digest has read is handed back to the system at once; whatever is used later comes back by itself. Of
a matrix of word embeddings, a quarter of a million rows, that is only the rows of the texts.
"""

from __future__ import annotations

import ctypes
import mmap
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

NARROW = (torch.float16, torch.bfloat16)
"""What is stored in these is computed with in float32."""

CHUNK = 1 << 24
"""Bytes that are read together."""

_OF_FILE = np.uint64(1 << 61)  # in /proc/self/pagemap: the file's page, or shared memory; not one of our own
_PRESENT = np.uint64(1 << 63)


def read_in_chunks(values: Tensor) -> Iterator[Tensor]:
    """Yield the numbers of a tensor in flat pieces, those of 16 bit in float32; each is released when it was read."""
    flat = values.detach().reshape(-1)
    size = max(1, CHUNK // flat.element_size())
    for start in range(0, flat.numel(), size):
        piece = flat[start : start + size]
        yield (piece.float() if piece.dtype in NARROW else piece).cpu()
        release(piece)


def release(values: Tensor) -> None:
    """Let the system take back the pages of a mapped file under ``values``.

    Nothing is lost: only whole pages, all of them the file's own, are released. Memory that was written
    to, or never came from a file, stays.
    """
    if sys.platform != "linux" or values.device.type != "cpu" or not values.numel():
        return
    page = mmap.PAGESIZE
    first = -(-values.data_ptr() // page)
    last = (values.data_ptr() + values.numel() * values.element_size()) // page
    if last <= first:
        return
    with suppress(OSError, AttributeError):  # what the system does not tell or allow is left as it is
        with Path("/proc/self/pagemap").open("rb", buffering=0) as file:
            file.seek(8 * first)
            pages = np.frombuffer(file.read(8 * (last - first)), dtype=np.uint64)
        if len(pages) == last - first and bool((pages & _PRESENT).all()) and bool((pages & _OF_FILE).all()):
            address, length = ctypes.c_void_p(first * page), ctypes.c_size_t((last - first) * page)
            ctypes.CDLL(None).madvise(address, length, mmap.MADV_DONTNEED)


def widen_all_but_words(model: nn.Module, words: nn.Embedding) -> None:
    """Put a model that was read in 16 bit into float32, except ``words``, whose rows are widened when looked up.

    And except matrices of linear layers that widen them by themselves (:mod:`lingraft.backbones.narrow`).
    """
    kept = {id(words.weight)} | {id(one.weight) for one in model.modules() if getattr(one, "widens", False)}
    for parameter in model.parameters():
        if id(parameter) not in kept and parameter.dtype in NARROW:
            parameter.data = parameter.data.float()
    for buffer in model.buffers():
        if buffer.dtype in NARROW:
            buffer.data = buffer.data.float()
    words.register_forward_hook(lambda module, given, rows: rows.float())
