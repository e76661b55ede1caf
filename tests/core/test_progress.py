"""What a run says while it runs."""

import io
from functools import partial
from itertools import count

import pytest

from lingraft.core.progress import LINE_EVERY, Reporter
from lingraft.core.terminal_text import Terminal


def captured(*, terminal, quiet=False, seconds=0.0):
    """A reporter whose output can be read, and whose clock is so many seconds further at every look."""
    reporter, stream = Reporter(quiet=quiet, clock=partial(next, count(0.0, seconds))), io.StringIO()
    reporter.console = Terminal(file=stream, force_terminal=terminal, width=120)
    return reporter, stream


def test_without_a_terminal_plain_lines_tell_amount_time_and_note():
    """A log gets a line now and then: how much is done, how long it will take, how it goes."""
    reporter, stream = captured(terminal=False, seconds=LINE_EVERY)
    with reporter.task("training", 4) as advance:
        advance(1, "loss 0.5")
        advance(1)
    first, second = stream.getvalue().splitlines()
    assert first == "training: 1 of 4, 30 s left, loss 0.5"
    assert second == "training: 2 of 4, 20 s left"


def test_units_that_mean_nothing_to_a_reader_are_not_counted():
    """The note says where it is, and the time is as rough as it is known."""
    reporter, stream = captured(terminal=False, seconds=LINE_EVERY)
    with reporter.task("comparing", 14, counted=False) as advance:
        advance(1, "method 2 of 3 (lingraft), trial 1 of 1")
        advance(1)
    assert stream.getvalue().splitlines() == [
        "comparing: method 2 of 3 (lingraft), trial 1 of 1, about 2 min left",
        "comparing: about 2 min left",
    ]
    reporter, stream = captured(terminal=False, seconds=LINE_EVERY)
    with reporter.task("comparing", 100, counted=False) as advance:
        advance(4, "method 1 of 3 (frozen-head)")
        advance(0)
        advance(1)
    assert stream.getvalue().splitlines() == [
        "comparing: method 1 of 3 (frozen-head)",
        "comparing",
        "comparing: about 10 min left",
    ]
    reporter, stream = captured(terminal=True)
    with reporter.task("comparing", 14, counted=False) as advance:
        advance(14, "method 3 of 3 (lingraft)")
    assert "14/14" not in stream.getvalue()
    assert "method 3 of 3 (lingraft)" in stream.getvalue()


@pytest.mark.parametrize(
    ("steps", "left"), [(2, "10 s"), (10, "90 s"), (11, "2 min"), (361, "1 h 0 min"), (1000, "2 h 46 min")]
)
def test_the_time_left_has_the_digits_that_it_is_known_to(steps, left):
    """Nobody reads 5,400 s."""
    reporter, stream = captured(terminal=False, seconds=LINE_EVERY)
    with reporter.task("training", steps) as advance:
        advance()
    assert stream.getvalue() == f"training: 1 of {steps:,}, {left} left\n"


def test_lines_do_not_come_faster_than_one_can_read():
    """Between two lines lie some seconds, whatever the number of steps."""
    reporter, stream = captured(terminal=False, seconds=LINE_EVERY / 128)
    with reporter.task("training", 1000) as advance:
        for _ in range(1000):
            advance()
    assert len(stream.getvalue().splitlines()) == 1000 // 128


def test_at_a_terminal_there_is_a_bar_with_the_note():
    """A person sees a bar with the number of steps done and the loss."""
    reporter, stream = captured(terminal=True)
    with reporter.task("training", 4) as advance:
        advance(4, "loss 0.25")
    assert "4/4" in stream.getvalue()
    assert "loss 0.25" in stream.getvalue()


def test_quiet_says_nothing():
    """With `--quiet` neither lines nor bars appear."""
    reporter, stream = captured(terminal=True, quiet=True)
    reporter.say("loading")
    with reporter.task("training", 4) as advance:
        advance(4)
    assert stream.getvalue() == ""


def test_folder_names_are_not_taken_for_markup():
    """Brackets in a path are printed as they are."""
    reporter, stream = captured(terminal=False)
    reporter.say("runs/[/a] is finished already")
    assert "runs/[/a]" in stream.getvalue()


def test_what_a_callback_does_with_its_record_is_nobody_elses():
    """The next one gets the event whole, and so does the run, whose lists it may hold."""
    languages, found = ["yor-Latn"], []

    def empty(event):
        event["languages"].clear()

    Reporter(quiet=True, callbacks=[empty, found.append]).tell("epoch", languages=languages)
    assert found == [{"event": "epoch", "languages": ["yor-Latn"]}]
    assert languages == ["yor-Latn"]
