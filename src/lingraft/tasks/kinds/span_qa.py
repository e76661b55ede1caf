"""Extractive question answering: the answer is the piece of a context between two tokens.

Question and context are one cross-encoded sequence; the head gives each token a logit for being the first of the
answer and one for being the last (Devlin et al., 2019). A context that does not fit is read in overlapping windows,
and the best piece of all of them is cut from the context as it was written, never put together from tokens.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.lib.stride_tricks import sliding_window_view
from torch import Tensor

from ...backbones.markers import LINE_BREAK, Markers, markers_of, reads_onwards
from ...core.errors import ConfigError
from ...core.examples import Example, PairExample, SpanExample
from ...core.records import Features, Prediction, Target
from ...results.metrics.answers import question_metrics
from ...results.words import Words
from . import NO_LABEL, Kind, kinds
from .items import Asked, read_columns
from .no_answer import choose_no_answer, null_scores
from .span_lengths import describe_long_answers
from .text_rows import encode_texts

ZERO_WIDTH = "\u200b\ufeff"
"""What is as blank as a space at either end of an answer, though Unicode does not call it one."""

Span = tuple[int, int]


COLUMNS = ("question", "context")


@kinds.register("span_qa")
def span_qa_kind(
    *, stride: int = 96, max_answer_length: int = 30, normaliser: str = "squad", unanswerable: bool = False
) -> Kind:
    """Build the kind of task; there are no labels.

    Args:
        stride: Tokens that two neighbouring windows share; at most half of what a window holds of the context.
        max_answer_length: In tokens.
        normaliser: How answers are made comparable; see :mod:`lingraft.answers`. ``mlqa`` without a language
            takes the rules of each context's.
        unanswerable: Whether "no answer" is one, as in SQuAD v2; scores are then those of its published evaluation.

    Raises:
        ConfigError: A number is too small.
    """
    problems = [
        *([f"stride: must be 0 or more, got {stride}"] if stride < 0 else []),
        *([f"max_answer_length: must be 1 or more, got {max_answer_length}"] if max_answer_length < 1 else []),
    ]
    if problems:
        raise ConfigError(problems, "span_qa")
    metrics, metrics_in = question_metrics(normaliser, unanswerable=unanswerable)
    return Kind(
        name="span_qa",
        example=SpanExample,
        outputs=2,
        per_token=True,
        softmax_over="positions",
        encode=partial(encode_questions, stride=stride),
        collate=collate_spans,
        loss=span_loss,
        decode=partial(decode_spans, max_answer_length=max_answer_length, unanswerable=unanswerable),
        metrics=metrics,
        metrics_in=metrics_in,
        head="no_answer" if unanswerable else "linear",
        choose_threshold=(
            partial(
                choose_no_answer,
                decode=partial(decode_spans, max_answer_length=max_answer_length),
                top_score=partial(top_score, max_answer_length=max_answer_length),
                f1=metrics["f1"],
            )
            if unanswerable
            else None
        ),
        options={
            "stride": stride,
            "max_answer_length": max_answer_length,
            "normaliser": normaliser,
            **({"unanswerable": True} if unanswerable else {}),
        },
        limit_of=partial(describe_long_answers, max_answer_length=max_answer_length),
        columns=languages_of,
        item_columns=COLUMNS,
        read_item=question_with_context,
        file_shapes=("squad",),
        details=place_of,
        words=Words(
            example="question",
            pipeline_tag="question-answering",
            item='{"question": "…", "context": "…"}',
            file="questions.jsonl",
            limit=(
                "The answer is a piece of the context or none; none is said by a threshold chosen on source-language "
                "development questions."
                if unanswerable
                else "The answer is always a piece of the context, also where the context does not answer the question."
            ),
        ),
    )


def languages_of(example: Example) -> dict[str, Any]:
    """Return both languages: a file of one language of contexts may hold questions in several."""
    return {"language": example.language, "context_language": example.context_language}


def question_with_context(item: Any, asked: Asked) -> SpanExample:
    """Read ``{"question": …, "context": …}``, both in one language.

    Raises:
        DataError: It is something else.
    """
    return SpanExample(**asked.identity, context_language=asked.language, **read_columns(item, COLUMNS, asked))


def place_of(prediction: Prediction) -> dict[str, Any]:
    """Return where in the context the answer stands, in characters; None where there is no answer."""
    return {"start": prediction.start, "end": prediction.end}


# ---- From questions to windows -----------------------------------------------------------------------


def encode_questions(
    examples: Sequence[Example], tokenizer: Any, max_length: int, prefix: str, *, stride: int
) -> list[Features]:
    """Tokenise question and context into windows; a :class:`PairExample` is plain text.

    A question may take half of a window; what is cut from its end is counted in its first window.

    Args:
        examples: What is read.
        tokenizer: Of the checkpoint.
        max_length: Tokens of a row at most, special tokens included.
        prefix: Put before each text.
        stride: Tokens of the context that neighbouring windows share.

    Raises:
        ConfigError: ``max_length`` has no room for a token of each.
        TypeError: An example is of another class.
    """
    texts = encode_texts([e for e in examples if isinstance(e, PairExample)], tokenizer, max_length, prefix)
    questions = [e for e in examples if isinstance(e, SpanExample)]
    if len(texts) + len(questions) != len(examples):
        strange = next(e for e in examples if not isinstance(e, PairExample | SpanExample))
        raise TypeError(f"span_qa reads questions with a context, got {type(strange).__name__} {strange.id!r}")
    plain = iter(texts)
    windows = _windows(questions, tokenizer, max_length, prefix, stride) if questions else iter([])
    return [row for e in examples for row in ([next(plain)] if isinstance(e, PairExample) else next(windows))]


@dataclass(frozen=True, slots=True)
class Pieces:
    """A context as tokens: their ids, and the characters of each, None for blanks."""

    ids: list[int]
    spans: list[Span | None]

    def covering(self, first: int, last: int) -> Span | None:
        """Return first and last token (inclusive) of the characters from ``first`` to ``last`` (exclusive)."""
        start = next((i for i, span in enumerate(self.spans) if span and span[1] > first), None)
        end = next((i for i, span in reversed(list(enumerate(self.spans))) if span and span[0] < last), None)
        return None if start is None or end is None or start > end else (start, end)


def _windows(
    questions: Sequence[SpanExample], tokenizer: Any, max_length: int, prefix: str, stride: int
) -> Iterator[list[Features]]:
    """Yield the windows of each question. A context is tokenised once, however much is asked about it."""
    frame, behind = _frame(tokenizer), reads_onwards(tokenizer)
    after = frame.after
    budget = max_length - len(frame.before) - len(frame.between) - len(after)
    if budget < 2:
        raise ConfigError(
            [f"max_length: {max_length} tokens have no room for a question and its context; use 64 or more"], "span_qa"
        )
    asked = [prefix + example.question for example in questions]
    asked_ids = tokenizer(asked, add_special_tokens=False, verbose=False)["input_ids"]
    contexts = _pieces(list(dict.fromkeys(example.context for example in questions)), tokenizer)
    for example, whole in zip(questions, asked_ids, strict=True):
        question, context = whole[: budget // 2], contexts[example.context]
        head = (*frame.before, *question, *frame.between)
        room = budget - len(question)
        answer = _answer_tokens(example, context)
        rows = []
        for part, (first, last) in enumerate(_ranges(len(context.ids), room, min(stride, room // 2))):
            target = None
            nothing = len(head) + last - first + len(after) - 1 if behind else 0
            if example.answers or example.unanswerable:
                inside = answer is not None and first <= answer[0] and answer[1] < last
                shift = len(head) - first
                target = (answer[0] + shift, answer[1] + shift) if answer and inside else (nothing, nothing)
            rows.append(
                Features(
                    example_id=example.id,
                    input_ids=(*head, *context.ids[first:last], *after),
                    target=target,
                    nothing=nothing,
                    truncated=0 if part else len(whole) - len(question),
                    part=part,
                    offsets=((None,) * len(head) + tuple(context.spans[first:last]) + (None,) * len(after)),
                )
            )
        yield rows


def _ranges(length: int, room: int, overlap: int) -> Iterator[tuple[int, int]]:
    """Yield windows of ``room`` tokens over ``length``, neighbours sharing ``overlap``; the last may be shorter."""
    first = 0
    while first + room < length:
        yield first, first + room
        first += room - overlap
    yield first, length


def _answer_tokens(example: SpanExample, context: Pieces) -> Span | None:
    """Return the tokens of the first answer, blanks around it left out; None where no token has any of it."""
    if not example.answers:
        return None
    answer = example.answers[0]
    first, last = _trimmed(example.context, answer.start, answer.start + len(answer.text))
    return context.covering(first, last) if first < last else None


def _frame(tokenizer: Any) -> Markers:
    """Return what is put around question and context; between and after them a line break, where there is no marker.

    "No answer" is said at the first token, which belongs to no text (Devlin et al., 2019). Where that has seen nothing
    of the text, in a decoder, it is said at the last.
    """
    found = markers_of(tokenizer)
    broken: list[int] = tokenizer(LINE_BREAK, add_special_tokens=False)["input_ids"]
    return replace(found, between=found.between or tuple(broken), after=found.after or tuple(broken))


def _pieces(contexts: Sequence[str], tokenizer: Any) -> dict[str, Pieces]:
    encoded = tokenizer(list(contexts), add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    return {
        context: Pieces(ids, shown_characters(context, offsets))
        for context, ids, offsets in zip(contexts, encoded["input_ids"], encoded["offset_mapping"], strict=True)
    }


def shown_characters(context: str, offsets: Sequence[Span]) -> list[Span | None]:
    """Return the characters that each token shows, given those that its tokenizer says it came from."""
    spans: list[Span | None] = []
    for i, (first, last) in enumerate(offsets):
        following = offsets[i + 1] if i + 1 < len(offsets) else (len(context), len(context))
        # A normaliser that composes characters leaves their marks out of the offsets: no token has them.
        while last < following[0] and unicodedata.category(context[last]).startswith("M"):
            last += 1
        # SentencePiece's lone "▁" before a script without spaces claims a character of the next token, and
        # all bytes of a character claim the whole of it: the last one has it.
        doubled = first == following[0] and last <= following[1]
        first, last = _trimmed(context, first, last)
        spans.append(None if doubled or first >= last else (first, last))
    return spans


def _trimmed(context: str, first: int, last: int) -> Span:
    """Return the same piece without blanks at its ends; XLM-R's tokens begin with the space before a word."""
    while first < last and _blank(context[first]):
        first += 1
    while first < last and _blank(context[last - 1]):
        last -= 1
    return first, last


def _blank(character: str) -> bool:
    return character.isspace() or character in ZERO_WIDTH


# ---- Loss ----------------------------------------------------------------------------------------------


def collate_spans(targets: Sequence[Target | None], length: int) -> Tensor:
    """Return first and last token of each row's answer, ``[R, 2]``."""
    return torch.tensor([(NO_LABEL, NO_LABEL) if target is None else target for target in targets]).view(-1, 2)


def span_loss(logits: Tensor, targets: Tensor, mask: Tensor, weights: Tensor, rows: Tensor) -> Tensor:
    """Average the two cross-entropies over the tokens: ``[R, T, 2]``, ``[R, 2]``, mask ``[R, T]`` to a scalar.

    Rows without a target are left out; ``weights`` are those of classes, of which there are none.

    Args:
        logits: Of first and last token, ``[R, T, 2]``.
        targets: ``[R, 2]``, ``NO_LABEL`` where not known.
        mask: ``[R, T]``.
        weights: Not looked at.
        rows: Weights of the rows, ``[R]``.
    """
    known = targets[:, 0] != NO_LABEL
    if not known.any():
        return logits.sum() * 0.0
    scores = logits[known].masked_fill(mask[known].unsqueeze(-1) == 0, -torch.inf)  # [K, T, 2]
    losses = F.cross_entropy(scores, targets[known], reduction="none").mean(1)  # tokens are the classes
    return (rows[known] * losses).sum() / rows[known].sum()


# ---- From logits to answers ----------------------------------------------------------------------------


def decode_spans(
    examples: Sequence[Any],
    features: Sequence[Features],
    logits: Sequence[Tensor],
    *,
    max_answer_length: int,
    unanswerable: bool = False,
) -> list[Prediction]:
    """Return the best piece of each context over all its windows, cut from the context as it is written.

    ``confidence`` is its share of the softmax over all pieces of at most ``max_answer_length`` tokens in all windows.
    A context without a token to choose gives an empty answer of confidence 0. Where "no answer" is one, it is empty,
    and its score (:func:`null_scores`) is that of a further piece.

    Args:
        examples: ``N``, in order.
        features: All rows of the examples, one example after the other.
        logits: Of each row.
        max_answer_length: Tokens of an answer at most.
        unanswerable: Whether "no answer" is one.
    """
    nulls = null_scores(features, logits) if unanswerable else []
    rows: list[list[tuple[Features, Tensor]]] = []
    for feature, scores in zip(features, logits, strict=True):
        if feature.part == 0:
            rows.append([])
        rows[-1].append((feature, scores))
    predictions = []
    for number, (example, windows) in enumerate(zip(examples, rows, strict=True)):
        best, total = -np.inf, 0.0
        place: Span | None = None
        for feature, scores in windows:
            top, (first, last), exponentials = _best_span(feature.offsets, scores, max_answer_length)
            if top == -np.inf:
                continue
            if top > best:
                total *= np.exp(best - top)
                best, place = top, (first, last)
            total += exponentials * np.exp(top - best)
        if unanswerable and nulls[number] > best:
            total = total * np.exp(best - nulls[number]) if total else 0.0
            best, place, total = nulls[number], None, total + 1.0
        elif unanswerable and total:
            total += np.exp(nulls[number] - best)
        confidence = 1.0 / total if total else 0.0
        start, end = place or (None, None)
        value = example.context[start:end] if place else ""
        predictions.append(Prediction(example.id, example.language, value, float(confidence), start, end))
    return predictions


def top_score(feature: Features, logits: Tensor, *, max_answer_length: int) -> float:
    """Return the score of the best piece of a window; minus infinity where it has none."""
    return _best_span(feature.offsets, logits, max_answer_length)[0]


def _best_span(offsets: Sequence[Span | None], logits: Tensor, longest: int) -> tuple[float, Span, float]:
    """Return the best candidate of a window: its score, its characters, and the sum of exp(score - best) over all."""
    inside = np.array([span is not None for span in offsets], dtype=bool)
    tokens = np.flatnonzero(inside)
    if not len(tokens):
        return -np.inf, (0, 0), 0.0
    shown = slice(tokens[0], tokens[-1] + 1)
    scores = logits.detach().double().cpu().numpy()[shown]  # [W, 2]
    scores = np.where(inside[shown, None], scores, -np.inf)
    longest = min(longest, len(scores))
    ends = np.concatenate([scores[:, 1], np.full(longest - 1, -np.inf)])
    band = scores[:, :1] + sliding_window_view(ends, longest)  # [W, longest]: first token by further tokens
    place = int(band.argmax())
    start, further = divmod(place, longest)
    top = float(band[start, further])
    first, last = offsets[int(tokens[0]) + start], offsets[int(tokens[0]) + start + further]
    assert first is not None and last is not None  # blanks score -inf
    return top, (first[0], last[1]), float(np.exp(band - top).sum())
