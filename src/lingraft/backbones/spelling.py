"""What a decoder's tokens say, and which of them end what it says."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from ..core.errors import CheckpointError

LINE_END = "\n"


def end_ids(tokenizer: Any) -> tuple[int, ...]:
    """Return the tokens that an answer ends with: the end of a text, then that of a line, where there are such tokens.

    Raises:
        CheckpointError: There is neither, so no answer would ever end.
    """
    ends = [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
    broken = tokenizer(LINE_END, add_special_tokens=False)["input_ids"][-1:]
    ends += [token for token in broken if LINE_END in tokenizer.decode([token])]
    if not ends:
        raise CheckpointError(
            "the tokenizer has no token for the end of a text and none for a line break, so nothing that is written "
            "would end; use another checkpoint"
        )
    return tuple(ends)


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

    @cached_property
    def end_ids(self) -> tuple[int, ...]:
        """The tokens that an answer usually ends with; :meth:`ends` knows all that do."""
        return end_ids(self._tokenizer)

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
