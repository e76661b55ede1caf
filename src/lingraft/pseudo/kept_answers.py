"""What slow services answered, kept on disk: a job that was stopped, or is run again, asks nothing twice.

Each answer is a file of its own under a digest of all that was asked, so several processes may share a folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

from ..core.errors import RunError
from ..core.files import read_object, write_json
from ..core.json_text import to_json


class KeptAnswers:
    """Answers by what was asked.

    Args:
        folder: Where they are; made when the first one is kept.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find(self, asked: Mapping[str, Any]) -> Any:
        """Return what was answered; None where this was never asked, or half of a file is left of it."""
        with suppress(RunError):
            return read_object(self._file(asked)).get("answer")
        return None

    def keep(self, asked: Mapping[str, Any], answer: Any) -> None:
        """Write down what was answered: plain data, not None."""
        write_json(self._file(asked), {"asked": dict(asked), "answer": answer})

    def _file(self, asked: Mapping[str, Any]) -> Path:
        digest = sha256(to_json(dict(sorted(asked.items()))).encode()).hexdigest()
        return self.folder / digest[:2] / f"{digest}.json"
