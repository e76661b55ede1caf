"""What a language model is asked for, and what of its answers is used: texts, corrections, translations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..core.errors import ServiceError
from ..core.json_text import to_json
from ..results.metrics.chrf import chrf
from .chat import Chat, Reply
from .json_lines import objects_in

LEAST = 20.0
"""The chrF of translations below which a model does not write a language."""


MOST_DIGITS = 9
"""Of the number of a text."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Texts of a class.

    Args:
        language: Of the texts, by its English name.
        meaning: What each of them is: ``a tweet whose sentiment is "positive"``.
        count: How many.
        meant: Texts of the class, by the English names of their languages.
        written: Texts in the language, perhaps with their translations, to show how it is written.
    """

    language: str
    meaning: str
    count: int
    meant: Mapping[str, Sequence[str]]
    written: Sequence[str]


def write_texts(chat: Chat, wanted: Wanted, temperature: float, number: int) -> tuple[list[str], Reply]:
    """Return the texts that a model writes, perhaps fewer than were wanted, and its whole answer.

    Args:
        chat: With the model.
        wanted: What texts.
        temperature: Of the writing.
        number: Of the call, among those for the same.
    """
    language = wanted.language
    parts = [
        f"Write {wanted.count} texts in {language}, each with another subject and in other words. Each of them is "
        f"{wanted.meaning}.",
        *(_listed(f"Such texts in {name}, which show what is meant:", texts) for name, texts in wanted.meant.items()),
        *([_listed(f"Texts in {language}, which show how it is written:", wanted.written)] if wanted.written else []),
        f'Answer with {wanted.count} lines, each like {{"id": 1, "text": "…"}}, in {language} only. Repeat none of the '
        "texts above.",
    ]
    reply = chat.ask(_messages(language, "\n\n".join(parts)), temperature, number, is_useful=_texts_in)
    return _texts_in(reply.text)[: wanted.count], reply


def correct_texts(chat: Chat, texts: Sequence[str], language: str, meaning: str) -> tuple[list[str | None], Reply]:
    """Return each text as a model corrects it, None where it left one out, and its whole answer.

    Args:
        chat: With the model.
        texts: What it wrote.
        language: Of the texts, by its English name.
        meaning: What each of them is, and must stay.
    """
    request = (
        f"These are texts in {language}; each is {meaning}. Correct what no speaker of {language} would write: "
        "grammar, spelling, words of other languages. Keep the subject, the meaning and the length of each, and its "
        f'id. Answer with a line for each, like {{"id": 1, "text": "…"}}.\n\n{_numbered(texts)}'
    )
    reply = chat.ask(_messages(language, request), 0.0, is_useful=_by_id)
    found = _by_id(reply.text)
    return [found.get(number) for number in range(1, len(texts) + 1)], reply


def refuse_unknown_language(
    chat: Chat, pairs: Sequence[tuple[str, str]], languages: tuple[str, str]
) -> tuple[float, Reply]:
    """Return the chrF of a model's translations, if they show that it writes the language, and its whole answer.

    Args:
        chat: With the model.
        pairs: Texts and their translations.
        languages: Of both sides, by their English names.

    Raises:
        ServiceError: They do not.
    """
    source, language = languages
    request = (
        f"Translate each text from {source} into {language}. Answer with a line for each, like "
        f'{{"id": 1, "text": "…"}}, in {language} only.\n\n{_numbered([text for text, _ in pairs])}'
    )

    def score_of(answer: str) -> float:
        found = _by_id(answer)
        return chrf([found.get(number, "") for number in range(1, len(pairs) + 1)], [right for _, right in pairs])

    reply = chat.ask(_messages(language, request), 0.0, is_useful=lambda answer: score_of(answer) >= LEAST)
    if (score := score_of(reply.text)) < LEAST:
        raise ServiceError(
            f"{chat.model} does not write {language}: its translations of {len(pairs)} sentences have a chrF of "
            f"{score:.1f}, and below {LEAST:g} nothing that it writes is learnt from; name a model that knows it"
        )
    return score, reply


def cost_of(replies: Sequence[Reply]) -> Mapping[str, object]:
    """Return which models answered and what that cost, kept answers included."""
    return {
        "models": sorted({reply.model for reply in replies}),
        "calls": len(replies),
        "prompt_tokens": sum(reply.prompt_tokens for reply in replies),
        "completion_tokens": sum(reply.completion_tokens for reply in replies),
    }


def _messages(language: str, request: str) -> list[dict[str, str]]:
    role = f"You write {language} as its speakers do. You answer with one JSON object a line and nothing else."
    return [{"role": "system", "content": role}, {"role": "user", "content": request}]


def _listed(heading: str, texts: Sequence[str]) -> str:
    return "\n".join([heading, *(f"- {text}" for text in texts)])


def _numbered(texts: Sequence[str]) -> str:
    return "\n".join(to_json({"id": number, "text": text}) for number, text in enumerate(texts, 1))


def _texts_in(answer: str) -> list[str]:
    """Return the texts of an answer."""
    return [" ".join(row["text"].split()) for row in objects_in(answer) if isinstance(row.get("text"), str)]


def _by_id(answer: str) -> dict[int, str]:
    """Return the texts of an answer by their ids, the first of each."""
    found: dict[int, str] = {}
    for row in objects_in(answer):
        number, text = _id_of(row.get("id")), row.get("text")
        if number is not None and isinstance(text, str) and text.strip():
            found.setdefault(number, " ".join(text.split()))
    return found


def _id_of(value: object) -> int | None:
    """Return the number that a model wrote as an id; None for what is none, or has more digits than any id here."""
    if isinstance(value, str) and len(value) <= MOST_DIGITS and value.isdecimal():
        return int(value)
    return value if type(value) is int and 0 <= value < 10**MOST_DIGITS else None
