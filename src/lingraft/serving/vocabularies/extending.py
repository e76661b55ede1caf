"""A checkpoint that reads a script which its tokenizer did not know.

New pieces get rows in the word embeddings, and nothing else changes. What is written is proven before it appears under
its name: every piece that was there stands in a text that both tokenizers cut alike, its row and all other weights are
the same, and states are equal to the bit. Where a language has few unknown pieces nothing is written: more pieces would
cost what the model knows of it (`Dobler and de Melo, 2023 <https://arxiv.org/abs/2305.14481>`_, replace a vocabulary
rather than extend it).
"""

from __future__ import annotations

import gc
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor

from ...backbones.loading import Backbone, load_backbone
from ...backbones.new_pieces import NewPieces, extend_tokenizer, learn_pieces
from ...backbones.vocabulary import Vocabulary
from ...core.errors import CheckpointError, DataError
from ...core.examples import ParallelPair
from ...core.files import TEMPORARY, publish_folder
from ...data.parallel import read_parallel
from ...data.tokenizer_coverage import Coverage, coverage
from ...data.unlabelled import read_texts
from .proof import prove_backbone
from .rows import Ids, initial_rows
from .writing import NAME_COLUMN, NewVocabulary, refuse_existing, write_checkpoint

LEAST_UNKNOWN = 0.05
"""With no larger share of unknown pieces a language is read well enough."""

MOST_PIECES = 1000
"""Beyond single characters, unless another number is given."""

MOST_PAIRS = 2000
"""So many translations are used; the regression takes time with the third power of their number."""

COMPARE = (
    "before you use it: compare both checkpoints on your task; character n-grams read the script as it is, and new "
    "pieces can take more than they give"
)
"""What was measured on names in N'Ko (docs/results/README.md)."""

TOGETHER = 8
"""Old pieces in one text of the proof."""

UNUSED = "\U000f1b69"
"""A character of the private use area, to stand for what is unknown as before."""


def extend(
    checkpoint: str,
    corpus: Sequence[Path],
    output: Path,
    *,
    text: str = "text",
    pieces: int = MOST_PIECES,
    pairs: Path | None = None,
    language: str | None = None,
    source_language: str = "en",
) -> list[str]:
    """Write a copy of a checkpoint with pieces for characters that it does not know, and return lines that say so.

    Args:
        checkpoint: ``bundled:NAME``, a folder or a Hub id.
        corpus: Files of texts of the language: one a line, or tables.
        output: The folder to write; not there yet.
        text: Column of the text, in tables.
        pieces: How many sequences of characters become pieces at most.
        pairs: A file of translations; without it rows are drawn at random.
        language: Of the target side of pairs.
        source_language: Of their source side.

    Raises:
        CheckpointError: There is no such checkpoint, its tokenizer cannot be extended, or it knows the script; or the
            folder is there already.
        DataError: A file cannot be read, or the language of pairs is not said.
    """
    refuse_existing(output)
    if not corpus:
        raise DataError("--corpus: give at least one file with texts of the language")
    if pairs and not language:
        raise DataError("--pairs: say the language of their target side with --language, as in --language nqo-Nkoo")
    texts = list(dict.fromkeys(line for path in corpus for line in read_texts(path, text=text, cure=NAME_COLUMN)))
    translations = _translations(pairs, source_language, str(language)) if pairs else ()
    whole = load_backbone(checkpoint)
    before = coverage(texts, whole.tokenizer)
    new = _learn(whole, texts, before.unknown_rate, pieces)
    tokenizer = extend_tokenizer(whole.tokenizer, new)
    sources, targets = _cut(whole, Tokenizer.from_str(tokenizer), translations)
    larger = NewVocabulary(
        tokenizer, lambda words: _with_rows(words, new, sources, targets), {one: one for one in range(new.first)}
    )
    output.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=output.parent, prefix=TEMPORARY) as scratch:
        made = Path(scratch) / output.name
        made.mkdir()
        said = write_checkpoint(
            whole, larger, made, made=f"{whole.name} with {len(new.counts):,} pieces more than its {new.first:,}"
        )
        proven, after = _prove(whole, new, made, texts, translations)
        gc.collect()  # what was loaded maps files into memory, and Windows moves no folder with such a file
        publish_folder(made, output)
    return [*_counts(before, after, new, targets), *proven, *said, COMPARE, f"written: {output}"]


def _prove(
    whole: Backbone, new: NewPieces, made: Path, texts: Sequence[str], pairs: Sequence[ParallelPair]
) -> tuple[list[str], Coverage]:
    """Load what was written, prove that it reads all else as before, and say how well it covers the new texts."""
    again = load_backbone(str(made), text_prefix=whole.text_prefix)
    proven = prove_backbone(whole, again, Vocabulary(tuple(range(new.first))), _probes(whole, new, pairs))
    return proven, coverage(texts, again.tokenizer)


def _learn(whole: Backbone, texts: Sequence[str], unknown: float, most: int) -> NewPieces:
    """Return the new pieces for texts of which such a share of pieces is unknown.

    Raises:
        CheckpointError: Few are, or none for want of characters; or the tokenizer cannot be extended.
    """
    if unknown <= LEAST_UNKNOWN:
        raise CheckpointError(
            f"{whole.name} knows the script: {unknown:.1%} of the pieces of these texts are unknown, and only with "
            f"more than {LEAST_UNKNOWN:.0%} may new pieces be worth what they cost; use the checkpoint as it is"
        )
    new = learn_pieces(whole.tokenizer, texts, most=most)
    if not new.counts:
        raise CheckpointError(
            f"{unknown:.1%} of the pieces of these texts are unknown, but {whole.name} has each of their characters in "
            "some piece, so new characters would not help; use another checkpoint"
        )
    return new


def _translations(path: Path, source: str, target: str) -> tuple[ParallelPair, ...]:
    """Read translations, from all over the file where there are too many."""
    pairs = read_parallel(path, source_language=source, target_language=target).pairs
    return pairs[:: -(-len(pairs) // MOST_PAIRS)]


def _cut(whole: Backbone, larger: Tokenizer, pairs: Sequence[ParallelPair]) -> tuple[Ids, Ids]:
    """Return the ids of source sides, by the tokenizer as it was, and of target sides, by the larger one."""
    by_whole: Any = whole.tokenizer
    sources = [by_whole(pair.source, add_special_tokens=False, verbose=False)["input_ids"] for pair in pairs]
    found = larger.encode_batch([pair.target for pair in pairs], add_special_tokens=False)
    both = [(source, one.ids) for source, one in zip(sources, found, strict=True) if source]
    return [source for source, _ in both], [target for _, target in both]


def _with_rows(words: Tensor, new: NewPieces, sources: Ids, targets: Ids) -> Tensor:
    """Return word embeddings ``[V, H]`` with a row for each new piece; rows that no piece had are gone."""
    kept = words[: new.first]
    rows = initial_rows(kept.float().numpy(), sources, targets, len(new.counts))
    return torch.cat([kept, torch.from_numpy(rows).to(kept.dtype)])


def _probes(whole: Backbone, new: NewPieces, pairs: Sequence[ParallelPair]) -> list[str]:
    """Return texts without new characters in which all pieces stand, each text with a character that is unknown."""
    old = [str(piece) for piece in whole.tokenizer.convert_ids_to_tokens(list(range(new.first)))]
    texts = [" ".join((*old[at : at + TOGETHER], UNUSED)) for at in range(0, len(old), TOGETHER)]
    return [*texts, *(pair.source for pair in pairs if not new.characters.intersection(pair.source))]


def _counts(before: Coverage, after: Coverage, new: NewPieces, targets: Ids) -> list[str]:
    """Say what is unknown before and after, how many pieces are new, and where their rows are from."""
    translated = len({one for ids in targets for one in ids if one >= new.first})
    drawn = len(new.counts) - translated
    words = (
        ""
        if before.pieces_per_word is None
        else (f"; pieces a word: {before.pieces_per_word:.1f} before, {after.pieces_per_word:.1f} now")
    )
    return [
        f"unknown pieces: {before.unknown_rate:.1%} before, {after.unknown_rate:.1%} now{words}",
        f"new pieces: {len(new.counts):,} for {len(new.characters):,} characters; rows of {translated:,} by "
        f"{len(targets):,} translations, of {drawn:,} drawn at random",
    ]
