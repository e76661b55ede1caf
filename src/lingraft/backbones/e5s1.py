"""The ``E5S1`` file format: a BERT encoder in one file, its matrices in 4 bit (Q4_0).

All numbers are little-endian. A header, the vocabulary with scores, normalisation tables, then a
directory of named tensors with absolute offsets. Vectors are float32; a matrix is a sequence of
blocks of 32 weights that share one float16 scale, each weight a nibble from 0 to 15 standing for
``(nibble - 8) * scale``: the low nibbles of a block's 16 bytes come before the high ones.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..core.errors import CheckpointError

MAGIC = b"E5S1"
BLOCK_SIZE = 32
BLOCK = np.dtype([("scale", "<f2"), ("nibbles", "u1", BLOCK_SIZE // 2)])

# name in the file, after "l<layer>." -> name in a Hugging Face BertModel, after "encoder.layer.<layer>."
LAYER_NAMES = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}


@dataclass(frozen=True)
class Checkpoint:
    """What the file holds; ``tensors`` under the names of a Hugging Face ``BertModel``, in float32."""

    header: dict[str, Any]
    pieces: list[str]
    tensors: dict[str, NDArray[np.float32]]


def read_checkpoint(content: bytes) -> Checkpoint:
    """Read a whole file.

    Raises:
        CheckpointError: It is not of this format, or a tensor does not fit its shape.
    """
    header, pieces, directory = _read_directory(content)
    tensors = {target: _read_tensor(content, directory, source, shape) for source, target, shape in _layout(header)}
    return Checkpoint(header=header, pieces=pieces, tensors=tensors)


def dequantise(content: bytes, offset: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Expand Q4_0 blocks to float32."""
    blocks = np.frombuffer(content, BLOCK, prod(shape) // BLOCK_SIZE, offset)
    weights = np.concatenate([blocks["nibbles"] & 15, blocks["nibbles"] >> 4], axis=1).astype(np.float32)
    weights -= 8
    weights *= blocks["scale"].astype(np.float32)[:, None]
    return weights.reshape(shape)


class _Cursor:
    """Reads one thing after the other."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.position = 0

    def numbers(self, layout: str) -> tuple[Any, ...]:
        """Read numbers in :mod:`struct`'s notation."""
        values = struct.unpack_from("<" + layout, self.content, self.position)
        self.position += struct.calcsize("<" + layout)
        return values

    def number(self, layout: str) -> Any:
        """Read one number, or one string of bytes."""
        return self.numbers(layout)[0]

    def array(self, dtype: DTypeLike, count: int) -> NDArray[Any]:
        """Read equal numbers in a row."""
        values = np.frombuffer(self.content, dtype, count, self.position)
        self.position += values.nbytes
        return values


Directory = dict[str, tuple[int, int]]  # name -> offset, size in bytes


def _read_directory(content: bytes) -> tuple[dict[str, Any], list[str], Directory]:
    """Read header, vocabulary pieces, and where each tensor lies."""
    cursor = _Cursor(content)
    magic, _version = cursor.numbers("4sI")
    if magic != MAGIC:
        raise CheckpointError(f"expected a file of the E5S1 format, got one that begins with {magic!r}")
    fields = ("width", "layers", "heads", "inner_width", "vocabulary", "max_positions", "types")
    header = dict(zip(fields, cursor.numbers("7i"), strict=True))
    header["epsilon"], block_size, count = cursor.numbers("fii")
    if block_size != BLOCK_SIZE:
        raise CheckpointError(f"expected blocks of {BLOCK_SIZE} weights, got {block_size}")
    header |= zip(("bos", "eos", "pad", "unk"), cursor.numbers("4i"), strict=True)

    size = cursor.number("Q")
    bounds = cursor.array("<u4", count + 1).tolist()
    cursor.array("<f4", count)  # scores; the tokenizer has its own
    text = cursor.array("u1", size).tobytes()
    pieces = [text[start:end].decode() for start, end in pairwise(bounds)]

    _entries, skip = cursor.numbers("iI")  # normalisation tables; the tokenizer has its own
    cursor.position += skip

    directory: Directory = {}
    for _ in range(cursor.number("i")):
        name = cursor.array("u1", cursor.number("H")).tobytes().decode()
        _dtype, _count, offset, nbytes = cursor.numbers("BIQQ")
        directory[name] = (offset, nbytes)
    return header, pieces, directory


def _layout(header: dict[str, Any]) -> Iterator[tuple[str, str, tuple[int, ...]]]:
    """Yield name in the file, name in a ``BertModel``, and shape of every tensor."""
    width, inner = header["width"], header["inner_width"]
    yield "emb.word", "embeddings.word_embeddings.weight", (header["vocabulary"], width)
    yield "emb.pos", "embeddings.position_embeddings.weight", (header["max_positions"], width)
    yield "emb.type", "embeddings.token_type_embeddings.weight", (header["types"], width)
    yield "emb.ln.w", "embeddings.LayerNorm.weight", (width,)
    yield "emb.ln.b", "embeddings.LayerNorm.bias", (width,)
    shapes = {"fi": (inner, width), "fo": (width, inner), "aln": (width,), "oln": (width,)}
    for layer in range(header["layers"]):
        for short, name in LAYER_NAMES.items():
            shape = shapes.get(short, (width, width))
            yield f"l{layer}.{short}.w", f"encoder.layer.{layer}.{name}.weight", shape
            yield f"l{layer}.{short}.b", f"encoder.layer.{layer}.{name}.bias", shape[:1]


def _read_tensor(content: bytes, directory: Directory, name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Read vectors and positions as float32, all other matrices in blocks; the size tells which."""
    offset, nbytes = directory[name]
    if nbytes == prod(shape) * 4:
        return np.frombuffer(content, "<f4", prod(shape), offset).reshape(shape).astype(np.float32)
    if nbytes == prod(shape) // BLOCK_SIZE * BLOCK.itemsize:
        return dequantise(content, offset, shape)
    raise CheckpointError(f"{name}: {nbytes} bytes do not fit the shape {shape}; the file is damaged")
