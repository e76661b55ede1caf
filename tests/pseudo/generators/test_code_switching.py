"""Source examples, some of whose known words are translated."""

from dataclasses import replace

import pytest

from lingraft.core.examples import PairExample
from lingraft.pseudo.generators import generators
from pseudo.sources import SOURCE, classification_sources


def words_of(examples):
    """Which of the entries of the lexicon were replaced in each."""
    return [{word for word in ("yára", "kíákíá", "omi", "Niu Yoki") if word in example.text_a} for example in examples]


@pytest.mark.parametrize(("ratio", "count"), [(0.01, 1), (0.34, 1), (0.67, 2), (1.0, 3)])
def test_a_share_of_the_entries_is_replaced_at_least_one(ratio, count):
    """Of three that are known in the first example."""
    built = generators.build("code-switching", {"ratio": ratio, "weight": 0.3})
    first, second = built.generate(classification_sources())
    assert [len(found) for found in words_of([first, second])] == [count, 1]
    assert (first.label, second.label, first.weight, first.origin) == ("nature", "sport", 0.3, "code-switching")


def test_copies_are_switched_elsewhere():
    """Twenty of one example, a third of its entries: each of the three is replaced in some."""
    sources = classification_sources(labelled=classification_sources().labelled[:1])
    found = list(generators.build("code-switching", {"ratio": 0.34, "copies": 20}).generate(sources))
    assert set().union(*words_of(found)) == {"yára", "kíákíá", "omi", "Niu Yoki"}


def test_both_texts_of_a_pair_are_switched_alike():
    """Otherwise a paraphrase could stop being one."""
    pair = PairExample("p", "p", SOURCE, text_a="fast water", text_b="water is fast", label="sport")
    (made,) = generators.build("code-switching", {"ratio": 0.5}).generate(classification_sources(labelled=(pair,)))
    replaced = [word in made.text_a for word in ("yára", "kíákíá", "omi")]
    assert sum(replaced) == 1
    assert replaced == [word in made.text_b for word in ("yára", "kíákíá", "omi")]


def test_inflected_english_words_find_their_entry():
    """Not if that is not wanted, and not in a language whose spelling has other rules."""
    example = PairExample("p", "p", SOURCE, text_a="many waters", label="nature")
    for options, expected in (({}, ["many omi"]), ({"inflections": False}, [])):
        for name in ("code-switching", "word-translation"):
            found = generators.build(name, options).generate(classification_sources(labelled=(example,)))
            assert [made.text_a for made in found] == expected


@pytest.mark.parametrize("name", ["code-switching", "word-translation"])
def test_words_of_a_further_source_language_are_left_alone(name):
    """The lexicon lists those of the first, whatever looks alike in another."""
    dropped = []
    example = PairExample("p", "p", "deu-Latn", text_a="fast fertig", label="sport")
    sources = replace(classification_sources(labelled=(example,)), drop=dropped.append)
    assert list(generators.build(name).generate(sources)) == []
    assert dropped == ["it is not in the language of the lexicon"]
