"""Code-switching with a bilingual lexicon."""

import itertools
import random
import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lingraft.core.examples import PairExample, ParallelPair
from lingraft.data.augmentation.switching import CODE_SWITCHING, switch_example
from lingraft.data.lexicon import known_share, lexicon_of, matches, words_of
from lingraft.data.parallel import read_parallel
from tiny import WORDS

ENTRIES = [
    ("water", "omi"),
    ("New York", "Niu Yoki"),
    ("new", "tuntun"),
    ("the", "náà"),
    ("radio", "radio"),  # the same: replaces nothing
    ("as a matter of fact then", "ní tòótọ́"),  # more words than an entry may have
    ("fast", "kíákíá"),
    ("fast", "yára"),
    ("house", "Haus"),
]


def pairs(entries):
    """Word pairs as a file gives them."""
    return [ParallelPair(a, b, "eng-Latn", "yor-Latn", str(i)) for i, (a, b) in enumerate(entries)]


LEXICON = lexicon_of(pairs(ENTRIES))


def copied(text, text_b=None, *, lexicon=LEXICON, ratio=1.0, draw=0, copy=0, identifier="train/1"):
    """A code-switched copy of a text."""
    example = PairExample(identifier, "1", "eng-Latn", text_a=text, text_b=text_b, label="a")
    return switch_example(example, lexicon, "yor-Latn", ratio=ratio, draw=draw, copy=copy)


def test_entries_are_words_with_their_translations():
    """Several translations are kept; what is the same or too long is no entry."""
    assert LEXICON.entries == {
        ("water",): ("omi",),
        ("new", "york"): ("Niu Yoki",),
        ("new",): ("tuntun",),
        ("the",): ("náà",),
        ("fast",): ("kíákíá", "yára"),
        ("house",): ("Haus",),
    }
    assert LEXICON.longest == {"water": 1, "new": 2, "the": 1, "fast": 1, "house": 1}


def test_what_one_source_knows_a_later_one_does_not_add_to():
    """People's translations come before mined ones."""
    both = lexicon_of(pairs([("Water", "omi")]), pairs([("water", "wrong"), ("fire", "iná")]))
    assert both.entries == {("water",): ("omi",), ("fire",): ("iná",)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the water is cold.", "náà omi is cold."),
        ("The water (fresh), WATER!", "Náà omi (fresh), OMI!"),  # punctuation and case
        ("In New York, new houses", "In Niu Yoki, tuntun houses"),  # the longest entry first, whole words only
        ("new, York", "tuntun, York"),  # a comma separates what is no phrase
        ("a house. House", "a Haus. Haus"),  # a translation's own capital stays
        ("NEW  YORK", "NIU YOKI"),
        ("breakfast-water waters", None),
        ("", None),
    ],
)
def test_words_are_replaced_where_they_stand(text, expected):
    """With a ratio of 1 all that is known is replaced, and nothing else changes."""
    found = copied(text)
    assert (found and found.text_a) == expected


def test_a_copy_belongs_to_the_target_language():
    """It keeps its source's label and group, and says where it comes from."""
    found = copied("the water")
    assert (found.language, found.label, found.group, found.origin) == ("yor-Latn", "a", "1", CODE_SWITCHING)
    assert found.id == "switched/0/yor-Latn/0/train/1"


def test_both_texts_are_switched_alike():
    """What is replaced in one text of two is replaced in the other, by the same translation."""
    for copy in range(20):
        found = copied("the fast water", "water, fast as the wind", ratio=0.5, copy=copy)
        for words in ({"náà"}, {"omi"}, {"kíákíá"}, {"yára"}):
            assert (words & set(words_of(found.text_a)) == words) == (words & set(words_of(found.text_b)) == words)


def test_copies_differ_and_repeat():
    """Another copy or draw replaces other words; the same one is the same for everyone."""
    text = " ".join(f"{word} x" for word in WORDS[:8])
    lexicon = lexicon_of(pairs([(word, word + word) for word in WORDS[:8]]))
    texts = {(draw, copy): copied(text, lexicon=lexicon, ratio=0.5, draw=draw, copy=copy).text_a
             for draw in range(3) for copy in range(3)}  # fmt: skip
    assert len(set(texts.values())) > 6
    assert texts == {key: copied(text, lexicon=lexicon, ratio=0.5, draw=key[0], copy=key[1]).text_a for key in texts}


def test_all_translations_are_drawn():
    """Of several translations each has its turn."""
    assert {copied("fast", copy=i).text_a for i in range(20)} == {"kíákíá", "yára"}


@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=12), st.floats(0.01, 1.0), st.integers(0, 3))
def test_the_ratio_is_of_the_known_words(words, ratio, copy):
    """At least one different word is replaced, and no more than the ratio asks for."""
    lexicon = lexicon_of(pairs([(word, word + word) for word in WORDS[:16]]))
    known = set(words) & set(WORDS[:16])
    found = copied(" ".join(words), lexicon=lexicon, ratio=ratio, copy=copy)
    after = words if found is None else found.text_a.split()
    replaced = {a for a, b in zip(words, after, strict=True) if a != b}
    assert (found is None) == (not known)
    assert len(replaced) == (max(1, round(ratio * len(known))) if known else 0)
    assert all(b == a or b == a + a for a, b in zip(words, after, strict=True))


@given(st.text(st.sampled_from("abc áé,.'- \nABC"), max_size=60))
def test_matches_agree_with_a_search_for_each_entry(text):
    """Every match is an entry, matches do not overlap, and a text without any has none of the single words."""
    lexicon = lexicon_of(pairs([("a", "x"), ("b c", "y"), ("ab", "z")]))
    found = matches(text, lexicon)
    assert all(left.end <= right.start for left, right in itertools.pairwise(found))
    for match in found:
        assert tuple(text[match.start : match.end].lower().split()) == match.words
    singles = [w for w in re.findall(r"(?:[^\W_])+(?:['-][^\W_]+)*", text) if w.lower() in ("a", "ab")]
    assert len(singles) == sum(len(match.words) == 1 for match in found)


def test_marks_belong_to_words():
    """Decomposed letters and vowel signs do not end a word, and composed ones match them."""
    assert words_of("Ọjọ́ dára, हिन्दी") == ["Ọjọ́", "dára", "हिन्दी"]
    lexicon = lexicon_of(pairs([(unicodedata.normalize("NFC", "dára"), "good")]))
    assert copied(unicodedata.normalize("NFD", "Ó dára!"), lexicon=lexicon).text_a.endswith("good!")


def test_known_share_counts_words():
    """A phrase counts as its words."""
    assert known_share(["In New York", "the water, etc"], LEXICON) == 4 / 6
    assert known_share([], LEXICON) == 0


@pytest.mark.shared
def test_gatitos_covers_english_sentences(shared_data):
    """Guarani's lexicon of 4,000 entries knows two thirds of the words of SIB-200, and switches every sentence."""
    lexicon = lexicon_of(
        read_parallel(Path(shared_data / "gatitos" / "en_gn.tsv.gz"), source_language="en", target_language="gn").pairs
    )
    lines = (shared_data / "sib200" / "eng_Latn.dev.tsv").read_text(encoding="utf-8").splitlines()[1:]
    texts = [line.split("\t")[2] for line in random.Random(0).sample(lines, 50)]
    assert 0.6 < known_share(texts, lexicon) < 0.8
    assert all(copied(text, lexicon=lexicon, ratio=0.5) for text in texts)
