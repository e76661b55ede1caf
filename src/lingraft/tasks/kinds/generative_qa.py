"""Questions about a context that a decoder answers in writing: greedy, one line, with SQuAD's or MLQA's scores.

The answer is whatever the decoder writes or, ``within_context``, always a piece of the context: then only tokens may
follow that go on with a piece of it, and the answer is cut from the context as it is written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal

from torch import Tensor

from ...core.errors import ConfigError
from ...core.examples import Example, SpanExample
from ...core.prompt_template import problem_of, split_at
from ...core.records import Features, Prediction
from ...results.metrics.answers import question_metrics
from ...results.words import Words
from . import Kind, kinds
from .prompted import Question
from .span_qa import COLUMNS, Span, languages_of, place_of, question_with_context, shown_characters
from .written import (
    MaxTokens,
    answer_loss,
    collate_counts,
    decode_written,
    describe_cut_answers,
    encode_written,
    put_prompt,
    written_row,
)

AnswerBy = Literal["span_head", "generation", "generated_span"]
"""How questions are answered: by the kind ``span_qa``, in writing, or in writing within the context."""

TEMPLATE = "{context}\nQuestion: {question}\nAnswer:"


@kinds.register("generative_qa")
def generative_qa_kind(
    *,
    template: str = TEMPLATE,
    max_answer_tokens: MaxTokens = 32,
    within_context: bool = False,
    normaliser: str = "squad",
    unanswerable: bool = False,
) -> Kind:
    """Build the kind; there are no labels.

    Args:
        template: The prompt, with ``{question}`` and ``{context}`` in it.
        max_answer_tokens: Of an answer, its end included; so many are kept free for it.
        within_context: Whether an answer must be a piece of the context.
        normaliser: How answers are made comparable, as in ``span_qa``.
        unanswerable: Whether "no answer", an empty one, is one, as in SQuAD v2.

    Raises:
        ConfigError: The template has another field, or lacks one.
    """
    for field in COLUMNS:
        if problem := problem_of(template, COLUMNS, once=(field,)):
            raise ConfigError([f"template: {problem}"], "generative_qa")
    metrics, metrics_in = question_metrics(normaliser, unanswerable=unanswerable)
    where = "a piece of the context" if within_context else "one line"
    return Kind(
        name="generative_qa",
        example=SpanExample,
        outputs=max_answer_tokens,
        head="context_language_model" if within_context else "language_model",
        head_learns=False,
        encode=partial(
            encode_prompts,
            template=template,
            most=max_answer_tokens,
            within_context=within_context,
            unanswerable=unanswerable,
        ),
        collate=collate_counts,
        loss=answer_loss,
        decode=decode_pieces if within_context else decode_written,
        metrics=metrics,
        metrics_in=metrics_in,
        options={
            "template": template,
            "max_answer_tokens": max_answer_tokens,
            "within_context": within_context,
            "normaliser": normaliser,
            "unanswerable": unanswerable,
        },
        limit_of=partial(describe_cut_answers, most=max_answer_tokens),
        columns=languages_of,
        item_columns=COLUMNS,
        read_item=question_with_context,
        file_shapes=("squad",),
        details=place_of,
        words=Words(
            example="question",
            baseline="what the frozen model writes after the same prompts",
            pipeline_tag="question-answering" if within_context else "text-generation",
            item='{"question": "…", "context": "…"}',
            file="questions.jsonl",
            limit=f"An answer is {where}{' or none' if unanswerable else ''}, of at most {max_answer_tokens} tokens.",
        ),
    )


def encode_prompts(
    examples: Sequence[Example],
    tokenizer: Any,
    max_length: int,
    prefix: str,
    *,
    template: str,
    most: int,
    within_context: bool,
    unanswerable: bool,
) -> list[Features]:
    """Return a row for each question: its prompt and, where it is known, the first answer with its end.

    ``within_context``, ``offsets`` are the characters of the context that each token of the prompt shows, and
    ``nothing`` is the token behind which the end may follow at once, where "no answer" is one.

    Args:
        examples: What is read.
        tokenizer: Of the checkpoint.
        max_length: Tokens of a row at most; a context that is too long loses its end.
        prefix: Put before each text.
        template: The prompt.
        most: Tokens of an answer, its end included.
        within_context: Whether an answer must be a piece of the context.
        unanswerable: Whether "no answer" is one.

    Raises:
        ConfigError: There is no room for a prompt.
        TypeError: An example is of another class.
    """

    def row(example: Example, room: int) -> Features:
        if not isinstance(example, SpanExample):
            raise TypeError(f"generative_qa reads questions with a context, not a {type(example).__name__}")
        answer = example.answers[0].text if example.answers else "" if example.unanswerable else None
        values = {"question": example.question, "context": example.context}
        question = put_prompt(template, values, answer, tokenizer, prefix=prefix, room=room, where=example.id)
        found = written_row(example.id, question, answer, tokenizer, most)
        if not within_context:
            return found
        shown = context_characters(question, template, prefix)
        nothing = len(question.beginning) - 1 if unanswerable else 0
        return replace(found, offsets=(*shown, *[None] * found.said), nothing=nothing)

    return encode_written(examples, tokenizer, max_length, prefix, most=most, row=row)


def context_characters(question: Question, template: str, prefix: str) -> list[Span | None]:
    """Return the characters of the context that each token of a prompt shows; None for all other tokens."""
    context = question.values["context"]
    start = len(prefix) + len(split_at(template, "context", question.values)[0])
    end = start + len(context)
    inside = [i for i, (first, last) in enumerate(question.offsets) if last > start and first < end]
    found: list[Span | None] = [None] * len(question.offsets)
    if inside:
        run = slice(inside[0], inside[-1] + 1)
        own = [(max(first, start) - start, min(last, end) - start) for first, last in question.offsets[run]]
        found[run] = shown_characters(context, own)
    return found


def decode_pieces(
    examples: Sequence[Example], features: Sequence[Features], logits: Sequence[Tensor]
) -> list[Prediction]:
    """Return the piece of each context that a row names: its probability, then its first and last character."""
    found = []
    for example, row in zip(examples, logits, strict=True):
        probability, first, last = row.tolist()
        start, end = (int(first), int(last)) if last else (None, None)
        value = example.texts[1][start:end] if last else ""
        found.append(Prediction(example.id, example.language, value, probability, start, end))
    return found


def kind_of_questions(answer_by: AnswerBy, options: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the kind of task that answers questions in a way that a recipe names, and its options.

    Args:
        answer_by: The way.
        options: Of either kind; None for those that the recipe does not give.

    Raises:
        ConfigError: One of them means nothing to that kind.
    """
    given = {key: value for key, value in options.items() if value is not None}
    written = answer_by != "span_head"
    for key in ("stride", "max_answer_length") if written else ("template", "max_answer_tokens"):
        if key in given:
            other = "span_head" if written else "generation"
            raise ConfigError([f"task.{key}: goes with `answer_by: {other}`, and it is {answer_by}; leave it out"])
    if not written:
        return "span_qa", given
    return "generative_qa", {**given, "within_context": answer_by == "generated_span"}
