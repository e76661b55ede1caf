"""From the name of a checkpoint to a frozen backbone, or to one sentence that says why not.

A checkpoint is ``bundled:NAME``, a local folder or a Hub id. Weights are read from safetensors
only, since a pickle runs whatever code its author put there; code that comes with a checkpoint is
never run; and weights stored in 16 bit are computed with in 32. The matrix of word embeddings stays
mapped, in the precision of its file: of a quarter of a million rows, a run reads those of its texts.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ..core.errors import CheckpointError, LingraftError
from ..core.records import Pooling
from . import LayerStack, Precision, backbones
from .bundles import find_bundle
from .checkpoint_files import (
    BUNDLED,
    DOWNLOADED,
    check_tokenizer_files,
    checkpoint_folder,
    download,
    first_line,
    licence_of,
    local_folder,
    read_config,
    stored_parameters,
    usual_prefix,
    weight_files,
)
from .digests import tokenizer_digest, weights_digest
from .encoder_decoder import EncoderDecoderStack
from .hugging_face import (
    answers_apart,
    configuration_of,
    model_from_config,
    not_loadable,
    read_model,
    refuse_without_decoder,
)
from .language_head import add_language_head
from .markers import mark_answers_apart, markers_of
from .quantised import Weights, quantise, refuse_without_quantiser, rounded_to
from .remembered import note_digests, recall_digests, stamp_files
from .silence import quiet

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Backbone:
    """A frozen language model, its tokenizer, and the digests that identify both.

    ``name`` is what the recipe says; ``text_prefix`` goes before every text (``"query: "`` for E5
    models); ``max_length`` is the checkpoint's own limit in tokens. Where its uppermost layers are left out,
    ``checkpoint_digest`` is that of all weights. ``decoder_digest`` is that of an encoder-decoder's decoder, where it
    was loaded. ``weights`` is what its matrices are kept in.
    """

    name: str
    stack: LayerStack
    tokenizer: PreTrainedTokenizerBase
    weights_digest: str
    tokenizer_digest: str
    text_prefix: str
    max_length: int
    licence: str
    checkpoint_digest: str = ""
    decoder_digest: str = ""
    weights: Weights = "float32"


@dataclass(frozen=True)
class CheckpointFacts:
    """What a checkpoint says of itself before its weights are read.

    ``parameters`` counts what the file stores (``None`` where that would need a download), which
    may include a head that we leave out.
    """

    name: str
    model_type: str
    num_layers: int
    width: int
    vocabulary: int
    parameters: int | None
    licence: str


def load_backbone(
    checkpoint: str,
    *,
    text_prefix: str | None = None,
    precision: Precision = "float32",
    weights: Weights = "float32",
    trusting: bool = False,
    writing: bool = False,
) -> Backbone:
    """Load a checkpoint as a frozen layer stack, with its tokenizer.

    Args:
        checkpoint: ``bundled:NAME``, a local folder, or a Hub id.
        text_prefix: What goes before every text; by default what the model was trained with,
            where that is known.
        precision: Of the matrix products inside its blocks.
        weights: Whether its matrices are put into float32, stay as they are stored, where that is in 16 bit, or are
            rounded to 8 or 4 bit.
        trusting: Believe digests that were made before of the same files; for prediction, not for training.
        writing: Load the decoder of an encoder-decoder, too, so that it answers in words.

    Raises:
        CheckpointError: It is missing, damaged, unsafe, or of an unsupported family.
        ConfigError: It is to be rounded, and bitsandbytes is not installed.
    """
    rounded = rounded_to(weights)
    if rounded:
        refuse_without_quantiser()
    folder = checkpoint_folder(checkpoint, trusting=trusting)
    seen = stamp_files(folder)
    config = read_config(folder, checkpoint)
    files = weight_files(folder, checkpoint)
    tokenizer = _load_tokenizer(folder, checkpoint)
    encoder = read_model(folder, checkpoint, mapped=True, narrow=weights != "float32", writing=writing)
    try:
        stack = _stacked(config["model_type"], encoder)
    except LingraftError:
        raise
    except Exception as error:  # a configuration may say what no layer of the family can do
        raise CheckpointError(not_loadable(checkpoint, error)) from None
    add_language_head(stack, tokenizer, files, checkpoint)
    stack.precision = precision
    if rounded:
        quantise(stack.layers, rounded)
    markers = markers_of(tokenizer)
    stack.closing = len(markers.after)
    if stack.facts.pooling == "content":
        stack.pooling = Pooling(opening=max(1, len(markers.before)))
    _check_vocabulary(tokenizer, config, checkpoint)
    digests = recall_digests(folder) if trusting else None
    decoder = stack.decoder if isinstance(stack, EncoderDecoderStack) else None
    whole = rounded or "weights"
    if digests is None or whole not in digests or (decoder is not None and DECODER not in digests):
        digests = (digests or {}) | {whole: weights_digest(stack), "tokenizer": tokenizer_digest(tokenizer)}
        digests |= {DECODER: weights_digest(decoder)} if decoder is not None else {}
        note_digests(folder, seen, digests)
    return Backbone(
        name=checkpoint,
        stack=stack,
        tokenizer=tokenizer,
        weights_digest=digests[whole],
        tokenizer_digest=digests["tokenizer"],
        text_prefix=usual_prefix(checkpoint) if text_prefix is None else text_prefix,
        max_length=min(stack.max_length, tokenizer.model_max_length),
        licence=licence_of(folder, checkpoint),
        decoder_digest=digests[DECODER] if decoder is not None else "",
        weights=weights,
    )


DECODER = "decoder"
"""What the digest of a decoder apart is noted as."""


def describe_checkpoint(checkpoint: str) -> CheckpointFacts:
    """Say what a checkpoint is, and refuse what could not be loaded, without reading its weights.

    Of a Hub id that is not in the local cache only the configuration is fetched.

    Raises:
        CheckpointError: As :func:`load_backbone`, as far as it shows from the outside.
    """
    if checkpoint.startswith(BUNDLED):
        bundle = find_bundle(checkpoint.removeprefix(BUNDLED))
        return CheckpointFacts(
            name=checkpoint,
            model_type=bundle.model_type,
            num_layers=bundle.config["num_hidden_layers"],
            width=bundle.config["hidden_size"],
            vocabulary=bundle.config["vocab_size"],
            parameters=bundle.parameters,
            licence=bundle.licence,
        )
    folder = local_folder(checkpoint)
    if folder is None:
        folder = download(checkpoint, only=["config.json", "README.md"])
        parameters = None
    else:
        parameters = sum(stored_parameters(file) for file in weight_files(folder, checkpoint))
        check_tokenizer_files(folder, checkpoint)
    config = read_config(folder, checkpoint)
    return CheckpointFacts(
        name=checkpoint,
        model_type=config["model_type"],
        num_layers=config["num_hidden_layers"],
        width=config["hidden_size"],
        vocabulary=config["vocab_size"],
        parameters=parameters,
        licence=licence_of(folder, checkpoint),
    )


def refuse_missing_decoder(checkpoint: str) -> None:
    """Refuse a local encoder-decoder without its decoder, where answers are to be written, before weights are read.

    Raises:
        CheckpointError: It has none, by the names of its tensors, or its configuration is of none that can write.
    """
    folder = None if checkpoint.startswith(BUNDLED) else local_folder(checkpoint)
    if folder is not None and answers_apart(read_config(folder, checkpoint)["model_type"]):
        refuse_without_decoder(folder, checkpoint)
        empty_stack(checkpoint, writing=True)


def empty_stack(checkpoint: str, *, writing: bool = False) -> LayerStack:
    """Return the layer stack on the meta device: shapes without values, made from the configuration alone.

    Of a Hub id only the configuration is fetched, and a bundled checkpoint is not converted. For
    counting what a recipe would train.

    Args:
        checkpoint: As :func:`load_backbone` has it.
        writing: With the decoder of an encoder-decoder.

    Raises:
        CheckpointError: As :func:`describe_checkpoint`.
    """
    try:
        with quiet(), torch.device("meta"):
            config = configuration_of(checkpoint)
            writing = writing and answers_apart(config.model_type)
            return _stacked(config.model_type, model_from_config(config, writing=writing))
    except CheckpointError:
        raise
    except Exception as error:  # a wrong configuration fails wherever it is first read
        raise CheckpointError(not_loadable(checkpoint, error)) from None


def _stacked(model_type: str, model: nn.Module) -> LayerStack:
    """Return a Hugging Face model as the layers of its family."""
    stack: LayerStack = backbones.build(model_type)(model)
    return stack


def load_encoder(checkpoint: str) -> nn.Module:
    """Return the Hugging Face model itself, without a head, for who needs its own forward pass.

    Raises:
        CheckpointError: As :func:`load_backbone`.
    """
    return read_model(checkpoint_folder(checkpoint), checkpoint)


def load_tokenizer(checkpoint: str) -> PreTrainedTokenizerBase:
    """Return the tokenizer of a checkpoint, without its weights.

    Raises:
        CheckpointError: As :func:`load_backbone`.
    """
    hub = not checkpoint.startswith(BUNDLED) and local_folder(checkpoint) is None
    small = [pattern for pattern in DOWNLOADED if "safetensors" not in pattern]
    return _load_tokenizer(download(checkpoint, only=small) if hub else checkpoint_folder(checkpoint), checkpoint)


def _load_tokenizer(folder: Path, checkpoint: str) -> PreTrainedTokenizerBase:
    from transformers import AutoTokenizer

    check_tokenizer_files(folder, checkpoint)
    try:
        with quiet():
            tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
                folder, trust_remote_code=False, local_files_only=True
            )
    except Exception as error:  # tokenizers raises bare exceptions
        raise CheckpointError(
            f"the tokenizer of {checkpoint} cannot be loaded: {first_line(error)}; download its tokenizer files again"
        ) from None
    if tokenizer.pad_token_id is None and tokenizer.eos_token is not None:
        tokenizer.pad_token = tokenizer.eos_token  # decoders often have none; what is padding, the mask says
    if not tokenizer.is_fast or tokenizer.pad_token_id is None:
        lack = "a padding token (pad_token in tokenizer_config.json)" if tokenizer.is_fast else "a tokenizer.json"
        raise CheckpointError(f"the tokenizer of {checkpoint} lacks {lack}, which lingraft needs; add it")
    _check_length(tokenizer, checkpoint)
    _try_out(tokenizer, checkpoint)
    if answers_apart(read_config(folder, checkpoint)["model_type"]):
        mark_answers_apart(tokenizer)
    return tokenizer


def _try_out(tokenizer: PreTrainedTokenizerBase, checkpoint: str) -> None:
    """Refuse a tokenizer whose parts do not fit together, which shows only when it is used.

    Raises:
        CheckpointError: It gives no tokens of a text that has something of everything.
    """
    text = "a B 7 ? \u00df \u0431 \u4e2d \u0e01 \U0001f600"
    try:
        tokenizer([text, text], [text, text], truncation=True, max_length=8)
        tokenizer([text, ""])
    except (KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException as error:  # a panic of tokenizers is no Exception
        raise CheckpointError(
            f"the tokenizer of {checkpoint} cannot cut a text into tokens: {first_line(error)}; download its tokenizer "
            "files again"
        ) from None


def _check_length(tokenizer: PreTrainedTokenizerBase, checkpoint: str) -> None:
    longest: object = tokenizer.model_max_length
    if not isinstance(longest, int | float) or not longest >= 1:
        raise CheckpointError(
            f"tokenizer_config.json of {checkpoint}: model_max_length: expected a number of tokens, found "
            f"{ascii(longest)[:60]}; download it again"
        )


def _check_vocabulary(tokenizer: PreTrainedTokenizerBase, config: dict[str, Any], checkpoint: str) -> None:
    if len(tokenizer) > config["vocab_size"]:
        raise CheckpointError(
            f"the tokenizer of {checkpoint} knows {len(tokenizer)} tokens, the model has embeddings for "
            f"{config['vocab_size']} only; the two belong to different checkpoints"
        )
