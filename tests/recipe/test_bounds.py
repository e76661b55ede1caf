"""Every number that a recipe can set has a lower and an upper bound, which are checked before anything is taken."""

from collections.abc import Mapping

import pytest

from lingraft.core.errors import ConfigError
from lingraft.core.registry import _schema
from lingraft.recipe.parsing import BLOCKS, parse_recipe, registry_of, schema

TASK = {"name": "cldr_names", "target_languages": ["yor-Latn"]}


def unbounded(found, path=""):
    """Paths of numbers in a JSON Schema that lack a bound."""
    if isinstance(found, list):
        return [one for i, item in enumerate(found) for one in unbounded(item, f"{path}/{i}")]
    if not isinstance(found, Mapping):
        return []
    low = {"minimum", "exclusiveMinimum"} & found.keys()
    high = {"maximum", "exclusiveMaximum"} & found.keys()
    lacking = found.get("type") in ("integer", "number") and not (low and high)
    return [path] * lacking + [one for key, item in found.items() for one in unbounded(item, f"{path}/{key}")]


def test_every_number_of_the_settings_has_bounds():
    """The schema that editors read has them too."""
    assert unbounded(schema()) == []


def factories():
    """Every factory that a recipe can name, with its block."""
    return [(key, name) for key in BLOCKS for name in registry_of(key).names()]


@pytest.mark.parametrize(("key", "name"), factories(), ids=lambda one: one)
def test_every_number_of_a_factory_s_options_has_bounds(key, name):
    """Options are settings like any other."""
    _, adapters = _schema(registry_of(key).get(name))
    assert [option for option, one in adapters.items() if unbounded(one.json_schema())] == []


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("cache.max_gigabytes=1e300", "cache.max_gigabytes: expected a number of at most 1000000"),
        ("shots.draws=1000000000", "shots.draws: expected a number of at most 1000"),
        ("shots.k=99999999999999", "shots.k: k counts examples per class; for all that there are, write"),
        ("adapter.width=1000000", "adapter.width: expected a number of at most 16384"),
        ("prompt.length=1000000", "prompt.length: expected a number of at most 1024"),
        ("train.num_train_epochs=1000000", "train.num_train_epochs: expected a number of at most 10000"),
        ("train.batch_size=1" + "0" * 400, "train.batch_size: expected a number of at most 65536"),
        ("backbone.cut=1000", "backbone.cut: the cut counts layers from 0 upwards, to at most 999"),
        ("backbone.max_length=100000", "backbone.max_length: expected a number of at most 32768"),
        ("train.weight_decay=1e300", "train.weight_decay: expected a number of at most 1000000"),
        ("train.shot_weight=.inf", "train.shot_weight: expected"),
    ],
)
def test_a_number_out_of_bounds_is_refused_with_the_bound(override, sentence):
    """In one line, with the bound that it is over."""
    with pytest.raises(ConfigError) as caught:
        parse_recipe({"task": TASK, "adapter": {"name": "bottleneck"}, "prompt": {"name": "deep"}}, [override])
    (problem,) = caught.value.problems
    assert problem.startswith(sentence)
    assert len(problem) < 250


def test_the_number_of_trials_is_bounded():
    """Each of the numbers is allowed, and their product is not."""
    with pytest.raises(ConfigError, match="are 1,000,000 trials; at most 2,000 are run"):
        parse_recipe({"task": TASK, "seeds": list(range(1000)), "shots": {"draws": 1000}})


def test_options_are_listed_with_their_bounds():
    """Whoever looks up what there is to set sees how far it goes."""
    rows = {name: options for name, options, _ in registry_of("adapter").describe()}
    assert "width: 0 to 16384 = 32, language_width: 0 to 16384 = 16, dropout: 0 to below 1 = 0.1" in rows["bottleneck"]
