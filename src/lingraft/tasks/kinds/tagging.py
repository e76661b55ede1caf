"""A tag for each word: named entities, parts of speech.

The head sees every token, but only a word's first piece carries its tag (Devlin et al., 2019), and in a decoder its
last, for the first has seen nothing of the others: the words of the training data are the units of scoring, whatever
the tokenizer makes of them. A sentence that is longer than the
model reads is read in several windows of whole words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import groupby
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ...backbones.markers import reads_onwards
from ...core.errors import DataError
from ...core.examples import Example, PairExample, TaggedExample
from ...core.records import Features, Prediction, Target
from ...results.metrics.spans import check_tag, repair_tags, span_f1, tag_accuracy
from ...results.words import Words
from . import NO_LABEL, Kind, kinds
from .entities import find_entities, words_and_entities
from .items import Asked, are_texts
from .text_rows import encode_texts
from .word_splitting import split_words

Scheme = Literal["bio", "plain"]
OUTSIDE = "O"


def check_of(scheme: Scheme) -> Callable[[str], None] | None:
    """Return what refuses a tag that is not of the scheme; of ``plain`` there is none."""
    return check_tag if scheme == "bio" else None


@kinds.register("tagging")
def tagging_kind(labels: tuple[str, ...], *, scheme: Scheme = "bio") -> Kind:
    """Tagging with ``labels``, the tags of the source language's training set in sorted order.

    With the scheme ``bio`` tags mark spans (``B-PER I-PER O``), which are what counts, and a span that begins with
    ``I-`` is repaired; ``plain`` tags stand for themselves. A tag not among the labels is not learnt from and is
    missed in scoring, which compares with all gold tags.
    """
    metrics = {"span_f1": span_f1, "tag_accuracy": tag_accuracy} if scheme == "bio" else {"tag_accuracy": tag_accuracy}
    return Kind(
        name="tagging",
        example=TaggedExample,
        labels=labels,
        outputs=len(labels),
        per_token=True,
        encode=partial(encode_words, labels=labels),
        collate=collate_tags,
        loss=tag_cross_entropy,
        decode=partial(decode_tags, labels=labels, scheme=scheme),
        metrics=metrics,
        options={"scheme": scheme},
        outside=OUTSIDE,
        answers=str.split,
        read_item=sentence_of,
        text_columns=("words", "text"),
        file_shapes=("conll",),
        finish=partial(find_entities, scheme=scheme),
        details=words_and_entities,
        words=Words(
            example="sentence",
            pipeline_tag="token-classification",
            file="sentences.txt",
            limit="The model chooses among its tags, whatever the word is.",
        ),
    )


def sentence_of(item: Any, asked: Asked) -> TaggedExample:
    """Read a list of words, or a text, which is split into words (:func:`split_words`).

    Raises:
        DataError: It is something else, or has no word.
    """
    words = [item[first:last] for first, last in split_words(item)] if isinstance(item, str) else item
    if not are_texts(words):
        raise asked.refused("a text or a list of words", item)
    return TaggedExample(**asked.identity, words=tuple(words))


# ---- Words to rows of tokens -----------------------------------------------------------------------


def encode_words(
    examples: Sequence[Example], tokenizer: Any, max_length: int, prefix: str, *, labels: Sequence[str]
) -> list[Features]:
    """Tokenise word by word; offsets and targets stand at the pieces that carry tags, words of ``prefix`` have none.

    ``truncated`` counts the pieces of a word that is by itself longer than a window.

    Args:
        examples: What is read.
        tokenizer: Of the checkpoint.
        max_length: Tokens of a row at most, special tokens included.
        prefix: Put before each text.
        labels: In the order of their classes.

    Raises:
        DataError: There are not as many tags as words, or special tokens and prefix leave no room for a word.
    """
    index = {label: i for i, label in enumerate(labels)}
    plain = [example for example in examples if isinstance(example, PairExample)]
    sentences = [example.words for example in examples if isinstance(example, TaggedExample)]
    texts = iter(encode_texts(plain, tokenizer, max_length, prefix))
    rows = iter(_encode_sentences(sentences, tokenizer, max_length, prefix))
    features: list[Features] = []
    for example in examples:
        if not isinstance(example, TaggedExample):
            features.append(next(texts))
            continue
        if example.tags is not None and len(example.tags) != len(example.words):
            raise DataError(
                f"{example.language}, id {example.id}: {len(example.tags)} tags for {len(example.words)} words; "
                "give each word one"
            )
        classes = None if example.tags is None else [index.get(tag, NO_LABEL) for tag in example.tags]
        for part, (ids, offsets, truncated) in enumerate(next(rows)):
            target = None if classes is None else tuple(NO_LABEL if at is None else classes[at[0]] for at in offsets)
            features.append(Features(example.id, ids, target, truncated, part, offsets))
    return features


Row = tuple[tuple[int, ...], tuple[tuple[int, int] | None, ...], int]
"""Token ids, offsets, number of tokens left out."""


def _encode_sentences(
    sentences: Sequence[tuple[str, ...]], tokenizer: Any, max_length: int, prefix: str
) -> list[list[Row]]:
    """Return the rows of each sentence: one, if it fits."""
    if not sentences:
        return []
    before = prefix.split()
    blank, last = blank_before_words(tokenizer), reads_onwards(tokenizer)

    def tokenise(lists: Sequence[Sequence[str]], **options: Any) -> Any:
        spaced = [[blank + word if i else word for i, word in enumerate([*before, *words])] for words in lists]
        return tokenizer(spaced, is_split_into_words=True, verbose=False, **options)

    whole = tokenise(sentences)
    rows: list[list[Row]] = []
    spans: list[tuple[int, int, int, int]] = []  # sentence, its words from and to, tokens left out
    for i, words in enumerate(sentences):
        ids, numbers = whole["input_ids"][i], whole.word_ids(i)
        if len(ids) <= max_length:
            rows.append([(tuple(ids), _tagged_pieces(numbers, len(before), 0, last=last), 0)])
            continue
        rows.append([])
        pieces = [0] * (len(before) + len(words))
        for number in numbers:
            if number is not None:
                pieces[number] += 1
        room = max_length - (len(ids) - sum(pieces[len(before) :]))
        if room < 1:
            raise DataError(
                f"max_length is {max_length}: special tokens and the text prefix {prefix!r} leave no room for words; "
                "raise max_length"
            )
        sizes = pieces[len(before) :]
        spans += [(i, a, b, max(0, sum(sizes[a:b]) - room)) for a, b in windows(sizes, room)]
    if spans:
        cut = tokenise([sentences[i][a:b] for i, a, b, _ in spans], truncation=True, max_length=max_length)
        for at, (i, start, _, truncated) in enumerate(spans):
            offsets = _tagged_pieces(cut.word_ids(at), len(before), start, last=last)
            rows[i].append((tuple(cut["input_ids"][at]), offsets, truncated))
    return rows


def windows(sizes: Sequence[int], room: int) -> list[tuple[int, int]]:
    """Cut words of ``sizes`` pieces into runs of at most ``room`` pieces, or of one word; of similar length.

    Returns:
        First word and last (exclusive) of each run; every word is in one.
    """
    total = sum(sizes)
    aim = -(-total // max(1, -(-total // room)))  # the last window would else have a word or two to go by
    runs, start, filled = [], 0, 0
    for i, size in enumerate(sizes):
        if filled and size and (filled >= aim or filled + size > room):
            runs.append((start, i))
            start, filled = i, 0
        filled += size
    return [*runs, (start, len(sizes))]


def blank_before_words(tokenizer: Any) -> str:
    """Return what stands before every word but the first: a blank, if the tokenizer would else glue words together.

    SentencePiece and WordPiece mark words themselves; byte-level vocabularies (RoBERTa's, ModernBERT's) know a word
    by the blank before it.
    """
    separate = tokenizer([["a", "a"]], is_split_into_words=True, verbose=False)["input_ids"][0]
    return "" if separate == tokenizer("a a", verbose=False)["input_ids"] else " "


def _tagged_pieces(
    numbers: Sequence[int | None], before: int, start: int, *, last: bool
) -> tuple[tuple[int, int] | None, ...]:
    """Return the number of the word, twice, where one begins, or ends if ``last``; words of prefix are not counted."""
    neighbours = [*numbers[1:], None] if last else [None, *numbers[:-1]]
    return tuple(
        (number - before + start,) * 2 if number is not None and number >= before and number != neighbour else None
        for number, neighbour in zip(numbers, neighbours, strict=True)
    )


# ---- Learning --------------------------------------------------------------------------------------


def collate_tags(targets: Sequence[Target | None], length: int) -> Tensor:
    """Return classes of the pieces that carry tags, ``[R, T]``; ``NO_LABEL`` elsewhere."""
    collated = torch.full((len(targets), length), NO_LABEL)
    for row, target in zip(collated, targets, strict=True):
        if isinstance(target, tuple):
            row[: len(target)] = torch.tensor(target, dtype=torch.long)
    return collated


def tag_cross_entropy(logits: Tensor, targets: Tensor, mask: Tensor, weights: Tensor, rows: Tensor) -> Tensor:
    """Return weighted cross-entropy over the pieces that carry tags.

    Args:
        logits: ``[R, T, C]``.
        targets: ``[R, T]``, ``NO_LABEL`` where there is nothing to learn, padding included.
        mask: ``[R, T]``; not needed, as padding has no target.
        weights: ``[C]``.
        rows: Weights of the rows, ``[R]``.

    Returns:
        The weighted mean; 0 where nothing has a target (a sentence whose tags are all unseen).
    """
    known = targets != NO_LABEL
    gold = targets[known]  # [K]
    counts = weights[gold] * rows[:, None].expand_as(targets)[known]
    total = (counts * F.cross_entropy(logits[known], gold, reduction="none")).sum()
    return total / counts.sum().clamp(min=torch.finfo(counts.dtype).tiny)


# ---- Rows to tags ----------------------------------------------------------------------------------


def decode_tags(
    examples: Sequence[Example],
    features: Sequence[Features],
    logits: Sequence[Tensor],
    *,
    labels: Sequence[str],
    scheme: Scheme,
) -> list[Prediction]:
    """Predict one tag for each word, joined by blanks; the confidence is the mean of the words' probabilities.

    The first of equally likely labels is taken. A word that the tokenizer reads as nothing is outside of every
    span, or gets the first label; a sentence of nothing else has confidence 0. Probabilities are those before
    the repair of spans.

    Args:
        examples: ``N``, in order.
        features: All rows of the examples, one example after the other.
        logits: Of each row.
        labels: In the order of their classes.
        scheme: Of the tags.
    """
    positions, words, start = [], [], 0
    for feature, row in zip(features, logits, strict=True):
        found = [(t, at[0]) for t, at in enumerate(feature.offsets) if at is not None]
        positions += [start + t for t, _ in found]
        words.append([word for _, word in found])
        start += len(row)
    if positions:
        read = torch.cat(list(logits))[positions].float()  # [K, C]
        best = read.argmax(-1, keepdim=True)
        probability = iter(read.softmax(-1).gather(1, best).squeeze(1).tolist())
        chosen = iter(best.squeeze(1).tolist())
    else:
        probability, chosen = iter(()), iter(())

    predictions = []
    unread = OUTSIDE if scheme == "bio" else labels[0]
    # Ids tell examples apart, and the rows of one follow each other.
    rows = groupby(zip(features, words, strict=True), key=lambda row: row[0].example_id)
    for example, (example_id, parts) in zip(examples, rows, strict=True):
        if not isinstance(example, TaggedExample) or example.id != example_id:
            raise ValueError(f"expected the rows of the tagged sentence {example.id}, not those of {example_id}")
        tags, confidence = [unread] * len(example.words), []
        scores = [0.0] * len(example.words)
        for _, numbers in parts:
            for number in numbers:
                tags[number] = labels[next(chosen)]
                confidence.append(next(probability))
                scores[number] = confidence[-1]
        value = " ".join(repair_tags(tags) if scheme == "bio" else tags)
        mean = sum(confidence) / len(confidence) if confidence else 0.0
        predictions.append(
            Prediction(example.id, example.language, value, mean, words=example.words, scores=tuple(scores))
        )
    return predictions
