"""What is wrong with a line of YAML, for people: the line, what YAML saw there, and what was likely meant."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ruamel.yaml.error import MarkedYAMLError

from .errors import shown

KEY = re.compile(r"^(\s*)(?:- )?[^\s#:\"'][^:#]*:(\s|$)")
"""A line that begins with a key."""


MEANT = {
    "unexpected end": "the quote of line {} is not closed; close it",
    "',' or": "a bracket that was opened in line {} is not closed, or a comma is missing in it",
    "duplicate key": "a key stands once; remove one of the two",
    "alias": "a value that begins with * is an alias of YAML; put it in quotes if it is a text",
    "another document": "a recipe is one document; remove the line ---",
    "escape character": "in double quotes \\ begins an escape; use single quotes, or write \\\\",
    "cannot start any token": "put a value that begins with this character in quotes",
    "could not find expected ':'": "a key needs a colon and a blank after it, as in batch_size: 32",
}
"""A part of what YAML says -> what was likely meant; the number is the line where it began."""

OTHERWISE = "put the value in quotes if it is a text; otherwise compare with: lingraft init"


def explain_mistake(error: MarkedYAMLError, text: str) -> str:
    """Say in one line where YAML is wrong, what was seen, and what to do.

    Args:
        error: From ruamel.
        text: What was read.
    """
    mark, problem = error.problem_mark or error.context_mark, str(error.problem or error.context)
    if mark is None:
        return shown(problem)
    lines = text.splitlines() or [""]
    at = min(mark.line, len(lines) - 1)
    begun = error.context_mark.line if error.context_mark else None
    seen = " ".join(problem.replace("but ", "").split())
    meant = _meant(problem, lines, at, mark.column, begun)
    return f"line {at + 1}, column {mark.column + 1}: in {shown(lines[at].strip())}, YAML says: {seen[:100]}; {meant}"


def _meant(problem: str, lines: Sequence[str], at: int, column: int, begun: int | None) -> str:
    """Return what was likely meant, where YAML found a ``problem``; ``begun`` is the line of what it was reading."""
    line = lines[at]
    if "\t" in line[: _indent(line)]:
        return "the line begins with a tab; indent with spaces"
    if "mapping values" in problem:
        return _second_colon(lines, at, column)
    if "block end" in problem or "document start" in problem:
        return _other_indent(lines, at, column)
    meant = next((meant for part, meant in MEANT.items() if part in problem), OTHERWISE)
    return meant.format(at + 1 if begun is None else begun + 1)


def _second_colon(lines: Sequence[str], at: int, column: int) -> str:
    """Explain a colon where no key may stand: in a value, or in a line that is indented like a part of one."""
    if KEY.match(lines[at][:column]):
        return 'a value with a colon and a blank in it needs quotes, as in title: "a: b"'
    above = _line_above(lines, at)
    if above is None:
        return "a key stands at the beginning of its line"
    before, here = lines[above], _indent(lines[at])
    if KEY.match(before):
        return (
            f"it is indented by {here} under line {above + 1}, {shown(before.strip())}, which has a value already; "
            f"indent it by {_indent(before)} if it stands beside that line"
        )
    return f"line {above + 1}, {shown(before.strip())}, is no key with a value; a blank after its colon may be missing"


def _other_indent(lines: Sequence[str], at: int, column: int) -> str:
    """Explain a line that stands at the depth of no line above it."""
    here = _indent(lines[at])
    if column > here:
        return "a quoted value ends at its second quote; write a quote inside it twice, or use the other kind of quotes"
    known = sorted({_indent(line) for line in lines[:at] if line.strip() and not line.lstrip().startswith("#")})
    if here in known:
        return "keys and list items (-) cannot stand side by side; indent it as what it belongs to"
    return (
        f"it is indented by {here}, and the lines above by {' or '.join(map(str, known))}; indent it like the one that "
        "it stands beside"
    )


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _line_above(lines: Sequence[str], at: int) -> int | None:
    """Return the last line above that is neither empty nor a comment."""
    return next((i for i in range(at - 1, -1, -1) if lines[i].strip() and not lines[i].lstrip().startswith("#")), None)
