"""A command that translates: lines in, as many lines out."""

import sys

import pytest

from lingraft.core.errors import ServiceError
from lingraft.pseudo.translators import translators

SLEEP = "import time; time.sleep(20)"


def translator(code, **options):
    """A command that runs Python code over its lines."""
    return translators.build("command", {"command": [sys.executable, "-c", code, "{source}>{target}"], **options})


def translate(code, texts=("ada", "beli cora"), **options):
    """What becomes of two texts."""
    return translator(code, **options).translate(texts, "eng-Latn", "yor-Latn")


def test_each_line_is_answered_by_a_line_and_the_languages_are_arguments():
    """No shell sees any of them."""
    code = "import sys\nfor line in sys.stdin: print(sys.argv[1], line.strip().upper())"
    assert translate(code, ("ada; rm -rf $HOME", "ọmọ")) == [
        "eng-Latn>yor-Latn ADA; RM -RF $HOME",
        "eng-Latn>yor-Latn ỌMỌ",
    ]


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("print('one line')", "answered 2 texts with 1 line, the first of them 'one line'"),
        ("import sys; print('the log'); sys.exit('no model here')", "ended with status 1: no model here"),
        ("import sys; sys.exit(3)", "ended with status 3: it said nothing"),
        ("import sys; sys.stdout.buffer.write(b'\\xff\\n\\n')", "not UTF-8"),
        ("while True: print('a' * 1_000_000)", "wrote more than 64 MB; it must write a line for each that it reads"),
        ("import sys\nwhile True: print('a' * 1_000_000, file=sys.stderr)", "wrote more than 64 MB"),
        (f"import subprocess, sys; subprocess.run([sys.executable, '-c', {SLEEP!r}])", "had not finished after 0.5"),
        (SLEEP, "had not finished after 0.5 seconds"),
    ],
)
def test_a_command_that_does_something_else_ends_in_one_line(code, why):
    """It says what came and what to do."""
    with pytest.raises(ServiceError, match=r"^[^\n]+$") as caught:
        translate(code, timeout=0.5 if "sleep" in code else 60)
    assert why in str(caught.value)


def test_a_command_that_is_not_there_is_named():
    """With what to do."""
    missing = translators.build("command", {"command": ["translate-nowhere"]})
    with pytest.raises(ServiceError, match=r"translate-nowhere: no such command; install it"):
        missing.translate(["ada"], "eng-Latn", "yor-Latn")
