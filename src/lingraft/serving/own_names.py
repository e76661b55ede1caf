"""What a run's recipe says that its saved parts do not: the languages it was for, and the names of its columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..core.written_recipe import NAME as RECIPE
from ..core.written_recipe import read_written_recipe
from ..data.languages import canonical
from ..results.run_files import MARK
from ..tasks.kinds import Kind


@dataclass(frozen=True)
class OwnNames:
    """The names that a run's own data have; nothing where there is no recipe beside the adaptation."""

    targets: tuple[str, ...] = ()
    """Its target languages, also those that nothing was trained for."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    """Our name of a column to the run's, as in ``{"text": "message"}``."""
    word_column: int | None = None
    """Which column of its CoNLL files holds the word."""
    chosen: frozenset[str] = frozenset()
    """Our names of the columns that somebody named: no other column will do."""
    lost: str = ""
    """What says how the run's columns are called, and is not there; nothing where no run would have it."""

    def choose(self, **columns: str | None) -> OwnNames:
        """Return the same names, but these columns for ``text`` and ``text_b``, where they are not None."""
        named = {name: column for name, column in columns.items() if column is not None}
        return replace(self, fields={**self.fields, **named}, chosen=self.chosen | named.keys())

    def column_of(self, name: str, row: Mapping[str, Any]) -> str | None:
        """Return which column of a row holds our field ``name``: that of the run's data, else the one called so."""
        wanted = str(self.fields.get(name, name))
        if wanted in row:
            return wanted
        return name if name in row and name not in self.chosen else None

    def holds_text(self, kind: Kind, header: Sequence[str]) -> bool:
        """Return whether one of the columns of a header holds the items of a kind that reads texts or words."""
        row = dict.fromkeys(cell.strip().strip('"') for cell in header)
        return any(self.column_of(name, row) is not None for name in kind.text_columns)


def own_names(folder: Path) -> OwnNames:
    """Read the recipe of a run folder.

    Raises:
        RunError: It cannot be read.
    """
    task = read_written_recipe(folder).get("task")
    if not isinstance(task, Mapping):
        is_run = (folder / MARK).exists() and not (folder / RECIPE).exists()
        return OwnNames(lost=str(folder / RECIPE) if is_run else "")
    targets, fields, columns = (task.get(key) for key in ("target_languages", "fields", "columns"))
    if isinstance(targets, str):
        targets = [targets]
    known = fields if isinstance(fields, Mapping) else {}
    return OwnNames(
        targets=tuple(canonical(str(code)) for code in targets) if isinstance(targets, list) else (),
        fields={("text" if name == "text_a" else str(name)): column for name, column in known.items()},
        word_column=int(columns[0]) if isinstance(columns, list) and columns else None,
    )
