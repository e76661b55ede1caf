"""Hugging Face's model of a checkpoint: what is run of it, without a head, in eval mode and silence.

Weights are read from safetensors only, code that comes with a checkpoint is never run, and a tensor that the files lack
or have in another shape is an error rather than left at random.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..core.errors import CheckpointError
from . import backbones
from .bundles import find_bundle
from .checkpoint_files import (
    BUNDLED,
    download,
    first_line,
    local_folder,
    read_config,
    stored_in_16_bit,
    stored_names,
    stored_parameters,
    weight_files,
)
from .mapped import widen_all_but_words
from .narrow import keep_narrow
from .silence import quiet


def read_model(
    folder: Path, checkpoint: str, *, mapped: bool = False, narrow: bool = False, writing: bool = False
) -> nn.Module:
    """Return the Hugging Face model without pooler and head, every weight of it from the file.

    All in float32; ``mapped``, word embeddings that are stored in 16 bit stay so; ``narrow``, matrices of linear layers
    too. ``writing``, an encoder-decoder comes with its decoder and head, which are never narrow.
    """
    from transformers import AutoConfig

    files = weight_files(folder, checkpoint)
    stored = stored_in_16_bit(files) if mapped else None
    options: dict[str, Any] = {"trust_remote_code": False, "local_files_only": True}
    try:
        with quiet():
            config = AutoConfig.from_pretrained(folder, **options)
            writing = writing and answers_apart(config.model_type)
            if writing:
                refuse_without_decoder(folder, checkpoint)
            _refuse_promises(config, files, checkpoint, writing=writing)
            model, info = _auto_class(config, writing=writing).from_pretrained(
                folder,
                config=config,
                dtype=getattr(torch, stored or "float32"),
                use_safetensors=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # they are reported below, by name
                **options,
                **_without_pooler(config),
            )
    except CheckpointError:
        raise
    except Exception as error:  # a wrong configuration fails wherever it is first read
        raise CheckpointError(not_loadable(checkpoint, error)) from None
    _refuse_further_layers(model, info["unexpected_keys"], checkpoint)
    if mismatched := sorted(info["mismatched_keys"]):
        name, stored, expected = mismatched[0]
        raise CheckpointError(
            f"config.json and weights of {checkpoint} come from different models: {name} is stored as {tuple(stored)}, "
            f"the configuration expects {tuple(expected)} ({len(mismatched)} such tensors); copy both from the same "
            "place"
        )
    if missing := sorted(info["missing_keys"]):
        raise CheckpointError(
            f"{checkpoint} stores no values for {len(missing)} of the {'model' if writing else 'encoder'}'s tensors "
            f"({missing[0]}, …), which would be left at random; give a checkpoint of the whole "
            f"{'model' if writing else 'encoder'}"
        )
    encoder: nn.Module = model
    if stored:
        if narrow:
            keep_narrow(model.get_encoder() if writing else encoder)
        widen_all_but_words(encoder, model.get_input_embeddings())
    return encoder


def _refuse_further_layers(model: nn.Module, unexpected: Iterable[str], checkpoint: str) -> None:
    """Refuse weights of layers that the configuration leaves out: what is run would be a part of the model.

    Args:
        model: What is run.
        unexpected: Names of the stored tensors that it has no place for, with or without what stands before its own.
        checkpoint: As the recipe names it.

    Raises:
        CheckpointError: One has the name of a parameter, but for the number of its layer.
    """
    known = {NUMBER.sub("#", name) for name, _ in model.named_parameters()}
    numbered = tuple(f".{name}" for name in known if "#" in name)
    further = sorted(name for name in unexpected if NUMBER.sub("#", f".{name}").endswith(numbered))
    if further:
        raise CheckpointError(
            f"config.json of {checkpoint} has fewer layers than the weights, which store {further[0]} besides "
            f"({len(further)} such tensors); copy both from the same place. To read texts after fewer layers, set "
            "backbone.layers"
        )


NUMBER = re.compile(r"\d+")


def answers_apart(model_type: str) -> bool:
    """Return whether a family's answers are written by a decoder apart."""
    apart: bool = backbones.build(model_type).facts.answers_apart
    return apart


def refuse_without_decoder(folder: Path, checkpoint: str) -> None:
    """Refuse files of an encoder-decoder that cannot write answers, by the names of their tensors.

    Raises:
        CheckpointError: The decoder is not among them, or its language-model head is not where it should be.
    """
    names, config = stored_names(weight_files(folder, checkpoint)), read_config(folder, checkpoint)
    if not any(name.startswith("decoder.") for name in names):
        raise CheckpointError(
            f"{checkpoint} has the encoder alone (no tensor decoder.…), and answers in words are written by the "
            "decoder; give the whole checkpoint, as it was published"
        )
    if config.get("tie_word_embeddings") is False and "lm_head.weight" not in names:
        raise CheckpointError(
            f"{checkpoint} lacks the language-model head (lm_head.weight), which config.json says is not that of its "
            "word embeddings, so it cannot write answers; give the whole checkpoint, as it was published"
        )


def _refuse_promises(config: Any, files: Sequence[Path], checkpoint: str, *, writing: bool) -> None:
    """Refuse a configuration of a much larger model than is stored, before memory is taken for all of it.

    Raises:
        CheckpointError: It is.
    """
    with torch.device("meta"):
        expected = sum(parameter.numel() for parameter in model_from_config(config, writing=writing).parameters())
    stored = sum(map(stored_parameters, files))
    if expected > stored + SLACK:
        raise CheckpointError(
            f"config.json of {checkpoint} is of a model with {expected:,} parameters, and its files hold {stored:,}; "
            "copy both from the same place"
        )


SLACK = 5 * 10**7
"""Parameters that may be expected and not stored; which tensors they are is said when the weights are read."""


def model_from_config(config: Any, *, writing: bool = False) -> nn.Module:
    """Return the Hugging Face model that a configuration describes, without a pooler; ``writing``, with its decoder."""
    made = _auto_class(config, writing=writing)
    model: nn.Module = made.from_config(config, trust_remote_code=False, **_without_pooler(config))
    return model


def _auto_class(config: Any, *, writing: bool) -> Any:
    """Return the class of transformers that loads what is run of a model; ``writing``, with its decoder and head."""
    import transformers

    if writing:
        return transformers.AutoModelForSeq2SeqLM
    return getattr(transformers, backbones.build(config.model_type).facts.auto_class)


def configuration_of(checkpoint: str) -> Any:
    """Return Hugging Face's configuration of a checkpoint, without its weights."""
    from transformers import AutoConfig

    if checkpoint.startswith(BUNDLED):
        return AutoConfig.for_model(**find_bundle(checkpoint.removeprefix(BUNDLED)).config)
    folder = local_folder(checkpoint) or download(checkpoint, only=["config.json"])
    read_config(folder, checkpoint)
    return AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)


def _without_pooler(config: Any) -> dict[str, Any]:
    """Return the option that leaves a pooler out, for the families that have one."""
    from transformers import MODEL_MAPPING

    family: Any = MODEL_MAPPING[type(config)]
    return {"add_pooling_layer": False} if "add_pooling_layer" in inspect.signature(family).parameters else {}


def not_loadable(checkpoint: str, error: BaseException) -> str:
    """Return what is said of a checkpoint that transformers does not take."""
    return (
        f"{checkpoint} cannot be loaded: {type(error).__name__}: {first_line(error)}; see config.json, which must "
        "be the one that came with the weights"
    )
