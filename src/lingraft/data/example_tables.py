"""Tables of other items than texts with a label: choices among alternatives, questions about a context, tagged words.

The rows come from :func:`~lingraft.data.table.read_table`, and a field map says which column is what, as
there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from ..core.errors import DataError
from ..core.examples import Answer, ChoiceExample, SpanExample, TaggedExample
from ..core.registry import unknown
from . import languages
from .cells import ClassNumber, described, holds_one, is_missing, written
from .squad import answer_in, answers_in, are_no_answers, context_group
from .table import cell_of, read_table, text_of
from .text import whole_characters

Fields = Mapping[str, str | Sequence[str]]
"""Our name -> the file's column; for ``alternatives`` a column that holds a list, or several columns."""

Wanted = Callable[[Mapping[str, Any]], bool]
"""Whether a row is one of those that are asked for."""

Unanswerable = Literal["refuse", "leave_out", "keep"]

CHOICE_FIELDS = ("text", "question", "alternatives", "label", "id", "group")
TAG_FIELDS = ("words", "tags", "id", "group")
SPAN_FIELDS = ("question", "context", "answers", "answer", "answer_start", "id", "group")


def choice_examples(
    path: Path | str, *, fields: Fields, language: str, labelled: bool = True, wanted: Wanted | None = None
) -> list[ChoiceExample]:
    """Read items such as COPA's: a text and alternatives, one of which goes with it.

    Args:
        path: A table, see :func:`~lingraft.data.table.read_table`.
        fields: For COPA and XCOPA ``{"text": "premise", "question": "question", "alternatives": ["choice1",
            "choice2"], "label": "label", "id": "idx"}``. A label is the number of the right alternative, from
            0, or its text. ``id`` is the line number unless given, ``group`` the id.
        language: In any spelling.
        labelled: Whether every item must have a label.
        wanted: Leave out rows of which this is not true.

    Raises:
        DataError: Something is wrong with the file or does not fit ``fields``.
    """
    check_fields(fields, CHOICE_FIELDS, ("text", "alternatives", *(["label"] if labelled else [])))
    code = languages.canonical(language)
    examples = []
    for where, key, group, row in identified_rows(path, fields, wanted):
        alternatives = _alternatives(row, fields["alternatives"], where)
        cell, column = (_cell(row, fields, "label", where), fields["label"]) if "label" in fields else (None, "")
        examples.append(
            ChoiceExample(
                id=key,
                group=group or key,
                language=code,
                text=_text(row, fields, "text", where),
                question=_text(row, fields, "question", where) if "question" in fields else None,
                alternatives=alternatives,
                label=_chosen(cell, alternatives, f"{where}: column {column!r}", required=labelled),
            )
        )
    return examples


def span_rows(
    path: Path | str,
    *,
    fields: Fields,
    language: str,
    context_language: str | None = None,
    labelled: bool = True,
    wanted: Wanted | None = None,
    unanswerable: Unanswerable = "refuse",
    left_out: list[str] | None = None,
) -> list[SpanExample]:
    """Read questions from a table, a row for each, such as AfriQA's or those of the Hub.

    Args:
        path: A table, see :func:`~lingraft.data.table.read_table`.
        fields: ``question`` and ``context``, and either ``answers``, which holds ``{"text": […],
            "answer_start": […]}``, or ``answer`` and ``answer_start``. ``id`` is the line number unless given,
            ``group`` the context, so that what is asked about one stays together.
        language: Of the questions, in any spelling.
        context_language: Of the contexts, if that is another.
        labelled: Whether every question must have an answer.
        wanted: Leave out rows of which this is not true.
        unanswerable: What becomes of questions that have an empty list of answers, or an empty answer, where every
            question must have one: SQuAD v2 has such.
        left_out: Gets the ids of those that are left out.

    Raises:
        DataError: Something is wrong with the file or does not fit ``fields``, or an answer is not where its
            offset says.
    """
    check_fields(fields, SPAN_FIELDS, ("question", "context"))
    single = "answer" in fields or "answer_start" in fields
    if single and "answers" in fields:
        raise DataError("fields: give `answers`, or `answer` and `answer_start`, not both")
    if single or (labelled and "answers" not in fields):
        check_fields(fields, SPAN_FIELDS, ("answer", "answer_start"))
    code, context_code = languages.canonical(language), languages.canonical(context_language or language)
    examples = []
    for where, key, group, row in identified_rows(path, fields, wanted):
        context, at = _text(row, fields, "context", where), f"{where}, question {key!r}"
        impossible = labelled and unanswerable != "refuse" and _has_no_answer(row, fields, where)
        if impossible and unanswerable == "leave_out":
            if left_out is not None:
                left_out.append(key)
            continue
        answers = () if impossible else _answers(row, fields, context, (where, at), labelled=labelled)
        examples.append(
            SpanExample(
                id=key,
                group=group or context_group(context),
                language=code,
                question=_text(row, fields, "question", where),
                context=context,
                context_language=context_code,
                answers=answers,
                unanswerable=impossible,
            )
        )
    if not examples:
        raise DataError(f"{path}: has no question that has an answer")
    return examples


def _answers(
    row: Mapping[str, Any], fields: Fields, context: str, places: tuple[str, str], *, labelled: bool
) -> tuple[Answer, ...]:
    """Return the answers of a row; ``places`` are where it is, and which question."""
    where, at = places
    if "answers" in fields:
        return answers_in(context, _cell(row, fields, "answers", where), at, required=labelled)
    if "answer" not in fields:
        return ()
    text, start = _cell(row, fields, "answer", where), _cell(row, fields, "answer_start", where)
    return (answer_in(context, text, _number(start), at),) if labelled or not (is_missing(text) or text == "") else ()


def _has_no_answer(row: Mapping[str, Any], fields: Fields, where: str) -> bool:
    """Return whether a row says that its context does not answer its question."""
    if "answers" in fields:
        return are_no_answers(_cell(row, fields, "answers", where))
    answer = _cell(row, fields, "answer", where)
    return is_missing(answer) or answer == ""


def tagged_rows(
    path: Path | str,
    *,
    fields: Fields,
    language: str,
    check: Callable[[str], None] | None = None,
    names: Sequence[str] | None = None,
    labelled: bool = True,
    wanted: Wanted | None = None,
) -> list[TaggedExample]:
    """Read tagged sentences from a table, a row for each, such as those of the Hub.

    Args:
        path: A table, see :func:`~lingraft.data.table.read_table`.
        fields: ``words`` and ``tags``, two columns of lists of one length, or of texts that are parted at blanks.
            ``id`` is the line number unless given, ``group`` the id.
        language: In any spelling.
        check: Refuses a tag that is not of the scheme, by raising a ``DataError``.
        names: Of tags that are numbers, from 0; by default those that are stored with them.
        labelled: Whether there must be tags; if not, they are read where ``fields`` has them.
        wanted: Leave out rows of which this is not true.

    Raises:
        DataError: Something is wrong with the file or does not fit ``fields``.
    """
    check_fields(fields, TAG_FIELDS, ("words", *(["tags"] if labelled else [])))
    code, tagged = languages.canonical(language), "tags" in fields
    names = names or ()
    examples = []
    for where, key, group, row in identified_rows(path, fields, wanted):
        words = _listed(row, fields, "words", where)
        tags = _listed(row, fields, "tags", where) if tagged else words
        if len(words) != len(tags) or not words:
            raise DataError(f"{where}: has {len(words)} words and {len(tags)} tags; expected a tag for each word")
        named = tuple(
            tag_of(tag, names, f"{where}, word {word!r}", check)
            for word, tag in zip(words, tags, strict=True)
            if tagged
        )
        texts = tuple(text_of(word, str(fields["words"]), where) for word in words)
        examples.append(TaggedExample(id=key, group=group or key, language=code, words=texts, tags=named or None))
    return examples


def _listed(row: Mapping[str, Any], fields: Fields, name: str, where: str) -> list[Any]:
    cell = _cell(row, fields, name, where)
    if isinstance(cell, str):
        return cell.split()
    if not isinstance(cell, list | tuple):
        raise DataError(f"{where}: column {fields[name]!r} holds {described(cell)}; expected a list")
    return list(cell)


def tag_of(
    tag: object,
    names: Sequence[str],
    where: str,
    check: Callable[[str], None] | None,
    setting: str = "tags: [O, B-PER, I-PER] in the task block",
) -> str:
    """Return a tag, by its name where it is a number.

    Args:
        tag: What a cell has of a word.
        names: Of the numbers, from 0; none where tags are no numbers.
        where: File, line and word, for messages.
        check: Refuses a tag that is not of the scheme, by raising a ``DataError``.
        setting: What names would be given by, for messages.

    Raises:
        DataError: It is no tag.
    """
    number = _number(tag)
    if isinstance(number, int) and not isinstance(number, bool):
        if 0 <= number < len(names):
            tag = names[number]
        elif isinstance(tag, ClassNumber) and not names:
            tag = tag.name
        elif names:
            raise DataError(f"{where}: the tag is {tag!r}; expected the number of one of {len(names)} tags, from 0")
        elif not isinstance(tag, str):
            raise DataError(
                f"{where}: the tag is the number {tag!r}; say what the numbers mean, from 0, as in {setting}"
            )
    if not isinstance(tag, str) or tag.split() != [tag]:
        raise DataError(f"{where}: the tag is {tag!r}; expected one word")
    whole_characters(tag, f"{where}: the tag")
    try:
        if check is not None:
            check(tag)
    except DataError as error:
        raise DataError(f"{where}: {error}") from error
    return tag


def identified_rows(
    path: Path | str, fields: Fields, wanted: Wanted | None = None
) -> Iterator[tuple[str, str, str | None, Mapping[str, Any]]]:
    """Yield where a row is, its identifier and group, and the row, of those that are wanted.

    Raises:
        DataError: There is none, or an identifier occurs twice.
    """
    lines: dict[str, int] = {}
    for number, row in read_table(path):
        if wanted is not None and not wanted(row):
            continue
        where = f"{path}, line {number}"
        key = _identifier(row, fields, "id", where) if "id" in fields else str(number)
        if key in lines:
            raise DataError(
                f"{where}: the id {key!r} (column {fields['id']!r}) occurs on line {lines[key]} already; ids must be "
                "unique in a file, so correct it or leave `id` out of the fields to use line numbers"
            )
        lines[key] = number
        yield where, key, _identifier(row, fields, "group", where) if "group" in fields else None, row
    if not lines:
        raise DataError(f"{path}: has no rows")


def check_fields(fields: Fields, known: Sequence[str], needed: Collection[str]) -> None:
    """Refuse a field map that has a field which is not known, names no column, or lacks one that is needed.

    Raises:
        DataError: It does.
    """
    for name, column in fields.items():
        if name not in known:
            raise DataError(f"fields: {unknown(name, list(known), what='field')}")
        choice = name == "alternatives"
        columns = column if choice and isinstance(column, list | tuple) else [column]
        if not all(isinstance(one, str) for one in columns):
            wanted = "a column, or of several in a list" if choice else "one column"
            raise DataError(f"fields: `{name}` is {column!r}; expected the name of {wanted}")
    for name in needed:
        if name not in fields:
            one, several = f"column holds it, as in {name}: my_column", "columns hold them, as in [choice1, choice2]"
            raise DataError(f"fields: `{name}` is missing; say which {several if name == 'alternatives' else one}")


def _cell(row: Mapping[str, Any], fields: Fields, name: str, where: str) -> object:
    return cell_of(row, str(fields[name]), name, where)


def _text(row: Mapping[str, Any], fields: Fields, name: str, where: str) -> str:
    return text_of(_cell(row, fields, name, where), str(fields[name]), where)


def _identifier(row: Mapping[str, Any], fields: Fields, name: str, where: str) -> str:
    value = _cell(row, fields, name, where)
    single = not is_missing(value) and holds_one(value)
    return text_of(written(value) if single else value, str(fields[name]), where)


def _alternatives(row: Mapping[str, Any], columns: str | Sequence[str], where: str) -> tuple[str, ...]:
    if isinstance(columns, str):
        listed = cell_of(row, columns, "alternatives", where)
        if not isinstance(listed, list):
            raise DataError(
                f"{where}: column {columns!r} holds {described(listed)}; expected a list of "
                "alternatives, or name their columns, as in alternatives: [choice1, choice2]"
            )
        found = tuple(text_of(text, columns, where) for text in listed)
    else:
        found = tuple(text_of(cell_of(row, one, "alternatives", where), one, where) for one in columns)
    if len(found) < 2:
        raise DataError(f"{where}: has {len(found)} of the alternatives {columns!r}; there is a choice from two on")
    return found


def chosen_alternative(row: Mapping[str, Any], columns: Sequence[str], label: object, where: str) -> str:
    """Return the number of the alternative that a label names by number or text, as text.

    Args:
        row: Column to value.
        columns: One that holds the list of alternatives, or one for each.
        label: What names one of them.
        where: File, line and column of the label, for messages.

    Raises:
        DataError: It names none, or there are no such columns.
    """
    return str(_chosen(label, alternatives_in(row, columns, where), where, required=True))


def alternatives_in(row: Mapping[str, Any], columns: Sequence[str], where: str) -> tuple[str, ...]:
    """Return the texts to choose from; arguments and errors as for :func:`chosen_alternative`."""
    return _alternatives(row, columns[0] if len(columns) == 1 else columns, where)


def _chosen(value: object, alternatives: Sequence[str], where: str, *, required: bool) -> int | None:
    """Return the number of the alternative that a cell names by number or text."""
    value = value.strip() if isinstance(value, str) else value
    missing = is_missing(value) or value == ""
    if missing or (value == -1 and not required):  # -1 is the Hub's sign for a label withheld
        if required:
            raise DataError(f"{where} has no label; fill it in or remove the line")
        return None
    number = _number(value)
    by_number = (
        {number}
        if isinstance(number, int) and not isinstance(number, bool) and 0 <= number < len(alternatives)
        else set()
    )
    by_text = {place for place, text in enumerate(alternatives) if text.strip() == value}
    found = by_number | by_text
    if len(found) == 1:
        return int(found.pop())
    if len(by_text) > 1:
        raise DataError(f"{where} holds {value!r}, which {len(by_text)} alternatives are; write the number of one")
    if found:
        raise DataError(
            f"{where} holds {value!r}, the number of one alternative and the text of another; write the number as a "
            "JSON number or change the alternatives"
        )
    raise DataError(
        f"{where} holds {value!r}; expected the number of the right alternative, 0 to {len(alternatives) - 1}, "
        f"or its text, one of {', '.join(map(repr, alternatives))}"
        + ("; numbers count from 0, so subtract 1" if number == len(alternatives) else "")
    )


def _number(value: object) -> object:
    """Return what is a whole number, also one that was written as text; anything else as it is."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and re.fullmatch(r"\s*-?[0-9]{1,18}\s*", value):
        return int(value)
    return value
