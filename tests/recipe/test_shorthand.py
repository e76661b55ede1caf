"""Short ways to write a setting."""

import json

import pytest

from lingraft.core.errors import ConfigError
from lingraft.recipe.parsing import parse_recipe

FILES = {"train": "train.csv", "test": "test.csv"}
ACROSS = {
    "name": "classification",
    "files": FILES,
    "source_language": "eng-Latn",
    "target_languages": ["twi-Latn"],
}
ALONE = {"name": "classification", "files": FILES, "language": "twi-Latn"}


def test_one_language_is_source_and_has_no_target():
    """All that is labelled is learnt from, and the resolved recipe says so."""
    recipe = parse_recipe({"task": ALONE})
    assert recipe.task.options["source_language"] == "twi-Latn"
    assert recipe.task.options["target_languages"] == []
    assert "language" not in recipe.task.options
    assert (recipe.shots.k, recipe.shots.ks) == ("all", ["all"])


def test_one_language_may_learn_from_less():
    """Shots that are given stay, and so do draws."""
    recipe = parse_recipe({"task": ALONE, "shots": {"k": [8, 2], "draws": 3}})
    assert (recipe.shots.ks, recipe.shots.draws) == ([2, 8], 3)
    assert parse_recipe({"task": ALONE, "shots": {"draws": 3}}).shots.k == "all"


def test_one_language_may_be_given_on_the_command_line():
    """An override is written out as well."""
    recipe = parse_recipe({"task": {"name": "classification", "files": FILES}}, ["task.language=aka", "shots=4"])
    assert (recipe.task.options["source_language"], recipe.shots.ks) == ("aka", [4])


def test_a_language_said_twice_is_refused():
    """Which of the two was meant is not known."""
    with pytest.raises(ConfigError, match=r"task\.language: .*source_language and target_languages contradict"):
        parse_recipe({"task": ACROSS | {"language": "twi-Latn"}})


def test_one_language_has_nothing_to_translate_into():
    """Parallel text is for a target."""
    with pytest.raises(ConfigError, match="parallel: the task is in one language"):
        parse_recipe({"task": ALONE, "parallel": {"files": "pairs.{language}.tsv"}})


@pytest.mark.parametrize("shots", ["all", {"k": "all"}, {"k": ["all"]}])
def test_all_shots_may_be_written_short(shots):
    """In each form they are the same."""
    assert parse_recipe({"task": ACROSS, "shots": shots}).shots.ks == ["all"]


def test_all_is_the_most_of_several_shots():
    """Numbers ascend, and each is there once."""
    assert parse_recipe({"task": ACROSS, "shots": {"k": ["all", 5, 0, 5, "all"]}}).shots.ks == [0, 5, "all"]


@pytest.mark.parametrize("shots", ["every", {"k": "every"}, {"k": [1, "every"]}, [1], {"k": -1}, -1])
def test_other_shots_are_refused(shots):
    """One line says where."""
    with pytest.raises(ConfigError, match=r"\bshots"):
        parse_recipe({"task": ACROSS, "shots": shots})


@pytest.mark.parametrize(
    ("short", "methods"),
    [
        (["lingraft", "peft-lora"], ["lingraft", "peft-lora"]),
        ("peft-lora", ["peft-lora"]),
        ({"methods": "peft-lora"}, ["peft-lora"]),
        ([], "name at least one"),
    ],
)
def test_methods_may_be_compared_without_their_key(short, methods):
    """The list alone is that of the methods, in the recipe and behind it, and is checked like it."""
    if isinstance(methods, str):
        with pytest.raises(ConfigError, match=methods):
            parse_recipe({"task": ACROSS, "compare": short})
    else:
        assert parse_recipe({"task": ACROSS, "compare": short}).compare.methods == methods
        assert parse_recipe({"task": ACROSS}, [f"compare={json.dumps(short)}"]).compare.methods == methods


def test_a_single_remark_is_a_list_of_one():
    """Blank lines around it do not count."""
    assert parse_recipe({"task": ACROSS, "notes": "Tried *twice*.\n\n"}).notes == ["Tried *twice*."]
    assert parse_recipe({"task": ACROSS, "notes": ["One.", "Two."]}).notes == ["One.", "Two."]
    assert parse_recipe({"task": ACROSS}).notes == []


@pytest.mark.parametrize("notes", ["", [" "], [3], None, {"a": "b"}])
def test_remarks_that_say_nothing_are_refused(notes):
    """By their key."""
    with pytest.raises(ConfigError, match=r"notes[.: ]"):
        parse_recipe({"task": ACROSS, "notes": notes})
