"""Tasks on a user's own files: texts with labels, questions, tagged sentences, choices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from ..data.conll import tagged_examples
from ..data.items import choice_examples, span_rows
from ..data.languages import canonical
from ..data.squad import squad_examples
from ..data.table import locate, pair_examples
from ..data.text import suffix_of
from ..errors import DataError
from ..records import Example
from . import Task, tasks
from .building import Read, task_of

Split = Literal["train", "dev", "test"]


@tasks.register("classification")
def classification(
    *,
    source_language: str,
    target_languages: list[str],
    files: dict[Split, str],
    fields: dict[str, str] | None = None,
    data_dir: Path = Path(),
    parallel: bool = False,
    allow_unseen_labels: bool = False,
    title: str = "classification",
    licence: str = "not stated",
    citation: str = "",
) -> Task:
    """Your own texts with labels: JSONL, CSV, TSV or Parquet files with `{language}` in their path."""
    columns = fields or {"text": "text", "label": "label"}

    def read(path: Path, language: str) -> Sequence[Example]:
        return pair_examples(path, fields=columns, language=language)

    return task_of(
        kind="classification",
        options={},
        name=title,
        source_language=source_language,
        target_languages=target_languages,
        read=files_reader(files, data_dir, source_language, read),
        licence=licence,
        citation=citation,
        parallel=parallel,
        global_groups="group" in columns,
        allow_unseen_labels=allow_unseen_labels,
    )


@tasks.register("span_qa")
def span_qa(
    *,
    source_language: str,
    target_languages: list[str],
    files: dict[Split, str],
    fields: dict[str, Any] | None = None,
    data_dir: Path = Path(),
    context_language: str | None = None,
    normaliser: str = "squad",
    stride: int = 96,
    parallel: bool = False,
    title: str = "span_qa",
    licence: str = "not stated",
    citation: str = "",
) -> Task:
    """Your own questions about contexts: SQuAD JSON, or a table with a field map; `{language}` in the path."""
    columns = fields or {"question": "question", "context": "context", "answers": "answers"}

    def read(path: Path, language: str) -> Sequence[Example]:
        if suffix_of(path) == ".json":
            return squad_examples(path, language=language, context_language=context_language)
        return span_rows(path, fields=columns, language=language, context_language=context_language)

    return task_of(
        kind="span_qa",
        options={"normaliser": normaliser, "stride": stride},
        name=title,
        source_language=source_language,
        target_languages=target_languages,
        read=files_reader(files, data_dir, source_language, read),
        licence=licence,
        citation=citation,
        parallel=parallel,
        global_groups=parallel,
    )


@tasks.register("tagging")
def tagging(
    *,
    source_language: str,
    target_languages: list[str],
    files: dict[Split, str],
    data_dir: Path = Path(),
    columns: tuple[int, int] | None = None,
    scheme: Literal["bio", "plain"] = "bio",
    allow_unseen_labels: bool = False,
    title: str = "tagging",
    licence: str = "not stated",
    citation: str = "",
) -> Task:
    """Your own tagged words (names, parts of speech): CoNLL columns or CoNLL-U; `{language}` in the path."""

    def read(path: Path, language: str) -> Sequence[Example]:
        return tagged_examples(path, language=language, columns=columns)

    return task_of(
        kind="tagging",
        options={"scheme": scheme},
        name=title,
        source_language=source_language,
        target_languages=target_languages,
        read=files_reader(files, data_dir, source_language, read),
        licence=licence,
        citation=citation,
        allow_unseen_labels=allow_unseen_labels,
    )


@tasks.register("choice")
def choice(
    *,
    source_language: str,
    target_languages: list[str],
    files: dict[Split, str],
    fields: dict[str, Any],
    data_dir: Path = Path(),
    parallel: bool = False,
    title: str = "choice",
    licence: str = "not stated",
    citation: str = "",
) -> Task:
    """Your own texts with alternatives, one of which is right: a table with a field map; `{language}` in the path."""

    def read(path: Path, language: str) -> Sequence[Example]:
        return choice_examples(path, fields=fields, language=language)

    return task_of(
        kind="choice",
        options={},
        name=title,
        source_language=source_language,
        target_languages=target_languages,
        read=files_reader(files, data_dir, source_language, read),
        licence=licence,
        citation=citation,
        parallel=parallel,
        global_groups="group" in fields,
    )


def files_reader(
    files: dict[Split, str], data_dir: Path, source_language: str, read: Callable[[Path, str], Sequence[Example]]
) -> Read:
    """What reads the files of a recipe's ``task.files``; the source language needs none but ``train``."""
    source = canonical(source_language)

    def split_of(language: str, split: str) -> Sequence[Example]:
        pattern = dict(files).get(split)  # type: ignore[call-overload]
        if pattern is None:
            if split == "dev" or (split == "test" and language == source):
                return []
            raise DataError(f"task.files has no {split!r} entry; it has {', '.join(files)}")
        if language != source and "{language}" not in pattern:
            raise DataError(
                f"task.files.{split}: {pattern!r} has no {{language}} in it, so every language would be read from the "
                "same file; put {language} where the names of your files tell the languages apart"
            )
        try:
            path = locate(pattern, language, data_dir)
        except DataError:
            if language == source and split != "train":
                return []
            raise
        return read(path, language)

    return split_of
