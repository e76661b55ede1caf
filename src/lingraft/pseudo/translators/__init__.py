"""Translators: what brings texts from one language to another, behind one signature.

A factory takes options and returns a :class:`Translator`; nothing is loaded, started or asked before the first text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ...core.registry import Registry
from ..kept_answers import KeptAnswers

AT_ONCE = 64
"""Texts that are translated between two writings to disk: what a killed job does again."""


class Translate(Protocol):
    """What translates."""

    def __call__(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        """Return a translation for each text, in order.

        Args:
            texts: Each on one line, and not empty.
            source: Their language, as ``eng-Latn``.
            target: That of the translations.

        Raises:
            LingraftError: It is absent, does not know the languages, or did not answer.
        """
        ...


@dataclass(frozen=True)
class Translator:
    """What translates, and what decides its translations: plain data, different where they may differ."""

    translate: Translate
    identity: Callable[[str, str], Mapping[str, Any]]
    """Source and target language to what a translation depends on besides its text."""
    refuse_absent: Callable[[str, str], object] = lambda source, target: None
    """Raises what ``translate`` would where the program or the model is not there; loads nothing."""


translators = Registry("lingraft.translators", "lingraft.pseudo.translators")


def translate_kept(
    texts: Sequence[str], source: str, target: str, translator: Translator, kept: KeptAnswers
) -> Iterator[str]:
    """Yield a translation for each text, in order; none is asked for twice, by any run.

    Args:
        texts: What is translated; ends of lines become blanks.
        source: Their language.
        target: That of the translations.
        translator: What translates.
        kept: Where translations are found and kept.
    """
    identity = {**translator.identity(source, target), "source": source, "target": target}
    for start in range(0, len(texts), AT_ONCE):
        lines = [" ".join(text.split()) for text in texts[start : start + AT_ONCE]]
        asked = {line: {**identity, "text": line} for line in lines if line}
        found = {line: kept.find(question) for line, question in asked.items()}
        missing = [line for line, answer in found.items() if not isinstance(answer, str)]
        new = translator.translate(missing, source, target) if missing else []
        for line, translation in zip(missing, new, strict=True):
            found[line] = " ".join(translation.split())
            kept.keep(asked[line], found[line])
        yield from (found.get(line, "") for line in lines)
