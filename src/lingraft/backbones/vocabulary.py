"""Which pieces of a tokenizer a corpus needs, and the tokenizer that has no others.

A tokenizer cuts a text that it could cut with fewer pieces in the same way, as long as the pieces are there that it
used, for all four algorithms. Unigram (Kudo, 2018) takes the best sum of scores, which is still there and has less to
compete with; the lowest of all scores stays, since what is unknown is scored by it. WordPiece takes the longest piece
that fits. BPE (Sennrich et al., 2016) merges pairs in a fixed order, so all merges stay that happened on the way, with
what they made. Whoever trims lets the new tokenizer cut the corpus again and compares.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Any

from ..core.errors import CheckpointError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

BATCH = 1000
"""Texts that are cut together."""

MODELS = ("Unigram", "WordPiece", "WordLevel", "BPE")


@dataclass(frozen=True)
class Vocabulary:
    """Pieces that stay.

    Attributes:
        kept: Their ids, ascending: the new id of a piece is its place among them.
        merges: Of BPE, the pairs that stay.
    """

    kept: tuple[int, ...]
    merges: frozenset[tuple[str, str]] = frozenset()

    @cached_property
    def new_id(self) -> dict[int, int]:
        """The new id of each piece, by the old one."""
        return {old: new for new, old in enumerate(self.kept)}


def needed_pieces(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> Vocabulary:
    """Return what a tokenizer needs to cut texts as it does: their pieces, their characters and all that is added.

    Args:
        tokenizer: A fast one.
        texts: As the model gets them, with what is put before each.

    Raises:
        CheckpointError: It is of a kind that is not known to stay the same with fewer pieces.
    """
    about = serialised(tokenizer)
    model = about["model"]
    refuse_other_kinds(model, MODELS, "trimmed")
    names = pieces_of(model)
    ids = {name: number for number, name in names.items()}
    added = {token["id"] for token in about["added_tokens"]}
    used, merges = set(added), set[tuple[str, str]]()
    seen = set[tuple[str | None, ...]]()
    ranks = {pair_of(merge): rank for rank, merge in enumerate(model.get("merges", ()))}
    for words in _cut(tokenizer, texts):
        for word in words:
            pieces = tuple(None if piece in added else names[piece] for piece in word)
            used.update(word)
            if model["type"] == "BPE" and pieces not in seen:
                seen.add(pieces)
                for left, right in _merges_of(pieces, model, ranks):
                    merges.add((left, right))
                    used.update(ids[part] for part in (left, right, left + right))
    used |= {ids[name] for name in _always(model, names, _characters(names, used)) if name in ids}
    return Vocabulary(tuple(sorted(used)), frozenset(merges))


def trim_tokenizer(tokenizer: PreTrainedTokenizerBase, vocabulary: Vocabulary) -> str:
    """Return the content of ``tokenizer.json`` for the tokenizer that has no other pieces."""
    about, new_id = serialised(tokenizer), vocabulary.new_id
    model = about["model"]
    if model["type"] == "Unigram":
        stays = [number for number in vocabulary.kept if number < len(model["vocab"])]
        model["vocab"] = [model["vocab"][number] for number in stays]
        if model.get("unk_id") is not None:
            model["unk_id"] = new_id[model["unk_id"]]
    else:
        model["vocab"] = {name: new_id[number] for name, number in model["vocab"].items() if number in new_id}
    if model["type"] == "BPE":
        model["merges"] = [merge for merge in model["merges"] if pair_of(merge) in vocabulary.merges]
    for token in about["added_tokens"]:
        token["id"] = new_id[token["id"]]
    _renumber(about.get("post_processor"), new_id)
    return json.dumps(about, ensure_ascii=False)


def serialised(tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """Return a tokenizer as its file has it; truncation and padding belong to the last call."""
    backend: Any = tokenizer.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    found: dict[str, Any] = json.loads(backend.to_str())
    return found


def refuse_other_kinds(model: dict[str, Any], kinds: Sequence[str], what: str) -> None:
    """Refuse what is not known to cut the same with other pieces.

    Args:
        model: Of the tokenizer's file.
        kinds: Of models that are.
        what: Is to be done with the tokenizer.

    Raises:
        CheckpointError: It is another model, or BPE with marked ends of words or dropout.
    """
    if model["type"] not in kinds:
        raise CheckpointError(f"the tokenizer is {model['type']}; only {', '.join(kinds)} can be {what}")
    marked = [key for key in ("dropout", "continuing_subword_prefix", "end_of_word_suffix") if model.get(key)]
    if model["type"] == "BPE" and marked:
        raise CheckpointError(f"the tokenizer is BPE with {marked[0]}, which cannot be {what}")


def pieces_of(model: dict[str, Any]) -> dict[int, str]:
    """Return the pieces by their ids."""
    if model["type"] == "Unigram":
        return {number: name for number, (name, _) in enumerate(model["vocab"])}
    return {number: name for name, number in model["vocab"].items()}


def _cut(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> Iterator[list[list[int]]]:
    """Yield the ids of each text, word by word: what the tokenizer cuts apart before it looks for pieces."""
    for start in range(0, len(texts), BATCH):
        some = list(texts[start : start + BATCH])
        read: Any = tokenizer(some, verbose=False)
        for row, ids in enumerate(read["input_ids"]):
            words: list[list[int]] = []
            before: int | None = None
            for piece, word in zip(ids, read.word_ids(row), strict=True):
                if word is None or word != before:
                    words.append([])
                words[-1].append(piece)
                before = word
            yield words


def _characters(names: dict[int, str], used: Iterable[int]) -> set[str]:
    """Return the characters of pieces."""
    return {character for piece in used for character in names.get(piece, "")}


def _always(model: dict[str, Any], names: dict[int, str], characters: Iterable[str]) -> Iterator[str]:
    """Yield names that stay besides what was used: so that other words of known letters are not unknown.

    Characters of the corpus; of BPE and of whoever falls back to bytes, all bytes; what stands for the unknown.
    """
    yield from characters
    if prefix := model.get("continuing_subword_prefix"):
        yield from (prefix + character for character in characters)
    if model.get("unk_token"):
        yield model["unk_token"]
    if model.get("byte_fallback"):
        yield from (f"<0x{byte:02X}>" for byte in range(256))
    if model["type"] == "Unigram":
        yield min(model["vocab"], key=lambda piece: float(piece[1]))[0]
        if model.get("unk_id") is not None:
            yield names[model["unk_id"]]
    if model["type"] == "BPE" and not model.get("byte_fallback"):
        yield from (name for name in names.values() if len(name) == 1)  # the alphabet, 256 of them if it is of bytes


def _merges_of(
    pieces: Sequence[str | None], model: dict[str, Any], ranks: dict[tuple[str, str], int]
) -> Iterator[list[str]]:
    """Yield the merges that make the pieces of a word from its characters: of all pairs the first one, leftmost.

    Added tokens, which are None here, bytes and what is unknown are not merged.

    Raises:
        CheckpointError: They make other pieces.
    """
    if model.get("ignore_merges") and len(pieces) == 1:  # a whole word that is known is taken as it is
        return
    unknown = {model.get("unk_token"), *(f"<0x{byte:02X}>" for byte in range(256) if model.get("byte_fallback"))}
    for merged, run in groupby(pieces, key=lambda piece: piece is not None and piece not in unknown):
        expected = [piece for piece in run if piece is not None]
        if not merged:
            continue
        found = list("".join(expected))
        while pairs := [(ranks[pair], place) for place, pair in enumerate(pairwise(found)) if pair in ranks]:
            _, place = min(pairs)
            yield found[place : place + 2]
            found[place : place + 2] = ["".join(found[place : place + 2])]
        if found != expected:
            raise CheckpointError(
                f"the tokenizer cuts {''.join(expected)!r} into {expected}, and its merges make {found}; it does more "
                "than merge, so it cannot be trimmed"
            )


def pair_of(merge: str | Sequence[str]) -> tuple[str, str]:
    """Return the two sides of a merge, which older files have as one text."""
    left, right = merge.split(" ") if isinstance(merge, str) else merge
    return left, right


def _renumber(part: Any, new_id: dict[int, int]) -> None:
    """Give the markers that a post-processor puts around texts their new ids, wherever it has them."""
    if isinstance(part, list):
        for one in part:
            _renumber(one, new_id)
    elif isinstance(part, dict):
        for key, value in part.items():
            if key == "ids":
                part[key] = [new_id[number] for number in value]
            elif key in ("sep", "cls") and isinstance(value, list):
                part[key] = [value[0], new_id[value[1]]]
            else:
                _renumber(value, new_id)
