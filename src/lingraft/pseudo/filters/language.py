"""Texts that read more like the source language than like the target's, by their character n-grams.

What either language looks like is counted in all text that people wrote in it: labelled examples, sides of
translations, shots, raw text; code-switched copies are of neither (:mod:`lingraft.data.character_model`).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from ...core.examples import GOLD, Example
from ...data.character_model import FEWEST, MOST, CharacterModel
from . import Filter, Setting, filters


@filters.register("language")
def language() -> Filter:
    """Take what reads more like the source language, where there is text of both to compare with."""

    def judge(examples: Sequence[Example], setting: Setting) -> list[str]:
        sources = setting.sources
        labelled = (text for example in sources.labelled for text in example.texts)
        pairs = [pair for pair in sources.pairs if pair[1].origin == GOLD]
        theirs = [*(pair[0].text_a for pair in pairs), *labelled]
        shots = (text for example in sources.shots for text in example.texts)
        ours = [*(pair[1].text_a for pair in pairs), *shots, *sources.texts]
        if len(ours) < FEWEST or len(theirs) < FEWEST:
            return [""] * len(examples)
        source, target = CharacterModel.of_texts(islice(theirs, MOST)), CharacterModel.of_texts(islice(ours, MOST))
        return [
            "reads like the source language"
            if example.origin not in setting.mixed and _likelier(source, target, example)
            else ""
            for example in examples
        ]

    return Filter(judge)


def _likelier(source: CharacterModel, target: CharacterModel, example: Example) -> bool:
    text = " ".join(example.texts)
    return source.log_likelihood(text) > target.log_likelihood(text)
