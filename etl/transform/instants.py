"""Reads instants: RFC 3339 and ISO 8601, to the microsecond, truncated and never rounded."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from etl.transform.cells import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

FIRST: Final = 0
"""1970-01-01T00:00:00Z, in microseconds since then: the earliest instant that is taken for one."""

END: Final = (date(2263, 1, 1) - date(1970, 1, 1)).days * 86_400 * 1_000_000
"""2263-01-01T00:00:00Z: the first instant that is too late."""

_SHORTEST = len("1970-01-01T00:00:00Z")
_LONGEST = len("1970-01-01T00:00:00.123456789+00:00")
_MICROSECONDS_A_MINUTE = 60_000_000

_TIME = (
    r"(?P<hour>[01][0-9]|2[0-3])"
    r"(?::(?P<minute>[0-5][0-9])(?::(?P<second>[0-5][0-9]|60)(?:[.,](?P<fraction>[0-9]{1,9}))?)?"
    r"|(?P<minute_>[0-5][0-9])(?:(?P<second_>[0-5][0-9]|60)(?:[.,](?P<fraction_>[0-9]{1,9}))?)?)"
    r"(?:[Zz]|(?P<sign>[+-])(?P<offset_hours>[01][0-9]|2[0-3])(?::?(?P<offset_minutes>[0-5][0-9]))?)?"
)
_INSTANT = re.compile(
    r"(?P<year>[0-9]{4})"
    r"(?:-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})|(?P<month_>[0-9]{2})(?P<day_>[0-9]{2})"
    r"|-?W(?P<week>[0-9]{2})-?(?P<weekday>[1-7])"
    r"|-?(?P<day_of_year>[0-9]{3}))"
    rf"[Tt ]{_TIME}"
)
_ENDLESS = re.compile(rf"(?:0001-01-01|9999-12-31)(?:[Tt ]{_TIME})?")
"""What .NET serialises for DateTime.MinValue and MaxValue: none, and for ever."""


class Instant(NamedTuple):
    """Microseconds since 1970-01-01T00:00:00Z, and the offset in minutes as written (None: none was written)."""

    microseconds: int
    offset: int | None


@dataclass(frozen=True, slots=True)
class Instants:
    """A column of instants read.

    `microseconds` since 1970 (UTC), where `missing` is false; `offsets` in minutes as written, where `has_offset`;
    `faults` row → what is wrong; `endless` the rows that hold .NET's first or last day, which are missing.
    """

    microseconds: NDArray[np.int64]
    missing: NDArray[np.bool_]
    offsets: NDArray[np.int64]
    has_offset: NDArray[np.bool_]
    faults: dict[int, str]
    endless: set[int]

    def aware(self) -> list[datetime | None]:
        """Give the instants as `datetime`s in UTC, None where there is none."""
        stamps = self.microseconds.astype("M8[us]").astype(object).tolist()
        missing = self.missing.tolist()
        return [None if none else one.replace(tzinfo=UTC) for one, none in zip(stamps, missing, strict=True)]


def instants(values: Sequence[object]) -> Instants:
    """Read a column of instants; null is missing. The regular forms go at once, any other cell by itself."""
    texts = [value if type(value) is str else "" for value in values]
    read = _read_regular(texts)
    for row in np.flatnonzero(read.missing).tolist():
        value = values[row]
        if value is None:
            continue
        if isinstance(value, str) and _ENDLESS.fullmatch(value):
            read.endless.add(row)
            continue
        instant = read_instant(value) if isinstance(value, str) else None
        if instant is None:
            read.faults[row] = f"is {shown(value)}, not a date and time from 1970 to 2262"
            continue
        read.microseconds[row] = instant.microseconds
        read.missing[row] = False
        if instant.offset is not None:
            read.offsets[row] = instant.offset
            read.has_offset[row] = True
    return read


def read_instant(text: str) -> Instant | None:
    """Read one instant in any accepted form; None if it is none, or outside 1970 to 2262 (UTC).

    Date and time are both needed, seconds are not; up to nine fraction digits, the seventh and later cut off. No
    offset means UTC. A leap second is the next minute's first second. Dates may be written by month and day, week
    and weekday, or day of the year, with or without dashes.
    """
    found = _INSTANT.fullmatch(text)
    if found is None:
        return None
    part = found.groupdict()
    try:
        day = _day(part)
    except ValueError:
        return None
    offset = None
    if part["sign"]:
        offset = int(part["offset_hours"]) * 60 + int(part["offset_minutes"] or 0)
        offset = -offset if part["sign"] == "-" else offset
    elif text[-1] in "Zz":
        offset = 0
    minute = day * 1440 + int(part["hour"]) * 60 + int(part["minute"] or part["minute_"]) - (offset or 0)
    second = int(part["second"] or part["second_"] or 0)
    fraction = (part["fraction"] or part["fraction_"] or "")[:6].ljust(6, "0")
    microseconds = minute * _MICROSECONDS_A_MINUTE + second * 1_000_000 + int(fraction)
    return Instant(microseconds, offset) if FIRST <= microseconds < END else None


def _day(part: dict[str, str | None]) -> int:
    year = int(part["year"] or 0)
    if part["week"]:
        day = date.fromisocalendar(year, int(part["week"]), int(part["weekday"] or 0))
    elif part["day_of_year"]:
        day = date.fromordinal(date(year, 1, 1).toordinal() + int(part["day_of_year"]) - 1)
        if day.year != year:
            raise ValueError(part["day_of_year"])
    else:
        day = date(year, int(part["month"] or part["month_"] or 0), int(part["day"] or part["day_"] or 0))
    return day.toordinal() - date(1970, 1, 1).toordinal()


def _read_regular(texts: Sequence[str]) -> Instants:
    """Read `YYYY-MM-DDThh:mm:ss[.f{1,9}]` with `Z` or `±hh:mm`; whatever else comes stays missing."""
    count = len(texts)
    read = Instants(
        microseconds=np.zeros(count, np.int64),
        missing=np.ones(count, np.bool_),
        offsets=np.zeros(count, np.int64),
        has_offset=np.zeros(count, np.bool_),
        faults={},
        endless=set(),
    )
    lengths = np.fromiter(map(len, texts), np.int64, count)
    regular = (lengths >= _SHORTEST) & (lengths <= _LONGEST)
    if not regular.any():
        return read
    wide = np.array(texts, dtype=f"U{_LONGEST}").view(np.uint32).reshape(count, _LONGEST)
    # One row per place, so that each place of all texts lies together; what is not ASCII is no digit or sign.
    characters = np.ascontiguousarray(np.where(wide < 128, wide, 0).astype(np.uint8).T)
    for length in np.unique(lengths[regular]).tolist():
        utc = (lengths == length) & (characters[length - 1] == ord("Z"))
        _read_same_form(read, np.flatnonzero(utc), characters, length - 1, zoned=False)
        if length >= _SHORTEST + 5:
            zoned = (lengths == length) & np.isin(characters[length - 6], (ord("+"), ord("-")))
            _read_same_form(read, np.flatnonzero(zoned), characters, length - 6, zoned=True)
    return read


def _read_same_form(
    read: Instants, rows: NDArray[np.intp], characters: NDArray[np.uint8], end: int, *, zoned: bool
) -> None:
    """Read rows that have every digit in the same place: the fraction's last before `end`, the offset from there."""
    fraction = range(20, end)
    if not len(rows) or end == 20 or len(fraction) > 9:
        return
    form = characters[:, rows]
    digit = form - np.uint8(ord("0"))
    places = [0, 1, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 17, 18, *fraction]
    signs = [(4, "-"), (7, "-"), (10, "T"), (13, ":"), (16, ":")]
    if zoned:
        places += [end + 1, end + 2, end + 4, end + 5]
        signs.append((end + 3, ":"))
    if fraction:
        signs.append((19, "."))
    good = (digit[places] <= 9).all(axis=0)
    for place, sign in signs:
        good &= form[place] == ord(sign)

    def number(*at: int) -> NDArray[np.int64]:
        total = np.zeros(len(rows), np.int64)
        for place in at:
            total = total * 10 + digit[place]
        return total

    year, month, day = number(0, 1, 2, 3), number(5, 6), number(8, 9)
    hour, minute, second = number(11, 12), number(14, 15), number(17, 18)
    good &= (month >= 1) & (month <= 12) & (day >= 1) & (hour <= 23) & (minute <= 59) & (second <= 59)
    months = np.where(good, (year - 1970) * 12 + month - 1, 0)
    first_day, next_month = _days(months), _days(months + 1)
    good &= first_day + day <= next_month
    offset = np.zeros(len(rows), np.int64)
    if zoned:
        hours, minutes = number(end + 1, end + 2), number(end + 4, end + 5)
        good &= (hours <= 23) & (minutes <= 59)
        offset = np.where(form[end] == ord("-"), -1, 1) * (hours * 60 + minutes)
    minutes_since = ((first_day + day - 1) * 24 + hour) * 60 + minute - offset
    below_second = number(*fraction[:6]) * 10 ** (6 - len(fraction[:6]))
    microseconds = minutes_since * _MICROSECONDS_A_MINUTE + second * 1_000_000 + below_second
    good &= (microseconds >= FIRST) & (microseconds < END)

    rows = rows[good]
    read.microseconds[rows] = microseconds[good]
    read.offsets[rows] = offset[good]
    read.missing[rows] = False
    read.has_offset[rows] = True


def _days(months: NDArray[np.int64]) -> NDArray[np.int64]:
    return months.astype("M8[M]").astype("M8[D]").astype(np.int64)
