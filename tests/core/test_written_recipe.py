"""The recipe of a run folder is read whole or not at all."""

import pytest

from lingraft.core.errors import RunError
from lingraft.core.written_recipe import read_notes, read_written_recipe
from lingraft.recipe.parsing import parse_recipe

RECIPE = parse_recipe({"task": {"name": "cldr_names", "target_languages": ["yor-Latn"]}})


def refusal_of(folder, content):
    """What is said of a recipe in a folder."""
    (folder / "recipe.yaml").write_bytes(content)
    with pytest.raises(RunError) as refused:
        read_written_recipe(folder)
    said = str(refused.value)
    assert said.startswith(str(folder / "recipe.yaml"))
    assert said.endswith("put it back from a copy, or run the recipe into another output_dir")
    assert "\n" not in said
    return said


def test_a_written_recipe_is_read_as_it_was(tmp_path):
    """Every setting; and nothing where there is no recipe."""
    assert read_written_recipe(tmp_path) == {}
    (tmp_path / "recipe.yaml").write_text(RECIPE.to_yaml(), encoding="utf-8")
    assert read_written_recipe(tmp_path) == RECIPE.model_dump(mode="json", by_alias=True)


def test_a_recipe_that_is_cut_off_anywhere_is_refused(tmp_path):
    """Much of it is YAML still, with fewer settings: other languages, other columns."""
    whole = RECIPE.to_yaml().encode()
    for length in (0, 5, 12, 25, *range(26, len(whole), 37), len(whole) - 1):
        refusal_of(tmp_path, whole[:length])
    assert "ends amid the recipe, after 40 characters" in refusal_of(tmp_path, whole[:40])


def test_a_recipe_that_somebody_wrote_may_be_short(tmp_path):
    """Beside an adaptation it says what the columns are called, and need say no more."""
    (tmp_path / "recipe.yaml").write_text("task: {name: tagging}", encoding="utf-8")
    assert read_written_recipe(tmp_path) == {"task": {"name": "tagging"}}


def test_what_is_no_recipe_is_refused(tmp_path):
    """No text, no YAML, no keys and values."""
    assert "is not UTF-8, byte 1" in refusal_of(tmp_path, b"a\xff: 1\n")
    assert "line 1" in refusal_of(tmp_path, b"a: [b\n")
    assert "expected keys and values, got list" in refusal_of(tmp_path, b"- a\n")


@pytest.mark.parametrize(
    ("written", "notes"), [("seeds: [1]", ()), ("notes: One.", ("One.",)), ("notes: [One., Two.]", ("One.", "Two."))]
)
def test_remarks_are_none_or_one_or_several(tmp_path, written, notes):
    """Whoever wrote the recipe."""
    (tmp_path / "recipe.yaml").write_text(f"{written}\n", encoding="utf-8")
    assert read_notes(tmp_path) == notes


@pytest.mark.parametrize("notes", ["3", "[[a]]", "{a: b}", "null"])
def test_remarks_that_are_no_texts_are_refused(tmp_path, notes):
    """By the file and the key."""
    (tmp_path / "recipe.yaml").write_text(f"notes: {notes}\n", encoding="utf-8")
    with pytest.raises(RunError, match=r"recipe\.yaml: notes: expected a list of texts; put it back"):
        read_notes(tmp_path)
