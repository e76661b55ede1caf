"""What generators give is learnt from only where it is an example of the task."""

import pytest

from lingraft.core.examples import Answer, PairExample, SpanExample, TaggedExample
from lingraft.pseudo.generators import Generator
from lingraft.pseudo.making import EMPTY, EMPTY_ANSWER, LEAKED, OTHER_SHAPE, STEERS, make
from pseudo.sources import TARGET, classification_sources


def test_what_is_no_example_of_the_task_is_counted_and_left_out():
    """An empty text, two texts where the task has one, and what is evaluated on."""
    given = [("omi", None), (" ", None), ("omi", "yára"), ("ilé", None)]
    examples = [
        PairExample(str(i), "g", TARGET, "one", text_a=text, text_b=other, label="nature")
        for i, (text, other) in enumerate(given)
    ]
    tested = PairExample("test", "t", TARGET, text_a="ilé", label="nature")
    made = make([Generator(lambda sources: iter(examples))], [], classification_sources(), [tested], "here")
    assert [example.texts for example in made.examples] == [("omi",)]
    assert made.dropped == {EMPTY: 1, OTHER_SHAPE: 1, LEAKED: 1}


def test_a_generator_of_shots_that_names_none_is_taken_to_have_been_shown_all():
    """So a fold that holds out any of them takes what it made along; what names some is believed."""
    shots = [PairExample(str(i), str(i), TARGET, text_a=f"omi {i}", label="nature") for i in range(2)]
    one = PairExample("m", "g", TARGET, "one", text_a="omi tutu", label="nature")
    other = PairExample("n", "g", TARGET, "one", text_a="omi gbona", label="nature", shown=(shots[1].trace,))
    for needs, expected in (({"shots"}, (shots[0].trace, shots[1].trace)), (set(), ())):
        generator = Generator(lambda sources: iter([one, other]), needs=frozenset(needs))
        made = make([generator], [], classification_sources(shots=shots), [], "here").examples
        assert [example.shown for example in made] == [expected, (f"{TARGET}/1",)]


def learnt(example):
    """What of one example is learnt from, and why not."""
    sources = classification_sources(labelled=())
    made = make([Generator(lambda sources: iter([example]))], [], sources, [], "here")
    return len(made.examples), dict(made.dropped)


def test_what_has_no_words_or_an_empty_answer_is_no_example():
    """Nor has a question without a right answer one that is empty."""
    assert learnt(TaggedExample("1", "g", TARGET, "one")) == (0, {EMPTY: 1})
    assert learnt(TaggedExample("1", "g", TARGET, "one", words=(" ",), tags=("O",))) == (0, {EMPTY: 1})
    assert learnt(PairExample("1", "g", TARGET, "one", text_a="omi", text_b=" ", label="nature")) == (0, {EMPTY: 1})
    for text, wanted in (("", (0, {EMPTY_ANSWER: 1})), ("  ", (0, {EMPTY_ANSWER: 1})), ("omi", (1, {}))):
        answers = (Answer(text, 0),)
        assert learnt(SpanExample("1", "g", TARGET, "one", question="ki?", context="omi  a", answers=answers)) == wanted
    assert learnt(SpanExample("1", "g", TARGET, "one", question="ki?", context="omi", unanswerable=True)) == (1, {})


@pytest.mark.parametrize("text", ["omi\x00", "\x1b[31mpupa", "a\x7f", "a\x9bb"])
def test_control_characters_are_not_learnt(text):
    """A model that writes them has gone astray."""
    assert learnt(PairExample("1", "g", TARGET, "one", text_a=text, label="nature")) == (0, {STEERS: 1})


@pytest.mark.parametrize("text", ["omi\tt\u00fat\u00f9", "il\u00e9\nkan", "a\u200db", "a\x85b"])
def test_blanks_ends_of_lines_and_joiners_are(text):
    """They belong to texts."""
    assert learnt(PairExample("1", "g", TARGET, "one", text_a=text, label="nature")) == (1, {})
