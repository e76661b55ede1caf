"""Wrong labels on purpose."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lingraft.core.examples import PairExample
from lingraft.pseudo.label_noise import add_label_noise

CLASSES = ("bird", "river", "stone")


def texts(count):
    """As many of one class as of the others."""
    return [PairExample(f"a{i}", "g", "yor-Latn", "made", text_a=f"{i}", label=CLASSES[i % 3]) for i in range(count)]


@settings(deadline=None)
@given(st.integers(0, 40), st.floats(0, 1), st.integers(0, 5))
def test_so_many_labels_are_wrong_and_nothing_else_changes(count, share, draw):
    """Each is another class of the task; ids, texts and order stay."""
    examples = texts(count)
    noisy = add_label_noise(examples, share, CLASSES, draw)
    assert sum(a.label != b.label for a, b in zip(examples, noisy, strict=True)) == round(share * count)
    assert [(e.id, e.text_a) for e in noisy] == [(e.id, e.text_a) for e in examples]
    assert {e.label for e in noisy} <= set(CLASSES)


@pytest.mark.parametrize("draw", [0, 1])
def test_wrong_labels_are_those_of_the_draw(draw):
    """The same again for the same draw, others for another; each other class about as often."""
    noisy, again, other = (add_label_noise(texts(600), 0.5, CLASSES, number) for number in (draw, draw, draw + 1))
    assert noisy == again != other
    became = [b.label for a, b in zip(texts(600), noisy, strict=True) if a.label == "bird" != b.label]
    assert 30 < became.count("river") < 70
