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


@dataclass(frozen=True, slots=True)
class Wanted:
    """Texts of a class.

    Args:
        language: Of the texts, by its English name.
        meaning: What each of them is: ``a tweet whose sentiment is "positive"``.
        count: How many.
        meant: Texts of the class, by the English name of their language.
        written: Texts in the language, perhaps with their translations, to show how it is written.
    """

    language: str
    meaning: str
    count: int
    meant: tuple[str, Sequence[str]]
    written: Sequence[str]


def write_texts(chat: Chat, wanted: Wanted, temperature: float, number: int) -> tuple[list[str], Reply]:
    """Return the texts that a model writes, perhaps fewer than were wanted, and its whole answer.

    Args:
        chat: With the model.
        wanted: What texts.
        temperature: Of the writing.
        number: Of the call, among those for the same.
    """
    language, (source, meant) = wanted.language, wanted.meant
    parts = [
        f"Write {wanted.count} texts in {language}, each with another subject and in other words. Each of them is "
        f"{wanted.meaning}.",
        *([_listed(f"Such texts in {source}, which show what is meant:", meant)] if meant else []),
        *([_listed(f"Texts in {language}, which show how it is written:", wanted.written)] if wanted.written else []),
        f'Answer with {wanted.count} lines, each like {{"id": 1, "text": "…"}}, in {language} only. Repeat none of the '
        "texts above.",
    ]
    reply = chat.ask(_messages(language, "\n\n".join(parts)), temperature, number)
    texts = [" ".join(row["text"].split()) for row in objects_in(reply.text) if isinstance(row.get("text"), str)]
    return texts[: wanted.count], reply


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
    reply = chat.ask(_messages(language, request), 0.0)
    found = _by_id(reply)
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
    reply = chat.ask(_messages(language, request), 0.0)
    found = _by_id(reply)
    score = chrf([found.get(number, "") for number in range(1, len(pairs) + 1)], [right for _, right in pairs])
    if score < LEAST:
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


def _by_id(reply: Reply) -> dict[int, str]:
    """Return the texts of an answer by their ids, the first of each."""
    found: dict[int, str] = {}
    for row in objects_in(reply.text):
        number, text = row.get("id"), row.get("text")
        if isinstance(number, int | str) and str(number).isdecimal() and isinstance(text, str) and text.strip():
            found.setdefault(int(number), " ".join(text.split()))
    return found
