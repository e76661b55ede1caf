"""What generators give is learnt from only where it is an example of the task."""

from lingraft.core.examples import PairExample
from lingraft.pseudo.generators import Generator
from lingraft.pseudo.making import EMPTY, LEAKED, OTHER_SHAPE, make
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
