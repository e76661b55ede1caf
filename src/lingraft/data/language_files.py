"""Which languages there are files of, by their names."""

from __future__ import annotations

import re
from glob import escape
from pathlib import Path

from .languages import recognised

PLACE = "{language}"


def languages_of(pattern: str, folder: Path | str = ".") -> list[str]:
    """Return canonical codes of the languages that have a file, compressed or not, sorted.

    Args:
        pattern: A path with ``{language}`` in it, perhaps more than once; ``*`` stands for anything.
        folder: What it is relative to.
    """
    if PLACE not in pattern:
        return []
    whole, found = str(Path(folder) / pattern), set[str]()
    anything = whole.replace(PLACE, "*")
    start = Path(anything[: anything.index("*")]).parent if "*" in anything else Path(anything).parent
    spelled = re.compile(_as_expression(whole) + r"(\.gz)?")
    below = "/".join(escape(part).replace("[*]", "*") for part in Path(anything).relative_to(start).parts)
    for end in ("", ".gz"):
        for path in start.glob(below + end):
            hit = spelled.fullmatch(path.as_posix())
            if hit and path.is_file() and (code := recognised(hit["language"])):
                found.add(code)
    return sorted(found)


def _as_expression(whole: str) -> str:
    """Return the regular expression of a pattern: the same language in each of its places."""
    first, *others = (re.escape(part).replace(r"\*", "[^/]*") for part in Path(whole).as_posix().split(PLACE))
    return "(?P<language>[^/]+?)".join([first, "(?P=language)".join(others)])
