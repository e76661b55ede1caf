"""Answers that are longer than one may be."""

import pytest

from lingraft.core.examples import Answer, SpanExample
from lingraft.core.records import Features
from lingraft.tasks.kinds.span_lengths import describe_long_answers, shortest_answer

CONTEXT = "one two three four five"
SPANS = tuple((i, i + len(word)) for word in CONTEXT.split() for i in [CONTEXT.index(word)])


def question(name, *answers):
    """A question whose answers are these pieces of the context."""
    found = tuple(Answer(text, CONTEXT.index(text)) for text in answers)
    return SpanExample(name, name, "eng-Latn", question="?", context=CONTEXT, answers=found)


def window(name, first=0, last=5, part=0):
    """A row that holds some words of the context, a token for each."""
    return Features(name, (0,) * (last - first + 1), part=part, offsets=(None, *SPANS[first:last]))


@pytest.mark.parametrize(
    ("answers", "rows", "length"),
    [
        (["two three"], [(0, 5)], 2),
        (["two three", "five"], [(0, 5)], 1),
        (["one two three four five"], [(0, 5)], 5),
        (["two three"], [(0, 2), (1, 4)], 2),
        (["two three four"], [(0, 3), (2, 5)], None),
        ([" two "], [(0, 5)], 1),
    ],
    ids=["one", "the shortest", "all", "in a later window", "in none whole", "blanks"],
)
def test_the_tokens_of_an_answer_are_counted(answers, rows, length):
    """Of the shortest answer that any window holds whole."""
    windows = [window("q", *row, part=i) for i, row in enumerate(rows)]
    assert shortest_answer(question("q", *answers), windows) == length


def test_what_cannot_be_given_bounds_exact_match():
    """How many answers are too long, a length that would do, and the best that can come out."""
    asked = [question("a", "two"), question("b", "one two three four"), question("c", "two three four"), question("d")]
    rows = [window("a"), window("b"), window("c", 0, 3), window("c", 2, 5, 1), window("d")]
    assert describe_long_answers(asked, rows, max_answer_length=4).startswith("1 of 3 answers do not fit")
    told = describe_long_answers(asked, rows, max_answer_length=2)
    assert told.startswith("1 of 3 answers are longer than the 2 tokens that one may have (max_answer_length: 4 in")
    assert told.endswith("so exact match can be 33.3% at most")
    assert describe_long_answers(asked[:2], rows[:2], max_answer_length=4) == ""
