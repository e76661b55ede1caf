"""Texts that are nearly the same, against comparing all pairs."""

from hypothesis import given, settings
from hypothesis import strategies as st

from lingraft.data.near_duplicates import NEAR, near_duplicates
from lingraft.data.text import normalise


def similarity(one, other):
    """The share of 5-grams in common, by sets."""
    a, b = ({normalise(text)[i : i + 5] for i in range(max(1, len(normalise(text)) - 4))} for text in (one, other))
    return len(a & b) / len(a | b)


LINE = "the clinic will vaccinate all children under five years on monday morning"


def test_one_word_or_the_punctuation_makes_no_other_text():
    """The most similar is told with its similarity; what is the same when normalised is no near duplicate."""
    known = ["fresh fish is sold at the harbour", LINE, LINE.replace("monday", "tuesday")]
    found = near_duplicates(known, [LINE + "!", LINE.upper(), "nothing of the kind", known[0]])
    assert [(near.known, near.text) for near in found] == [(1, 0), (2, 1)]
    assert [near.similarity for near in found] == [similarity(LINE, LINE + "!"), similarity(LINE, known[2])]


def test_names_are_not_compared():
    """One letter makes another name."""
    assert near_duplicates(["Azerbaijan"], ["Azerbaijani"]) == []


def test_scripts_without_blanks_are_compared():
    """Characters, not words, are what is compared."""
    text = "ผู้ป่วยทุกคนควรไปพบแพทย์ที่โรงพยาบาลประจำจังหวัดในวันจันทร์ตอนเช้า"
    assert [near.text for near in near_duplicates([text], [text[:-3], text[::-1]])] == [0]


LINES = st.lists(st.text(alphabet="ab é\U0001f600", min_size=14, max_size=40), max_size=4)


@settings(max_examples=60, deadline=None)
@given(LINES, LINES)
def test_what_is_told_is_so(known, texts):
    """Any text is read; what is told to be nearly the same is, by sets, and not the same."""
    for near in near_duplicates(known, texts):
        one, other = known[near.known], texts[near.text]
        assert abs(near.similarity - similarity(one, other)) < 1e-12
        assert near.similarity >= NEAR
        assert normalise(one) != normalise(other)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 60), st.sampled_from("abc "))
def test_one_changed_character_is_found(place, character):
    """Wherever it stands in a text of some length."""
    text = "".join(chr(0x1200 + i * 7 % 300) for i in range(61))
    changed = text[:place] + character + text[place + 1 :]
    assert [near.known for near in near_duplicates(["other", text], [changed])] == [1]
