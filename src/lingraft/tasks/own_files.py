"""Tasks on a user's own files: texts with labels, questions, tagged sentences, choices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

from ..core.errors import ConfigError, DataError
from ..core.records import Example
from ..data.conll import tagged_examples
from ..data.example_tables import choice_examples, span_rows, tagged_rows
from ..data.languages import canonical
from ..data.squad import read_squad
from ..data.table import locate, pair_examples
from ..data.text import suffix_of
from ..results.metrics.answers import answer_metrics
from . import Task, tasks
from .building import Read, task_of
from .labelling import Labels, checked_names, labelling_of, one_after_another
from .tag_schemes import AnyScheme, fit_scheme, tag_reader

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
    labels: Labels = "as_written",
    title: str = "classification",
    licence: str = "not stated",
    citation: str = "",
) -> Task:
    """Your own texts with labels: JSONL, CSV, TSV or Parquet files with `{language}` in their path.

    Args:
        source_language: Language of the labelled examples.
        target_languages: Languages to learn.
        files: Path of each split, with `{language}` in it.
        fields: Column of each of `text`, `label`, and perhaps `text_b`, `id`, `group`.
        data_dir: Folder that the paths begin in.
        parallel: Whether examples of the same id translate each other.
        allow_unseen_labels: Whether a target may lack some labels, or have others in its test set.
        labels: `normalise` merges spellings that differ in case, normal form or blanks; or names of numbers, from 0.
        title: What the task is called.
        licence: Of the data.
        citation: Of the data.
    """
    columns = fields or {"text": "text", "label": "label"}

    notes: list[str] = []

    def read(path: Path, language: str) -> Sequence[Example]:
        return pair_examples(path, fields=columns, language=language)

    return task_of(
        kind="classification",
        options={},
        name=title,
        source_language=source_language,
        target_languages=target_languages,
        read=files_reader(files, data_dir, source_language, read, notes),
        notes=notes,
        licence=licence,
        citation=citation,
        parallel=parallel,
        global_groups="group" in columns,
        allow_unseen_labels=allow_unseen_labels,
        file_of=partial(_file_of, files, data_dir),
        labelling=labelling_of(labels),
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
    max_answer_length: int = 30,
    unanswerable: Literal["leave_out", "keep"] = "leave_out",
    parallel: bool = False,
    title: str = "span_qa",
    licence: str = "not stated",
    citation: str = "",
) -> Task:
    """Your own questions about contexts: SQuAD JSON, or a table with a field map; `{language}` in the path.

    Args:
        source_language: Language of the labelled examples.
        target_languages: Languages to learn.
        files: Path of each split, with `{language}` in it.
        fields: Column of each field, of tables.
        data_dir: Folder that the paths begin in.
        context_language: Of the contexts, if that is another.
        normaliser: What answers are compared by: `squad` or `mlqa`.
        stride: Tokens of the context that neighbouring windows share.
        max_answer_length: Tokens that an answer may have.
        unanswerable: `keep` learns and scores questions without an answer, as SQuAD v2 does.
        parallel: Whether examples of the same id translate each other.
        title: What the task is called.
        licence: Of the data.
        citation: Of the data.
    """
    columns = fields or {"question": "question", "context": "context", "answers": "answers"}
    for code in [context_language] if context_language else [source_language, *target_languages]:
        _check_normaliser(normaliser, code)

    notes: list[str] = []

    def read(path: Path, language: str) -> Sequence[Example]:
        if suffix_of(path) == ".json":
            asked = read_squad(
                path, language=language, context_language=context_language, keep_unanswerable=unanswerable == "keep"
            )
            found, without = asked.examples, asked.unanswerable
        else:
            left_out: list[str] = []
            found = span_rows(
                path,
                fields=columns,
                language=language,
                context_language=context_language,
                unanswerable=unanswerable,
                left_out=left_out,
            )
            without = len(left_out) + sum(example.unanswerable for example in found)
        if note := describe_unanswerable(path, without, len(found), kept=unanswerable == "keep"):
            notes.append(note)
        return found

    return task_of(
        kind="span_qa",
        options={"normaliser": normaliser, "stride": stride, "max_answer_length": max_answer_length}
        | ({"unanswerable": True} if unanswerable == "keep" else {}),
        name=title,
        source_language=source_language,
        target_languages=target_languages,
        read=files_reader(files, data_dir, source_language, read, notes),
        notes=notes,
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
    fields: dict[str, str] | None = None,
    scheme: AnyScheme = "auto",
    tags: list[str] | None = None,
    allow_unseen_labels: bool = False,
    labels: Literal["as_written", "normalise"] = "as_written",
    title: str = "tagging",
    licence: str = "not stated",
    citation: str = "",
) -> Task:
    """Your own tagged words (names, parts of speech): CoNLL, CoNLL-U, or a table of lists with a field map.

    Args:
        source_language: Language of the labelled examples.
        target_languages: Languages to learn.
        files: Path of each split, with `{language}` in it.
        data_dir: Folder that the paths begin in.
        columns: Numbers of the columns of words and tags, of CoNLL files.
        fields: Column of `words` and `tags`, of tables.
        scheme: `bio` for tags that mark spans, `plain` for others; by default seen by the tags themselves.
        tags: Names of tags that are numbers, from 0; by default those that the file stores.
        allow_unseen_labels: Whether a target may lack some labels, or have others in its test set.
        labels: `normalise` merges spellings that differ in case, normal form or blanks.
        title: What the task is called.
        licence: Of the data.
        citation: Of the data.
    """
    notes: list[str] = []
    names = checked_names(tags, "tags") if tags is not None else None
    read_tags = tag_reader(scheme)

    def read(path: Path, language: str) -> Sequence[Example]:
        if fields is not None or suffix_of(path) in (".jsonl", ".ndjson", ".parquet"):
            mapped = fields or {"words": "words", "tags": "tags"}
            rows = partial(tagged_rows, path, fields=mapped, language=language, names=names)
            return read_tags(lambda check: rows(check=check))
        return read_tags(lambda check: tagged_examples(path, language=language, columns=columns, check=check))

    return task_of(
        kind="tagging",
        options={},
        name=title,
        source_language=source_language,
        target_languages=target_languages,
        read=files_reader(files, data_dir, source_language, read, notes),
        notes=notes,
        licence=licence,
        citation=citation,
        allow_unseen_labels=allow_unseen_labels,
        file_of=partial(_file_of, files, data_dir),
        labelling=one_after_another(fit_scheme(scheme), labelling_of(labels)),
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
    """Your own texts with alternatives, one of which is right: a table with a field map; `{language}` in the path.

    Args:
        source_language: Language of the labelled examples.
        target_languages: Languages to learn.
        files: Path of each split, with `{language}` in it.
        fields: Column of each field.
        data_dir: Folder that the paths begin in.
        parallel: Whether examples of the same id translate each other.
        title: What the task is called.
        licence: Of the data.
        citation: Of the data.
    """
    notes: list[str] = []

    def read(path: Path, language: str) -> Sequence[Example]:
        return choice_examples(path, fields=fields, language=language)

    return task_of(
        kind="choice",
        options={},
        name=title,
        source_language=source_language,
        target_languages=target_languages,
        read=files_reader(files, data_dir, source_language, read, notes),
        notes=notes,
        licence=licence,
        citation=citation,
        parallel=parallel,
        global_groups="group" in fields,
    )


def _file_of(files: dict[Split, str], data_dir: Path, language: str, split: str) -> str:
    """Return where a language's split is read from, in brackets; nothing where there is no such file."""
    pattern = dict(files).get(split)  # type: ignore[call-overload]
    try:
        return f" ({locate(pattern, language, data_dir)})" if pattern else ""
    except DataError:
        return ""


def describe_unanswerable(path: Path, without: int, found: int, *, kept: bool) -> str:
    """Say how many questions of a file have no answer, and what becomes of them; nothing where all have one.

    Args:
        path: The file.
        without: Questions without an answer.
        found: Questions that are used.
        kept: Whether those without an answer are.
    """
    if not without:
        return ""
    said = f"{path.name}: {without:,} of {found if kept else found + without:,} questions have no answer"
    if kept:
        return f"{said}; that is learnt and scored, as in SQuAD v2"
    return f"{said} and are left out; `unanswerable: keep` in the task block learns and scores them, as in SQuAD v2"


def _check_normaliser(name: str, language: str) -> None:
    """Refuse what answers could not be compared by, before anything is trained."""
    try:
        answer_metrics(f"mlqa:{canonical(language)}" if name == "mlqa" else name)
    except ConfigError as error:
        raise ConfigError([f"task.normaliser: {problem}; squad takes any" for problem in error.problems]) from error


def files_reader(
    files: dict[Split, str],
    data_dir: Path,
    source_language: str,
    read: Callable[[Path, str], Sequence[Example]],
    notes: list[str] | None = None,
) -> Read:
    """Return what reads the files of a recipe's ``task.files``; the source language needs none but ``train``.

    Args:
        files: Path of each split, with `{language}` in it.
        data_dir: Folder that the paths begin in.
        source_language: Which needs no test file.
        read: Reads a file in a language.
        notes: Gets a line for each file whose script is not the one asked for.
    """
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
            path = locate(pattern, language, data_dir, notes)
        except DataError:
            if language == source and split != "train":
                return []
            raise
        return read(path, language)

    return split_of
