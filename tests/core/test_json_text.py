"""JSON that any program reads."""

import json
import math
from datetime import date

import pytest

from lingraft.core.files import write_json, write_lines
from lingraft.core.json_text import to_json


def strictly(text):
    """What is in it, for a reader who knows the standard and nothing else."""

    def refuse(word):
        raise AssertionError(f"{word} is no JSON")

    return json.loads(text, parse_constant=refuse)


def test_numbers_that_are_none_become_null_and_stay_in_place():
    """However deep; others keep their value and their order."""
    value = {"a": math.nan, "b": [1.5, math.inf, {"c": -math.inf}], "d": 0}
    assert to_json(value) == '{"a": null, "b": [1.5, null, {"c": null}], "d": 0}'


def test_what_json_has_no_word_for_is_an_error_unless_one_says_what_it_is():
    """A date is text where that is asked for."""
    with pytest.raises(TypeError):
        to_json({"day": date(2024, 5, 1)})
    assert to_json({"day": date(2024, 5, 1), "x": math.nan}, default=str) == '{"day": "2024-05-01", "x": null}'


def test_all_files_of_ours_are_json(tmp_path):
    """Objects and lines."""
    write_json(tmp_path / "one.json", {"loss": math.nan})
    write_lines(tmp_path / "all.jsonl", [{"loss": math.inf}, {"loss": 0.5}])
    assert strictly((tmp_path / "one.json").read_text()) == {"loss": None}
    assert [strictly(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()] == [
        {"loss": None},
        {"loss": 0.5},
    ]
