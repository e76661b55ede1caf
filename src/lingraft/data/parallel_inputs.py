"""What the files of a recipe's ``parallel`` block hold: pairs, lexicons and unlabelled text.

Nothing that is evaluated on comes through: pairs and entries go if either side is an evaluation
text, unlabelled texts if they are one, and what goes is counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import DataError, Faults
from ..core.records import Example, ParallelPair
from ..recipe.settings import ParallelSettings
from .leakage import remove_overlapping_pairs
from .parallel import read_parallel
from .sampling import rank
from .table import locate
from .text import strip_blanks
from .unlabelled import read_texts

KINDS = {"lexicon": "of three words at most, on average"}
"""What a kind of parallel text is called where it is not sure."""


@dataclass(frozen=True)
class Given:
    """By target language: translated sentences (or words), entries of a lexicon, unlabelled texts (where asked for).

    ``dropped`` counts what was evaluated on; ``notes`` tell what was read.
    """

    pairs: Mapping[str, Sequence[ParallelPair]]
    entries: Mapping[str, Sequence[ParallelPair]]
    texts: Mapping[str, Sequence[str]]
    dropped: int
    notes: tuple[str, ...]


def read_given(
    settings: ParallelSettings | None, source: str, targets: Iterable[str], evaluation: Sequence[Example]
) -> Given:
    """Read the files that ``settings`` names, for every target language.

    Args:
        settings: The recipe's ``parallel`` block; None reads nothing.
        source: The source language.
        targets: The target languages.
        evaluation: What no pair or text may contain.

    Raises:
        DataError: A file is missing or faulty.
        ConfigError: Several are.
    """
    pairs: dict[str, Sequence[ParallelPair]] = dict.fromkeys(targets, ())
    entries: dict[str, Sequence[ParallelPair]] = dict(pairs)
    texts: dict[str, Sequence[str]] = {}
    dropped = 0
    notes: list[str] = []
    faults = Faults("parallel")
    for language in pairs:
        if settings and settings.files:
            with faults:
                pairs[language], leaked, note = _pairs(settings, source, language, evaluation)
                dropped, notes = dropped + leaked, [*notes, note]
        if settings and settings.lexicon:
            with faults:
                entries[language], leaked, note = _entries(settings.lexicon, source, language, evaluation)
                dropped, notes = dropped + leaked, [*notes, note]
        if settings and settings.text:
            with faults:
                texts[language], leaked, note = _texts(settings.text, language, evaluation)
                dropped, notes = dropped + leaked, [*notes, note]
    faults.refuse()
    return Given(pairs, entries, texts, dropped, tuple(notes))


def _pairs(
    settings: ParallelSettings, source: str, language: str, evaluation: Sequence[Example]
) -> tuple[Sequence[ParallelPair], int, str]:
    path = locate(str(settings.files), language, Path())
    other = locate(settings.target_files, language, Path()) if settings.target_files else None
    text = read_parallel(
        path, source_language=source, target_language=language, target_path=other, fields=settings.fields
    )
    kept, leaked = remove_overlapping_pairs(text.pairs, evaluation)
    if settings.pairs and settings.pairs < len(kept) and not settings.from_:
        # Not the head of the file: lexicons are sorted by the alphabet.
        kept = sorted(kept, key=lambda pair: rank(0, "pairs", pair.source + "\n" + pair.target))[: settings.pairs]
    note = (
        f"{language}: {len(kept)} pairs from {path.name} ({KINDS.get(text.kind, text.kind)}; {text.read} read, "
        f"{text.duplicates} duplicates, {text.empty} with an empty side)"
    )
    if text.kind == "lexicon":
        note += (
            ". Sentences or words? `parallel: {files: …}`, as here, pairs them as they are; if they are words, "
            "`parallel: {lexicon: …}` puts them into sentences"
        )
    return kept, leaked, note


def _entries(
    pattern: str, source: str, language: str, evaluation: Sequence[Example]
) -> tuple[Sequence[ParallelPair], int, str]:
    path = locate(pattern, language, Path())
    text = read_parallel(path, source_language=source, target_language=language)
    kept, leaked = remove_overlapping_pairs(text.pairs, evaluation)
    return kept, leaked, f"{language}: {len(kept)} entries of a lexicon from {path.name}"


def _texts(pattern: str, language: str, evaluation: Sequence[Example]) -> tuple[Sequence[str], int, str]:
    path = locate(pattern, language, Path())
    found = read_texts(path)
    forbidden = {strip_blanks(text) for example in evaluation for text in example.texts}
    kept = [text for text in dict.fromkeys(found) if strip_blanks(text) not in forbidden]
    if not kept:
        raise DataError(f"{path}: every text in it is evaluated on, so nothing can be learnt from it; give other texts")
    leaked = len(dict.fromkeys(found)) - len(kept)
    return kept, leaked, f"{language}: {len(kept)} unlabelled texts from {path.name}"
