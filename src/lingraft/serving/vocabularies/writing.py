"""What is written: Hugging Face's files of a checkpoint with another vocabulary and, of a run, its trained parts."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ...backbones.checkpoint_files import (
    ORIGIN,
    checkpoint_folder,
    stored_in_16_bit,
    stored_names,
    weight_files,
)
from ...backbones.hugging_face import read_model
from ...backbones.loading import Backbone
from ...backbones.silence import quiet
from ...core.errors import CheckpointError
from ...core.files import write_json
from ...model.checkpoint import SUFFIX, UNFROZEN, save_adaptation
from ..predictor import Adapted

NAME_COLUMN = "say which with --text COLUMN"
"""What to do about a corpus in a table without the column of the text."""

OTHER_VOCABULARIES = ("*.model", "vocab.*", "merges.txt", "special_tokens_map.json")
"""Files of a tokenizer beside ``tokenizer.json``, which would still have all pieces."""

TIED = ".embed_tokens.weight"
"""What encoder-decoders call their word embeddings a second time."""


def refuse_existing(output: Path) -> None:
    """Refuse a folder that is there already.

    Raises:
        CheckpointError: It is.
    """
    if output.exists():
        raise CheckpointError(f"--output: {output} is there already; name a new folder")


@dataclass(frozen=True)
class NewVocabulary:
    """What a checkpoint is written with.

    Attributes:
        tokenizer: The content of ``tokenizer.json``.
        rows: Makes the word embeddings, ``[V', H]``, of those that were, ``[V, H]``.
        new_id: Ids of the pieces that stay, by the old ones.
    """

    tokenizer: str
    rows: Callable[[Tensor], Tensor]
    new_id: Mapping[int, int]


def write_checkpoint(backbone: Backbone, vocabulary: NewVocabulary, folder: Path, *, made: str) -> list[str]:
    """Write configuration, weights and tokenizer with other pieces.

    Args:
        backbone: As it was.
        vocabulary: What is written in the place of its own.
        folder: Where to; there, and empty.
        made: What was made of the checkpoint, as in ``e5 with half of its pieces``; for the model card.

    Returns:
        Lines that say what of the checkpoint is left out.
    """
    source = checkpoint_folder(backbone.name)
    files = weight_files(source, backbone.name)
    model: Any = read_model(source, backbone.name)
    model.config.vocab_size = _replace_embeddings(model, vocabulary)
    _renumber(model.config, vocabulary.new_id)
    if narrow := stored_in_16_bit(files):
        model.to(getattr(torch, narrow))
    with quiet():
        model.save_pretrained(folder)
        backbone.tokenizer.save_pretrained(folder)
    for pattern in OTHER_VOCABULARIES:
        for path in folder.glob(pattern):
            path.unlink()
    (folder / "tokenizer.json").write_text(vocabulary.tokenizer, encoding="utf-8")
    _describe_tokenizer(folder / "tokenizer_config.json", vocabulary.new_id)
    about = {"of": backbone.name, "weights_digest": backbone.weights_digest, "text_prefix": backbone.text_prefix}
    write_json(folder / ORIGIN, {**about, "pieces": model.config.vocab_size})
    (folder / "README.md").write_text(f"---\nlicense: {backbone.licence}\n---\n\n{made}.\n", encoding="utf-8")
    return _left_out(stored_names(files), stored_names(weight_files(folder, str(folder))), backbone)


def write_run(run: Adapted, backbone: Backbone, name: str, folder: Path) -> None:
    """Write the trained parts of a run for the smaller backbone.

    Args:
        run: Loaded.
        backbone: The smaller one.
        name: What it will be called.
        folder: Where to.

    Raises:
        CheckpointError: The run has trained word embeddings of its own.
    """
    words = [key for key in run.model.adaptation.unfrozen if _is_words(run.backbone, key.replace("/", "."))]
    if words:
        raise CheckpointError(
            f"the run has trained its own word embeddings ({UNFROZEN}{words[0]}), as freezing: full does; trim the "
            "checkpoint, and train on that"
        )
    identity = replace(
        run.identity,
        checkpoint=name,
        weights_digest=backbone.weights_digest,
        tokenizer_digest=backbone.tokenizer_digest,
    )
    save_adaptation(folder / f"adaptation{SUFFIX}", run.model.adaptation, identity)


def _is_words(backbone: Backbone, name: str) -> bool:
    """Return whether a parameter of the stack has a row for each piece."""
    return backbone.stack.get_parameter(name).shape[0] >= len(backbone.tokenizer)


def _replace_embeddings(model: Any, vocabulary: NewVocabulary) -> int:
    """Put other rows in all modules that share the word embeddings, and return how many there are."""
    words: nn.Parameter = model.get_input_embeddings().weight
    rows = nn.Parameter(vocabulary.rows(words.detach()).clone(), requires_grad=False)
    for module in model.modules():
        if isinstance(module, nn.Embedding) and module.weight.data_ptr() == words.data_ptr():
            module.weight, module.num_embeddings = rows, len(rows)
            if module.padding_idx is not None:
                module.padding_idx = vocabulary.new_id.get(module.padding_idx)
    return len(rows)


def _renumber(config: Any, new_id: Mapping[int, int]) -> None:
    """Give the special tokens that a configuration names their new ids; those that are gone are named no more."""
    for key, value in vars(config).items():
        if key.endswith(("_token_id", "_token_ids")):
            if isinstance(value, int):
                setattr(config, key, new_id.get(value, value if value < 0 else None))
            elif isinstance(value, list):
                setattr(config, key, [new_id[one] for one in value if one in new_id])


def _describe_tokenizer(path: Path, new_id: Mapping[int, int]) -> None:
    """Let Hugging Face's loader take the tokenizer as its file has it, rather than make one of the family's class."""
    about = json.loads(path.read_text(encoding="utf-8"))
    about["tokenizer_class"] = "PreTrainedTokenizerFast"
    if "added_tokens_decoder" in about:
        about["added_tokens_decoder"] = {
            str(new_id[int(number)]): token for number, token in about["added_tokens_decoder"].items()
        }
    write_json(path, about)


def _left_out(before: list[str], after: list[str], backbone: Backbone) -> list[str]:
    """Say which tensors of the checkpoint are not written; the same ones may have stood there under a longer name."""
    there = set(after)
    gone = [name for name in before if not any(end in there for end in _ends(name)) and not name.endswith(TIED)]
    some = ", ".join(gone[:3]) + (f", … ({len(gone):,} tensors)" if len(gone) > 3 else "")
    said = [f"left out, as it is not run: {some}"] if gone else []
    loader = f"transformers.{backbone.stack.facts.auto_class}.from_pretrained"
    return [*said, f"load with: {loader}, or as backbone.checkpoint of a recipe"]


def _ends(name: str) -> list[str]:
    """Return a tensor's name, and all that is left of it without what stands in front."""
    parts = name.split(".")
    return [".".join(parts[start:]) for start in range(len(parts))]
