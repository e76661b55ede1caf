"""Examples that say what another one says: each counts once, and none counts against the people who labelled it."""

from __future__ import annotations

from collections.abc import Sequence

from ...core.examples import Example
from ...data.text import normalise
from . import Filter, Setting, filters


@filters.register("duplicates")
def duplicates() -> Filter:
    """Take what has the texts of an example before it, or of one that people labelled."""

    def judge(examples: Sequence[Example], setting: Setting) -> list[str]:
        labelled = {_texts(example) for example in (*setting.sources.labelled, *setting.sources.shots)}
        seen, reasons = set[tuple[str, ...]](), list[str]()
        for example in examples:
            texts = _texts(example)
            reasons.append(
                "people labelled the same text" if texts in labelled else "made twice" if texts in seen else ""
            )
            seen.add(texts)
        return reasons

    return Filter(judge)


def _texts(example: Example) -> tuple[str, ...]:
    return tuple(map(normalise, example.texts))
