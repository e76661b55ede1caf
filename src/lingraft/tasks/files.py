"""A user's own files: which of them, and which of their rows, are a language's training, development and test set.

Files tell languages apart by ``{language}`` in their path, by being named for one language each, or by a column;
splits are files of their own, or a column. A task in one language needs none of the first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from ..core.errors import DataError
from ..core.examples import Example
from ..data.conll import describe_comments
from ..data.example_tables import Wanted
from ..data.language_files import languages_of
from ..data.languages import canonical, display_name, related
from ..data.table import cell_of, locate, read_table, text_of
from ..data.table_formats import describe_blank_rows, describe_delimiter
from . import Task
from .building import task_of

Split = Literal["train", "dev", "test"]

ReadFile = Callable[[Path, str, Wanted | None, bool], Sequence[Example]]
"""File, language, the rows that are wanted (None for all), and whether each must have a label, to examples."""


def _as_splits(files: Any) -> Any:
    """Take a single path for that of the training examples."""
    return {"train": files} if isinstance(files, str) else files


Files = Annotated[dict[Split, str | dict[str, str]], BeforeValidator(_as_splits)]
"""Path of each split, or paths by language; one path alone is that of the training examples."""

COLUMNS = ("language", "split")
"""What a field map may have, of every kind of task, beside the kind's own fields."""

SPLITS: Mapping[str, Split] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("dev", "devel", "development", "val", "valid", "validation"), "dev"),
    **dict.fromkeys(("test", "testing"), "test"),
}
"""What a column of splits may say, in any letter case."""


def own_fields(fields: Mapping[str, Any] | None, usual: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Part a field map into the fields of the kind, ``usual`` where it has none, and the columns of language and split.

    Raises:
        DataError: One of the latter is no column's name.
    """
    given = fields or {}
    columns = {name: given[name] for name in COLUMNS if name in given}
    for name, column in columns.items():
        if not isinstance(column, str):
            raise DataError(f"fields: `{name}` is {column!r}; expected the name of one column")
    return {name: column for name, column in given.items() if name not in COLUMNS} or dict(usual), columns


def there(fields: Mapping[str, Any], labels: Sequence[str], path: Path, *, labelled: bool) -> dict[str, Any]:
    """Return a field map without those of ``labels`` that a file has no column for, where it need not be labelled.

    A column whose name is nearly that is a slip of the pen, and stays.
    """
    if labelled:
        return dict(fields)
    columns = next((list(map(str, row)) for _, row in read_table(path)), [])
    gone = {
        name
        for name in labels
        if name in fields and not get_close_matches(str(fields[name]), columns, n=1, cutoff=NEARLY)
    }
    return {name: column for name, column in fields.items() if name not in gone}


NEARLY = 0.7
"""How alike two names of columns are that are meant to be the same."""


@dataclass(frozen=True)
class OwnFiles:
    """The files of a recipe's ``task.files``.

    Attributes:
        files: Path of each split, or paths by language.
        folder: That the paths begin in.
        source: The language with the labels.
        one_language: Whether it is the only one, which is tested as well.
        columns: Of ``language`` and ``split``, where a file holds several.
        read: Reads a file.
        notes: Gets a line for each file whose script or separator is not the one that its name promises, and for a
            development file that is named and not there.
    """

    files: Mapping[Split, str | Mapping[str, str]]
    folder: Path
    source: str
    one_language: bool
    columns: Mapping[str, str]
    read: ReadFile
    notes: list[str] = field(default_factory=list)
    _counts: dict[Path, Counter[tuple[str, str]]] = field(default_factory=dict, repr=False)
    """Rows of each file by what they say of language and split."""

    def examples(self, language: str, split: str) -> Sequence[Example]:
        """Return the examples of a language's split; none where it may lack them and does.

        Raises:
            DataError: There is no such file or it is faulty.
        """
        path = self.find(language, split)
        if path is None:
            return []
        self._note_form(path)
        wanted = self._rows_of(path, language, split) if self.columns else None
        if self.columns and wanted is None:
            return []
        if split == "test" and (unlabelled := self._without_labels(path, language, wanted)):
            return unlabelled
        return self.read(path, language, wanted, True)

    def _note_form(self, path: Path) -> None:
        """Note what is in a file that its name does not promise: other separators, empty rows, comments."""
        for note in (describe_delimiter(path), describe_blank_rows(path), describe_comments(path)):
            if note is not None and note not in self.notes:
                self.notes.append(note)

    def _without_labels(self, path: Path, language: str, wanted: Wanted | None) -> Sequence[Example]:
        """Return the examples of a file in which nothing has a label; none where anything has one, or is faulty."""
        try:
            found = self.read(path, language, wanted, False)
        except DataError:
            return []  # what is wrong is told by who reads the labels
        return [] if any(example.gold is not None for example in found) else found

    def labelled_languages(self) -> list[str]:
        """Return the languages that the training files are said to be of: by their names, or by their column."""
        known: Mapping[str, str | Mapping[str, str]] = {str(name): one for name, one in self.files.items()}
        pattern = known["train"]
        if not isinstance(pattern, str):
            return sorted(map(canonical, pattern))
        if "language" not in self.columns:
            return languages_of(pattern, self.folder) or [self.source]
        counts = self._count(self._file_of(pattern, self.source, "train"))
        rows = (one for one, split in counts if not split or SPLITS[split.casefold()] == "train")
        return sorted({code for one in rows if (code := _code(one))})

    def describe(self, language: str, split: str) -> str:
        """Return where a language's split is read from, in brackets; nothing where there is no such file."""
        try:
            path = self.find(language, split)
        except DataError:
            return ""
        return f" ({path})" if path else ""

    def find(self, language: str, split: str) -> Path | None:
        """Return the file that a language's split is read from; None where it may lack one and does.

        Raises:
            DataError: There is none, or nothing says whose the files are.
        """
        known: Mapping[str, str | Mapping[str, str]] = {str(name): one for name, one in self.files.items()}
        pattern = known.get(split) or (known.get("train") if "split" in self.columns else None)
        if pattern is None:
            if split != "train":
                return None
            raise DataError(f"task.files has no {split!r} entry; it has {', '.join(known)}")
        try:
            return self._file_of(pattern, language, split)
        except DataError as error:
            if not self._may_lack(language, split):
                raise
            if split == "dev" and (note := f"task.files.dev: {error}") not in self.notes:
                self.notes.append(note)  # a name that the recipe gives may be a slip
            return None

    def _may_lack(self, language: str, split: str) -> bool:
        """Return whether a language need not have a split: a source language is learnt from, not tested in."""
        return split != "train" and language == self.source and not self.one_language

    def _file_of(self, pattern: str | Mapping[str, str], language: str, split: str) -> Path:
        if not isinstance(pattern, str):
            names = self._spellings(language, pattern, f"task.files.{split}")
            if not names:
                raise DataError(
                    f"task.files.{split} has no file of {_named(language)}; it has those of {', '.join(pattern)}"
                )
            if len(names) > 1:
                raise DataError(
                    f"task.files.{split} names {_named(language)} twice, as {' and '.join(names)}; give one file"
                )
            return locate(pattern[names[0]], language, self.folder, self.notes)
        if language != self.source and "{language}" not in pattern and "language" not in self.columns:
            learnt = split != "train" and "split" not in self.columns and dict(self.files).get("train") == pattern
            repeats = "it is the training file, all of whose texts it would repeat; and " if learnt else ""
            raise DataError(
                f"task.files.{split}: {repeats}{pattern!r} has no {{language}} in it, so every language would be "
                "read from the same file; put {language} where the names of your files tell the languages apart, "
                f"name a file for each language ({split}: {{{self.source}: …, {language}: …}}), or say which column of "
                "the file has the language (fields: {language: …})"
            )
        return locate(pattern, language, self.folder, self.notes)

    def _rows_of(self, path: Path, language: str, split: str) -> Wanted | None:
        """Return which rows of a file are those of a language's split; None where there are none."""
        counts = self._count(path)
        languages, splits = {one for one, _ in counts}, {one for _, one in counts}
        if "language" in self.columns:
            spelled = set(self._spellings(language, languages, path.name))
            if not spelled and not self._may_lack(language, split):
                found = Counter[str]()
                for (one, _), count in counts.items():
                    found[one] += count
                raise DataError(
                    f"{path}: column {self.columns['language']!r} (for `language`) has no row of {_named(language)}; "
                    f"it has {', '.join(f'{name} ({count})' for name, count in sorted(found.items()))}"
                )
            languages = spelled
        if "split" in self.columns:
            splits = {one for one in splits if SPLITS[one.casefold()] == split}
        if not any(one in languages and part in splits for one, part in counts):
            return None
        return lambda row: self._says(row, "language") in languages and self._says(row, "split") in splits

    def _count(self, path: Path) -> Counter[tuple[str, str]]:
        """Count the rows of a file by what they say of language and split."""
        if path not in self._counts:
            counts = Counter[tuple[str, str]]()
            for number, row in read_table(path):
                said = [self._says(row, name, f"{path}, line {number}") for name in COLUMNS]
                if said[1] and said[1].casefold() not in SPLITS:
                    raise DataError(
                        f"{path}, line {number}: column {self.columns['split']!r} (for `split`) holds {said[1]!r}; "
                        f"expected one of {', '.join(SPLITS)}"
                    )
                counts[said[0], said[1]] += 1
            self._counts[path] = counts
        return self._counts[path]

    def _says(self, row: Mapping[str, Any], name: str, where: str = "") -> str:
        """Return what a row says of its language or split; nothing where there is no column for it."""
        if name not in self.columns:
            return ""
        return text_of(cell_of(row, self.columns[name], name, where), self.columns[name], where).strip()

    def _spellings(self, language: str, spelled: Iterable[str], where: str) -> list[str]:
        """Return the spellings that mean ``language``; if none does, those of its one overlapping script."""
        codes = {name: _code(name) for name in spelled}
        if found := [name for name, code in codes.items() if code == language]:
            return found
        others = {code for code in codes.values() if code in related(language)}
        if len(others) != 1:
            return []
        (other,) = others
        note = f"{language} is called {other} in {where}: the scripts overlap"
        if note not in self.notes:
            self.notes.append(note)
        return [name for name, code in codes.items() if code == other]


def _code(spelling: str) -> str | None:
    """Return the code of a language; None for what is none, as a column may have, too."""
    try:
        return canonical(spelling)
    except DataError:
        return None


def _named(language: str) -> str:
    return f"{display_name(language)} ({language})"


def task_of_files(own: OwnFiles, kind: str, title: str, target_languages: Sequence[str], **how: Any) -> Task:
    """Build a task of a user's own files.

    Args:
        own: The files.
        kind: Name of the kind.
        title: What the task is called.
        target_languages: Languages to learn.
        how: What else :func:`~lingraft.tasks.building.task_of` takes: the kind's options, licence, parallel, …
    """
    return task_of(
        kind=kind,
        name=title,
        source_language=own.source,
        target_languages=target_languages,
        read=own.examples,
        labelled_languages=own.labelled_languages,
        notes=own.notes,
        file_of=own.describe,
        **{"options": {}, **how},
    )
