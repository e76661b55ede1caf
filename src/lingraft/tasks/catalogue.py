"""The named benchmarks as metadata: files, fields, languages, licence, citation."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from ..data.cldr import cldr_examples
from ..data.languages import canonical
from ..data.table import locate, pair_examples
from ..records import PairExample
from . import Task, tasks
from .building import task_of


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
    """
    # Publisher's layout first, then one flat folder.
    publisher = "data/annotated/{language}/%s.tsv"
    layout = publisher if (data_dir / "data" / "annotated").is_dir() else "{language}.%s.tsv"

    def read(language: str, split: str) -> list[PairExample]:
        both = split == "test" and score_on == "dev+test" and canonical(language) != canonical(source_language)
        fields = {"id": "index_id", "group": "index_id", "label": "category", "text": "text"}
        return [
            example
            for part in (("dev", "test") if both else (split,))
            for example in pair_examples(locate(layout % part, language, data_dir), fields=fields, language=language)
        ]

    return task_of(
        kind="classification",
        options={},
        name="sib200",
        source_language=source_language,
        target_languages=target_languages,
        read=read,
        parallel=True,
        global_groups=True,
        licence="Apache-2.0 (sentences: FLORES-200, CC BY-SA 4.0)",
        citation="Adelani et al. (2024): SIB-200: A Simple, Inclusive, and Big Evaluation Dataset for Topic "
        "Classification in 200+ Languages and Dialects. EACL.",
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
        notes=("Names that equal the English one are left out; keys are split the same way in all languages.",),
    )
