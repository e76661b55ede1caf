"""Benchmarks that have settings of their own, or no files."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from ...core.errors import DataError
from ...core.examples import Example
from ...data.cldr import cldr_examples, languages
from ...data.languages import canonical
from .. import Task, tasks
from ..building import task_of
from .catalogue import benchmark
from .files import known_languages, languages_with_training, missing, read_split


@tasks.register("sib200")
def sib200(
    *,
    source_language: str = "eng-Latn",
    target_languages: list[str],
    data_dir: Path = Path("data/sib200"),
    score_on: Literal["test", "dev+test"] = "test",
) -> Task:
    """Topic of a sentence, 7 classes, parallel in 205 languages (SIB-200, Adelani et al., 2024).

    ``score_on: dev+test`` scores the targets on 303 sentences instead of 204, where settings are tried on a
    language whose test set is in no table of results.

    Args:
        source_language: Language of the labelled examples.
        target_languages: Languages to learn.
        data_dir: Folder with the TSV files.
        score_on: What the targets are scored on.
    """
    entry, notes = benchmark("sib200"), list[str]()
    source, *targets = known_languages(entry, [source_language, *target_languages], data_dir, notes)

    def read(language: str, split: str) -> list[Example]:
        both = split == "test" and score_on == "dev+test" and canonical(language) != source
        found = list[Example]()
        for part in ("dev", "test") if both else (split,):
            examples = read_split(entry, language, part, data_dir, source=source, pairs=False)[0]
            if not examples:
                raise DataError(missing(entry, language, part, data_dir))
            found += examples
        return found

    return task_of(
        kind=entry.kind,
        options={},
        name=entry.name,
        source_language=source,
        target_languages=targets,
        read=read,
        parallel=entry.parallel,
        global_groups=entry.global_groups,
        licence=entry.licence,
        citation=entry.citation,
        notes=notes,
        labelled_languages=lambda: languages_with_training(entry, data_dir),
    )


@tasks.register("cldr_names")
def cldr_names(*, source_language: str = "eng-Latn", target_languages: list[str]) -> Task:
    """Is this the name of a country, language, currency, script or city? 143 languages, no files needed."""
    source = canonical(source_language)
    return task_of(
        kind="classification",
        options={},
        name="cldr_names",
        source_language=source,
        target_languages=target_languages,
        read=cldr_examples,
        parallel=True,
        global_groups=True,
        licence="Unicode-3.0",
        citation="Unicode Consortium: Common Locale Data Repository (CLDR), through Babel.",
        labelled_languages=lambda: ["eng-Latn", *languages()],
        notes=("Names that equal the English one are left out; keys are split the same way in all languages.",),
    )
