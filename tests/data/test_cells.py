"""Cells of tables, whatever library they are from."""

import copy
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from uuid import UUID

import numpy as np
import pyarrow
import pytest

from lingraft.data.cells import ClassNumber, Unreadable, described, is_missing, plain, written

MISSING = [None, float("nan"), Decimal("nan"), np.float32("nan"), np.datetime64("NaT"), pyarrow.scalar(None)]


@pytest.mark.parametrize("value", MISSING)
def test_what_is_missing_is_none(value):
    """Each library has its own mark for it."""
    assert plain(value) is None
    assert plain([value, "a"]) == [None, "a"]


def test_what_pandas_calls_missing_is_missing():
    """Its marks may be compared with nothing, not even with themselves."""
    pandas = pytest.importorskip("pandas")
    assert plain([pandas.NA, pandas.NaT]) == [None, None]
    assert is_missing(pandas.NA)


@pytest.mark.parametrize("value", [0, "", False, "nan", [], float("inf"), Decimal("inf")])
def test_what_is_there_is_not_missing(value):
    """Nothing, zero and false are values."""
    assert not is_missing(value)
    assert plain(value) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3, "3"), (3.0, "3"), (-0.0, "0"), (0.25, "0.25"), (2.0**60, str(2.0**60)), (Decimal("3.0"), "3"),
        (Decimal("nan"), ""), (float("inf"), "inf"), (True, "True"), ("3.0", "3.0"),
        (ClassNumber(1, "health"), "health"),
        (datetime(2024, 1, 2), "2024-01-02"), (datetime(2024, 1, 2, tzinfo=UTC), "2024-01-02 00:00:00+00:00"),
        (time(3, 4), "03:04:00"), (timedelta(hours=2), "2:00:00"), (UUID(int=1), str(UUID(int=1))),
        (Unreadable("the error #N/A", "#N/A"), "#N/A"), (Unreadable("merged"), ""),
    ],
)  # fmt: skip
def test_a_value_is_written_as_people_write_it(value, text):
    """A whole number has no point, a day no hours."""
    assert written(value) == text


def test_a_number_of_a_class_is_a_number_with_a_name():
    """And stays one where it is copied."""
    number = ClassNumber(1, "health")
    assert number == 1
    assert copy.deepcopy([number])[0].name == "health"


def test_messages_show_dates_as_dates():
    """Not as Python would make them."""
    assert described(datetime(2024, 1, 2, 3, 4)) == "the date 2024-01-02 03:04:00"
    assert described(5) == "the number 5"
