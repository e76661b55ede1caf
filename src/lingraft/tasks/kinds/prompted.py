"""How an example of a kind is put to a language model in words: a prompt template, filled and cut into tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ...backbones.markers import answers_apart, markers_of
from ...backbones.reading import common_beginning
from ...core.errors import DataError
from ...core.examples import Example

Ids = tuple[int, ...]

Split = Callable[[Mapping[str, str]], tuple[str, str]]
"""Values of the fields to what stands before and after an answer."""


@dataclass(frozen=True)
class Prompted:
    """What a template is filled with."""

    fields: Callable[[Example], Mapping[str, str]]
    """An example to the value of each field that it has."""
    texts: tuple[str, ...]
    """The fields that are the example's own texts."""
    answer: str
    """The field in whose place each possible answer stands."""
    others: tuple[str, ...] = ()
    """Further fields, which are wording."""
    answers: Callable[[Example], Sequence[str]] | None = None
    """The possible answers of an example, as texts; by default the labels of the kind."""


@dataclass(frozen=True)
class Question:
    """Token ids of what is read, of each answer that may follow, and how many tokens of the texts did not fit.

    ``offsets`` are the characters of the prompt that each token of what is read came from, first and last (exclusive);
    ``values`` those of the fields, as far as they fitted.
    """

    beginning: Ids
    answers: tuple[Ids, ...]
    offsets: tuple[tuple[int, int], ...]
    truncated: int = 0
    values: Mapping[str, str] = field(default_factory=dict)


def put_question(
    split: Split,
    values: Mapping[str, str],
    texts: Sequence[str],
    answers: Sequence[str],
    tokenizer: Any,
    *,
    prefix: str,
    room: int,
    where: str,
    counted: bool = True,
) -> Question:
    """Fill a template, and cut it into tokens; texts that are too long lose their end.

    Blanks before an answer belong to it, as tokenizers have it, and where tokens of prompt and answer run into one
    another, the answer begins with the first that differ.

    Args:
        split: The template.
        values: Of its fields.
        texts: Those of the fields that may be cut.
        answers: That may follow, at least one.
        tokenizer: Of the checkpoint.
        prefix: Put before the prompt.
        room: Tokens at most.
        where: How messages call the example.
        counted: Whether the longest answer counts among these tokens; what a decoder apart says never does.

    Raises:
        DataError: The rest of a template alone is too long.
    """
    values, before = dict(values), 0
    counted = counted and not answers_apart(tokenizer)
    while True:
        question = _tokenised(*split(values), answers, tokenizer, prefix)
        size = len(question.beginning) + (max(map(len, question.answers)) if counted else 0)
        before = before or size
        if size <= room:
            return replace(question, truncated=before - size, values=values)
        longest = max(texts, key=lambda name: len(values.get(name, "")), default=None)
        if longest is None or not values.get(longest):
            raise DataError(
                f"{where}: the template{' and the longest answer' if counted else ''} alone take {size} tokens, and "
                f"there is room for {room}; shorten the template, or give more room (backbone.max_length)"
            )
        values[longest] = _shortened(values[longest], size - room, tokenizer)


def _tokenised(before: str, after: str, answers: Sequence[str], tokenizer: Any, prefix: str) -> Question:
    if answers_apart(tokenizer):
        return _tokenised_apart(prefix + before, after, answers, tokenizer)
    ends = markers_of(tokenizer).after
    beginning = (prefix + before).rstrip(" ")
    blanks = (prefix + before)[len(beginning) :]
    texts = [beginning, *(beginning + blanks + answer + after for answer in answers)]
    read = tokenizer(texts, truncation=False, return_offsets_mapping=True, verbose=False)
    rows: list[list[int]] = [row[: len(row) - len(ends)] for row in read["input_ids"]]
    offsets = read["offset_mapping"][0]
    shared = common_beginning(rows)
    if not shared:  # there must be something that the first token follows
        first = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
        rows, shared, offsets = [[first, *row] for row in rows], 1, [(0, 0)]
    return Question(tuple(rows[0][:shared]), tuple(tuple(row[shared:]) for row in rows[1:]), tuple(offsets[:shared]))


def _tokenised_apart(beginning: str, after: str, answers: Sequence[str], tokenizer: Any) -> Question:
    """Cut what an encoder reads, a text like any other, and what its decoder says, which begins another."""
    read = tokenizer(beginning.rstrip(), truncation=False, return_offsets_mapping=True, verbose=False)
    said = [answer + after if answer else "" for answer in answers]
    rows = tokenizer(said, add_special_tokens=False, truncation=False, verbose=False)["input_ids"]
    return Question(tuple(read["input_ids"]), tuple(map(tuple, rows)), tuple(map(tuple, read["offset_mapping"])))


def _shortened(text: str, tokens: int, tokenizer: Any) -> str:
    """Return a text without its last tokens, by at least a character."""
    read = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    offsets = read["offset_mapping"]
    kept = offsets[: max(0, len(offsets) - tokens)]
    return text[: min(kept[-1][1], len(text) - 1)] if kept else ""
