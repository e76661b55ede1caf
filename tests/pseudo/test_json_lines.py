"""JSON in what a model wrote."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lingraft.pseudo.json_lines import objects_in

ONE, TWO = {"id": 1, "text": "a {b}"}, {"id": 2, "text": "«c»\nd"}


@pytest.mark.parametrize(
    "text",
    [
        f"{json.dumps(ONE)}\n{json.dumps(TWO)}",
        f"Here you are:\n```json\n{json.dumps(ONE)}\n  {json.dumps(TWO)}\n```\nAnything else?",
        f"```json\n{json.dumps([ONE, TWO], indent=2)}\n```",
        f"{json.dumps(ONE)},\n{json.dumps(TWO)},\n{json.dumps(TWO)[:-5]}",
        f'{{"text": "\\ud83d"}}\n{json.dumps(ONE)}\n{json.dumps(TWO)}',
        f"[1, 2]\n{json.dumps(ONE)}\n{json.dumps(TWO)}\n" + "[" * 100_000,
    ],
)
def test_objects_are_found_between_fences_remarks_and_halves(text):
    """In order."""
    assert list(objects_in(text)) == [ONE, TWO]


@given(st.text(max_size=200))
def test_no_text_is_an_error(text):
    """Whatever a model writes."""
    assert all(isinstance(one, dict) for one in objects_in(text))
