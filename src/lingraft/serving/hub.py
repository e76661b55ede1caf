"""Trained runs on the Hugging Face Hub: put there with their model card, and loaded from there by name."""

from __future__ import annotations

import re
from pathlib import Path

from ..backbones.checkpoint_files import BUNDLED, download, first_line
from ..core.errors import CheckpointError
from ..model.checkpoint import adaptation_path, read_identity

NEEDED = (
    *("README.md", "adaptation.safetensors", "letters.json", "recipe.yaml"),
    *("run.json", "scores.jsonl", "summary.json"),
)
"""What whoever loads a run needs, and what says how far to trust it; none of it holds texts of the data."""

REPORT = "report.html"
"""Shows texts of the test sets, so it goes along where it is asked for."""

NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")


def push_run(folder: Path, name: str, *, public: bool = False, report: bool = False) -> list[str]:
    """Upload a finished run to the Hub, in one commit; a repository that is not there is made.

    Args:
        folder: Of the run.
        name: Of the repository, ``owner/name``.
        public: Make a new repository public; by default it is private.
        report: Upload the report too, which shows texts of the test sets.

    Returns:
        Lines that say what was uploaded, and where it is.

    Raises:
        CheckpointError: There is no finished run, the name is none, or the Hub refuses or cannot be reached.
    """
    if not NAME.fullmatch(name):
        raise CheckpointError(f"expected the name of a repository, as 'my-group/hausa-topics', got {name!r}")
    identity = read_identity(adaptation_path(folder))
    files = [folder / file for file in (*NEEDED, *([REPORT] if report else ())) if (folder / file).is_file()]
    if missing := {"README.md", "adaptation.safetensors"} - {file.name for file in files}:
        raise CheckpointError(f"{folder} has no {' and no '.join(sorted(missing))}; give the folder of a finished run")
    url = _upload(files, name, public=public)
    said = [f"uploaded: {', '.join(file.name for file in files)}", f"to {url}"]
    checkpoint = identity.checkpoint
    if checkpoint.startswith(BUNDLED) or not Path(checkpoint).expanduser().exists():
        return [*said, f"load it with lingraft.load({name!r})"]
    return [
        *said,
        f"its backbone is the folder {checkpoint}, which is not uploaded; whoever has it loads the run with "
        f"lingraft.load({name!r}, backbone=FOLDER)",
    ]


def _upload(files: list[Path], name: str, *, public: bool) -> str:
    """Return the address of the repository that now has the files."""
    from huggingface_hub import CommitOperationAdd, HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    api = HfApi(library_name="lingraft")
    try:
        url = api.create_repo(name, private=not public, exist_ok=True)
        operations = [CommitOperationAdd(file.name, file) for file in files]
        api.create_commit(name, operations, commit_message="Upload a run of lingraft")
    except OfflineModeIsEnabled:
        reason = "HF_HUB_OFFLINE forbids it; unset it"
    except HfHubHTTPError as error:
        refused = error.response is not None and error.response.status_code in (401, 403)
        login = "log in with `hf auth login`, with a token that may write there" if refused else "try again"
        reason = f"{first_line(error)}; {login}"
    except Exception as error:
        if not isinstance(error, HFValidationError | OSError | ValueError) and not _is_of_http(error):
            raise
        reason = f"{first_line(error)}; check the name and the network, and try again"
    else:
        return str(url)
    raise CheckpointError(f"cannot upload to {name}: {reason}") from None


def _is_of_http(error: Exception) -> bool:
    """Return whether an error is of the library that huggingface_hub asks the network with, which one it says not."""
    return type(error).__module__.partition(".")[0] in ("httpx", "httpx2", "requests")


def is_on_hub(folder: object) -> bool:
    """Return whether this names a run on the Hub: ``owner/name``, and nothing here is called so."""
    return isinstance(folder, str) and NAME.fullmatch(folder) is not None and not Path(folder).exists()


def fetch_run(name: str) -> Path:
    """Return the folder of a run on the Hub, downloaded unless it is cached.

    Raises:
        CheckpointError: There is none, or the Hub cannot be reached.
    """
    try:
        return download(name, only=list(NEEDED), instead="the folder of a run")
    except CheckpointError as error:
        reason = str(error).partition(": ")[2]
        raise CheckpointError(f"there is no finished run in {name}, and as a run on the Hub: {reason}") from None
