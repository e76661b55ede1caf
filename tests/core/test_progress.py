"""What a run says while it runs."""

import io

from rich.console import Console

import lingraft.core.progress as progress
from lingraft.core.progress import Reporter


def captured(monkeypatch, *, terminal, quiet=False):
    """A reporter whose output can be read."""
    reporter, stream = Reporter(quiet=quiet), io.StringIO()
    reporter.console = Console(file=stream, force_terminal=terminal, width=120)
    return reporter, stream


def test_without_a_terminal_plain_lines_tell_amount_time_and_note(monkeypatch):
    """A log gets a line now and then: how much is done, how long it will take, how it goes."""
    monkeypatch.setattr(progress, "LINE_EVERY", 0.0)
    reporter, stream = captured(monkeypatch, terminal=False)
    with reporter.task("training", 4) as advance:
        advance(1, "loss 0.5")
        advance(1)
    first, second = stream.getvalue().splitlines()
    assert first.startswith("training: 1 of 4, ")
    assert first.endswith(" s left, loss 0.5")
    assert second.startswith("training: 2 of 4, ")


def test_lines_do_not_come_faster_than_one_can_read(monkeypatch):
    """Between two lines lie some seconds, whatever the number of steps."""
    reporter, stream = captured(monkeypatch, terminal=False)
    with reporter.task("training", 1000) as advance:
        for _ in range(1000):
            advance()
    assert stream.getvalue() == ""


def test_at_a_terminal_there_is_a_bar_with_the_note(monkeypatch):
    """A person sees a bar with the number of steps done and the loss."""
    reporter, stream = captured(monkeypatch, terminal=True)
    with reporter.task("training", 4) as advance:
        advance(4, "loss 0.25")
    assert "4/4" in stream.getvalue()
    assert "loss 0.25" in stream.getvalue()


def test_quiet_says_nothing(monkeypatch):
    """With `--quiet` neither lines nor bars appear."""
    reporter, stream = captured(monkeypatch, terminal=True, quiet=True)
    reporter.say("loading")
    with reporter.task("training", 4) as advance:
        advance(4)
    assert stream.getvalue() == ""


def test_folder_names_are_not_taken_for_markup(monkeypatch):
    """Brackets in a path are printed as they are."""
    reporter, stream = captured(monkeypatch, terminal=False)
    reporter.say("runs/[/a] is finished already")
    assert "runs/[/a]" in stream.getvalue()
