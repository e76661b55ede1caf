"""How well a tokenizer covers a language."""

import pytest

from lingraft.data.tokenizer_coverage import Coverage, coverage
from tiny import WORDS, random_tokenizer


def test_unknown_pieces_are_counted():
    """Two words of six that the tokenizer does not know; special tokens do not count."""
    texts = [f"{WORDS[0]} {WORDS[1]} nonsense", f"{WORDS[2]} {WORDS[3]} rubbish"]
    assert coverage(texts, random_tokenizer()) == Coverage(unknown_rate=2 / 6, pieces_per_word=1.0)


def test_pieces_are_counted_per_word():
    """A word that falls into three pieces."""
    assert coverage([f"{WORDS[0]} a-b"], random_tokenizer()).pieces_per_word == 2.0


def test_a_script_without_blanks_has_no_pieces_per_word():
    """Where blanks do not separate words, their number says nothing."""
    for text in ["吾輩は猫である。名前はまだ無い。", "在 1998 年 ， 他 在 Boston 出生 。", "ภาษาไทย ง่าย มาก"]:
        assert coverage([text], random_tokenizer()).pieces_per_word is None
    assert coverage(["한국어 문장은 띄어 쓴다"], random_tokenizer()).pieces_per_word is not None


def test_no_text_is_no_error():
    """A language that nothing is read of."""
    assert coverage([], random_tokenizer()) == Coverage(0.0, None)


@pytest.mark.checkpoint
def test_an_unknown_script_shows(e5):
    """Thaana: every word is a blank and an unknown piece."""
    assert coverage(["ދިވެހިރާއްޖެއަކީ އިންޑިޔާ ކަނޑުގައި އޮންނަ ޤައުމެކެވެ"], e5.tokenizer).unknown_rate == 0.5
