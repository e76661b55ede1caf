"""Examples as JSON objects, and back."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lingraft.core.examples import Answer, ChoiceExample, PairExample, SpanExample, TaggedExample, as_json, from_json
from lingraft.tasks.kinds.multilabel import MultilabelExample
from lingraft.tasks.kinds.regression import NumberExample

TEXT = st.text(max_size=12)
NAMES = {
    "id": TEXT,
    "group": TEXT,
    "language": st.sampled_from(["eng-Latn", "yor-Latn"]),
    "weight": st.sampled_from([0.25, 1.0, 2.0]),
}
ANSWERS = st.lists(st.builds(Answer, TEXT, st.integers(0, 9)), max_size=3).map(tuple)
WORDS = st.lists(st.tuples(TEXT, st.sampled_from(["O", "B-PER"])), min_size=1, max_size=4)
KINDS = {
    PairExample: st.builds(PairExample, **NAMES, text_a=TEXT, text_b=st.none() | TEXT, label=st.none() | TEXT),
    SpanExample: st.builds(
        SpanExample, **NAMES, question=TEXT, context=TEXT, context_language=st.just("hau-Latn"), answers=ANSWERS
    ),
    TaggedExample: st.tuples(WORDS, st.booleans()).flatmap(
        lambda found: st.builds(
            TaggedExample,
            **NAMES,
            words=st.just(tuple(word for word, _ in found[0])),
            tags=st.just(tuple(tag for _, tag in found[0]) if found[1] else None),
        )
    ),
    MultilabelExample: st.builds(
        MultilabelExample,
        **NAMES,
        text=TEXT,
        marks=st.none() | st.lists(st.sampled_from(["bird", "river"]), unique=True).map(tuple),
    ),
    NumberExample: st.builds(
        NumberExample,
        **NAMES,
        text_a=TEXT,
        text_b=st.none() | TEXT,
        label=st.none() | st.floats(-1e15, 1e15).map(str),
    ),
    ChoiceExample: st.builds(
        ChoiceExample,
        **NAMES,
        text=TEXT,
        question=st.none() | TEXT,
        alternatives=st.lists(TEXT, min_size=2, max_size=3).map(tuple),
        label=st.none() | st.integers(0, 1),
    ),
}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_example_comes_back_as_it_was(kind):
    """Through a line of JSON and back: equal, whatever is in it, of every kind that a task can be."""

    @given(KINDS[kind])
    def check(example):
        assert from_json(json.loads(json.dumps(as_json(example))), kind) == example

    check()


def test_what_does_not_fit_is_refused():
    """A list of words where a text belongs."""
    with pytest.raises(ValueError, match="text_a"):
        from_json({"id": "1", "group": "1", "language": "eng-Latn", "text_a": ["bako"]}, PairExample)


def test_what_is_empty_is_left_out_and_zero_is_not_empty():
    """A label 0 and an answer at 0 are told; a text and answers that are not there are not."""
    assert as_json(ChoiceExample("1", "1", "eng-Latn", text="t", alternatives=("a", "b"), label=0)) == {
        "id": "1", "group": "1", "language": "eng-Latn", "origin": "gold", "text": "t", "alternatives": ("a", "b"),
        "label": 0,
    }  # fmt: skip
    question = SpanExample("1", "1", "eng-Latn", question="q", context="c", answers=(Answer("c", 0),))
    assert as_json(question)["answers"] == ({"text": "c", "start": 0},)
    assert "answers" not in as_json(SpanExample("1", "1", "eng-Latn", question="q", context="c"))
    assert {"text_b", "label"}.isdisjoint(as_json(PairExample("1", "1", "eng-Latn", text_a="a")))
