"""Text to text: a decoder, alone or behind an encoder, writes the answer to a prompt (Radford et al., 2019).

The prompt is a template of the recipe, filled with an example. Prompts and adapters are trained by the cross-entropy
of the answer's tokens and of the end of the text; predicting takes the likeliest token each time, until the text or
the line ends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ...core.errors import ConfigError, DataError
from ...core.examples import Example
from ...core.prompt_template import problem_of
from ...core.records import Features
from ...data.cells import is_missing
from ...data.example_tables import Wanted, check_fields, identified_rows
from ...data.languages import canonical
from ...data.table import cell_of, text_of
from ...results.metrics.answers import answer_metrics
from ...results.metrics.chrf import chrf_metric
from ...results.words import Words
from .. import Task, tasks
from ..files import Files, OwnFiles, own_fields, task_of_files, there
from . import Kind, kinds
from .items import Asked, read_columns
from .written import (
    ANSWER,
    MaxTokens,
    answer_loss,
    collate_counts,
    decode_written,
    describe_cut_answers,
    encode_written,
    put_prompt,
    written_row,
)

FIELDS = ("text", "context")
COLUMNS = ("text", "context", "answer", "id", "group")


@dataclass(frozen=True, slots=True)
class GenerationExample(Example):
    """A text, perhaps a context, and what is to be written; any of several answers is right."""

    text: str = ""
    context: str | None = None
    answers: tuple[str, ...] = ()

    @property
    def texts(self) -> tuple[str, ...]:
        """The text, and the context where there is one."""
        return (self.text,) if self.context is None else (self.text, self.context)

    @property
    def gold(self) -> list[str] | None:
        """All right answers."""
        return list(self.answers) or None


@kinds.register("generation")
def generation_kind(*, template: str = "{text}\n", max_answer_tokens: MaxTokens = 32) -> Kind:
    """Build the kind; there are no labels.

    Args:
        template: The prompt, with ``{text}`` in it, and ``{context}`` where examples have one.
        max_answer_tokens: Of an answer, its end included; so many are kept free for it.

    Raises:
        ConfigError: The template has another field, or no text.
    """
    if problem := problem_of(template, FIELDS, once=("text",)):
        raise ConfigError([f"template: {problem}"], "generation")
    return Kind(
        name="generation",
        example=GenerationExample,
        outputs=max_answer_tokens,
        head="language_model",
        head_learns=False,
        encode=partial(encode_generation, template=template, most=max_answer_tokens),
        collate=collate_counts,
        loss=answer_loss,
        decode=decode_written,
        metrics={**answer_metrics("squad"), "chrf": chrf_metric()},
        options={"template": template, "max_answer_tokens": max_answer_tokens},
        limit_of=partial(describe_cut_answers, most=max_answer_tokens),
        columns=context_of,
        item_columns=FIELDS if "{context}" in template else (),
        read_item=partial(text_or_fields, with_context="{context}" in template),
        words=Words(
            example="text",
            baseline="what the frozen model writes after the same prompts",
            pipeline_tag="text-generation",
            item='{"text": "…", "context": "…"}' if "{context}" in template else '"…"',
            file="texts.jsonl" if "{context}" in template else "texts.txt",
            limit=f"An answer is one line of at most {max_answer_tokens} tokens, whatever is asked.",
        ),
    )


def context_of(example: Example) -> dict[str, Any]:
    """Return the context; None where there is none."""
    return {"context": example.context if isinstance(example, GenerationExample) else None}


def text_or_fields(item: Any, asked: Asked, *, with_context: bool) -> GenerationExample:
    """Read a text, or ``{"text": …, "context": …}`` where the prompt has both.

    Raises:
        DataError: It is something else.
    """
    if with_context:
        return GenerationExample(**asked.identity, **read_columns(item, FIELDS, asked))
    values = {"text": item} if isinstance(item, str) else item
    return GenerationExample(**asked.identity, **read_columns(values, ("text",), asked))


def encode_generation(
    examples: Sequence[Example], tokenizer: Any, max_length: int, prefix: str, *, template: str, most: int
) -> list[Features]:
    """Return a row for each example: its prompt and, where it is known, the first answer with its end.

    Args:
        examples: What is read.
        tokenizer: Of the checkpoint.
        max_length: Tokens of a row at most; texts that are too long lose their end.
        prefix: Put before each text.
        template: The prompt.
        most: Tokens of an answer, its end included.

    Raises:
        ConfigError: There is no room for a prompt.
        DataError: An example lacks what the template names.
    """

    def row(example: Example, room: int) -> Features:
        if not isinstance(example, GenerationExample):
            raise TypeError(f"generation reads texts with an answer, not a {type(example).__name__} ({example.id})")
        values = dict(zip(FIELDS, example.texts, strict=False))
        if "{context}" in template and "context" not in values:
            raise DataError(
                f"{example.id}: has no context, which the template names; name its column in fields.context"
            )
        answer = example.answers[0] if example.answers else None
        question = put_prompt(template, values, answer, tokenizer, prefix=prefix, room=room, where=example.id)
        return written_row(example.id, question, answer, tokenizer, most)

    return encode_written(examples, tokenizer, max_length, prefix, most=most, row=row)


# ---- A user's own files ----------------------------------------------------------------------------------


@tasks.register("generation")
def generation(
    *,
    source_language: str,
    target_languages: list[str],
    files: Files,
    fields: dict[str, str] | None = None,
    data_dir: Path = Path(),
    template: str = "{text}\n",
    max_answer_tokens: MaxTokens = 32,
    parallel: bool = False,
    title: str = "generation",
    licence: str = "not stated",
    citation: str = "",
) -> Task:
    """Your own texts with the text that is to be written: a table with a field map; for decoders and encoder-decoders.

    Args:
        source_language: Language of the labelled examples.
        target_languages: Languages to learn.
        files: Path of each split, with `{language}` in it or by language; or one path.
        fields: Column of each of `text`, `answer` (a text, or a list of right ones), and perhaps `context`, `id`,
            `group`, `language`, `split`.
        data_dir: Folder that the paths begin in.
        template: The prompt, with `{text}` and perhaps `{context}`; the answer follows it, after a blank where it ends
            in none. A brace that is meant is doubled.
        max_answer_tokens: Of an answer, its end included.
        parallel: Whether examples of the same id translate each other.
        title: What the task is called.
        licence: Of the data.
        citation: Of the data.
    """
    columns, apart = own_fields(fields, {"text": "text", "answer": "answer"})

    def read(path: Path, language: str, wanted: Wanted | None, labelled: bool) -> Sequence[Example]:
        found = there(columns, (ANSWER,), path, labelled=labelled)
        return read_rows(path, found, language, wanted, labelled=labelled)

    own = OwnFiles(files, data_dir, canonical(source_language), not target_languages, apart, read)
    return task_of_files(
        own,
        "generation",
        title,
        target_languages,
        options={"template": template, "max_answer_tokens": max_answer_tokens},
        licence=licence,
        citation=citation,
        parallel=parallel,
        global_groups="group" in columns,
    )


def read_rows(
    path: Path, fields: Mapping[str, str], language: str, wanted: Wanted | None = None, *, labelled: bool = True
) -> list[GenerationExample]:
    """Read texts with answers from a table.

    Args:
        path: A table, see :func:`~lingraft.data.table.read_table`.
        fields: Our name to the file's column; ``id`` is the line number unless given, ``group`` the id.
        language: In any spelling.
        wanted: Leave out rows of which this is not true.
        labelled: Whether every row must have an answer.

    Raises:
        DataError: A row lacks something, an identifier occurs twice, or there are no rows.
    """
    check_fields(fields, COLUMNS, ("text", *([ANSWER] if labelled else [])))
    code = canonical(language)

    def text(name: str, row: Mapping[str, Any], where: str) -> str:
        return text_of(cell_of(row, fields[name], name, where), fields[name], where)

    return [
        GenerationExample(
            id=key,
            group=group or key,
            language=code,
            text=text("text", row, where),
            context=text("context", row, where) if "context" in fields else None,
            answers=_answers(row, fields, where, labelled=labelled),
        )
        for where, key, group, row in identified_rows(path, fields, wanted)
    ]


def _answers(row: Mapping[str, Any], fields: Mapping[str, str], where: str, *, labelled: bool) -> tuple[str, ...]:
    """Return the right answers of a row, one text or several in a list."""
    if ANSWER not in fields:
        return ()
    cell = cell_of(row, fields[ANSWER], ANSWER, where)
    several = list(cell) if isinstance(cell, list | tuple) else [cell]
    empty = not several or all(is_missing(one) or not str(one).strip() for one in several)
    if empty and not labelled:
        return ()
    return tuple(text_of(one, fields[ANSWER], where).strip() for one in several or [None])
