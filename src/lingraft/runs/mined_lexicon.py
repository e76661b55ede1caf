"""The lexicons that a run mines with its frozen backbone, kept in its folder."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from ..backbones.loading import Backbone
from ..backbones.walk import TOKENS_PER_BATCH, at_layer, states_at
from ..core.counted import counted
from ..core.examples import ParallelPair
from ..core.files import write_text
from ..core.json_text import to_json
from ..core.records import States
from ..data.augmentation.lexicon_mining import mine_lexicon
from ..model.prediction import predict_in_batches
from ..tasks.material import Materials

MINED_OF = "# mined of "
"""What the first line of a file begins with; the digest of texts and backbone follows."""


def word_vectors(words: Sequence[str], backbone: Backbone, device: torch.device) -> Tensor:
    """Return the mean states after the frozen last layer of each word alone, without the text prefix: ``[N, H]``."""
    stack = backbone.stack
    if not words:
        return torch.zeros(0, stack.width)
    ids = backbone.tokenizer(list(words), truncation=True, max_length=backbone.max_length)["input_ids"]

    def compute(rows: list[int]) -> tuple[States, None]:
        final = at_layer(stack, states_at([ids[row] for row in rows], stack, 0, device), stack.num_layers)
        return replace(final, tokens=stack.finish(final.tokens)), None

    lengths = [len(text) for text in ids]
    return predict_in_batches(lengths, compute, width=stack.width, tokens=TOKENS_PER_BATCH)[1]


def mined_entries(
    materials: Materials, backbone: Backbone, device: torch.device, folder: Path, say: Callable[[str], None]
) -> dict[str, list[ParallelPair]]:
    """Mine a lexicon for every target language with unlabelled text, and keep it in the run folder.

    ``mined/LANGUAGE.tsv`` has a pair a line: word, translation, score; its first line says what it was mined of. A run
    that continues reads it instead of mining anew, so that rounding on another machine cannot change what it learns
    from; where texts or backbone have changed, it is mined anew.

    Args:
        materials: Texts of the source language, and unlabelled ones.
        backbone: What words are embedded with.
        device: Where.
        folder: Of the run.
        say: Reports what is mined.
    """
    texts = [example.texts[0] for example in materials.learn(materials.task.source_language)]
    for language, unlabelled in materials.unlabelled.items():
        file = folder / "mined" / f"{language}.tsv"
        made_of = MINED_OF + _digest(texts, unlabelled, backbone)
        if _first_line(file) != made_of:
            say(f"mining a lexicon of {language} from {counted(len(unlabelled), 'text')}")
            pairs = mine_lexicon(texts, unlabelled, partial(word_vectors, backbone=backbone, device=device))
            rows = [f"{pair.source}\t{pair.target}\t{pair.score:.4f}" for pair in pairs]
            write_text(file, "".join(f"{line}\n" for line in (made_of, *rows)))
            say(f"{language}: {counted(len(pairs), 'pair')} of words, see {file}")
    return mined_before(materials, folder)


def _digest(texts: Sequence[str], unlabelled: Sequence[str], backbone: Backbone) -> str:
    content = to_json([list(texts), list(unlabelled), backbone.weights_digest, backbone.tokenizer_digest])
    return hashlib.sha256(content.encode()).hexdigest()


def _first_line(file: Path) -> str:
    if not file.exists():
        return ""
    with file.open(encoding="utf-8") as lines:
        return lines.readline().rstrip("\n")


def mined_before(materials: Materials, folder: Path) -> dict[str, list[ParallelPair]]:
    """Read the lexicons that a run has mined, for the languages that have one."""
    source, entries = materials.task.source_language, dict[str, list[ParallelPair]]()
    for language in materials.unlabelled:
        file = folder / "mined" / f"{language}.tsv"
        lines = file.read_text(encoding="utf-8").splitlines()[1:] if file.exists() else []
        rows = [line.split("\t") for line in lines]
        entries[language] = [ParallelPair(row[0], row[1], source, language, f"mined/{i}") for i, row in enumerate(rows)]
    return entries
