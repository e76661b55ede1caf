"""Signals that ask a process to end let it clean up."""

import os
import signal
import threading

import pytest

from lingraft.core.signals import ASKED_TO_END, ending_in_order

pytestmark = pytest.mark.usefixtures("usual_signals")


@pytest.mark.parametrize("number", ASKED_TO_END)
def test_the_first_signal_unwinds_and_the_next_one_would_kill(number):
    """The exit code is the one that a shell gives; afterwards each signal means what it did before."""
    cleaned = []
    with pytest.raises(SystemExit) as end, ending_in_order():
        try:
            os.kill(os.getpid(), number)
        finally:
            cleaned.append(signal.getsignal(number))
    assert end.value.code == 128 + number
    assert cleaned == [signal.SIG_DFL]


def test_what_is_ignored_or_handled_stays_so():
    """Under `nohup` a closed terminal ends nothing; a host's own handler is its own affair."""
    before = [signal.signal(number, signal.SIG_IGN) for number in ASKED_TO_END]
    try:
        with ending_in_order():
            found = [signal.getsignal(number) for number in ASKED_TO_END]
    finally:
        for number, handler in zip(ASKED_TO_END, before, strict=True):
            signal.signal(number, handler)
    assert found == [signal.SIG_IGN] * len(ASKED_TO_END)


def test_outside_the_main_thread_nothing_is_set():
    """Only the main thread may set handlers; a program that runs a command elsewhere keeps its own."""
    found = []

    def look():
        with ending_in_order():
            found.extend(signal.getsignal(number) for number in ASKED_TO_END)

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert found == [signal.SIG_DFL] * len(ASKED_TO_END)
