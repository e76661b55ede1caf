"""Answers that are carried through a translation by marks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lingraft.core.examples import Answer
from lingraft.pseudo.answer_marks import Marks, is_as_long

MARKS = Marks()


@given(st.text("ab, .", max_size=10), st.text("ab", min_size=1, max_size=5), st.text("ab, .", max_size=10))
def test_a_translation_that_changes_nothing_gives_context_and_answer_back(before, answer, after):
    """Putting and reading marks are each other's opposite."""
    context = before + answer + after
    marked = MARKS.put(context, Answer(answer, len(before)))
    assert MARKS.read(marked) == (context, Answer(answer, len(before)))


@pytest.mark.parametrize(
    ("marked", "context", "answer"),
    [
        ("El [ gato ] duerme", "El gato duerme", "gato"),
        ("El[ gato ]duerme", "El gato duerme", "gato"),
        ("[El gato ]. Fin", "El gato. Fin", "El gato"),
        ("[Los Ángeles]", "Los Ángeles", "Los Ángeles"),
    ],
)
def test_blanks_that_moved_into_the_marks_go_back_where_words_would_stick_together(marked, context, answer):
    """And the answer stands where it says."""
    text, found = MARKS.read(marked)
    assert (text, found.text, text[found.start :][: len(answer)]) == (context, answer, answer)


@pytest.mark.parametrize(
    ("marked", "why"),
    [
        ("El gato duerme", "got lost"),
        ("El [gato duerme", "got lost"),
        ("El [gato] [duerme]", "got lost"),
        ("El ]gato[ duerme", "changed places"),
        ("El [ ] duerme", "nothing is left"),
        ("El [.] duerme", "nothing is left"),
    ],
)
def test_marks_that_are_lost_doubled_turned_or_empty_are_refused_with_the_reason(marked, why):
    """Rather no example than one whose answer is anywhere."""
    assert why in MARKS.read(marked)


def test_an_answer_of_quite_another_length_is_none():
    """Four times as long, and twenty letters, are the most."""
    assert is_as_long("un gato", "a cat")
    assert is_as_long("猫", "the black cat")
    assert not is_as_long("a cat", "a sentence that goes on and on and has no end at all")
