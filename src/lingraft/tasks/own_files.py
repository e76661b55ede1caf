"""Tasks on a user's own files: texts with labels, questions, tagged sentences, choices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

from ..core.amounts import Column, CountOrNone
from ..core.errors import ConfigError, DataError
from ..core.examples import Example
from ..data.conll import SUFFIXES as COLUMNS
from ..data.conll import tagged_examples
from ..data.example_tables import Wanted, choice_examples, span_rows, tagged_rows
from ..data.languages import canonical
from ..data.memory import SUFFIX
from ..data.squad import read_squad
from ..data.table import pair_examples
from ..data.text import suffix_of
from ..results.metrics.answers import answer_metrics
from . import Task, tasks
from .building import Read
from .files import Files, OwnFiles, own_fields, task_of_files, there
from .kinds.generative_qa import AnswerBy, kind_of_questions
from .kinds.written import MaxTokens
from .labelling import Labels, Order, checked_names, labelling_of, one_after_another, order_of
from .tag_schemes import AnyScheme, fit_scheme, tag_reader


@tasks.register("classification")
def classification(
    *,
    source_language: str,
    target_languages: list[str],
    files: Files,
    fields: dict[str, str] | None = None,
    data_dir: Path = Path(),
    parallel: bool = False,
    allow_unseen_labels: bool = False,
    labels: Labels = "as_written",
    order: Order | None = None,
    title: str = "classification",
    licence: str = "not stated",
    citation: str = "",
) -> Task:
    """Your own texts with labels: JSONL, CSV, TSV or Parquet files, each for a language or all in one.

    Args:
        source_language: Language of the labelled examples.
        target_languages: Languages to learn.
        files: Path of each split, with `{language}` in it or by language; or one path.
        fields: Column of each of `text`, `label`, and perhaps `text_b`, `id`, `group`, `language`, `split`.
        data_dir: Folder that the paths begin in.
        parallel: Whether examples of the same id translate each other.
        allow_unseen_labels: Whether a target may lack some labels, or have others in its test set.
        labels: `normalise` merges spellings that differ in case, normal form or blanks; or names of numbers, from 0.
        order: All labels, the lowest first, where they are a scale; `numbers` where each is a number.
        title: What the task is called.
        licence: Of the data.
        citation: Of the data.
    """
    columns, apart = own_fields(fields, {"text": "text", "label": "label"})
    names = () if isinstance(labels, str) else labels

    def read(path: Path, language: str, wanted: Wanted | None, labelled: bool) -> Sequence[Example]:
        found = there(columns, ("label",), path, labelled=labelled)
        return pair_examples(path, fields=found, language=language, labelled=labelled, wanted=wanted, names=names)

    own = OwnFiles(files, data_dir, canonical(source_language), not target_languages, apart, read)
    return task_of_files(
        own,
        "classification",
        title,
        target_languages,
        licence=licence,
        citation=citation,
        parallel=parallel,
        global_groups="group" in columns,
        allow_unseen_labels=allow_unseen_labels,
        labelling=one_after_another(labelling_of(labels), order_of(order)),
    )


@tasks.register("span_qa")
def span_qa(
    *,
    source_language: str,
    target_languages: list[str],
    files: Files,
    fields: dict[str, Any] | None = None,
    data_dir: Path = Path(),
    context_language: str | None = None,
    normaliser: str = "squad",
    answer_by: AnswerBy = "span_head",
    stride: CountOrNone | None = None,
    max_answer_length: CountOrNone | None = None,
    template: str | None = None,
    max_answer_tokens: MaxTokens | None = None,
    unanswerable: Literal["leave_out", "keep"] = "leave_out",
    parallel: bool = False,
    title: str = "span_qa",
    licence: str = "not stated",
    citation: str = "",
) -> Task:
    """Your own questions about contexts: SQuAD JSON, or a table with a field map.

    Args:
        source_language: Language of the labelled examples.
        target_languages: Languages to learn.
        files: Path of each split, with `{language}` in it or by language; or one path.
        fields: Column of each field, of tables, and perhaps of `language` and `split`.
        data_dir: Folder that the paths begin in.
        context_language: Of the contexts, if that is another.
        normaliser: What answers are compared by: `squad` or `mlqa`.
        answer_by: `span_head` points at a piece of the context; a decoder also writes the answer (`generation`), or
            writes one that must be such a piece (`generated_span`).
        stride: Tokens of the context that neighbouring windows share (`span_head`); 96 by default.
        max_answer_length: Tokens that a piece may have (`span_head`); 30 by default.
        template: The prompt, with `{question}` and `{context}` (where the answer is written).
        max_answer_tokens: Of a written answer, its end included; 32 by default.
        unanswerable: `keep` learns and scores questions without an answer, as SQuAD v2 does.
        parallel: Whether examples of the same id translate each other.
        title: What the task is called.
        licence: Of the data.
        citation: Of the data.
    """
    columns, apart = own_fields(fields, {"question": "question", "context": "context", "answers": "answers"})
    for code in [context_language] if context_language else [source_language, *target_languages]:
        _check_normaliser(normaliser, code)

    def read(path: Path, language: str, wanted: Wanted | None, labelled: bool) -> Sequence[Example]:
        if suffix_of(path) == ".json":
            asked = read_squad(
                path,
                language=language,
                context_language=context_language,
                labelled=labelled,
                keep_unanswerable=unanswerable == "keep",
            )
            found, without = asked.examples, asked.unanswerable
        else:
            left_out: list[str] = []
            found = span_rows(
                path,
                fields=there(columns, ("answers", "answer", "answer_start"), path, labelled=labelled),
                language=language,
                context_language=context_language,
                labelled=labelled,
                unanswerable=unanswerable,
                left_out=left_out,
                wanted=wanted,
            )
            without = len(left_out) + sum(example.unanswerable for example in found)
        note = describe_unanswerable(path, without, len(found), kept=unanswerable == "keep") if labelled else ""
        if note and note not in own.notes:
            own.notes.append(note)
        return found

    own = OwnFiles(files, data_dir, canonical(source_language), not target_languages, apart, read)
    kind, options = kind_of_questions(
        answer_by,
        {
            "normaliser": normaliser,
            "stride": stride,
            "max_answer_length": max_answer_length,
            "template": template,
            "max_answer_tokens": max_answer_tokens,
            "unanswerable": True if unanswerable == "keep" else None,
        },
    )
    return task_of_files(
        own,
        kind,
        title,
        target_languages,
        options=options,
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
    files: Files,
    data_dir: Path = Path(),
    columns: tuple[Column, Column] | None = None,
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
        files: Path of each split, with `{language}` in it or by language; or one path.
        data_dir: Folder that the paths begin in.
        columns: Numbers of the columns of words and tags, of CoNLL files.
        fields: Column of `words` and `tags`, of tables, and perhaps of `language` and `split`.
        scheme: `bio` for tags that mark spans, `plain` for others; by default seen by the tags themselves.
        tags: Names of tags that are numbers, from 0; by default those that the file stores.
        allow_unseen_labels: Whether a target may lack some labels, or have others in its test set.
        labels: `normalise` merges spellings that differ in case, normal form or blanks.
        title: What the task is called.
        licence: Of the data.
        citation: Of the data.
    """
    mapped, apart = own_fields(fields, {"words": "words", "tags": "tags"})
    names = checked_names(tags, "task.tags") if tags is not None else None
    read_tags = tag_reader(scheme)

    def read(path: Path, language: str, wanted: Wanted | None, labelled: bool) -> Sequence[Example]:
        suffix = suffix_of(path)
        if fields is not None and suffix in (".conllu", *COLUMNS):
            raise DataError(
                f"{path}: task.fields names the columns of a table, and a file of {suffix or 'no suffix'} has a word a "
                "line, whose columns have numbers; leave task.fields out (of more than two columns, task.columns says "
                "which are word and tag)"
            )
        if fields is not None or suffix in (".jsonl", ".ndjson", ".parquet", SUFFIX):
            found = there(mapped, ("tags",), path, labelled=labelled)
            rows = partial(
                tagged_rows, path, fields=found, language=language, names=names, labelled=labelled, wanted=wanted
            )
            return read_tags(lambda check: rows(check=check))
        lines = partial(tagged_examples, path, language=language, columns=columns, labelled=labelled)
        return read_tags(lambda check: lines(check=check))

    own = OwnFiles(files, data_dir, canonical(source_language), not target_languages, apart, read)
    return task_of_files(
        own,
        "tagging",
        title,
        target_languages,
        licence=licence,
        citation=citation,
        allow_unseen_labels=allow_unseen_labels,
        labelling=one_after_another(fit_scheme(scheme), labelling_of(labels)),
    )


@tasks.register("choice")
def choice(
    *,
    source_language: str,
    target_languages: list[str],
    files: Files,
    fields: dict[str, Any],
    data_dir: Path = Path(),
    parallel: bool = False,
    title: str = "choice",
    licence: str = "not stated",
    citation: str = "",
) -> Task:
    """Your own texts with alternatives, one of which is right: a table with a field map.

    Args:
        source_language: Language of the labelled examples.
        target_languages: Languages to learn.
        files: Path of each split, with `{language}` in it or by language; or one path.
        fields: Column of each field, and perhaps of `language` and `split`.
        data_dir: Folder that the paths begin in.
        parallel: Whether examples of the same id translate each other.
        title: What the task is called.
        licence: Of the data.
        citation: Of the data.
    """
    columns, apart = own_fields(fields, {})

    def read(path: Path, language: str, wanted: Wanted | None, labelled: bool) -> Sequence[Example]:
        found = there(columns, ("label",), path, labelled=labelled)
        return choice_examples(path, fields=found, language=language, labelled=labelled, wanted=wanted)

    own = OwnFiles(files, data_dir, canonical(source_language), not target_languages, apart, read)
    return task_of_files(
        own,
        "choice",
        title,
        target_languages,
        licence=licence,
        citation=citation,
        parallel=parallel,
        global_groups="group" in columns,
    )


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
    files: Files, data_dir: Path, source_language: str, read: Callable[[Path, str], Sequence[Example]]
) -> Read:
    """Return what reads the files of ``task.files`` for a kind whose files hold one language and one split each.

    Args:
        files: Path of each split, with `{language}` in it or by language.
        data_dir: Folder that the paths begin in.
        source_language: Which needs no file but `train`.
        read: Reads a file in a language.
    """
    source = canonical(source_language)
    return OwnFiles(files, data_dir, source, False, {}, lambda path, language, *_: read(path, language)).examples
