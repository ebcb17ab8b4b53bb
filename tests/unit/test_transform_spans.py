"""Durations: what is read as which seconds, and what is no duration."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.transform.cells import BeyondNumber
from etl.transform.spans import MAX_MILLISECONDS, spans

READ: list[tuple[Any, float | None]] = [
    (None, None),
    ("00:00:00", 0.0),
    ("00:00:31", 31.0),
    ("00:00:31.8370930", 31.837093),
    ("00:00:31.8370939", 31.837093),  # the seventh digit is cut, never rounded
    ("00:00:00.9999999", 0.999999),
    ("00:00:01.5", 1.5),
    ("00:00:01.05", 1.05),
    ("00:01:00", 60.0),
    ("01:00:00", 3600.0),
    ("19:00:00", 68_400.0),
    ("23:59:59", 86_399.0),
    ("0.00:00:01", 1.0),
    ("1.00:00:00", 86_400.0),
    ("2.03:04:05", 183_845.0),
    ("2.03:04:05.6000000", 183_845.6),
    ("100.00:00:00", 8_640_000.0),
    ("10675199.02:48:05.4775807", 922_337_203_685.477580),
    (0, 0.0),
    (1, 0.001),
    (31_837, 31.837),
    (86_400_000, 86_400.0),
    (MAX_MILLISECONDS, MAX_MILLISECONDS / 1000),
    ("0", 0.0),
    ("31837", 31.837),
    ("0" * 30 + "31837", 31.837),
    (str(MAX_MILLISECONDS), MAX_MILLISECONDS / 1000),
]

UNREADABLE: list[tuple[Any, str]] = [
    ("", '""'),
    (" ", '" "'),
    ("-00:00:01", '"-00:00:01"'),
    ("-1.00:00:00", '"-1.00:00:00"'),
    ("+00:00:01", '"+00:00:01"'),
    ("24:00:00", '"24:00:00"'),
    ("99:00:00", '"99:00:00"'),
    ("1.24:00:00", '"1.24:00:00"'),
    ("00:60:00", '"00:60:00"'),
    ("00:00:60", '"00:00:60"'),
    ("0:00:31", '"0:00:31"'),
    ("00:31", '"00:31"'),
    ("1.00:31", '"1.00:31"'),
    ("00:00:31.", '"00:00:31."'),
    ("00:00:31,5", '"00:00:31,5"'),
    ("00:00:31.12345678", '"00:00:31.12345678"'),
    ("1:00:00:31", '"1:00:00:31"'),
    (".00:00:31", '".00:00:31"'),
    (" 00:00:31", '" 00:00:31"'),
    ("00:00:31\n", '"00:00:31\\u000a"'),
    ("00:00:٣١", '"00:00:٣١"'),
    ("10675199.02:48:05.4780000", '"10675199.02:48:05.4780000"'),
    ("99999999.00:00:00", '"99999999.00:00:00"'),
    ("PT31S", '"PT31S"'),
    ("-5", '"-5"'),
    ("-0", '"-0"'),
    ("31.8", '"31.8"'),
    ("1e3", '"1e3"'),
    ("٣١", '"٣١"'),
    (str(MAX_MILLISECONDS + 1), f'"{MAX_MILLISECONDS + 1}"'),
    ("9" * 5000, '"' + "9" * 58 + "…"),
    (-1, "-1"),
    (MAX_MILLISECONDS + 1, str(MAX_MILLISECONDS + 1)),
    (Decimal("31.8"), "31.8"),
    (Decimal("31.0"), "31.0"),
    (BeyondNumber("1e999"), "1e999"),
    (True, "true"),
    (False, "false"),
    ([], "[]"),
    ({"seconds": 1}, '{"seconds":1}'),
]


@pytest.mark.parametrize(("value", "seconds"), READ)
def test_a_duration_is_read_in_seconds(value: Any, seconds: float | None) -> None:
    read = spans([value])
    assert (list(read.values), read.faults) == ([seconds], {})


@pytest.mark.parametrize(("value", "spelled"), UNREADABLE)
def test_what_is_no_duration_is_a_fault_that_shows_it(value: Any, spelled: str) -> None:
    read = spans([value])
    assert list(read.values) == [None]
    assert read.faults == {0: f"is {spelled}, neither a time span (d.hh:mm:ss.fffffff) nor whole milliseconds"}


def test_a_fault_costs_its_own_row_only() -> None:
    read = spans(["00:00:01", "soon", None, 2000])
    assert list(read.values) == [1.0, None, None, 2.0]
    assert list(read.faults) == [1]


def test_no_values_give_no_cells() -> None:
    assert list(spans([]).values) == []


def written(duration: timedelta, tick: int) -> str:
    """A duration as .NET writes it; `tick` is the seventh digit of the fraction."""
    hours, rest = divmod(duration.seconds, 3600)
    days = f"{duration.days}." if duration.days else ""
    fraction = f".{duration.microseconds:06d}{tick}" if duration.microseconds or tick else ""
    return f"{days}{hours:02d}:{rest // 60:02d}:{rest % 60:02d}{fraction}"


@given(st.timedeltas(timedelta(0), timedelta(days=36_500)), st.integers(0, 9))
def test_a_duration_comes_back_to_the_microsecond(duration: timedelta, tick: int) -> None:
    [seconds] = spans([written(duration, tick)]).values
    assert seconds is not None
    assert timedelta(seconds=seconds) == duration


@given(st.integers(0, MAX_MILLISECONDS))
def test_milliseconds_mean_the_same_as_a_number_and_as_text(milliseconds: int) -> None:
    assert list(spans([milliseconds, str(milliseconds)]).values) == [milliseconds / 1000] * 2
