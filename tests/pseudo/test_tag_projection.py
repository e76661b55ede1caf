"""Tags that follow their words into a translation, and sentences that are refused."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lingraft.pseudo.tag_projection import ProjectionError, project_spans, project_words
from lingraft.results.metrics.spans import spans_of


def test_a_span_goes_where_its_words_went_in_another_order():
    """Each begins with a B of its own."""
    tags = ["O", "B-PER", "I-PER", "O", "B-LOC"]
    links = {(0, 4), (1, 1), (2, 2), (3, 3), (4, 0)}
    assert project_spans(tags, links, 5) == ("B-LOC", "B-PER", "I-PER", "O", "O")


def test_a_word_within_a_span_that_translates_nothing_belongs_to_it():
    """An article that the source language lacks has no translation."""
    assert project_spans(["B-ORG", "I-ORG", "O"], {(0, 0), (1, 2), (2, 3)}, 4) == ("B-ORG", "I-ORG", "I-ORG", "O")


def test_neighbours_of_one_type_stay_two_spans():
    """Two B, no I."""
    assert project_spans(["B-PER", "B-PER"], {(0, 0), (1, 1)}, 2) == ("B-PER", "B-PER")


@pytest.mark.parametrize(
    ("tags", "links", "length", "reason"),
    [
        ("B-PER I-PER I-PER", {(0, 0)}, 3, "too little of a span is aligned"),
        ("B-PER", set(), 3, "too little of a span is aligned"),
        ("B-PER I-PER O", {(0, 0), (1, 2), (2, 1)}, 3, "a span falls apart"),
        ("B-PER", {(0, 0), (0, 3)}, 4, "a span changes its length too much"),
        ("B-PER B-LOC", {(0, 0), (1, 0)}, 1, "two spans share a word"),
        ("B-PER I-PER B-LOC", {(0, 0), (1, 2), (2, 2)}, 3, "two spans share a word"),
    ],
)
def test_a_sentence_is_refused_whole_for_a_span_that_cannot_follow(tags, links, length, reason):
    """What would be left would say that there is no name."""
    with pytest.raises(ProjectionError, match=reason):
        project_spans(tags.split(), links, length)


def test_how_much_of_a_span_must_be_aligned_is_an_option():
    """By default six words of ten."""
    tags, links = ["B-ORG", "I-ORG", "I-ORG", "I-ORG"], {(0, 0), (1, 1)}
    assert project_spans(tags, links, 3, least_share=0.5) == ("B-ORG", "I-ORG", "O")
    with pytest.raises(ProjectionError):
        project_spans(tags, links, 3)


SENTENCES = st.integers(1, 7).flatmap(
    lambda length: st.tuples(
        st.lists(st.sampled_from(["O", "B-PER", "I-PER", "B-LOC"]), min_size=length, max_size=length),
        st.sets(st.tuples(st.integers(0, length - 1), st.integers(0, 5))),
    )
)


@settings(deadline=None)
@given(SENTENCES)
def test_what_is_projected_has_the_same_spans_each_aligned_with_its_own_words(sentence):
    """For any tags and links."""
    tags, links = sentence
    try:
        projected = project_spans(tags, links, 6)
    except ProjectionError:
        return
    before, after = sorted(spans_of(tags), key=lambda s: s[1]), spans_of(projected)
    assert sorted(span[0] for span in before) == sorted(span[0] for span in after)
    for kind, start, end in before:
        targets = {target for source, target in links if start <= source < end}
        assert (kind, min(targets), max(targets) + 1) in after


@settings(deadline=None)
@given(st.lists(st.sampled_from(["O", "B-PER", "I-PER", "B-LOC"]), max_size=8))
def test_a_translation_word_by_word_has_the_same_spans(tags):
    """Tags that need a repair included."""
    links = {(number, number) for number in range(len(tags))}
    assert spans_of(project_spans(tags, links, len(tags))) == spans_of(tags)


def test_each_word_takes_the_tag_of_the_words_it_translates():
    """One source word may have several translations."""
    links = {(0, 1), (1, 0), (1, 2)}
    assert project_words(["NOUN", "VERB"], links, 3) == ("VERB", "NOUN", "VERB")


def test_a_word_that_translates_two_parts_of_speech_is_not_learnt_from():
    """Its tag is none of the labels."""
    assert project_words(["NOUN", "VERB"], {(0, 0), (1, 0), (1, 1)}, 2) == ("_", "VERB")


def test_a_sentence_with_fewer_known_words_than_asked_for_is_refused():
    """By default half."""
    with pytest.raises(ProjectionError, match="too few words"):
        project_words(["NOUN"], {(0, 0)}, 3)
    assert project_words(["NOUN"], {(0, 0)}, 3, least_share=0.3) == ("NOUN", "_", "_")
