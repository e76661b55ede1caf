"""Where the sentences of a text are: models that translate read one at a time.

Too long is better than too short: a stop ends a sentence only where what follows does not begin with a small letter
and what precedes is no abbreviation by the look of it.
"""

from __future__ import annotations

import re

Place = tuple[int, int]
"""First character and last (exclusive)."""

END = re.compile(
    r"(?<![.!?…।॥።؟])(?P<stop>[.!?…।॥።؟]++[\"'”’»)\]]*+)\s+|[。！？]++[”’」』）]*+\s*|(?<!\s)[^\S\n]*+\n\s*"
)
"""Of a sentence; the stops of scripts that write no blanks stand alone. A row of stops or of blanks is read once."""

ABBREVIATION = re.compile(r"(?:^|\s)[\"'“‘«(\[]*(?:\w|\w{1,3}|(?:\w+\.)+\w+)\.$")
"""A text that ends as abbreviations do: ``J.``, ``Mr.``, ``e.g.``"""


def sentences(text: str, whole: Place | None = None) -> list[Place]:
    """Return the places of the sentences of a text, without the blanks between them.

    Args:
        text: Anything; ends of lines end sentences.
        whole: A piece of it that no end may cut.
    """
    starts, ends = [0], list[int]()
    for found in END.finditer(text):
        cuts = whole is not None and whole[0] < found.end() and found.start() < whole[1]
        if cuts or (found["stop"] and not _is_end(text, found)):
            continue
        ends.append(found.start() if found[0].isspace() else found.start() + len(found[0].rstrip()))
        starts.append(found.end())
    ends.append(len(text))
    stripped = [_without_blanks(text, start, end) for start, end in zip(starts, ends, strict=True)]
    return [place for place in stripped if place[0] < place[1]]


def _is_end(text: str, found: re.Match[str]) -> bool:
    if found.end() == len(text) or "\n" in found[0]:
        return True
    if text[found.end()].islower():
        return False
    before = text[max(0, found.start() - 40) : found.start()] + found["stop"]
    abbreviated = ABBREVIATION.search(before)
    return abbreviated is None or not any(letter.isupper() or letter == "." for letter in abbreviated[0][:-1].strip())


def _without_blanks(text: str, start: int, end: int) -> Place:
    piece = text[start:end]
    return start + len(piece) - len(piece.lstrip()), start + len(piece.rstrip())
