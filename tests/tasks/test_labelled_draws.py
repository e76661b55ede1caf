"""What is said of a draw without labelled examples."""

import pytest

from lingraft.core.errors import DataError
from lingraft.tasks import Task
from lingraft.tasks.kinds import kind_of
from lingraft.tasks.labelled_draws import refuse_missing_classes

QUESTIONS = Task("own", kind_of("span_qa", (), {}), "eng-Latn", ("yor-Latn",), lambda language, split: [], "", "")


def test_questions_that_are_all_held_out_are_said_to_be():
    """The only passage is the development set, so more of it is no cure but a development set is."""
    with pytest.raises(DataError, match="0 training examples are neither evaluated on nor held out") as caught:
        refuse_missing_classes(QUESTIONS, (), 0, training=0, paired=0)
    assert "draw 1 leaves no labelled eng-Latn example: " in str(caught.value)
    assert str(caught.value).endswith("give more examples, or a development set, for which none is held out then")


def test_questions_that_all_went_into_pairs_are_said_to_have():
    """Then fewer pairs are the cure."""
    with pytest.raises(DataError, match=r"of 3 training examples .* 3 went into pairs; .*fewer parallel\.pairs"):
        refuse_missing_classes(QUESTIONS, (), 0, training=3, paired=3)
