"""What is asked for at the same time is computed together, in order, and none of it is lost."""

from threading import Event

import pytest

from lingraft.serving.server.batching import Batcher, BusyError


class Slow:
    """Doubles numbers, once it may; notes down what it was given at a time."""

    def __init__(self):
        self.begun, self.may, self.batches = Event(), Event(), []

    def __call__(self, key, given):
        """Wait for the word, and double."""
        self.batches.append((key, given))
        self.begun.set()
        assert self.may.wait(60)
        if "wrong" in given:
            raise ValueError("wrong")
        return [2 * one for one in given]


@pytest.fixture
def slow():
    """What computes."""
    return Slow()


@pytest.fixture
def batcher(slow):
    """What batches, at most four numbers at a time, while at most six wait; one batch is being computed."""
    made = Batcher(slow, largest=4, waiting=6)
    first = made.submit("a", [0])
    assert slow.begun.wait(60)
    yield made
    slow.may.set()
    made.close()
    assert first.result(60) == [0]


def test_what_comes_while_one_is_computed_is_computed_together(batcher, slow):
    """Of one key, as many as go together, the first first."""
    asked = [batcher.submit(*one) for one in (("a", [1]), ("b", [5]), ("a", [2, 3]), ("a", [4, 4]))]
    assert batcher.waiting == 6
    slow.may.set()
    assert [one.result(60) for one in asked] == [[2], [10], [4, 6], [8, 8]]
    assert slow.batches == [("a", [0]), ("a", [1, 2, 3]), ("b", [5]), ("a", [4, 4])]


def test_more_than_goes_together_goes_alone(batcher, slow):
    """A request is never divided."""
    one, other = batcher.submit("a", [1, 2, 3, 4, 5]), batcher.submit("a", [6])
    slow.may.set()
    assert (one.result(60), other.result(60)) == ([2, 4, 6, 8, 10], [12])
    assert slow.batches[1:] == [("a", [1, 2, 3, 4, 5]), ("a", [6])]


def test_when_too_much_waits_no_more_is_taken(batcher):
    """And what is said has the numbers; nothing always finds room."""
    batcher.submit("a", [1, 2, 3, 4, 5])
    with pytest.raises(BusyError, match="5 items wait already, and at most 6 may; expected no more than 1, got 2"):
        batcher.submit("a", [6, 7])
    assert batcher.submit("a", []).result(0) == []
    batcher.submit("a", [6])


def test_what_cannot_be_computed_harms_no_other(batcher, slow):
    """Each is tried by itself."""
    good, bad, also = (batcher.submit("a", given) for given in ([1], ["wrong"], [3]))
    slow.may.set()
    assert (good.result(60), also.result(60)) == ([2], [6])
    with pytest.raises(ValueError, match="wrong"):
        bad.result(60)


def test_what_nobody_waits_for_is_not_computed(batcher, slow):
    """Who went away is not answered."""
    gone, last = batcher.submit("a", [1]), batcher.submit("a", [2])
    gone.cancel()
    slow.may.set()
    assert last.result(60) == [4]
    assert slow.batches[1:] == [("a", [2])]


def test_at_the_end_all_that_was_taken_is_finished(slow):
    """And nothing is taken afterwards."""
    batcher = Batcher(slow, largest=1, waiting=9)
    asked = [batcher.submit("a", [number]) for number in range(5)]
    slow.may.set()
    batcher.close()
    assert [one.result(0) for one in asked] == [[0], [2], [4], [6], [8]]
    with pytest.raises(BusyError, match="stopping"):
        batcher.submit("a", [1])
