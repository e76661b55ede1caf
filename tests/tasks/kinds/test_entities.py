"""Entities of a tagged text: where they stand, how sure they are, and which are left out."""

import pytest

from lingraft.core.records import Entity, Prediction
from lingraft.tasks.kinds.entities import find_entities, words_and_entities

TEXT = "Ada Cora lives in  Beli."
WORDS = ("Ada", "Cora", "lives", "in", "Beli", ".")
SCORES = (0.9, 0.7, 0.99, 0.99, 0.6, 0.99)
TAGGED = Prediction("0", "eng-Latn", "B-PER I-PER O O B-LOC O", 0.86, words=WORDS, scores=SCORES)


def test_entities_stand_in_the_text_as_it_was_given():
    """In its order, with the mean of their words' probabilities."""
    found = find_entities(TEXT, TAGGED, None, scheme="bio")
    person, place = found.entities
    assert person == Entity("Ada Cora", "PER", 0, 8, pytest.approx(0.8))
    assert place == Entity("Beli", "LOC", 19, 23, 0.6)
    assert (found.value, found.abstained) == (TAGGED.value, False)


def test_entities_of_words_stand_in_the_words_joined_by_blanks():
    """Which is the text that a list of words makes."""
    found = find_entities(list(WORDS), TAGGED, None, scheme="bio")
    joined = " ".join(WORDS)
    assert [(one.text, one.start, one.end) for one in found.entities] == [("Ada Cora", 0, 8), ("Beli", 18, 22)]
    assert all(joined[one.start : one.end] == one.text for one in found.entities)


def test_unsure_entities_are_withheld():
    """Their words are outside of every entity then, and the sentence says so."""
    found = find_entities(TEXT, TAGGED, 0.7, scheme="bio")
    assert [one.label for one in found.entities] == ["PER"]
    assert (found.value, found.abstained) == ("B-PER I-PER O O O O", True)


def test_tags_that_mark_no_spans_are_withheld_together():
    """Parts of speech: the mean counts."""
    plain = Prediction("0", "eng-Latn", "NOUN VERB", 0.8, words=("a", "b"), scores=(0.7, 0.9))
    assert find_entities("a b", plain, 0.75, scheme="plain") == plain
    withheld = find_entities("a b", plain, 0.85, scheme="plain")
    assert (withheld.value, withheld.abstained, withheld.entities) == ("", True, ())


def test_a_line_has_words_and_entities_as_plain_data():
    """Scores to four places."""
    line = words_and_entities(find_entities(TEXT, TAGGED, 0.7, scheme="bio"))
    entity = {"text": "Ada Cora", "label": "PER", "start": 0, "end": 8, "score": 0.8}
    assert line == {"words": list(WORDS), "entities": [entity]}
