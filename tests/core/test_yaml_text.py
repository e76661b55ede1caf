"""YAML from outside: within bounds, plain data, and a mistake in one line that says what was meant."""

from pathlib import Path

import pytest

from lingraft.core.errors import ConfigError, shown
from lingraft.core.yaml_text import MAX_CHARACTERS, MAX_DEPTH, load_yaml, read_yaml_file


def problem(text):
    """The one line that refuses a text."""
    with pytest.raises(ConfigError) as caught:
        load_yaml(text, "recipe.yaml")
    (line,) = caught.value.problems
    assert "\n" not in line
    return line


def nested_aliases(levels, width):
    """Lists of the list above, each several times: a few bytes that stand for ``width ** levels`` values."""
    lines = [f"l0: &l0 [{', '.join(['x'] * width)}]"]
    lines += [f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * width)}]" for i in range(1, levels)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: &a [*a]", "line 1: *a stands for something that it is a part of"),
        ("a: &a {b: {c: *a}}", "line 1: *a stands for something that it is a part of"),
        (nested_aliases(6, 9), "line 5: with this line there are more than 10,000 values"),
        ("a: &a " + "x" * 50_000 + "\nb: [" + "*a, " * 100 + "]", "line 2: with this line there are more than 10,000"),
        ("a: " + "[" * 5_000, f"line 1: is more than {MAX_DEPTH} levels deep"),
        ("- " * 5_000, f"line 1: is more than {MAX_DEPTH} levels deep"),
        ("a: [" + "1, " * 20_000 + "]", "line 1: with this line there are more than 10,000 values"),
        ("#" * (MAX_CHARACTERS + 1), "has more than 200,000 characters"),
        ("a: 1\nb: !!python/object:os.system x", "line 2: has the tag 'tag:yaml.org,2002:python/object:os.system'"),
        ("a: !!binary aGk=", "line 1: has the tag 'tag:yaml.org,2002:binary'"),
        ("a: 1\nb: \x1b[31m", "line 2: has the control character 0x1b"),
        ("a: 1\nb: " + "1" * 5_000, "line 2: has a number of 5,000 digits; write a shorter one, or text in quotes"),
        ("a: -" + "1" * 101, "line 1: has a number of 102 digits"),
    ],
)
def test_what_is_beyond_bounds_is_refused_in_one_line(text, says):
    """Before anything is made of it."""
    assert problem(text).startswith(says)


@pytest.mark.parametrize(
    ("text", "line", "says", "meant"),
    [
        (
            "task:\n  name: x\n   files: y\n",
            "line 3, column 9: in 'files: y'",
            "mapping values are not allowed here",
            "it is indented by 3 under line 2, 'name: x', which has a value already; indent it by 2 if it stands",
        ),
        (
            "title: a: b\n",
            "line 1, column 9: in 'title: a: b'",
            "mapping values are not allowed here",
            "a value with a colon and a blank in it needs quotes",
        ),
        ("a:1\nb: 2\n", "line 2, column 2: in 'b: 2'", "mapping values", "line 1, 'a:1', is no key with a value"),
        (
            "a:\n    b: 1\n  c: 2\n",
            "line 3, column 3: in 'c: 2'",
            "expected <block end>, found '<block mapping start>'",
            "it is indented by 2, and the lines above by 0 or 4; indent it like the one that it stands beside",
        ),
        ("  a: 1\nb: 2\n", "line 2, column 1: in 'b: 2'", "expected", "it is indented by 0, and the lines above by 2"),
        (
            "a:\n\tb: 1\n",
            "line 2, column 1: in 'b: 1'",
            "found character '\\t'",
            "begins with a tab; indent with spaces",
        ),
        (
            "a: [1, 2\nb: 3\n",
            "line 2, column 2: in 'b: 3'",
            "expected ',' or ']'",
            "a bracket that was opened in line 1 is not closed",
        ),
        (
            'a: "x\nb: 1\n',
            "line 2, column 1: in 'b: 1'",
            "unexpected end of stream",
            "the quote of line 1 is not closed",
        ),
        ("a: *x\n", "line 1, column 4: in 'a: *x'", "found undefined alias 'x'", "put it in quotes"),
        ("a: @x\n", "line 1, column 4: in 'a: @x'", "found character '@'", "begins with this character in quotes"),
        ("- a\nb: 1\n", "line 2, column 1: in 'b: 1'", "found '?'", "keys and list items (-) cannot stand side by"),
        ("a: 'it's'\n", "line 1, column 8: in \"a: 'it's'\"", "found '<scalar>'", "write a quote inside it twice"),
        ('a: "\\q"\n', "line 1, column 6:", "unknown escape character 'q'", "use single quotes"),
        ("a: 1\na: 2\n", "line 2, column 1: in 'a: 2'", 'duplicate key "a"', "remove one of the two"),
        ("a: 1\n---\nb: 2\n", "line 2, column 1: in '---'", "found another document", "remove the line ---"),
        ("train:\n  epochs 5\n  lr: 2\n", "line 3, column 5:", "mapping values", "line 2, 'epochs 5', is no key"),
    ],
)
def test_a_mistake_is_its_line_what_yaml_saw_and_what_was_meant(text, line, says, meant):
    """Where YAML stops is seldom where the mistake is."""
    found = problem(text)
    assert found.startswith(line)
    assert says in found
    assert meant in found


def test_dates_stay_text():
    """A title that looks like a day is a title."""
    assert load_yaml("title: 2024-01-01\n", "r") == {"title": "2024-01-01"}


def test_aliases_within_bounds_are_fine():
    """An alias is a good way not to write things twice."""
    assert load_yaml("a: &a {b: 1}\nc: *a\n", "r") == {"a": {"b": 1}, "c": {"b": 1}}


def test_no_more_of_a_file_is_read_than_the_bounds_allow():
    """A device without an end is refused like a large file."""
    with pytest.raises(ConfigError, match="has more than 200,000 characters"):
        read_yaml_file(Path("/dev/zero"))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a\nb", r"'a\nb'"),
        (1e300, "1e+300"),
        ({"a": {"b": {"c": {"d": 1}}}}, "{'a': {'b': {'c': {…}}}}"),
        (list(range(100)), "[0, 1, 2, 3, 4, 5, 6, 7, …]"),
        ("\ud800\x1b", r"'\ud800\x1b'"),
    ],
)
def test_a_value_is_shown_on_one_short_line(value, text):
    """Whatever came, the message about it can be printed and read."""
    assert shown(value) == text


def test_a_number_that_python_does_not_write_is_described():
    """More digits than Python turns into text."""
    assert shown(-(10**5_000)) == "a number of more than a thousand digits"


def test_a_long_text_is_shown_by_its_ends():
    """A page in the place of a word does not fill the terminal."""
    assert len(shown("x" * 10_000)) <= 80
