"""Prompt templates: what is refused with which words, and what filling gives."""

import re

import pytest

from lingraft.core.prompt_template import fields_of, fill, problem_of, split_at

KNOWN = ("text", "label")


def test_a_template_is_filled_field_by_field():
    """Doubled braces are braces, fields in a value stay words, and what has no value stays as it is."""
    template = "{{x}} {text}\nTopic: {label} {text}"

    assert fields_of(template) == ["text", "label", "text"]
    assert fill(template, {"text": "a {label}", "label": "b"}) == "{x} a {label}\nTopic: b a {label}"
    assert fill("{text}{label}", {"text": "a"}) == "a{label}"


def test_a_template_is_split_at_the_answer():
    """What stands behind it may have fields, too."""
    assert split_at("A {text}: {label}. {text}!", "label", {"text": "x"}) == ("A x: ", ". x!")


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("{text} {lable}", r"\{lable\} is no field; there are \{text\}, \{label\}"),
        ("{text!r} {label}", r"\{text!r\} is no field"),
        ("{text:>9} {label}", r"\{text:>9\} is no field"),
        ("{text.upper} {label}", r"\{text.upper\} is no field"),
        ("{} {label}", r"\{\} is no field"),
        ("{text {label}", "a brace that is meant is doubled"),
        ("{text} }", "a brace that is meant is doubled"),
        ("{text}", r"expected \{label\} in it, once; found \{text\}"),
        ("{label} {label}", r"expected \{label\} in it, once; found \{label\}, \{label\}"),
        ("no field", r"expected \{label\} in it, once; found no field"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(template, problem):
    """With the fields that there are."""
    assert re.search(problem, problem_of(template, KNOWN, once=("label",)))


def test_a_right_template_has_no_problem():
    """In any order, with text around."""
    assert problem_of("{label}: {{ {text} }}", KNOWN, once=("label",)) is None
    assert problem_of("anything", ()) is None
