"""A chain of filters counts what each takes of what the one before it left."""

from lingraft.core.examples import PairExample
from lingraft.pseudo.filtering import SHOWN, Step, run_chain, some_rejected, some_survivors
from lingraft.pseudo.filters import Filter, Setting
from pseudo.sources import TARGET, classification_sources


def without(letter):
    """A filter that takes what has a letter."""
    return Filter(lambda examples, setting: [f"has {letter}" if letter in e.text_a else "" for e in examples])


EXAMPLES = [
    PairExample(f"{i:03}", f"{i}", TARGET, "maker", text_a=f"{'a' * (i % 2)}{'b' * (i % 3 == 0)}x") for i in range(60)
]
CHAIN = [("no a", without("a")), ("no b", without("b")), ("nothing", without("z"))]


def test_each_filter_judges_what_is_left():
    """Of 60 half have an a; of the other 30 every third has a b."""
    funnel = run_chain(CHAIN, EXAMPLES, Setting(classification_sources()))
    assert funnel.steps == (Step("no a", 60, 30), Step("no b", 30, 10), Step("nothing", 20, 0))
    assert [e.text_a for e in funnel.examples] == ["x"] * 20
    assert len(funnel.examples) + len(funnel.rejected) == 60
    assert {(one.filter, one.reason) for one in funnel.rejected} == {("no a", "has a"), ("no b", "has b")}


def test_some_of_either_are_shown_and_of_every_filter():
    """Ten that stay; of those that go, as many of each filter; the same ones whatever their order was."""
    setting = Setting(classification_sources())
    funnel = run_chain(CHAIN, EXAMPLES, setting)
    assert len(set(some_survivors(funnel))) == SHOWN == 10
    assert [one.filter for one in some_rejected(funnel)] == ["no a", "no b"] * 5
    turned = run_chain(CHAIN, EXAMPLES[::-1], setting)
    assert some_survivors(turned) == some_survivors(funnel)
    assert some_rejected(turned) == some_rejected(funnel)


def test_without_filters_all_is_left():
    """And there is no step to tell of."""
    funnel = run_chain([], EXAMPLES, Setting(classification_sources()))
    assert (funnel.examples, funnel.steps, funnel.rejected) == (tuple(EXAMPLES), (), ())
