"""Answers that a decoder writes after a prompt: rows of prompt and answer, their loss, and what was written as text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from ...backbones.markers import answers_apart
from ...backbones.spelling import end_ids
from ...core.errors import ConfigError
from ...core.examples import Example, PairExample
from ...core.prompt_template import split_at
from ...core.records import Features, Prediction, Target
from . import NO_LABEL
from .prompted import Question, put_question
from .text_rows import encode_texts

ANSWER = "answer"

MaxTokens = Annotated[int, Field(ge=2, le=4096)]
"""Of an answer, its end included."""


# ---- From texts to rows ----------------------------------------------------------------------------------


def encode_written(
    examples: Sequence[Example],
    tokenizer: Any,
    max_length: int,
    prefix: str,
    *,
    most: int,
    row: Callable[[Example, int], Features],
) -> list[Features]:
    """Return a row for each example.

    Args:
        examples: What is read; a :class:`PairExample` is plain text.
        tokenizer: Of the checkpoint.
        max_length: Tokens of a row at most.
        prefix: Put before each text.
        most: Tokens of an answer, its end included; so many are kept free for it where it follows the prompt.
        row: An example, and the tokens that its prompt may have, to its row.

    Raises:
        ConfigError: There is no room for a prompt.
    """
    room = max_length if answers_apart(tokenizer) else max_length - most
    if room < 1:
        raise ConfigError(
            [
                f"task.max_answer_tokens: {most} leaves no room for a prompt in backbone.max_length, {max_length}; "
                "give the one less or the other more"
            ]
        )
    plain = iter(encode_texts([e for e in examples if isinstance(e, PairExample)], tokenizer, max_length, prefix))
    return [next(plain) if isinstance(example, PairExample) else row(example, room) for example in examples]


def put_prompt(
    template: str,
    values: Mapping[str, str],
    answer: str | None,
    tokenizer: Any,
    *,
    prefix: str,
    room: int,
    where: str,
) -> Question:
    """Fill a template and cut it into tokens, the same ones with and without an answer.

    Args:
        template: The prompt; an answer follows it, after a blank where it ends in none.
        values: Of its fields, all of which may be cut.
        answer: What may follow, blanks and line breaks being one blank; None where that is not known.
        tokenizer: Of the checkpoint.
        prefix: Put before the prompt.
        room: Tokens of the prompt at most.
        where: How messages call the example.
    """
    blank = "" if template[-1:].isspace() else " "
    return put_question(
        lambda filled: split_at(f"{template}{blank}{{{ANSWER}}}", ANSWER, filled),
        values,
        tuple(values),
        [" ".join((answer or "").split())],
        tokenizer,
        prefix=prefix,
        room=room,
        where=where,
        counted=False,
    )


def written_row(example_id: str, question: Question, answer: str | None, tokenizer: Any, most: int) -> Features:
    """Return the row of a prompt and, where it is known, its answer with its end; of an empty one the end alone."""
    said = question.answers[0][: most - 1] if answer and answer.strip() else ()
    said = () if answer is None else (*said, end_ids(tokenizer)[0])
    target, truncated = len(said) if said else None, question.truncated
    if answers_apart(tokenizer):
        return Features(example_id, question.beginning, target=target, truncated=truncated, answer=said)
    return Features(example_id, (*question.beginning, *said), target=target, truncated=truncated, said=len(said))


def describe_cut_answers(examples: Sequence[Example], features: Sequence[Features], *, most: int) -> str:
    """Say how many right answers are longer than any that is written; nothing where none is."""
    full = sum(max(feature.said, len(feature.answer)) >= most for feature in features)
    if not full:
        return ""
    return (
        f"{full:,} of {len(features):,} right answers fill all {most} tokens that an answer may have, and may be cut; "
        "task.max_answer_tokens says how many that are"
    )


# ---- Loss, and from what was written to answers ----------------------------------------------------------


def collate_counts(targets: Sequence[Target | None], length: int) -> Tensor:
    """Return how many tokens each row is to say: ``[R]``, ``NO_LABEL`` where that is not known."""
    return torch.tensor([NO_LABEL if target is None else target for target in targets])


def answer_loss(logits: Tensor, targets: Tensor, mask: Tensor, weights: Tensor, rows: Tensor) -> Tensor:
    """Return the cross-entropy of the answers' tokens, each token counting as its row does.

    Args:
        logits: Summed log-likelihood of what each row is to say, ``[R, 1]``.
        targets: Tokens of that, ``[R]``, ``NO_LABEL`` where not known.
        mask: Not looked at.
        weights: Not looked at.
        rows: Weights of the rows, ``[R]``.
    """
    known = targets != NO_LABEL
    counts = rows[known] * targets[known]
    loss: Tensor = -(rows[known] * logits[known, 0]).sum() / counts.sum().clamp(min=torch.finfo(counts.dtype).tiny)
    return loss


def decode_written(
    examples: Sequence[Example], features: Sequence[Features], logits: Sequence[Tensor]
) -> list[Prediction]:
    """Return the text of each row, its probability first and then its characters as numbers."""
    found = []
    for example, row in zip(examples, logits, strict=True):
        probability, *letters = row.tolist()
        text = "".join(chr(int(letter)) for letter in letters)
        found.append(Prediction(example.id, example.language, text, probability))
    return found
