"""From a GGUF file, the format of llama.cpp, to a Hugging Face folder: transformers reads it, once.

A file that is too large for one package comes in parts, which are joined first. Weights are written in
float16, which rounds by a twentieth of a percent what 4 bits have rounded by several: half the disk, and
word embeddings stay in it (see :mod:`.mapped`). The language-model head comes along where it is not the
word embeddings themselves.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import redirect_stderr
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any

from ..core.errors import CheckpointError
from .silence import quiet

READER = "gguf==0.19.0"
"""What transformers reads the format with."""


def write_decoder(folder: Path, name: str, files: Sequence[Path]) -> None:
    """Write weights, configuration and tokenizer the way Hugging Face reads them.

    Args:
        folder: Where to; on a file system with room for the GGUF file beside the result.
        name: Of the checkpoint.
        files: The parts of the GGUF file, in order.

    Raises:
        CheckpointError: The reader is not installed, or does not understand the file.
        OSError: The disk is full.
    """
    if find_spec("gguf") is None:
        raise CheckpointError(
            f"bundled:{name} is converted by means of the package {READER}, which is not installed; get it with: "
            f"pip install {READER}"
        )
    whole = folder / "whole.gguf"
    with whole.open("wb") as joined:
        for path in files:
            with path.open("rb") as part:
                shutil.copyfileobj(part, joined)
    try:
        with quiet(), redirect_stderr(StringIO()):  # the reader's own bar listens to nobody
            _convert(whole, folder)
    except (OSError, MemoryError):
        raise
    except Exception as error:  # the reader raises whatever it meets
        raise CheckpointError(
            f"bundled:{name} could not be converted by transformers' reader of GGUF ({type(error).__name__}: "
            f"{str(error).strip()[:200]}); install the version that it was tried with: pip install {READER}"
        ) from None
    whole.unlink()


def _convert(whole: Path, folder: Path) -> None:
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM, AutoTokenizer

    options: dict[str, Any] = {"gguf_file": whole.name, "local_files_only": True}
    tokenizer: Any = AutoTokenizer.from_pretrained(whole.parent, **options)
    model: Any = AutoModelForCausalLM.from_pretrained(whole.parent, dtype=torch.float32, **options)
    model.hf_quantizer, model.is_quantized = None, False  # it is dense by now, and says so that it may be saved
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    tokenizer.model_max_length = model.config.max_position_embeddings
    try:
        model.half().save_pretrained(folder)
    except SafetensorError as error:  # how safetensors reports a full disk
        raise OSError(str(error)) from None
    tokenizer.save_pretrained(folder)
