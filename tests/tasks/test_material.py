"""What a draw has labels of, and what follows from these."""

from dataclasses import replace

from invented import SOURCE, TARGET
from lingraft.core.examples import PairExample
from lingraft.tasks.material import Draw


def text(number, language, label=None):
    """An example by its number."""
    return PairExample(f"{language}{number}", f"{number}", language, text_a=f"{language} {number}", label=label)


PAIRS = {TARGET: tuple((text(i, SOURCE), text(i, TARGET)) for i in range(4))}


def test_translations_of_shots_have_their_labels():
    """In the order of the pairs; a shot without a translation says nothing of the source language."""
    shots = (text(2, TARGET, "bird"), text(0, TARGET, "river"), text(9, TARGET, "stone"))
    draw = Draw(1, 0, (text(7, SOURCE, "stone"),), {TARGET: shots}, PAIRS)
    assert draw.labelled_sides(PAIRS) == (text(0, SOURCE, "river"), text(2, SOURCE, "bird"))
    assert [(e.id, e.label) for e in draw.texts(SOURCE, SOURCE)][-2:] == [
        (f"{SOURCE}0", "river"),
        (f"{SOURCE}2", "bird"),
    ]


def test_of_pairs_that_are_not_learnt_from_nothing_follows():
    """Nor where the source language has labelled the sentence itself."""
    draw = Draw(1, 0, (text(2, SOURCE, "stone"),), {TARGET: (text(2, TARGET, "bird"),)}, PAIRS)
    assert draw.labelled_sides({TARGET: PAIRS[TARGET][:2]}) == ()
    assert draw.labelled_sides(PAIRS) == ()
    assert replace(draw, labelled=()).labelled_sides(PAIRS) == (text(2, SOURCE, "bird"),)
