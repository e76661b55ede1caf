"""From the name of a checkpoint to a frozen backbone, or to one sentence that says why not.

A checkpoint is ``bundled:NAME``, a local folder or a Hub id. Weights are read from safetensors
only, since a pickle runs whatever code its author put there; code that comes with a checkpoint is
never run; and weights stored in 16 bit are computed with in 32.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ..errors import CheckpointError
from . import LayerStack, Precision, backbones
from .bundled import bundled_folder, find_bundle

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

BUNDLED = "bundled:"
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".h5", ".msgpack")
TOKENIZER_FILES = ("tokenizer.json", "vocab.txt", "vocab.json", "*.model")
DOWNLOADED = ["*.json", "*.safetensors", "*.txt", "*.model", "README.md"]


@dataclass(frozen=True)
class Backbone:
    """A frozen language model, its tokenizer, and the digests that identify both.

    ``name`` is what the recipe says; ``text_prefix`` goes before every text (``"query: "`` for E5
    models); ``max_length`` is the checkpoint's own limit in tokens.
    """

    name: str
    stack: LayerStack
    tokenizer: PreTrainedTokenizerBase
    weights_digest: str
    tokenizer_digest: str
    text_prefix: str
    max_length: int
    licence: str


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


def load_backbone(checkpoint: str, *, text_prefix: str | None = None, precision: Precision = "float32") -> Backbone:
    """Load a checkpoint as a frozen layer stack, its weights in float32, with its tokenizer.

    Args:
        checkpoint: ``bundled:NAME``, a local folder, or a Hub id.
        text_prefix: What goes before every text; by default what the model was trained with,
            where that is known.
        precision: Of the matrix products inside its blocks.

    Raises:
        CheckpointError: It is missing, damaged, unsafe, or of an unsupported family.
    """
    folder = _folder(checkpoint)
    config = _checked_config(folder, checkpoint)
    _weight_files(folder, checkpoint)
    tokenizer = _load_tokenizer(folder, checkpoint)
    stack: LayerStack = backbones.build(config["model_type"])(_load_encoder(folder, checkpoint))
    stack.precision = precision
    _check_vocabulary(tokenizer, config, checkpoint)
    return Backbone(
        name=checkpoint,
        stack=stack,
        tokenizer=tokenizer,
        weights_digest=weights_digest(stack),
        tokenizer_digest=tokenizer_digest(tokenizer),
        text_prefix=usual_prefix(checkpoint) if text_prefix is None else text_prefix,
        max_length=min(stack.max_length, tokenizer.model_max_length),
        licence=_licence(folder, checkpoint),
    )


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
            num_layers=bundle.num_layers,
            width=bundle.width,
            vocabulary=bundle.vocabulary,
            parameters=bundle.parameters,
            licence=bundle.licence,
        )
    folder = _local_folder(checkpoint)
    if folder is None:
        folder = _from_hub(checkpoint, only=["config.json", "README.md"])
        parameters = None
    else:
        parameters = sum(_stored_parameters(file) for file in _weight_files(folder, checkpoint))
        _check_tokenizer_files(folder, checkpoint)
    config = _checked_config(folder, checkpoint)
    return CheckpointFacts(
        name=checkpoint,
        model_type=config["model_type"],
        num_layers=config["num_hidden_layers"],
        width=config["hidden_size"],
        vocabulary=config["vocab_size"],
        parameters=parameters,
        licence=_licence(folder, checkpoint),
    )


def empty_stack(checkpoint: str) -> LayerStack:
    """The layer stack on the meta device: shapes without values, made from the configuration alone.

    Of a Hub id only the configuration is fetched, and a bundled checkpoint is not converted. For
    counting what a recipe would train.

    Raises:
        CheckpointError: As :func:`describe_checkpoint`.
    """
    from transformers import AutoModel

    make: Any = AutoModel.from_config  # untyped
    try:
        with _quiet(), torch.device("meta"):
            config = _configuration(checkpoint)
            model = make(config, trust_remote_code=False, **_without_pooler(config))
    except CheckpointError:
        raise
    except Exception as error:  # a wrong configuration fails wherever it is first read
        raise CheckpointError(_not_loadable(checkpoint, error)) from None
    stack: LayerStack = backbones.build(config.model_type)(model)
    return stack


def weights_digest(module: nn.Module, but: Collection[str] = ()) -> str:
    """SHA-256 over the names, dtypes, shapes and bytes of all parameters (``but`` some), in the order of their names.

    A layer stack adds what its configuration says beyond shapes (``MATTERS``): the same weights with
    other heads or another activation are another model.
    """
    digest = hashlib.sha256()
    configuration = getattr(module, "configuration", None)
    if configuration is not None:
        digest.update(json.dumps(configuration, sort_keys=True, default=str).encode())
    for name, parameter in sorted(module.named_parameters(remove_duplicate=False)):
        if name in but:
            continue
        values = parameter.detach().cpu().contiguous()
        digest.update(f"{name}\0{values.dtype}\0{tuple(values.shape)}\0".encode())
        content: Any = values.reshape(-1).view(torch.uint8).numpy()  # shares the parameter's memory
        digest.update(content)
    return digest.hexdigest()


def tokenizer_digest(tokenizer: PreTrainedTokenizerBase) -> str:
    """SHA-256 over the tokenizer's canonical serialisation and its special tokens.

    Truncation and padding are switched off first: they are part of the serialisation, but belong
    to the last call and not to the tokenizer.
    """
    backend: Any = tokenizer.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    special = {role: str(token) for role, token in tokenizer.special_tokens_map.items()}
    digest = hashlib.sha256(backend.to_str().encode())
    digest.update(json.dumps(special, sort_keys=True).encode())
    return digest.hexdigest()


def usual_prefix(checkpoint: str) -> str:
    """What the model behind this name saw before every text; E5 models were trained with ``query: ``."""
    name = checkpoint.rstrip("/").rpartition("/")[2].removeprefix(BUNDLED).lower()
    words = re.split(r"[-_.]", name)
    return "query: " if "e5" in words and "instruct" not in words else ""


def _folder(checkpoint: str) -> Path:
    """Where the checkpoint's files are, fetched or converted first if need be."""
    if checkpoint.startswith(BUNDLED):
        return bundled_folder(checkpoint.removeprefix(BUNDLED))
    return _local_folder(checkpoint) or _from_hub(checkpoint, only=DOWNLOADED)


def _local_folder(checkpoint: str) -> Path | None:
    """The folder of that name; ``None`` if the name can only be a Hub id.

    Raises:
        CheckpointError: It is a path, and no folder is there.
    """
    path = Path(checkpoint).expanduser()
    if checkpoint.strip() and path.is_dir():
        return path
    if path.is_file():
        raise CheckpointError(f"{checkpoint} is a file; give the folder that holds config.json and model.safetensors")
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", checkpoint) or checkpoint.startswith((".", "/", "~")):
        raise CheckpointError(
            f"there is no folder {checkpoint!r}; give an existing folder, a Hub id such as "
            "FacebookAI/xlm-roberta-base, or bundled:multilingual-e5-small"
        )
    return None


def _from_hub(checkpoint: str, *, only: list[str]) -> Path:
    """The local snapshot of a Hub repository, downloaded unless it is cached."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
    )

    try:
        return Path(snapshot_download(checkpoint, allow_patterns=only, ignore_patterns=["*/*"]))
    except GatedRepoError:
        reason = "its authors ask for consent first: accept their terms on the Hub, then log in with `hf auth login`"
    except (RepositoryNotFoundError, HFValidationError):
        reason = "it is neither a local folder nor a repository that the Hub shows you; check the spelling"
    except LocalEntryNotFoundError:
        reason = (
            "it is neither a local folder nor in the local cache, and the Hub cannot be reached; connect to the "
            "network (and unset HF_HUB_OFFLINE), or give a folder or bundled:multilingual-e5-small"
        )
    except (HfHubHTTPError, OSError) as error:
        reason = f"the download failed ({_first_line(error)}); try again, or give a folder"
    raise CheckpointError(f"cannot find the checkpoint {checkpoint}: {reason}") from None


def _checked_config(folder: Path, checkpoint: str) -> dict[str, Any]:
    """The content of ``config.json``, of a supported family."""
    path = folder / "config.json"
    if not path.is_file():
        raise CheckpointError(
            f"{checkpoint} has no config.json; give the folder that save_pretrained wrote, with config.json, "
            "model.safetensors and tokenizer.json"
        )
    try:
        config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"config.json of {checkpoint} is not JSON ({error}); download it again") from None
    model_type = config.get("model_type")
    if model_type not in backbones.names():
        raise CheckpointError(
            f"{checkpoint} is of the type {model_type!r}, which lingraft cannot walk layer by layer; "
            f"supported: {', '.join(backbones.names())}. A new family is one file: see docs/extending.md"
        )
    missing = [
        key for key in ("num_hidden_layers", "hidden_size", "vocab_size") if not isinstance(config.get(key), int)
    ]
    if missing:
        raise CheckpointError(f"config.json of {checkpoint} does not give {', '.join(missing)}; download it again")
    return config


def _weight_files(folder: Path, checkpoint: str) -> list[Path]:
    """The safetensors files of the checkpoint, each complete as far as its header tells."""
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    else:
        names = ["model.safetensors"]
    files = [folder / name for name in names]
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise CheckpointError(_no_weights(folder, checkpoint, ", ".join(missing)))
    for file in files:
        _stored_parameters(file)
    return files


def _no_weights(folder: Path, checkpoint: str, missing: str) -> str:
    """Why there are no weights to read, and what to do about it."""
    target = Path(checkpoint).name + "-safetensors"
    conversion = (
        f'  python -c "from transformers import AutoModel as M, AutoTokenizer as T; '
        f"[X.from_pretrained('{checkpoint}').save_pretrained('{target}') for X in (M, T)]\"\n"
        f"then use the folder ./{target}"
    )
    if any(path.suffix in PICKLES for path in folder.iterdir()):
        return (
            f"{checkpoint} has its weights as a pickle only, which can run any code when it is read; lingraft reads "
            f"safetensors. If you trust the authors, convert it once:\n{conversion}"
        )
    if _local_folder(checkpoint):
        return f"{checkpoint} has no {missing}; lingraft reads weights from safetensors files: copy it again, whole"
    return (
        f"{checkpoint} offers no {missing}, on the Hub or, without network, in the local cache; lingraft reads "
        "safetensors. If it has a pickle only (pytorch_model.bin), which can run any code when it is read, and you "
        f"trust the authors, convert it once:\n{conversion}"
    )


def _stored_parameters(file: Path) -> int:
    """How many numbers a safetensors file holds.

    Raises:
        CheckpointError: The header and the file's size disagree.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="numpy") as tensors:
            return sum(prod(tensors.get_slice(name).get_shape()) for name in tensors.keys())  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{file} is damaged ({_first_line(error)}); it is probably an unfinished download: delete it and fetch "
            "it again"
        ) from None


def load_encoder(checkpoint: str) -> nn.Module:
    """The Hugging Face model itself, without a head, for who needs its own forward pass.

    Raises:
        CheckpointError: As :func:`load_backbone`.
    """
    return _load_encoder(_folder(checkpoint), checkpoint)


def _load_encoder(folder: Path, checkpoint: str) -> nn.Module:
    """The Hugging Face encoder without pooler and head, every weight of it from the file."""
    from transformers import AutoConfig, AutoModel

    options: dict[str, Any] = {"trust_remote_code": False, "local_files_only": True}
    try:
        with _quiet():
            config = AutoConfig.from_pretrained(folder, **options)
            model, info = AutoModel.from_pretrained(
                folder,
                config=config,
                dtype=torch.float32,
                use_safetensors=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # they are reported below, by name
                **options,
                **_without_pooler(config),
            )
    except Exception as error:  # a wrong configuration fails wherever it is first read
        raise CheckpointError(_not_loadable(checkpoint, error)) from None
    if mismatched := sorted(info["mismatched_keys"]):
        name, stored, expected = mismatched[0]
        raise CheckpointError(
            f"config.json and weights of {checkpoint} come from different models: {name} is stored as {tuple(stored)}, "
            f"the configuration expects {tuple(expected)} ({len(mismatched)} such tensors); copy both from the same "
            "place"
        )
    if missing := sorted(info["missing_keys"]):
        raise CheckpointError(
            f"{checkpoint} stores no values for {len(missing)} of the encoder's tensors ({missing[0]}, …), which would "
            "be left at random; give a checkpoint of the whole encoder"
        )
    encoder: nn.Module = model
    return encoder


def _configuration(checkpoint: str) -> Any:
    """Hugging Face's configuration of a checkpoint, without its weights; a bundled one has a BERT's usual shape."""
    from transformers import AutoConfig

    if checkpoint.startswith(BUNDLED):
        bundle = find_bundle(checkpoint.removeprefix(BUNDLED))
        return AutoConfig.for_model(
            bundle.model_type,
            vocab_size=bundle.vocabulary,
            hidden_size=bundle.width,
            num_hidden_layers=bundle.num_layers,
            intermediate_size=4 * bundle.width,
            max_position_embeddings=bundle.max_length,
        )
    folder = _local_folder(checkpoint) or _from_hub(checkpoint, only=["config.json"])
    _checked_config(folder, checkpoint)
    return AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)


def _without_pooler(config: Any) -> dict[str, Any]:
    """The option that leaves a pooler out, for the families that have one."""
    from transformers import MODEL_MAPPING

    family: Any = MODEL_MAPPING[type(config)]
    return {"add_pooling_layer": False} if "add_pooling_layer" in inspect.signature(family).parameters else {}


def _not_loadable(checkpoint: str, error: BaseException) -> str:
    return (
        f"{checkpoint} cannot be loaded: {type(error).__name__}: {_first_line(error)}; see config.json, which must "
        "be the one that came with the weights"
    )


def load_tokenizer(checkpoint: str) -> PreTrainedTokenizerBase:
    """The tokenizer of a checkpoint, without its weights.

    Raises:
        CheckpointError: As :func:`load_backbone`.
    """
    hub = not checkpoint.startswith(BUNDLED) and _local_folder(checkpoint) is None
    small = [pattern for pattern in DOWNLOADED if "safetensors" not in pattern]
    return _load_tokenizer(_from_hub(checkpoint, only=small) if hub else _folder(checkpoint), checkpoint)


def _load_tokenizer(folder: Path, checkpoint: str) -> PreTrainedTokenizerBase:
    from transformers import AutoTokenizer

    _check_tokenizer_files(folder, checkpoint)
    try:
        with _quiet():
            tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
                folder, trust_remote_code=False, local_files_only=True
            )
    except Exception as error:  # tokenizers raises bare exceptions
        raise CheckpointError(
            f"the tokenizer of {checkpoint} cannot be loaded: {_first_line(error)}; download its tokenizer files again"
        ) from None
    if not tokenizer.is_fast or tokenizer.pad_token_id is None:
        lack = "a padding token (pad_token in tokenizer_config.json)" if tokenizer.is_fast else "a tokenizer.json"
        raise CheckpointError(f"the tokenizer of {checkpoint} lacks {lack}, which lingraft needs; add it")
    return tokenizer


def _check_tokenizer_files(folder: Path, checkpoint: str) -> None:
    if not any(any(folder.glob(pattern)) for pattern in TOKENIZER_FILES):
        raise CheckpointError(
            f"{checkpoint} has no tokenizer.json; save the model's tokenizer into the same folder with "
            "AutoTokenizer.from_pretrained(…).save_pretrained(…)"
        )


def _check_vocabulary(tokenizer: PreTrainedTokenizerBase, config: dict[str, Any], checkpoint: str) -> None:
    if len(tokenizer) > config["vocab_size"]:
        raise CheckpointError(
            f"the tokenizer of {checkpoint} knows {len(tokenizer)} tokens, the model has embeddings for "
            f"{config['vocab_size']} only; the two belong to different checkpoints"
        )


def _licence(folder: Path, checkpoint: str) -> str:
    """What the bundle or the model card's header states, else ``unknown``."""
    if checkpoint.startswith(BUNDLED):
        return find_bundle(checkpoint.removeprefix(BUNDLED)).licence
    card = folder / "README.md"
    text = card.read_text(encoding="utf-8", errors="replace") if card.is_file() else ""
    header = text.split("---", 2)[1] if text.startswith("---") else ""
    found = re.search(r"^license:[ \t]*([\w.+-]+)", header, flags=re.MULTILINE)
    return found[1] if found else "unknown"


@contextmanager
def _quiet() -> Iterator[None]:
    """Without transformers' progress bars and load reports; what matters of them we check ourselves."""
    from transformers.utils import logging as verbose

    logging: Any = verbose  # untyped
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
