"""New pieces for characters that a tokenizer does not know, and the tokenizer that has them besides its own.

Where a script was absent from what a tokenizer was made of, a word is a blank and one unknown piece. New pieces are
learnt by byte-pair encoding (Sennrich et al., 2016): every unknown character, then the sequences of them that are most
frequent. Each new piece has a character that no other piece has, so a text without such characters contains none, and
is cut as before: pieces keep their ids, merges their order, and Unigram (Kudo, 2018) its lowest score, by which what is
still unknown is scored.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import log
from typing import TYPE_CHECKING, Any

from .vocabulary import pair_of, pieces_of, refuse_other_kinds, serialised

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

KINDS = ("Unigram", "WordPiece", "BPE")

BLANK = "▁"
"""What SentencePiece puts before a word; a new piece may begin with it."""

FREQUENT = 2
"""A sequence that occurs less often is no piece."""

Run = tuple[bool, str]
"""Unknown characters that stand together, and whether a word begins with them."""


@dataclass(frozen=True)
class NewPieces:
    """What is added to a tokenizer.

    Attributes:
        first: Id of the first; the ids go on from the tokenizer's highest.
        counts: Pieces as the tokenizer's file has them, with how often each is used in the texts that they are of.
        characters: Those that were unknown.
        merges: Of BPE, the pairs that make the pieces, in their order.
    """

    first: int
    counts: dict[str, int]
    characters: frozenset[str]
    merges: tuple[tuple[str, str], ...] = ()


def learn_pieces(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], *, most: int) -> NewPieces:
    """Return pieces for what a tokenizer cannot spell in texts; none where it knows every character.

    Args:
        tokenizer: A fast one.
        texts: Of the language.
        most: How many to learn at most, besides single characters.

    Raises:
        CheckpointError: It is of a kind that cannot be extended.
    """
    model = serialised(tokenizer)["model"]
    refuse_other_kinds(model, KINDS, "extended")
    prefix = model.get("continuing_subword_prefix") or ""
    names = set(pieces_of(model).values())
    known = {character for name in names for character in name.removeprefix(prefix)}
    runs = [run for word in _words(tokenizer, texts) for run in _unknown_runs(word, known, BLANK in names)]
    characters = frozenset(character for _, run in runs for character in run) - known
    pieces, merges = _pair_encoded(runs, most)
    counts = Counter[str]()
    for (begins, _), cut in zip(runs, pieces, strict=True):
        counts.update((cut[0] if begins else prefix + cut[0], *(prefix + piece for piece in cut[1:])))
    needed = {form + character for form in ("", prefix) for character in characters}
    if model["type"] == "BPE":
        needed |= {left + right for left, right in merges}
    new = sorted((needed | set(counts)) - names, key=lambda piece: (-counts[piece], piece))
    first = max(tokenizer.get_vocab().values()) + 1
    return NewPieces(first, {piece: counts[piece] for piece in new}, characters, merges)


def extend_tokenizer(tokenizer: PreTrainedTokenizerBase, new: NewPieces) -> str:
    """Return the content of ``tokenizer.json`` for the tokenizer that has new pieces besides its own."""
    about = serialised(tokenizer)
    model = about["model"]
    added = {token["id"]: token["content"] for token in about["added_tokens"]}
    if model["type"] == "Unigram":
        vocabulary = model["vocab"]
        lowest, total = min(score for _, score in vocabulary), sum(new.counts.values())
        vocabulary += [[added[number], 0.0] for number in range(len(vocabulary), new.first)]  # ids are places
        vocabulary += [
            [piece, max(lowest, log(count / total)) if count else lowest] for piece, count in new.counts.items()
        ]
    else:
        model["vocab"] |= {content: number for number, content in added.items()}
        model["vocab"] |= {piece: new.first + place for place, piece in enumerate(new.counts)}
    if model["type"] == "BPE":
        model["merges"] = [*map(pair_of, model["merges"]), *new.merges]
    return json.dumps(about, ensure_ascii=False)


def _words(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> Iterator[str]:
    """Yield the words of texts as they are before a tokenizer looks for pieces."""
    backend: Any = tokenizer.backend_tokenizer
    for text in texts:
        normal = backend.normalizer.normalize_str(text) if backend.normalizer else text
        words = backend.pre_tokenizer.pre_tokenize_str(normal) if backend.pre_tokenizer else [(normal, None)]
        yield from (word for word, _ in words)


def _unknown_runs(word: str, known: set[str], blank: bool) -> Iterator[Run]:
    """Yield what is unknown in a word, with the blank before it where that is a piece."""
    place = 0
    for unknown, some in groupby(word, key=lambda character: not (character in known or character.isspace())):
        run = "".join(some)
        if unknown:
            yield place == 0, BLANK + run if blank and word[:place] == BLANK else run
        place += len(run)


def _pair_encoded(runs: Sequence[Run], most: int) -> tuple[list[list[str]], tuple[tuple[str, str], ...]]:
    """Return each run in pieces by byte-pair encoding that was learnt of them, and the pairs that were learnt."""
    from tokenizers import Tokenizer, models, trainers

    texts = [run for _, run in runs]
    backend = Tokenizer(models.BPE())
    size = len({character for text in texts for character in text}) + most
    trainer = trainers.BpeTrainer(vocab_size=size, min_frequency=FREQUENT, show_progress=False)
    backend.train_from_iterator(texts, trainer)
    merges = json.loads(backend.to_str())["model"]["merges"]
    return [one.tokens for one in backend.encode_batch(texts)], tuple(map(pair_of, merges))
