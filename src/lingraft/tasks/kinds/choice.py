"""Which of some alternatives goes with a text: each is read together with the text, and the best score wins.

An item is as many rows as it has alternatives, each with one score; a softmax over them makes probabilities
(Ponti et al., 2020, on XCOPA). The head knows no labels, so items may differ in their number of alternatives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from operator import eq
from typing import Any

import torch
from torch import Tensor

from ...core.examples import ChoiceExample, Example, PairExample
from ...core.records import Features, Prediction, Target
from ...results.metrics import mean_of
from ...results.words import Words
from . import NO_LABEL, Kind, kinds
from .items import Asked, read_columns
from .prompted import Prompted
from .text_rows import encode_texts

COPA = {"cause": "What was the cause?", "effect": "What happened as a result?"}
"""The two questions of COPA and XCOPA in words."""


COLUMNS = ("text", "alternatives")


@kinds.register("choice")
def choice_kind(*, questions: Mapping[str, str] | None = None) -> Kind:
    """Choice among the alternatives of each item; there are no labels.

    ``questions`` says how the questions of the data are put in words (those of COPA by default); a question that
    is not in it is put as it is.
    """
    questions = dict(COPA if questions is None else questions)
    return Kind(
        name="choice",
        example=ChoiceExample,
        outputs=1,
        softmax_over="positions",
        encode=partial(encode_alternatives, questions=questions),
        collate=collate_alternatives,
        loss=choice_cross_entropy,
        decode=decode_choice,
        metrics={"accuracy": mean_of(eq)},
        options={"questions": questions},
        columns=alternatives_of,
        item_columns=COLUMNS,
        read_item=text_with_alternatives,
        probabilities=alternative_probabilities,
        prompted=Prompted(
            fields=partial(text_and_question, questions=questions),
            texts=("text",),
            others=("question",),
            answer="alternative",
            answers=alternatives_in,
        ),
        words=Words(
            example="item",
            pipeline_tag="multiple-choice",
            item='{"text": "…", "alternatives": ["…", "…"]}',
            file="items.jsonl",
            limit="The model chooses one of the alternatives, also where none goes with the text.",
        ),
    )


def encode_alternatives(
    examples: Sequence[Example], tokenizer: Any, max_length: int, prefix: str, *, questions: Mapping[str, str]
) -> list[Features]:
    """Return one row for each alternative, as a pair: the text with its question, and the alternative.

    The target of a row is the alternative's number, and 1 if it is the right one, else 0.

    Args:
        examples: What is read.
        tokenizer: Of the checkpoint.
        max_length: Tokens of a row at most, special tokens included.
        prefix: Put before each text.
        questions: What is asked, by the name that an example gives it.
    """
    rows: list[PairExample] = []
    places: list[tuple[int, Target | None]] = []  # part and target
    for example in examples:
        if not isinstance(example, ChoiceExample):
            if not isinstance(example, PairExample):
                raise TypeError(f"expected a choice or a plain text, not a {type(example).__name__} ({example.id})")
            rows.append(example)
            places.append((0, None))
            continue
        first = "{text} {question}".format(**text_and_question(example, questions=questions)).rstrip()
        for i, alternative in enumerate(example.alternatives):
            rows.append(PairExample(example.id, example.group, example.language, text_a=first, text_b=alternative))
            places.append((i, None if example.label is None else (i, int(i == example.label))))
    features = encode_texts(rows, tokenizer, max_length, prefix)
    return [replace(row, part=part, target=target) for row, (part, target) in zip(features, places, strict=True)]


def collate_alternatives(targets: Sequence[Target | None], length: int) -> Tensor:
    """Return the number of the alternative, and whether it is right: ``[R, 2]``; ``NO_LABEL`` where not known."""
    return torch.tensor([target if isinstance(target, tuple) else (NO_LABEL, NO_LABEL) for target in targets])


def choice_cross_entropy(logits: Tensor, targets: Tensor, mask: Tensor, weights: Tensor, rows: Tensor) -> Tensor:
    """Return cross-entropy of the right alternative among those of its item.

    Args:
        logits: ``[R, 1]``; the rows of an item follow each other and are all there.
        targets: ``[R, 2]``, see :func:`collate_alternatives`.
        mask: ``[R, T]``, not needed.
        weights: ``[0]``, not needed: there are no classes.
        rows: Weights of the rows, ``[R]``; those of an item are the same.

    Returns:
        The weighted mean over items whose answer is known; 0 if there is none.
    """
    known = targets[:, 0] != NO_LABEL
    part, right = targets[known].unbind(-1)
    scores = logits[known, 0]
    item = (part == 0).cumsum(0) - 1
    table = _side_by_side(scores, item, part)  # [I, A]
    chosen = right == 1
    counts = rows[known][chosen]
    losses = table.logsumexp(-1)[item[chosen]] - scores[chosen]
    loss: Tensor = (counts * losses).sum() / counts.sum().clamp(min=torch.finfo(counts.dtype).tiny)
    return loss


def decode_choice(
    examples: Sequence[Example], features: Sequence[Features], logits: Sequence[Tensor]
) -> list[Prediction]:
    """Return the number of the best alternative, the first of equals, with its probability among its item's."""
    if not features:
        return []
    table = _scores_of(features, logits)
    best = table.argmax(-1, keepdim=True)
    probability = table.softmax(-1).gather(1, best)
    rows = zip(examples, best.squeeze(1).tolist(), probability.squeeze(1).tolist(), strict=True)
    return [Prediction(example.id, example.language, str(number), p) for example, number, p in rows]


def alternative_probabilities(features: Sequence[Features], logits: Sequence[Tensor]) -> list[list[float]]:
    """Return the probabilities of the alternatives of each item, as many as it has."""
    if not features:
        return []
    table = _scores_of(features, logits)
    return [row[row > -torch.inf].softmax(-1).tolist() for row in table]


def text_and_question(example: Example, *, questions: Mapping[str, str]) -> dict[str, str]:
    """Return an item's text, and its question in words, as a prompt template names them."""
    assert isinstance(example, ChoiceExample)
    question = questions.get(example.question, example.question) if example.question else ""
    return {"text": example.text, "question": question}


def alternatives_in(example: Example) -> tuple[str, ...]:
    """Return the alternatives."""
    assert isinstance(example, ChoiceExample)
    return example.alternatives


def alternatives_of(example: Example) -> dict[str, Any]:
    """Return the alternatives, which a value is the number of one of."""
    assert isinstance(example, ChoiceExample)
    return {"alternatives": example.alternatives}


def text_with_alternatives(item: Any, asked: Asked) -> ChoiceExample:
    """Read ``{"text": …, "alternatives": […]}``, and ``question`` where there is one.

    Raises:
        DataError: It is something else.
    """
    values = read_columns(item, COLUMNS, asked, optional=("question",), lists=("alternatives",))
    return ChoiceExample(**asked.identity, **values)


def _scores_of(features: Sequence[Features], logits: Sequence[Tensor]) -> Tensor:
    """Lay out the logits of all rows as a table ``[I, A]``, a row for each item."""
    part = torch.tensor([feature.part for feature in features])
    return _side_by_side(torch.cat(list(logits)).float().cpu(), (part == 0).cumsum(0) - 1, part)


def _side_by_side(scores: Tensor, item: Tensor, part: Tensor) -> Tensor:
    """Lay out scores ``[R]`` of alternatives as a table ``[I, A]``; minus infinity where an item has fewer."""
    size = (int(item[-1]) + 1, int(part.max()) + 1) if len(item) else (0, 1)
    table = scores.new_full(size, -torch.inf)
    table[item, part] = scores
    return table
