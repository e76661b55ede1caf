"""How well a tokenizer covers a language: unknown pieces, and pieces per word.

The thresholds below go by what multilingual-e5-small (XLM-R's 250,037 pieces) shows on SIB-200's test
sentences and on languages that its tokenizer does not cover.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

MOST_TEXTS = 2_000
"""So many texts are enough."""

MANY_UNKNOWN = 0.1
"""More unknown pieces than this are hopeless. Of the 30 languages of SIB-200 none has more than 0.1 %; Abkhaz has
8 %, Dzongkha 42 % and Dhivehi 50 %, which means every word: of a word in an unknown script the blank before it
remains, and one unknown piece."""

MANY_PIECES = 4.0
"""More pieces per word than this are hopeless: little but letters is left. Vietnamese has 1.2, English 1.4, German 1.6,
Swahili 1.6, Telugu 2.4, Yoruba 2.8, Guarani 3.0, Quechua 3.1 and Aymara, the highest in SIB-200, 3.3."""

UNSPACED = re.compile("[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")
"""Of the common scripts that do not separate words by blanks: Thai, Lao, Tibetan, Burmese, Khmer, kana, Han."""

SOME_LETTERS = 0.2
"""With a larger share of such letters, a text is counted as written without blanks."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """Share of pieces that are unknown; pieces per word, ``None`` where blanks do not separate words."""

    unknown_rate: float
    pieces_per_word: float | None


def coverage(texts: Sequence[str], tokenizer: Any) -> Coverage:
    """Tokenise ``texts`` (the first ``MOST_TEXTS``) without prefix and special tokens, and count."""
    some = list(texts[:MOST_TEXTS])
    ids = tokenizer(some, add_special_tokens=False, verbose=False)["input_ids"] if some else []
    pieces = sum(len(text) for text in ids)
    unknown = sum(list(text).count(tokenizer.unk_token_id) for text in ids)
    words = [word for text in some for word in text.split()]
    unspaced = sum(len(UNSPACED.findall(word)) for word in words)
    separated = words and unspaced <= SOME_LETTERS * sum(letter.isalpha() for word in words for letter in word)
    return Coverage(unknown / max(1, pieces), pieces / len(words) if separated else None)
