"""Texts that a model labels itself, where two views of it agree."""

from collections import Counter
from dataclasses import replace

import pytest

from lingraft.core.errors import ConfigError
from lingraft.core.examples import PairExample
from lingraft.core.records import Prediction
from lingraft.pseudo.generators import generators
from lingraft.pseudo.generators.self_training import take_in_steps
from pseudo.sources import SOURCE, TARGET, classification_sources

LIMITS = {"top_share": 1.0, "most_fall": 0.1, "most_drift": 0.1}


def view(answers):
    """What says of texts in the target language what it is told to."""

    def predict(examples, language):
        assert language == TARGET
        return [Prediction(example.id, language, *answers[example.texts[0]]) for example in examples]

    return predict


def test_texts_on_which_both_views_agree_are_learnt_from():
    """Target sides of translations are texts, too; one that occurs twice is learnt once, and copies not at all."""
    translated, copied = (
        (PairExample(name, name, SOURCE, text_a="x"), PairExample(name, name, TARGET, origin=origin, text_a=text))
        for name, origin, text in (("p0", "gold", "omi"), ("p1", "code-switching", "water omi"))
    )
    first = {"omi": ("nature", 0.8), "ere": ("sport", 0.6), "ile": ("sport", 0.5)}
    second = {"omi": ("nature", 0.4), "ere": ("sport", 0.4), "ile": ("nature", 0.9)}
    dropped = Counter()
    sources = classification_sources(
        pairs=(translated, copied),
        texts=("ere", "omi", "ile"),
        predict=view(first),
        second_view=view(second),
        drop=lambda why: dropped.update([why]),
    )
    options = {"top_share": 1.0, "most_fall": 1.0, "most_drift": 1.0}
    made = list(generators.build("self-training", options).generate(sources))
    assert [(one.text_a, one.label, one.group, one.weight) for one in made] == [
        ("omi", "nature", "p0", 0.4),
        ("ere", "sport", "self-training/0/yor-Latn/0", 0.3),
    ]
    assert {one.origin for one in made} == {"self-training"}
    assert dropped == {"the two views differ": 1}
    again = list(generators.build("self-training", options).generate(replace(sources, draw=1)))
    assert {one.id for one in again}.isdisjoint(one.id for one in made)


def test_the_surest_of_each_class_come_first():
    """A class that the model is never sure of is not starved."""
    classes, confidences = ["a"] * 10 + ["b"] * 10, [*[0.9] * 10, *[i / 20 for i in range(10)]]
    taken = take_in_steps(classes, confidences, [True] * 20, **LIMITS | {"top_share": 0.2})
    assert taken.numbers == (0, 1, 18, 19)
    assert not taken.stopped


def test_nothing_more_is_taken_once_the_views_agree_less_than_at_first():
    """Of a hundred texts they agree on the surest thirty, and then on every second one."""
    agreed = [True] * 30 + [i % 2 == 0 for i in range(70)]
    taken = take_in_steps(["a"] * 100, [1 - i / 200 for i in range(100)], agreed, **LIMITS)
    assert taken.numbers == tuple(range(30))
    assert taken.stopped == "the views agree on 50%, on 100% at first"


def test_nothing_more_is_taken_once_one_class_is_agreed_on_more_than_another():
    """Otherwise the next model would know that class alone."""
    classes = ["a", "b"] * 50
    agreed = [one == "a" or i < 40 for i, one in enumerate(classes)]
    taken = take_in_steps(classes, [1 - i / 200 for i in range(100)], agreed, **LIMITS | {"most_fall": 1.0})
    assert taken.stopped == "the shares of the classes have moved by 14%"
    assert taken.numbers == tuple(i for i in range(60) if agreed[i])


def test_where_it_stopped_is_said():
    """With the language, and how many were taken."""
    texts = tuple(f"t{i:02}" for i in range(20))
    first = {text: ("nature", 1 - i / 40) for i, text in enumerate(texts)}
    second = {text: ("nature" if i < 2 else "sport", 0.5) for i, text in enumerate(texts)}
    told = []
    sources = classification_sources(
        pairs=(), texts=texts, predict=view(first), second_view=view(second), say=told.append
    )
    assert len(list(generators.build("self-training").generate(sources))) == 2
    assert told == ["yor-Latn: self-training stopped at 2 texts: the views agree on 0%, on 100% at first"]


def test_nothing_comes_of_nothing():
    """No texts, no steps."""
    assert take_in_steps([], [], [], **LIMITS).numbers == ()


def test_a_task_of_pairs_of_texts_is_refused_before_the_model_is_asked():
    """Its model has no map, so no second view; and raw text is no pair."""
    pair = PairExample("train/1", "g1", SOURCE, text_a="water", text_b="fire", label="nature")
    sources = classification_sources(labelled=(pair,), predict=view({}), second_view=view({}))
    with pytest.raises(ConfigError, match="self-training takes single texts"):
        list(generators.build("self-training", {}).generate(sources))
