"""What every generator of pseudo-data must do."""

from dataclasses import replace

import pytest

from lingraft.core.examples import GOLD
from lingraft.pseudo import Sources
from lingraft.pseudo.generators import Generator, generators
from pseudo.sources import LABELS, OPTIONS, SERVED, TARGET, classification_sources


def built(name):
    """A generator, with the options that it needs."""
    return generators.build(name, OPTIONS.get(name))


FREE = [
    name
    for name in generators.names()
    if (name in OPTIONS or not built(name).costly)
    and name not in SERVED
    and (not built(name).kinds or "classification" in built(name).kinds)
]


def made(name, **changed):
    """What a generator makes of sources that have everything."""
    return list(built(name).generate(classification_sources(**changed)))


@pytest.mark.parametrize("name", FREE)
def test_what_is_made_is_a_labelled_text_of_the_target_that_nobody_wrote(name):
    """Labels are those of the task; ids tell examples apart."""
    found = made(name)
    assert found
    for example in found:
        assert (example.language, example.origin) == (TARGET, name)
        assert name != GOLD
        assert example.label in LABELS
        assert 0 < example.weight <= 10
    assert len({example.id for example in found}) == len(found)


@pytest.mark.parametrize("name", FREE)
def test_the_same_sources_give_the_same_examples_and_another_draw_has_other_ids(name):
    """So a run that goes on learns from what it began with."""
    assert made(name) == made(name)
    assert {example.id for example in made(name)}.isdisjoint(example.id for example in made(name, draw=1))


@pytest.mark.parametrize("name", FREE)
def test_what_a_generator_needs_are_fields_of_its_sources(name):
    """Without them nothing is promised; with them alone it makes the same."""
    generator: Generator = built(name)
    assert generator.needs <= set(Sources.__dataclass_fields__)
    assert generator.kinds <= {"classification", "span_qa", "tagging", "choice"}
    bare = Sources(task=classification_sources().task, language=TARGET, draw=0)
    needed = {what: getattr(classification_sources(), what) for what in generator.needs}
    assert list(generator.generate(replace(bare, **needed)))
