"""Whose parts answer a text: which language is meant, and what has to be said where nothing was trained for it."""

from __future__ import annotations

from collections.abc import Sequence

from ..core.errors import DataError, shown
from ..data.languages import among, canonical, display_name


def resolve_language(
    language: str | None, *, trained: Sequence[str], targets: Sequence[str]
) -> tuple[str, tuple[str, ...]]:
    """Return the language whose parts are used, and what is to be said where the part that all share has to do.

    Args:
        language: In any spelling; None or empty means the only target.
        trained: Languages that something was trained for, the source first.
        targets: Target languages of the run.

    Raises:
        DataError: It is no name of a language.
    """
    if not isinstance(language, str | None):
        raise DataError(f"language: expected the name of one language, got {shown(language)}")
    shared = f"answering with the part that all languages share (trained on {', '.join(map(display_name, trained))})"
    if not language and len(targets) != 1:
        known = ", ".join(f"{display_name(code)} ({code})" for code in targets)
        return trained[0], (f"no language given; {shared}; name one of {known}",) if targets else ()
    asked = canonical(language or targets[0])
    code, remarks = among(asked, trained), list[str]()
    if code != asked:
        remarks.append(f"{asked} is answered with what was trained for {code}: the scripts overlap")
    if code not in trained:
        name = display_name(code)
        learnt = f"had no translations or labels of {name} to learn from" if code in targets else f"learnt no {name}"
        remarks.append(f"this run {learnt}; {shared}")
    return code, tuple(remarks)
