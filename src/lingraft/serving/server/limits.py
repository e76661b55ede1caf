"""How much may be asked of a server at a time, and the refusal of what is more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...core.counted import counted
from ...core.errors import ConfigError, DataError
from ...core.examples import Example
from ...tasks.kinds.word_splitting import split_words


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The most of everything.

    Raises:
        ConfigError: A limit is below 1, or a request may have more items than may wait.
    """

    body: int = 1_000_000
    """Bytes of a request's body."""
    items: int = 256
    """Of a request."""
    characters: int = 20_000
    """Of an item, all of its texts together."""
    words: int = 200
    """Of a text that is explained: it is read once without each of them."""
    waiting: int = 2_048
    """Items that wait, of all requests together."""
    seconds: float = 30.0
    """That a body may take to come, and that requests have to end in once the server is told to stop."""

    def __post_init__(self) -> None:
        counts = {"bytes": self.body, "items": self.items, "characters": self.characters, "waiting": self.waiting}
        problems = [f"--max-{name}: expected at least 1, got {most}" for name, most in counts.items() if most < 1]
        if not problems and self.items > self.waiting:
            problems = [
                f"--max-items {self.items} is more than --max-waiting {self.waiting}, so a full request could never be "
                "taken; let more wait"
            ]
        if problems:
            raise ConfigError(problems, "limits")


def check_number(items: Sequence[object], limits: Limits) -> None:
    """Refuse a request without items, or with too many.

    Raises:
        DataError: It is one.
    """
    if not 1 <= len(items) <= limits.items:
        cure = "ask for the rest in other requests" if items else "give at least one"
        raise DataError(f"items: expected 1 to {limits.items:,} of them, got {len(items):,}; {cure}")


def characters_of(example: Example) -> int:
    """Return the characters of all texts of an example."""
    return sum(map(len, example.texts))


def check_length(example: Example, where: str, limits: Limits) -> None:
    """Refuse an item that is too long.

    Raises:
        DataError: It is.
    """
    characters = characters_of(example)
    if characters > limits.characters:
        raise DataError(
            f"{where} has {characters:,} characters; expected at most {limits.characters:,}: shorten or divide it"
        )


def check_words(example: Example, limits: Limits) -> None:
    """Refuse a text that would be read too often to be explained.

    Raises:
        DataError: It would.
    """
    words = sum(len(split_words(text)) for text in example.texts)
    if words > limits.words:
        raise DataError(
            f"the text has {counted(words, 'word')}, and is read once without each of them; expected at most "
            f"{limits.words:,}: explain a part of it"
        )
