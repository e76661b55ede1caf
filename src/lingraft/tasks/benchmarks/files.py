"""The files of the named benchmarks: where a language's split lies, and how it is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from ...core.errors import DataError
from ...core.examples import Example, PairExample, SpanExample
from ...data.afriqa import answered_by_spans
from ...data.conll import tagged_examples
from ...data.example_tables import choice_examples, span_rows, tagged_rows
from ...data.language_files import languages_of
from ...data.languages import aliases, canonical, display_name, related
from ...data.squad import read_squad, shared_groups, squad_examples
from ...data.table import pair_examples
from ...data.text import suffix_of
from ..kinds.tagging import check_of
from .entries import Benchmark, Hub, Layout

HUB = "hub"
"""The ``data_dir`` of those who want the Hub's copy."""


def read_split(
    entry: Benchmark, language: str, split: str, folder: Path, *, source: str, pairs: bool
) -> tuple[list[Example], int]:
    """Read the examples of a language's split, and count placeholder rows left out; none where there is no file.

    Args:
        entry: The benchmark.
        language: Any spelling.
        split: ``train``, ``dev`` or ``test``.
        folder: The publisher's, or one flat folder; or ``hub``.
        source: The language whose examples name the groups of parallel ones.
        pairs: Whether questions in other languages than the context's are read, too.

    Raises:
        DataError: There is nothing of this benchmark, or a file is faulty.
    """
    left_out: list[str] = []
    found = _read(entry, language, split, folder, pairs=pairs, left_out=left_out)
    if entry.tenth_for_test and split in ("train", "test"):
        test = _read(entry, language, "test", folder, pairs=pairs) if split == "train" else found
        if not test:
            whole = _read(entry, language, "train", folder, pairs=pairs)
            found = [example for i, example in enumerate(whole) if (i % 10 == 9) is (split == "test")]
    if not found and split == "test" and canonical(language) != canonical(source):
        raise DataError(missing(entry, language, split, folder))
    if entry.shared_texts:
        is_source = canonical(language) == canonical(source)
        of_source = found if is_source else _read(entry, source, split, folder, pairs=pairs)
        # Without the source language, all others together: one alone may lack the example that names a group.
        naming = of_source or [e for code in entry.languages for e in _read(entry, code, split, folder, pairs=pairs)]
        found = with_groups(found, group_by_text(naming, entry.shared_texts))
    return found, len(left_out)


def _read(
    entry: Benchmark, language: str, split: str, folder: Path, *, pairs: bool, left_out: list[str] | None = None
) -> list[Example]:
    """Read what :func:`read_split` reads; the texts of placeholder rows are added to ``left_out``."""
    if str(folder) == HUB:
        return _from_hub(entry, language, split, pairs=pairs, left_out=left_out)
    if not folder.is_dir():
        raise DataError(
            f"there is no folder {folder} with the files of {entry.name}; set task.data_dir (or data_dir of "
            "train_from, or the option --data-dir of evaluate), or `data_dir: hub` with a network"
        )
    if entry.reader == "mlqa":
        return _mlqa(entry, canonical(language), split, folder, pairs=pairs)
    for layout in entry.layouts:
        pattern = getattr(layout, split)
        path = find(pattern, language, folder, entry.spellings) if pattern else None
        if path is not None:
            found = _examples(entry, path, language, layout, left_out)
            mark = layout.mark.get(split)
            return [replace(example, group=f"{mark}/{example.group}") for example in found] if mark else found
    return []


def _examples(entry: Benchmark, path: Path, language: str, layout: Layout, left_out: list[str] | None) -> list[Example]:
    fields = layout.fields or entry.fields
    match entry.reader:
        case "squad":
            asked = read_squad(path, language=language)
            if left_out is not None:
                left_out.extend([""] * asked.unanswerable)
            mine = _marks(entry, language, layout.where or {})
            return [example for example in asked.examples if example.id.startswith(mine)]
        case "afriqa" if suffix_of(path) == ".json":
            return list(answered_by_spans(path, language=language, left_out=left_out))
        case "afriqa":
            return list(span_rows(path, fields=fields, language=language, context_language=entry.context_language))
        case "conll":
            return list(tagged_examples(path, language=language, check=check_of(entry.options["scheme"])))
        case "choice":
            return list(choice_examples(path, fields=fields, language=language))
    where, names = layout.where or {}, aliases(language)
    return _pairs(
        entry, path, fields, language, left_out, lambda row: all(str(row.get(column)) in names for column in where)
    )


def _marks(entry: Benchmark, language: str, where: Mapping[str, str]) -> str:
    """Return what the identifiers of a language begin with, in a file that holds several."""
    name = entry.spellings.get(canonical(language).partition("-")[0], language)
    return where.get("id", "").replace("{language}", name)


def _pairs(
    entry: Benchmark,
    place: Path | str,
    fields: Mapping[str, str],
    language: str,
    left_out: list[str] | None,
    mine: Callable[[Mapping[str, Any]], bool],
    names: Sequence[str] = (),
) -> list[Example]:
    """Return texts, or pairs of them, from a table: the rows that are ``mine``, without placeholders."""
    columns = [fields[name] for name in ("text", "text_b") if name in fields]

    def wanted(row: Mapping[str, Any]) -> bool:
        if not mine(row):
            return False
        stands_for_one = entry.placeholder is not None and any(
            column in row and str(row[column] or "").strip() == entry.placeholder for column in columns
        )
        if stands_for_one and left_out is not None:
            left_out.append(str(row))
        return not stands_for_one

    return list(pair_examples(place, fields=fields, language=language, wanted=wanted, names=names))


def find(pattern: str, language: str, folder: Path, spellings: Mapping[str, str] | None = None) -> Path | None:
    """Find the file that a pattern names in a folder, however it spells languages, compressed or not; else None.

    Args:
        pattern: File name, perhaps with ``{language}`` in it.
        language: Its code.
        folder: Where to look.
        spellings: The benchmark's own names of languages.

    Raises:
        DataError: Several files fit.
    """
    own = (spellings or {}).get(canonical(language).partition("-")[0])
    names = (*aliases(language), *([own] if own else [])) if "{language}" in pattern else ("",)
    for name in names:
        filled = pattern.replace("{language}", name)
        for suffix in ("", ".gz"):
            matches = sorted(folder.glob(f"{filled}{suffix}"))
            if len(matches) > 1:
                raise DataError(
                    f"{folder}: {' and '.join(m.name for m in matches)} both fit {filled}; keep one of them"
                )
            if matches:
                return matches[0]
    return None


def _mlqa(entry: Benchmark, context: str, split: str, folder: Path, *, pairs: bool) -> list[Example]:
    """Return questions about contexts in one language; groups are MLQA's articles, the same in every language."""
    codes, files = [canonical(code) for code in entry.languages], dict[tuple[str, str], str]()
    for layout in entry.layouts:
        pattern = getattr(layout, split)
        for one in codes:
            for other in codes:
                path = _pair_file(pattern, one, other, folder) if pattern else None
                if path is not None:
                    files[one, other] = str(path)
        if files:
            break
    return _parallel_questions(entry, context, files, pairs=pairs)


def _parallel_questions(
    entry: Benchmark, context: str, files: Mapping[tuple[str, str], str], *, pairs: bool
) -> list[Example]:
    """Return questions about contexts in one language, in the groups that all languages share.

    Args:
        entry: The benchmark.
        context: The language of the contexts.
        files: File or place on the Hub, by the languages of contexts and questions.
        pairs: Whether questions in other languages are wanted, too.
    """
    # Questions in other languages are about the same contexts: they tell nothing more about groups.
    naming = {key: place for key, place in files.items() if key[0] == key[1] or (key[0], key[0]) not in files}
    stamp = tuple(Path(place).stat().st_mtime_ns for place in naming.values() if Path(place).is_file())
    columns = tuple(entry.hub.fields.items()) if entry.hub else ()
    groups = _groups_by_id(tuple(naming.items()), columns, stamp)
    return [
        replace(
            example,
            id=example.id if question == context else f"{example.id}/{question}",
            group=groups.get(example.id, example.group),
        )
        for (about, question), place in files.items()
        if about == context and (pairs or question == about)
        for example in _questions(place, about, question, columns)
    ]


@lru_cache(maxsize=4)
def _groups_by_id(
    files: tuple[tuple[tuple[str, str], str], ...], columns: tuple[tuple[str, str], ...], stamp: tuple[int, ...]
) -> dict[str, str]:
    """Return groups of questions by their ids, over all languages; ``stamp`` changes with the files."""
    every = {key: _questions(place, *key, columns) for key, place in files}
    return {example.id: example.group for examples in shared_groups(every).values() for example in examples}


def _questions(place: str, context: str, question: str, columns: tuple[tuple[str, str], ...]) -> Sequence[SpanExample]:
    if place.startswith(f"{HUB}:"):
        return span_rows(place, fields=dict(columns), language=question, context_language=context)
    return squad_examples(place, language=question, context_language=context, group="article")


def _pair_file(pattern: str, context: str, question: str, folder: Path) -> Path | None:
    names = {code: next((name for name in aliases(code) if len(name) == 2), code) for code in (context, question)}
    filled = pattern.replace("{context}", names[context]).replace("{question}", names[question])
    return next((path for path in (folder / filled, folder / f"{filled}.gz") if path.is_file()), None)


def known_languages(entry: Benchmark, languages: Sequence[str], folder: Path, notes: list[str]) -> list[str]:
    """Return each of ``languages`` in the script in which a benchmark has it, where it has just one such.

    Args:
        entry: The benchmark.
        languages: Any spellings.
        folder: With its files; or ``hub``.
        notes: Gets a line for each language whose script is not the one asked for.
    """
    found = []
    for code in map(canonical, languages):
        others = [] if _has(entry, code, folder) else [one for one in related(code) if _has(entry, one, folder)]
        if len(others) == 1:
            notes.append(f"{code} is called {others[0]} here, as in {entry.name}: the scripts overlap")
        found.append(others[0] if len(others) == 1 else code)
    return found


def languages_with_training(entry: Benchmark, folder: Path) -> list[str]:
    """Return the languages that a benchmark has, or may have, training examples of.

    Args:
        entry: The benchmark.
        folder: With its files; or ``hub``, where those that it lists are meant.
    """
    if str(folder) == HUB or any("{language}" not in (layout.train or "") for layout in entry.layouts):
        return sorted(map(canonical, entry.languages))
    return sorted({code for layout in entry.layouts for code in languages_of(str(layout.train), folder)})


def _has(entry: Benchmark, code: str, folder: Path) -> bool:
    """Whether a benchmark lists a language or, where it lists none, has a file of it."""
    if entry.languages or str(folder) == HUB:
        return code in map(canonical, entry.languages)
    patterns = [getattr(layout, split) for layout in entry.layouts for split in ("train", "dev", "test")]
    return any(find(pattern, code, folder, entry.spellings) for pattern in patterns if pattern)


def missing(entry: Benchmark, language: str, split: str, folder: Path) -> str:
    """Say that there is no file of a language's split, what was looked for, and which languages there are.

    Args:
        entry: The benchmark.
        language: That was asked for.
        split: That was asked for.
        folder: Where it was looked for.
    """
    patterns = [pattern for layout in entry.layouts if (pattern := getattr(layout, split))]
    known = ", ".join(sorted(canonical(code) for code in entry.languages)) or f"the languages of {entry.languages_of}"
    return (
        f"{entry.name} has no {split} examples in {display_name(language)} ({canonical(language)}) in {folder}: looked "
        f"for {' and '.join(patterns) or 'nothing, for it has no such split'}; the benchmark has {known}"
    )


# ---- Groups ----------------------------------------------------------------------------------------


def group_by_text(examples: Sequence[Example], sides: Sequence[str]) -> dict[str, str]:
    """Group by id: examples that share a text, or are joined by others that do, are one group."""
    parents: dict[str, str] = {}

    def root(name: str) -> str:
        while parents.setdefault(name, name) != name:
            parents[name] = parents[parents[name]]
            name = parents[name]
        return name

    for example in examples:
        for side in sides:
            text = getattr(example, side)
            one, other = root(f"id {example.group}"), root(f"text {text}")
            parents[max(one, other)] = min(one, other)
    return {example.group: root(f"id {example.group}").removeprefix("id ") for example in examples}


def with_groups(examples: Sequence[Example], groups: Mapping[str, str]) -> list[Example]:
    """Return examples under the groups that their old ones belong to."""
    return [replace(example, group=groups.get(example.group, example.group)) for example in examples]


# ---- Hub -------------------------------------------------------------------------------------------


def _from_hub(entry: Benchmark, language: str, split: str, *, pairs: bool, left_out: list[str] | None) -> list[Example]:
    hub = entry.hub
    if hub is None:
        raise DataError(f"{entry.name} is not read from the Hub; download it and set task.data_dir")
    if split not in hub.splits:
        return []
    code, name = canonical(language), _spelling(language, hub)
    if entry.kind == "span_qa" and entry.parallel:  # its rows have no titles, so languages meet by their ids
        codes = [canonical(one) for one in entry.languages]
        across = "{question}" in hub.config
        asked = [(a, b) for a in codes for b in codes if a == b or (across and pairs and a == code)]
        files = {key: _hub_place(hub, split, *key) for key in asked}
        return _parallel_questions(entry, code, files, pairs=pairs)
    place = _hub_place(hub, split, code, code)
    where = {column: prefix.replace("{language}", name) for column, prefix in (hub.where or {}).items()}

    def wanted(row: Mapping[str, Any]) -> bool:
        return all(str(row.get(column, "")).startswith(prefix) for column, prefix in where.items())

    match entry.kind:
        case "span_qa":
            found: list[Example] = list(span_rows(place, fields=hub.fields, language=language))
            return [example for example in found if not where or example.id.startswith(tuple(where.values()))]
        case "choice":
            return list(choice_examples(place, fields=hub.fields, language=language))
        case "tagging":
            check = check_of(entry.options["scheme"])
            return list(tagged_rows(place, fields=hub.fields, language=language, check=check, names=hub.labels))
    examples = _pairs(entry, place, hub.fields, language, left_out, wanted, hub.labels or ())
    return [replace(e, label=_named(e.label, hub.labels)) for e in examples if isinstance(e, PairExample)]


def _hub_place(hub: Hub, split: str, context: str, question: str) -> str:
    config = hub.config.replace("{language}", _spelling(context, hub)).replace("{context}", _spelling(context, hub))
    return f"hub:{hub.id}/{config.replace('{question}', _spelling(question, hub))}:{hub.splits[split]}@{hub.revision}"


def _named(label: Any, labels: Sequence[str] | None) -> str | None:
    if label is None:
        return None
    text = str(label)
    return labels[int(text)] if labels and text.isdigit() and int(text) < len(labels) else text


def _spelling(language: str, hub: Hub) -> str:
    code = canonical(language)
    bare = code.partition("-")[0]
    if bare in hub.codes:
        return hub.codes[bare]
    if hub.spelling == "name":
        return display_name(code).lower()
    if hub.spelling == "flores":
        return code.replace("-", "_")
    return bare if hub.spelling == 3 else next((name for name in aliases(code) if len(name) == 2), bare)
