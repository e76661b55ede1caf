"""Spellings of labels, and numbers where names are expected."""

import unicodedata
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lingraft.core.examples import PairExample, TaggedExample
from lingraft.data.labels import (
    INVISIBLE,
    are_measurements,
    describe_variants,
    label_key,
    samples_of,
    spelling_variants,
    strip_label,
)

SALUD = "salud pública"


@given(st.text(max_size=6), st.text(alphabet=INVISIBLE + " \t\u00a0\u3000", max_size=4))
def test_what_is_unseen_at_the_ends_is_no_part_of_a_label(label, around):
    """Whatever the label, blanks and invisible characters around it change nothing, and the rest stays."""
    stripped = strip_label(label)
    assert strip_label(around + label + around) == stripped
    assert stripped in label
    assert strip_label(stripped) == stripped


@given(st.text(max_size=8))
def test_spellings_share_a_key(label):
    """Composed or decomposed, with a zero-width space inside, with more blanks."""
    key = label_key(label)
    for form in ("NFC", "NFD"):
        assert label_key(unicodedata.normalize(form, label)) == key
    assert label_key(f" \u200b{label}\ufeff  ") == key


def test_variants_are_listed_with_the_usual_spelling_first():
    """Case, normal form, a blank and an invisible character inside; what differs in a letter is no variant."""
    decomposed = unicodedata.normalize("NFD", SALUD)
    counts = Counter({"Salud pública": 2, SALUD: 5, decomposed: 1, "clima": 3, "climas": 3, "mer\u200bcado": 1,
                      "mercado": 4})  # fmt: skip
    variants = spelling_variants(counts)
    assert variants == [("mercado", "mer\u200bcado"), (SALUD, "Salud pública", decomposed)]
    assert describe_variants(variants[:1], counts) == r"'mercado' (4), 'mer\u200bcado' (1)"
    assert r"'salud pu\u0301blica' (1)" in describe_variants(variants, counts)
    assert describe_variants(variants, counts, most=1).endswith("; …")


@pytest.mark.parametrize(
    ("counts", "right"),
    [
        ({str(n): 1 for n in range(7, 66)}, True),
        ({f"{n}.5": 3 for n in range(12)}, True),
        ({str(n): 2 for n in range(77)}, False),
        ({str(n): 1 for n in range(1, 6)}, False),
        ({**{str(n): 1 for n in range(20)}, "none": 1}, False),
        ({str(n): 1 for n in range(30)}, True),
        ({"٢٣٫٥": 1, **{str(n * n): 1 for n in range(30)}}, False),
    ],
    ids=["59 scores", "halves", "numbers of classes", "stars", "a word among them", "each once", "another separator"],
)
def test_measurements_are_told_from_numbers_of_classes(counts, right):
    """Many different numbers, unless they count classes from 0 or 1 and come back."""
    assert are_measurements(counts) is right


def test_samples_are_texts_or_words():
    """The first different ones of each label, a sentence's words each under their tag."""
    texts = [PairExample(str(i), "g", "eng-Latn", text_a=f"t{i // 2}", label="ab"[i % 2]) for i in range(9)]
    assert samples_of(texts, 3) == {"a": ["t0", "t1", "t2"], "b": ["t0", "t1", "t2"]}
    words = TaggedExample("1", "1", "eng-Latn", words=("Ada", "met", "Eli"), tags=("B-PER", "O", "B-PER"))
    assert samples_of([words], 1) == {"B-PER": ["Ada"], "O": ["met"]}
