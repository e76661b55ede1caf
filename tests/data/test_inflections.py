"""English words and what they may be forms of."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lingraft.data.inflections import SHORTEST, base_forms


@pytest.mark.parametrize(
    ("word", "base"),
    [
        ("houses", "house"),
        ("countries", "country"),
        ("boxes", "box"),
        ("tried", "try"),
        ("tied", "tie"),
        ("walked", "walk"),
        ("hoped", "hope"),
        ("hopped", "hop"),
        ("making", "make"),
        ("eating", "eat"),
        ("running", "run"),
        ("opening", "open"),
        ("falling", "fall"),
        ("farmer's", "farmer"),
        ("farmers'", "farmers"),
        ("countries’", "country"),
        ("ox's", "ox"),
    ],
)
def test_a_form_leads_to_its_word(word, base):
    """Among the candidates is the word that a lexicon lists."""
    assert base in list(base_forms(word))


def test_a_dropped_vowel_is_likelier_than_a_short_word():
    """``Hop`` doubles its consonant, so ``hoping`` is of ``hope``; after two consonants nothing was dropped."""
    assert next(base_forms("hoping")) == "hope"
    assert next(base_forms("walking")) == "walk"


@pytest.mark.parametrize("word", ["his", "glass", "water", "bed", "as", "", "s"])
def test_what_is_no_form_has_no_base(word):
    """Short words are words of their own, and an ending that is none says nothing."""
    assert list(base_forms(word)) == []


@given(st.text(st.sampled_from("abeinsdgy'’"), max_size=10))
def test_a_base_is_never_the_word_itself(word):
    """Nor is it shorter than a word, unless an apostrophe says that it is one."""
    found = list(base_forms(word))
    assert word not in found
    assert all(len(base) >= SHORTEST for base in found) or "'" in word or "’" in word
