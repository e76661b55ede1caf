"""The files of the named benchmarks: where a language's split lies, and how it is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from ..data.conll import tagged_examples
from ..data.items import choice_examples, span_rows
from ..data.languages import aliases, canonical, display_name
from ..data.squad import shared_groups, squad_examples
from ..data.table import pair_examples, read_table
from ..errors import DataError
from ..records import Example, SpanExample, TaggedExample

HUB = "hub"
"""The ``data_dir`` of those who want the Hub's copy."""


class Layout(BaseModel):
    """Files of one way to lay a benchmark out, by split; ``where`` picks rows of a file that holds all languages."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    train: str | None = None
    dev: str | None = None
    test: str | None = None
    fields: dict[str, Any] | None = None
    where: dict[str, str] | None = None


class Hub(BaseModel):
    """A copy on the Hugging Face Hub; ``labels`` are the names of its numbered classes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    revision: str
    config: str
    splits: dict[str, str]
    fields: dict[str, Any]
    spelling: Literal[2, 3, "name"] = 2
    labels: list[str] | None = None
    where: dict[str, str] | None = None


class Benchmark(BaseModel):
    """An entry of ``benchmarks.yaml``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    about: str
    kind: Literal["classification", "span_qa", "tagging", "choice"]
    reader: Literal["table", "squad", "mlqa", "rows", "conll", "choice"]
    languages: list[str]
    sizes: dict[str, int]
    layouts: list[Layout]
    licence: str
    citation: str
    options: dict[str, Any] = {}
    fields: dict[str, Any] = {}
    hub: Hub | None = None
    parallel: bool = False
    global_groups: bool = False
    """Whether the same group is the same text in every split; numbers that begin anew in each are not."""
    evaluation_only: bool = False
    context_language: str | None = None
    placeholder: str | None = None
    """A text that stands for one that was not translated; such rows are left out."""
    shared_texts: list[Literal["text_a", "text_b"]] = []
    """Examples of the source language that share one of these texts are one group."""
    tenth_for_test: bool = False
    """Where there is no test file, every tenth training example is for testing."""


def read_split(
    entry: Benchmark, language: str, split: str, folder: Path, *, source: str, pairs: bool
) -> tuple[list[Example], int]:
    """The examples of a language's split, and how many placeholder rows were left out; none where there is no file.

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
    found = _read(entry, language, split, folder, pairs=pairs)
    if entry.tenth_for_test and split in ("train", "test"):
        test = _read(entry, language, "test", folder, pairs=pairs) if split == "train" else found
        if not test:
            whole = _read(entry, language, "train", folder, pairs=pairs)
            found = [example for i, example in enumerate(whole) if (i % 10 == 9) is (split == "test")]
    if not found and split == "test" and canonical(language) != canonical(source):
        raise DataError(_missing(entry, language, split, folder))
    kept = [example for example in found if entry.placeholder not in example.texts] if entry.placeholder else found
    if entry.shared_texts:
        of_source = (
            found if canonical(language) == canonical(source) else _read(entry, source, split, folder, pairs=pairs)
        )
        kept = with_groups(kept, grouped_by_text(of_source, entry.shared_texts))
    return kept, len(found) - len(kept)


def _read(entry: Benchmark, language: str, split: str, folder: Path, *, pairs: bool) -> list[Example]:
    if str(folder) == HUB:
        return _from_hub(entry, language, split)
    if not folder.is_dir():
        raise DataError(
            f"there is no folder {folder} with the files of {entry.name}; set task.data_dir (or data_dir of "
            "train_from), or `data_dir: hub` with a network"
        )
    if entry.reader == "mlqa":
        return _mlqa(entry, canonical(language), split, folder, pairs=pairs)
    for layout in entry.layouts:
        pattern = getattr(layout, split)
        path = find(pattern, language, folder) if pattern else None
        if path is not None:
            return _examples(entry, path, language, layout)
    return []


def _examples(entry: Benchmark, path: Path, language: str, layout: Layout) -> list[Example]:
    fields = layout.fields or entry.fields
    match entry.reader:
        case "squad":
            return list(squad_examples(path, language=language))
        case "rows":
            return list(span_rows(path, fields=fields, language=language, context_language=entry.context_language))
        case "conll":
            return list(tagged_examples(path, language=language))
        case "choice":
            return list(choice_examples(path, fields=fields, language=language))
    where = layout.where
    names = aliases(language)
    wanted = (lambda row: all(str(row.get(column)) in names for column in where)) if where else None
    return list(pair_examples(path, fields=fields, language=language, wanted=wanted))


def find(pattern: str, language: str, folder: Path, **others: str) -> Path | None:
    """The file that a pattern names in a folder, however it spells languages, compressed or not; None without one.

    Raises:
        DataError: Several files fit.
    """
    names = aliases(language) if "{language}" in pattern else ("",)
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
    """Questions about contexts in one language; groups are MLQA's articles, the same in every language."""
    every: dict[tuple[str, str], Sequence[SpanExample]] = {}
    codes = [canonical(code) for code in entry.languages]
    for layout in entry.layouts:
        pattern = getattr(layout, split)
        for one in codes:
            for other in codes:
                path = _pair_file(pattern, one, other, folder) if pattern else None
                if path is not None:
                    examples = squad_examples(path, language=other, context_language=one, group="article")
                    every[one, other] = examples
        if every:
            break
    found = shared_groups(every)
    return [
        replace(example, id=example.id if question == context else f"{example.id}/{question}")
        for (about, question), examples in found.items()
        if about == context and (pairs or question == about)
        for example in examples
    ]


def _pair_file(pattern: str, context: str, question: str, folder: Path) -> Path | None:
    names = {code: next((name for name in aliases(code) if len(name) == 2), code) for code in (context, question)}
    filled = pattern.replace("{context}", names[context]).replace("{question}", names[question])
    return next((path for path in (folder / filled, folder / f"{filled}.gz") if path.is_file()), None)


def _missing(entry: Benchmark, language: str, split: str, folder: Path) -> str:
    patterns = [pattern for layout in entry.layouts if (pattern := getattr(layout, split))]
    known = ", ".join(sorted(canonical(code) for code in entry.languages))
    return (
        f"{entry.name} has no {split} examples in {display_name(language)} ({canonical(language)}) in {folder}: looked "
        f"for {' and '.join(patterns) or 'nothing, for it has no such split'}; the benchmark has {known}"
    )


# ---- Groups ----------------------------------------------------------------------------------------


def grouped_by_text(examples: Sequence[Example], sides: Sequence[str]) -> dict[str, str]:
    """Groups by id: examples that share a text, or are joined by others that do, are one group."""
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
    """Examples under the groups that their old ones belong to."""
    return [replace(example, group=groups.get(example.group, example.group)) for example in examples]


# ---- Hub -------------------------------------------------------------------------------------------


def _from_hub(entry: Benchmark, language: str, split: str) -> list[Example]:
    hub = entry.hub
    if hub is None:
        raise DataError(f"{entry.name} is not read from the Hub; download it and set task.data_dir")
    if split not in hub.splits:
        return []
    name = _spelling(language, hub.spelling)
    config = hub.config.replace("{language}", name).replace("{context}", name).replace("{question}", name)
    place = f"hub:{hub.id}/{config}:{hub.splits[split]}@{hub.revision}"
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
            return list(_tagged_rows(place, hub, language))
    examples = pair_examples(place, fields=hub.fields, language=language, wanted=wanted if where else None)
    return [replace(example, label=_named(example.label, hub.labels)) for example in examples]


def _tagged_rows(place: str, hub: Hub, language: str) -> Iterator[TaggedExample]:
    for number, row in read_table(place):
        words, tags = row[hub.fields["words"]], row[hub.fields["tags"]]
        named = tuple(str(_named(tag, hub.labels)) for tag in tags)
        yield TaggedExample(str(number), str(number), canonical(language), words=tuple(words), tags=named)


def _named(label: Any, labels: Sequence[str] | None) -> str | None:
    if label is None:
        return None
    text = str(label)
    return labels[int(text)] if labels and text.isdigit() and int(text) < len(labels) else text


def _spelling(language: str, spelling: int | str) -> str:
    code = canonical(language)
    if spelling == "name":
        return display_name(code).lower()
    if spelling == 3:
        return code.partition("-")[0]
    return next((name for name in aliases(code) if len(name) == 2), code.partition("-")[0])
