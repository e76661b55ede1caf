"""Marks that carry the answer to a question through a translation (EasyProject: Chen et al., 2023).

Brackets are put around the answer before the context is translated, and what stands between them afterwards is the
answer of the translation. Whatever loses, doubles or empties them is not used.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..core.examples import Answer

LONGEST, SLACK = 4, 20
"""An answer becomes at most so many times as long or short in another language, beside so many letters."""


@dataclass(frozen=True, slots=True)
class Marks:
    """What is put before the answer, and behind it."""

    opening: str = "["
    closing: str = "]"

    def occur_in(self, text: str) -> bool:
        """Return whether a text has one of them already."""
        return self.opening in text or self.closing in text

    def put(self, context: str, answer: Answer) -> str:
        """Return the context with marks around the answer."""
        end = answer.start + len(answer.text)
        return f"{context[: answer.start]}{self.opening}{answer.text}{self.closing}{context[end:]}"

    def read(self, marked: str) -> tuple[str, Answer] | str:
        """Return a text without its marks and the answer that stood between them, or what is wrong with it."""
        if marked.count(self.opening) != 1 or marked.count(self.closing) != 1:
            return "the marks around the answer got lost in translation"
        start, end = marked.index(self.opening), marked.index(self.closing)
        if end < start:
            return "the marks around the answer changed places in translation"
        before, inner, after = (
            marked[:start], marked[start + len(self.opening) : end], marked[end + len(self.closing) :]
        )  # fmt: skip
        text = inner.strip()
        if not any(letter.isalnum() for letter in text):
            return "nothing is left between the marks after translation"
        left = before + (" " if inner[0].isspace() and before and not before[-1].isspace() else "")
        right = (" " if inner[-1].isspace() and after[:1].isalnum() else "") + after
        return left + text + right, Answer(text, len(left))


def is_as_long(translated: str, original: str) -> bool:
    """Return whether one answer may be the translation of another by its length."""
    short, long = sorted((len(translated), len(original)))
    return long <= LONGEST * short + SLACK
