"""The files of a checkpoint: in a folder, a bundle or on the Hub; refused where they are not safe to read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import prod
from pathlib import Path, PureWindowsPath
from typing import Any, Literal

from ..core.errors import CheckpointError
from ..core.outside import open_regular, parse_object, read_bytes
from . import backbones
from .bundled import bundled_folder
from .bundles import find_bundle

BUNDLED = "bundled:"


ORIGIN = "made_from.json"
"""Says of which checkpoint this one is, with fewer pieces or more, and what goes before its texts."""

PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".h5", ".msgpack")


TOKENIZER_FILES = ("tokenizer.json", "vocab.txt", "vocab.json", "*.model")


FETCH = "download it again"

MOST = 10**12
"""Any number of a configuration."""

BOUNDS = {"layers": 1000, "labels": 10**6, "size": 10**8}
"""Numbers of it with these in their names, which take memory or time before anything shows that they are wrong."""

WEIGHTS_BYTES = 1 << 42
"""Of a file of weights, which is mapped and not read whole."""

SMALL_BYTES = 1 << 26
"""Of any other file of a checkpoint."""

DOWNLOADED = ["*.json", "*.safetensors", "*.txt", "*.model", "README.md"]


def usual_prefix(checkpoint: str) -> str:
    """Return what the model behind this name saw before every text; E5 models were trained with ``query: ``."""
    origin = Path(checkpoint).expanduser() / ORIGIN
    if checkpoint.strip() and origin.is_file():
        text = read_bytes(origin, error=CheckpointError, cure=FETCH)
        return str(parse_object(text, str(origin), error=CheckpointError, cure=FETCH).get("text_prefix", ""))
    name = PureWindowsPath(checkpoint).name.removeprefix(BUNDLED).lower()  # which knows both slashes
    words = re.split(r"[-_.]", name)
    return "query: " if "e5" in words and "instruct" not in words else ""


def checkpoint_folder(checkpoint: str, *, trusting: bool = False) -> Path:
    """Find the checkpoint's files, fetched or converted first if need be; ``trusting`` as in load_backbone."""
    if checkpoint.startswith(BUNDLED):
        return bundled_folder(checkpoint.removeprefix(BUNDLED), trusting=trusting)
    return local_folder(checkpoint) or download(checkpoint, only=DOWNLOADED)


def local_folder(checkpoint: str) -> Path | None:
    """Return the folder of that name; ``None`` if the name can only be a Hub id.

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


def lasting_name(checkpoint: str) -> str:
    """Return the name of a checkpoint that holds in every working directory: of a folder, its whole path."""
    path = Path(checkpoint).expanduser()
    return str(path.resolve()) if checkpoint.strip() and path.is_dir() else checkpoint


def download(checkpoint: str, *, only: list[str], instead: str = "a folder or bundled:multilingual-e5-small") -> Path:
    """Return the local snapshot of a Hub repository, downloaded unless it is cached.

    Args:
        checkpoint: Name of the repository.
        only: Patterns of the files that are wanted.
        instead: What to give where there is no network.
    """
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
        reason = f"it is neither a folder in {Path.cwd()} nor a repository that the Hub shows you; check the spelling"
    except LocalEntryNotFoundError:
        reason = (
            f"it is neither a folder in {Path.cwd()} nor in the local cache, and the Hub cannot be reached; connect "
            f"to the network (and unset HF_HUB_OFFLINE), or give {instead}"
        )
    except (HfHubHTTPError, OSError) as error:
        reason = f"the download failed ({first_line(error)}); try again, or give a folder"
    raise CheckpointError(f"cannot find the checkpoint {checkpoint}: {reason}") from None


def read_config(folder: Path, checkpoint: str) -> dict[str, Any]:
    """Return the content of ``config.json``, of a supported family, depth and width by their usual names too."""
    try:
        text = read_bytes(folder / "config.json", error=CheckpointError, cure=FETCH)
    except FileNotFoundError:
        raise CheckpointError(
            f"{checkpoint} has no config.json; give the folder that save_pretrained wrote, with config.json, "
            "model.safetensors and tokenizer.json"
        ) from None
    config = parse_object(text, f"config.json of {checkpoint}", error=CheckpointError, cure=FETCH)
    model_type = config.get("model_type")
    if not isinstance(model_type, str) or model_type not in backbones.names():
        raise CheckpointError(
            f"{checkpoint} is of the type {model_type!r}, which lingraft cannot run layer by layer; "
            f"supported: {', '.join(backbones.names())}. A new family is one file: see docs/extending.md"
        )
    own_names: Mapping[str, str] = backbones.build(model_type).facts.config_names
    config = {own_names[key]: value for key, value in config.items() if key in own_names} | config
    needed = ("num_hidden_layers", "hidden_size", "vocab_size")
    if missing := [key for key in needed if type(config.get(key)) is not int or config[key] < 1]:
        raise CheckpointError(f"config.json of {checkpoint} does not give {', '.join(missing)}; {FETCH}")
    for key, number in config.items():
        most = next((most for part, most in BOUNDS.items() if part in key), MOST)
        if isinstance(number, int | float) and not abs(number) <= most:
            raise CheckpointError(f"config.json of {checkpoint}: {key}: expected at most {most:,}; {FETCH}")
    return config


def weight_files(folder: Path, checkpoint: str) -> list[Path]:
    """Return the safetensors files of the checkpoint, each complete as far as its header tells."""
    index = folder / "model.safetensors.index.json"
    names = _listed(index) if index.is_file() else ["model.safetensors"]
    files = [folder / name for name in names]
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise CheckpointError(_no_weights(folder, checkpoint, ", ".join(missing[:3])))
    for file in files:
        stored_parameters(file)
    return files


def _listed(index: Path) -> list[str]:
    """Return the files that an index lists, all of them in its own folder.

    Raises:
        CheckpointError: It lists none, or one that lies elsewhere.
    """
    text = read_bytes(index, error=CheckpointError, cure=FETCH)
    found = parse_object(text, str(index), error=CheckpointError, cure=FETCH).get("weight_map")
    if not isinstance(found, dict) or not found or not all(map(_is_plain, found.values())):
        raise CheckpointError(
            f"{index}: expected weight_map with the name of a file in this folder for each tensor, found "
            f"{ascii(found)[:60]}; {FETCH}"
        )
    return sorted(set(found.values()))


def _is_plain(name: object) -> bool:
    """Return whether a name is that of a safetensors file, without a folder."""
    return isinstance(name, str) and re.fullmatch(r"[\w-][\w.-]*\.safetensors", name) is not None


def _no_weights(folder: Path, checkpoint: str, missing: str) -> str:
    """Return why there are no weights to read, and what to do about it."""
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
    if local_folder(checkpoint):
        return f"{checkpoint} has no {missing}; lingraft reads weights from safetensors files: copy it again, whole"
    return (
        f"{checkpoint} offers no {missing}, on the Hub or, without network, in the local cache; lingraft reads "
        "safetensors. If it has a pickle only (pytorch_model.bin), which can run any code when it is read, and you "
        f"trust the authors, convert it once:\n{conversion}"
    )


def stored_parameters(file: Path) -> int:
    """Return how many numbers a safetensors file holds.

    Raises:
        CheckpointError: The header and the file's size disagree.
    """
    from safetensors import SafetensorError, safe_open

    try:
        open_regular(file, most=WEIGHTS_BYTES, error=CheckpointError, cure=FETCH).close()
        with safe_open(file, framework="numpy") as tensors:
            return sum(prod(tensors.get_slice(name).get_shape()) for name in tensors.keys())  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{file} is damaged ({first_line(error)}); it is probably an unfinished download: delete it and fetch "
            "it again"
        ) from None


def stored_names(files: list[Path]) -> list[str]:
    """Return the names of all tensors of a checkpoint."""
    from safetensors import safe_open

    found: list[str] = []
    for file in files:
        with safe_open(file, framework="numpy") as tensors:
            found += tensors.keys()
    return found


def stored_in_16_bit(files: list[Path]) -> Literal["float16", "bfloat16"] | None:
    """Return the format that all floating-point numbers of a checkpoint are stored in, if it is one of 16 bit."""
    from safetensors import safe_open

    found = set()
    for file in files:
        with safe_open(file, framework="numpy") as tensors:
            found |= {tensors.get_slice(name).get_dtype() for name in tensors.keys()}  # noqa: SIM118
    floats = {dtype for dtype in found if dtype.startswith(("F", "BF"))}
    return "float16" if floats == {"F16"} else "bfloat16" if floats == {"BF16"} else None


def check_tokenizer_files(folder: Path, checkpoint: str) -> None:
    """Refuse a checkpoint without a tokenizer, or with files that are not fit to read.

    Raises:
        CheckpointError: There is none, or one is no regular file or too large.
    """
    for pattern in ("*.json", "*.txt", "*.model"):
        for path in folder.glob(pattern):
            open_regular(path, most=SMALL_BYTES, error=CheckpointError, cure=FETCH).close()
    if not any(any(folder.glob(pattern)) for pattern in TOKENIZER_FILES):
        raise CheckpointError(
            f"{checkpoint} has no tokenizer.json; save the model's tokenizer into the same folder with "
            "AutoTokenizer.from_pretrained(…).save_pretrained(…)"
        )


def licence_of(folder: Path, checkpoint: str) -> str:
    """Return what the bundle or the model card's header states, else ``unknown``."""
    if checkpoint.startswith(BUNDLED):
        return find_bundle(checkpoint.removeprefix(BUNDLED)).licence
    card = folder / "README.md"
    try:
        text = read_bytes(card, error=CheckpointError).decode("utf-8", errors="replace")
    except (FileNotFoundError, CheckpointError):
        text = ""
    header = text.split("---", 2)[1] if text.startswith("---") else ""
    found = re.search(r"^license:[ \t]*([\w.+-]+)", header, flags=re.MULTILINE)
    return found[1] if found else "unknown"


def first_line(error: BaseException) -> str:
    """Return what an error says, without the rest of a long message."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:500]
