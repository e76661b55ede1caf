"""What every generator of pseudo-data must do."""

import pytest

from lingraft.core.examples import GOLD, PairExample, ParallelPair
from lingraft.data.augmentation import augmentation
from lingraft.data.lexicon import lexicon_of

TEXTS = [("the fast water", None), ("water and fast horses", "fast as the wind")]
ENTRIES = [
    ParallelPair(source, target, "eng-Latn", "yor-Latn") for source, target in (("fast", "yara"), ("water", "omi"))
]
LEXICON = lexicon_of(ENTRIES, [])


def copies(name, *, draw=0, count=2):
    """The copies that a generator makes of the texts."""
    generator = augmentation.build(name)
    examples = [PairExample(f"{i}", f"g{i}", "eng-Latn", text_a=a, text_b=b) for i, (a, b) in enumerate(TEXTS)]
    return [
        (example, generator.make(example, LEXICON, "yor-Latn", draw=draw, copy=copy))
        for example in examples
        for copy in range(count)
    ]


@pytest.mark.parametrize("name", augmentation.names())
def test_a_copy_is_a_text_of_the_target_that_nobody_wrote(name):
    """Its group is the original's, so that both stay on one side of a split; its origin says who made it."""
    for original, copy in copies(name):
        assert (copy.group, copy.language, copy.label) == (original.group, "yor-Latn", None)
        assert copy.origin == name != GOLD
        assert copy.texts != original.texts
        assert len(copy.texts) == len(original.texts)


@pytest.mark.parametrize("name", augmentation.names())
def test_copies_are_the_same_every_time(name):
    """A draw depends on nothing but its number; ids tell the copies of an example, and draws, apart."""
    assert copies(name) == copies(name)
    ids = [copy.id for draw in (0, 1) for _, copy in copies(name, draw=draw)]
    assert len(set(ids)) == len(ids)
