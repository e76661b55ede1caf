"""What a recipe may search: ranges and choices, and what is refused."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lingraft.core.errors import ConfigError
from lingraft.recipe.parsing import parse_recipe
from lingraft.recipe.tuning import Range, as_fragment, default_space, own_values
from lingraft.runs.identity import flatten

TASK = {"task": {"name": "sib200", "target_languages": ["yor-Latn"], "data_dir": "nowhere"}}


def recipe(tune=None, **blocks):
    """A recipe that searches."""
    return parse_recipe(TASK | blocks | ({"tune": tune} if tune is not None else {}))


@settings(deadline=None)
@given(st.floats(1e-9, 1e4), st.floats(1.001, 1e5))
def test_a_range_is_logarithmic_where_its_ends_are_far_apart(low, times):
    """Unless it says so itself."""
    high = low * times
    assert Range(low=low, high=high).logarithmic == (high >= 10 * low)
    assert Range(low=low, high=high, log=True).logarithmic
    assert not Range(low=low, high=high, log=False).logarithmic
    assert not Range(low=-low, high=high).logarithmic


@settings(deadline=None)
@given(st.dictionaries(st.from_regex(r"[a-c]\.[d-f]", fullmatch=True), st.integers() | st.none() | st.booleans()))
def test_dotted_settings_become_keys_within_keys(values):
    """And back."""
    assert flatten(as_fragment(values)) == (values or {})


def test_whole_ends_are_for_whole_numbers():
    """A point makes a range of all numbers; both ends belong to it."""
    whole, every = Range(low=4, high=32), Range(low=4.0, high=32)
    assert (whole.whole, every.whole) == (True, False)
    assert [number in whole for number in (3, 4, 32, 33, 4.5, True, "4", None)] == [
        False, True, True, False, False, False, False, False,
    ]  # fmt: skip
    assert [number in every for number in (3.9, 4, 4.5, math.nan)] == [False, True, True, False]


def test_a_list_is_a_choice_and_a_block_a_range():
    """As they are written, and after they were saved."""
    asked = {"settings": {"prompt.length": [4, 8], "train.learning_rate": {"low": 1e-4, "high": 1e-2}}}
    found = recipe(asked)
    assert found.tune.settings == {"prompt.length": [4, 8], "train.learning_rate": Range(low=1e-4, high=1e-2)}
    assert parse_recipe(found.model_dump(mode="json", by_alias=True)).tune == found.tune


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"settings": {"prompt.length": 4}}, r"prompt.length.choices: expected a list"),
        ({"settings": {"prompt.length": {"low": 4}}}, r"prompt.length.range.high: is missing"),
        ({"settings": {"prompt.length": {"low": 4, "high": 4}}}, "expected a higher number"),
        ({"settings": {"prompt.length": {"low": "1e-4", "high": 4}}}, "expected a number"),
        ({"settings": {"train.weight_decay": {"low": 0, "high": 1, "log": True}}}, "has no logarithm"),
        ({"settings": {"prompt.length": [4, 4]}}, "names a value twice"),
        ({"settings": {"prompt": [None], "prompt.length": [4]}}, "'prompt.length' lies in 'prompt'"),
        ({"settings": {"seeds": [1, 2]}}, "'seeds' is no setting of what is trained"),
        ({"settings": {"task.data_dir": ["a", "b"]}}, "no setting of what is trained"),
        ({"settings": {}}, "at least 1 of them"),
        ({"trials": 1}, "at least 2"),
        ({"minutes": 0}, "greater than 0"),
    ],
)
def test_what_is_no_search_is_refused(asked, why):
    """With where it stands."""
    with pytest.raises(ConfigError, match=why):
        recipe(asked)


def test_by_default_rates_are_searched_around_those_of_the_recipe():
    """And the length of a prompt; the rate of the backbone where that learns; nothing in a recipe without gradient."""
    plain = default_space(recipe(train={"learning_rate": 1e-3}))
    assert list(plain) == ["train.learning_rate", "train.prompt_learning_rate", "prompt.length"]
    assert (plain["train.learning_rate"].low, plain["train.learning_rate"].high) == pytest.approx((2e-4, 5e-3))
    odd = default_space(recipe(prompt={"name": "deep", "length": 5}, freezing={"name": "full"}))
    assert odd["prompt.length"] == [4, 5, 8, 16, 32]
    assert "train.backbone_learning_rate" in odd
    assert list(default_space(recipe(prompt=None))) == ["train.learning_rate"]
    assert default_space(recipe(preset="instant")) == {}


def test_own_settings_are_those_of_the_recipe():
    """A default where it says nothing; what it does not have is left out."""
    space = {"prompt.length": [4], "train.learning_rate": [1.0], "adapter.rank": [4], "train": [None]}
    assert own_values(recipe(prompt={"name": "deep", "length": 7}), space) == {
        "prompt.length": 7,
        "train.learning_rate": 2e-3,
    }
