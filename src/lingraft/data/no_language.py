"""Codes of ISO 639 that no language has: they say that a text is in several, in none, or in one that nobody knows."""

from __future__ import annotations

from ..core.errors import DataError

NO_LANGUAGE = {
    "mis": "a language without a code",
    "mul": "several languages",
    "und": "nobody knows which language",
    "zxx": "nothing of a language",
}


def refuse_no_language(code: str, text: str) -> None:
    """Refuse a code that is in no list of languages for that reason.

    Args:
        code: Three letters.
        text: As the user wrote it.

    Raises:
        DataError: It is one of them.
    """
    if code in NO_LANGUAGE:
        raise DataError(
            f"{text!r} is no language ({code}: {NO_LANGUAGE[code]}); give the name or code of the one it is, "
            "such as yor-Latn, or, where no list has it, a name of its own, such as x-mine, with 1 to 8 letters or "
            "digits"
        )
