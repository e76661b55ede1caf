"""A command that translates: lines in, as many lines out."""

import sys

import pytest

from lingraft.core.errors import ServiceError
from lingraft.pseudo.translators import translators
from posix_only import has_ended

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


CHILD = """import subprocess, sys
child = subprocess.Popen([sys.executable, '-c', {code!r}])
print(child.pid, file=open({file!r}, 'w'), flush=True)
{then}
"""


@pytest.mark.parametrize(
    ("code", "then", "why"),
    [
        ("import time; time.sleep(600)", "child.wait()", "had not finished"),
        ("while True: print('a' * 1_000_000)", "child.wait()", "wrote more than 64 MB"),
        ("import time; time.sleep(600)", "sys.exit('done')", "ended with status 1: done"),
    ],
)
def test_what_a_command_has_started_ends_with_it(tmp_path, code, then, why):
    """Otherwise it goes on writing where nobody reads, until the disk is full."""
    file = tmp_path / "child"
    with pytest.raises(ServiceError, match=why):
        translate(CHILD.format(code=code, file=str(file), then=then), timeout=3 if "finished" in why else 60)
    assert has_ended(int(file.read_text()))
