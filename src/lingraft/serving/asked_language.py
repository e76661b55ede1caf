"""Whose parts answer a text: which language is meant, and what has to be said where nothing was trained for it."""

from __future__ import annotations

from collections.abc import Sequence

from ..core.errors import DataError, shown
from ..data.languages import among, canonical, display_name


def resolve_language(
    language: str | None, *, trained: Sequence[str], targets: Sequence[str], lettered: Sequence[str] = ()
) -> tuple[str | None, tuple[str, ...]]:
    """Return the language whose parts are used, and what is to be said where the part that all share has to do.

    It is None where each text's letters say which: no language is given, and those of all targets are known. With
    a target left out its texts would be taken for another's.

    Args:
        language: In any spelling; None or empty means the only target.
        trained: Languages that something was trained for, the source first.
        targets: Target languages of the run.
        lettered: Languages that are known by their letters.

    Raises:
        DataError: It is no name of a language.
    """
    if not isinstance(language, str | None):
        raise DataError(f"language: expected the name of one language, got {shown(language)}")
    shared = f"answering with the part that all languages share (trained on {', '.join(map(display_name, trained))})"
    if not language and len(targets) > 1 and set(targets) <= set(lettered):
        known = ", ".join(map(display_name, lettered))
        return None, (f"no language given; each text is taken for the likeliest of {known} by its letters",)
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
