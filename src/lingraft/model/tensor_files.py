"""Tensors are written as any other file of ours is: whole or not at all, and what the system refuses is said."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from ..core.files import write_atomically


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str]) -> None:
    """Write a safetensors file, atomically.

    Raises:
        WriteError: The disk is full, or the folder cannot be written.
    """
    write_atomically(path, lambda temporary: _save(tensors, temporary, metadata))


def _save(tensors: Mapping[str, Tensor], path: Path, metadata: dict[str, str]) -> None:
    """Write a safetensors file; what the system refused is an ``OSError``, which the library has as text alone."""
    try:
        save_file(dict(tensors), path, metadata=metadata)
    except SafetensorError as error:
        found = re.search(r"(?:code: |os error )(\d+)", str(error))
        raise (OSError(int(found[1]), os.strerror(int(found[1]))) if found else OSError(str(error))) from None
