"""Round trip: what was made, translated back, must say what its original says (Rarrick et al., 2011)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Annotated

from pydantic import Field

from ...core.errors import ConfigError
from ...core.examples import Example
from ...core.files import cache_root
from ...recipe.blocks import Block
from ...results.metrics.chrf import chrf
from ..kept_answers import KeptAnswers
from ..translators import Translator, translate_kept, translators
from . import Filter, Setting, filters

Percent = Annotated[float, Field(ge=0, le=100)]


@filters.register("round-trip")
def round_trip(*, translator: Block, least: Percent = 30.0) -> Filter:
    """Take what, translated back, has too few character n-grams of the source example that it was made from.

    Args:
        translator: What translates back, with its options: `{name: apertium}`; see `lingraft list translators`.
        least: chrF against an example of the same group; where there is none, nothing is judged.
    """
    if problems := translators.check(translator.name, translator.options, "translator"):
        raise ConfigError(problems)
    chosen: Translator = translators.build(translator.name, translator.options)

    def judge(examples: Sequence[Example], setting: Setting) -> list[str]:
        originals = originals_of(setting)
        asked = [example for example in examples if example.group in originals]
        source, target = setting.sources.task.source_language, setting.sources.language
        texts = [text for example in asked for text in example.texts]
        back = translate_kept(texts, target, source, chosen, KeptAnswers(cache_root() / "translations"))
        likeness = {example.id: max(_likenesses(example, back, originals[example.group])) for example in asked}
        return [
            "translated back it says something else" if likeness.get(example.id, least) < least else ""
            for example in examples
        ]

    return Filter(judge, costly=True, refuse_absent=lambda source, target: chosen.refuse_absent(target, source))


def originals_of(setting: Setting) -> dict[str, list[str]]:
    """Return the source texts of each group, those of an example joined by blanks."""
    found: dict[str, list[str]] = defaultdict(list)
    for original in (*setting.sources.labelled, *(pair[0] for pair in setting.sources.pairs)):
        found[original.group].append(" ".join(original.texts))
    return dict(found)


def _likenesses(example: Example, back: Iterator[str], originals: Sequence[str]) -> Iterator[float]:
    said = " ".join(islice(back, len(example.texts)))
    yield from (chrf([said], [original]) for original in originals)
