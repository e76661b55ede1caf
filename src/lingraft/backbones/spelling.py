"""What a decoder's tokens say, and which of them end what it says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

LINE_END = "\n"


class Spelling:
    """The tokenizer's side of a decoder that speaks; copies of a stack share it.

    Args:
        tokenizer: Of the checkpoint.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._ends: dict[int, bool] = {}

    def __deepcopy__(self, memo: Any) -> Spelling:
        return self

    def ends(self, token: int) -> bool:
        """Return whether a token ends what is said: the end of a text, or one with a line break in it."""
        if token not in self._ends:
            end = token == self._tokenizer.eos_token_id
            self._ends[token] = end or LINE_END in self._tokenizer.decode([token])
        return self._ends[token]

    def spell(self, ids: Sequence[int]) -> str:
        """Return what tokens say, special ones left out, without blanks at either end."""
        text: str = self._tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text.partition(LINE_END)[0].strip()
