"""What all copies of labelled examples have in common, whichever of their words are translated."""

from collections import Counter

import pytest

from lingraft.core.examples import ChoiceExample, PairExample, ParallelPair
from lingraft.data.lexicon import lexicon_of
from lingraft.pseudo.generators import generators
from pseudo.sources import SOURCE, TARGET, classification_sources

SAME = "two texts that its label tells apart become the same"
LEXICON = lexicon_of([ParallelPair(word, "kubwa", SOURCE, TARGET) for word in ("big", "large", "BIG")])


def texts(first, second, label="other"):
    """A pair of texts."""
    return PairExample(f"{first}/{second}", "g", SOURCE, text_a=first, text_b=second, label=label)


def choice(*alternatives):
    """A choice between alternatives."""
    return ChoiceExample("c", "g", SOURCE, text="How was it?", alternatives=alternatives, label=1)


def made_by(name, options, *examples):
    """What is made of examples, and why the rest is not."""
    dropped = Counter()
    sources = classification_sources(labelled=examples, lexicon=LEXICON, drop=lambda reason: dropped.update([reason]))
    return list(generators.build(name, options).generate(sources)), dropped


COPYING = {"word-translation": {}, "code-switching": {"ratio": 1.0}}


@pytest.mark.parametrize("name", COPYING)
@pytest.mark.parametrize(
    "example",
    [
        texts("The clinic is big today", "The clinic is BIG today"),
        choice("It was big", "It was BIG"),
        choice("It was small", "It was BIG", "It was big"),
    ],
)
def test_what_was_the_same_before_but_for_capitals_stays(name, example):
    """The copy loses nothing that the original had."""
    made, dropped = made_by(name, COPYING[name], example)
    assert len(made) == 1
    assert not dropped


@pytest.mark.parametrize("name", COPYING)
@pytest.mark.parametrize(
    "example",
    [
        texts("The clinic is big today", "The clinic is large today"),
        texts("Big", "large", "same"),
        choice("It was big", "It was large"),
        choice("It was big", "It was LARGE"),
        choice("It was small", "It was big", "It was large"),
    ],
)
def test_texts_that_become_the_same_are_no_example_any_more(name, example):
    """Their label says that they differ, or which of them is right; another one beside it is made."""
    other = texts("It is big", "It is not large")
    made, dropped = made_by(name, COPYING[name], example, other)
    assert [one.texts for one in made] == [("It is kubwa", "It is not kubwa")]
    assert dropped == {SAME: 1}


def test_a_translator_that_makes_two_texts_the_same_makes_no_example():
    """As one does that leaves out what it does not know."""
    cut = {"name": "command", "command": ["cut", "-c1-5"]}
    made, dropped = made_by(
        "translation",
        {"translator": cut},
        texts("It is big", "It is not"),
        texts("It is", "Is it"),
        choice("same1", "same12"),
    )
    assert [one.texts for one in made] == [("It is", "Is it")]
    assert dropped == {SAME: 2}
