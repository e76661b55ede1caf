"""What the files of a recipe's ``parallel`` block hold: pairs, lexicons and unlabelled text.

Nothing that is evaluated on comes through: pairs and entries go if either side is an evaluation
text, unlabelled texts if they are one, and what goes is counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..core.counted import counted
from ..core.errors import DataError, Faults
from ..core.examples import Example, ParallelPair
from ..recipe.settings import ParallelSettings
from .languages import display_name
from .leakage import remove_overlapping_pairs
from .parallel import Fields, ParallelText, names_target, read_parallel
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
    languages = list(targets)
    _refuse_shared(settings, source, languages)
    pairs: dict[str, Sequence[ParallelPair]] = dict.fromkeys(languages, ())
    entries: dict[str, Sequence[ParallelPair]] = dict(pairs)
    texts: dict[str, Sequence[str]] = {}
    dropped = 0
    notes: list[str] = []
    faults = Faults()
    for language in pairs:
        if settings and settings.files:
            with faults:
                pairs[language], leaked, note = _pairs(settings, source, language, evaluation)
                dropped, notes = dropped + leaked, [*notes, note]
        if settings and settings.lexicon:
            with faults:
                entries[language], leaked, note = read_entries(settings.lexicon, source, language, evaluation)
                dropped, notes = dropped + leaked, [*notes, note]
        if settings and settings.text:
            with faults:
                texts[language], leaked, note = read_unlabelled(settings.text, source, language, evaluation)
                dropped, notes = dropped + leaked, [*notes, note]
    faults.refuse()
    return Given(pairs, entries, texts, dropped, tuple(notes))


def _refuse_shared(settings: ParallelSettings | None, source: str, languages: Sequence[str]) -> None:
    """Refuse files that would be read as if they were in each of several languages.

    Raises:
        DataError: There is one.
        ConfigError: There are several.
    """
    faults = Faults()
    if settings and settings.files:
        with faults:
            if settings.target_files:
                refuse_shared_text("parallel.target_files", settings.target_files, languages)
            else:
                refuse_shared_pairs("parallel.files", settings.files, source, languages, settings.fields)
    if settings and settings.lexicon:
        with faults:
            refuse_shared_pairs("parallel.lexicon", settings.lexicon, source, languages)
    if settings and settings.text:
        with faults:
            refuse_shared_text("parallel.text", settings.text, languages)
    faults.refuse()


def refuse_shared_pairs(
    key: str, pattern: str, source: str, languages: Sequence[str], fields: Fields | None = None
) -> None:
    """Refuse one file of pairs for several languages, unless it says itself what of it is in which.

    Args:
        key: Of the recipe, for the message.
        pattern: Path, perhaps with ``{language}`` in it.
        source: The source language.
        languages: That it is read for.
        fields: Columns of a table, where they are chosen.

    Raises:
        DataError: It does not say it, or cannot be read.
    """
    if len(languages) < 2 or "{language}" in pattern:
        return
    path = locate(pattern, languages[0], Path())
    if not all(names_target(path, source, language, fields) for language in languages):
        names = ", ".join([source, *languages])
        raise _shared(key, pattern, languages, f", or give a table whose columns are named after languages ({names})")


def refuse_shared_text(key: str, pattern: str, languages: Sequence[str], cure: str = "") -> None:
    """Refuse one file of texts for several languages.

    Args:
        key: Of the recipe, for the message.
        pattern: Path, perhaps with ``{language}`` in it.
        languages: That it is read for.
        cure: What else helps, to be put behind a comma.

    Raises:
        DataError: It is one.
    """
    if len(languages) > 1 and "{language}" not in pattern:
        raise _shared(key, pattern, languages, cure)


def _shared(key: str, pattern: str, languages: Sequence[str], cure: str) -> DataError:
    return DataError(
        f"{key}: {pattern!r} has no {{language}} in it, so {' and '.join(languages)} would be read from the same file; "
        f"put {{language}} where the names of your files tell the languages apart{cure}"
    )


def _pairs(
    settings: ParallelSettings, source: str, language: str, evaluation: Sequence[Example]
) -> tuple[Sequence[ParallelPair], int, str]:
    path = locate(str(settings.files), language, Path())
    other = locate(settings.target_files, language, Path()) if settings.target_files else None
    text = read_parallel(
        path, source_language=source, target_language=language, target_path=other, fields=settings.fields
    )
    kept, leaked = remove_overlapping_pairs(text.pairs, evaluation)
    left, gone = len(kept), _left_out(text.pairs, kept, evaluation, source)
    if settings.pairs and settings.pairs < len(kept) and not settings.from_:
        # Not the head of the file: lexicons are sorted by the alphabet.
        kept = sorted(kept, key=lambda pair: rank(0, "pairs", pair.source + "\n" + pair.target))[: settings.pairs]
        gone.append(f"{len(kept):,} of {left:,} drawn")
    note = f"{language}: {counted(len(kept), 'pair')} from {path.name}"
    note += _in_brackets([KINDS.get(text.kind, text.kind), *_describe_read(text, gone)])
    if text.kind == "lexicon":
        note += (
            ". Sentences or words? `parallel: {files: …}`, as here, pairs them as they are; if they are words, "
            "`parallel: {lexicon: …}` puts them into sentences"
        )
    return kept, leaked, note


def read_entries(
    pattern: str, source: str, language: str, evaluation: Sequence[Example]
) -> tuple[Sequence[ParallelPair], int, str]:
    """Read a lexicon.

    Args:
        pattern: Path with ``{language}`` in it.
        source: The source language.
        language: The target language.
        evaluation: What no entry may be.

    Returns:
        Its entries, how many were left out because they are evaluated on, and what was read, in a sentence.

    Raises:
        DataError: The file is missing or faulty.
    """
    path = locate(pattern, language, Path())
    text = read_parallel(path, source_language=source, target_language=language)
    kept, leaked = remove_overlapping_pairs(text.pairs, evaluation)
    gone = _left_out(text.pairs, kept, evaluation, source)
    read = _in_brackets(_describe_read(text, gone))
    return kept, leaked, f"{language}: {counted(len(kept), 'entry', 'entries')} of a lexicon from {path.name}{read}"


def read_unlabelled(
    pattern: str, source: str, language: str, evaluation: Sequence[Example]
) -> tuple[Sequence[str], int, str]:
    """Read unlabelled text of a language, each text once.

    Args:
        pattern: Path, perhaps with ``{language}`` in it.
        source: The source language.
        language: The target language.
        evaluation: What no text may be.

    Returns:
        The texts, how many were left out because they are evaluated on, and what was read, in a sentence.

    Raises:
        DataError: The file is missing or faulty, or nothing of it is left.
    """
    path = locate(pattern, language, Path())
    found = read_texts(path)
    forbidden = {strip_blanks(text) for example in evaluation for text in example.texts}
    kept = [text for text in found if strip_blanks(text) not in forbidden]
    if not kept:
        raise DataError(f"{path}: every text in it is evaluated on, so nothing can be learnt from it; give other texts")
    gone = _in_brackets(_left_out(found, kept, evaluation, source))
    return kept, len(found) - len(kept), f"{language}: {counted(len(kept), 'unlabelled text')} from {path.name}{gone}"


def _describe_read(text: ParallelText, gone: Sequence[str]) -> list[str]:
    """Say how many pairs were read, where not all of them are used, and what became of the others."""
    lost = {
        "repeated": text.duplicates,
        "without a side, unfinished or obsolete" if text.kind == "gettext" else "with an empty side": text.empty,
    }
    said = [*(f"{number:,} {why}" for why, number in lost.items() if number), *gone]
    return [", ".join([f"{text.read:,} read", *said])] if said else []


def _left_out(
    read: Sequence[str | ParallelPair], kept: Iterable[str | ParallelPair], evaluation: Sequence[Example], source: str
) -> list[str]:
    """Say how many texts, or pairs, are left out because they are evaluated on, and where; nothing where none are.

    Args:
        read: Texts, or pairs of them.
        kept: Those that are learnt from.
        evaluation: What no pair or text may contain.
        source: The source language, whose development set is evaluated on, too.
    """
    gone = set(read).difference(kept)
    if not gone:
        return []
    sides = [(one,) if isinstance(one, str) else (one.source, one.target) for one in gone]
    texts = {strip_blanks(side) for pair in sides for side in pair}
    found = {e.language: None for e in evaluation if any(strip_blanks(text) in texts for text in e.texts)}
    sets = [f"{display_name(code)} {'development or test' if code == source else 'test'} set" for code in found]
    what = "it is" if all(len(pair) == 1 for pair in sides) else "a side is"
    return [f"{len(gone):,} left out because {what} in the {' or the '.join(sets)}"]


def _in_brackets(parts: Sequence[str]) -> str:
    return f" ({'; '.join(parts)})" if parts else ""
