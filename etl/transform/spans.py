"""Reads durations: .NET time spans and whole milliseconds, to the microsecond, truncated and never rounded."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from etl.transform.cells import Cells, Unreadable, read_each, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_MILLISECONDS: Final = (2**63 - 1) // 10_000
"""The longest span that .NET has, about 29,000 years; it counts in ticks of 100 nanoseconds."""

_SPAN = re.compile(
    r"(?:(?P<days>[0-9]{1,8})\.)?"
    r"(?P<hours>[01][0-9]|2[0-3]):(?P<minutes>[0-5][0-9]):(?P<seconds>[0-5][0-9])(?:\.(?P<fraction>[0-9]{1,7}))?"
)
_DIGITS = re.compile(r"[0-9]+")


def spans(values: Sequence[object]) -> Cells[float]:
    """Read durations as seconds.

    Texts are .NET time spans, `[d.]hh:mm:ss[.fffffff]`, of which v8.1 sends a string. v2 and v3 document whole
    milliseconds, as a number; a text of decimal digits is taken for such a number. Null is none. A negative
    duration is no duration.
    """
    return read_each(values, _span)


def _span(value: object) -> float:
    microseconds: int | None = None
    if isinstance(value, str):
        if _DIGITS.fullmatch(value):
            # the length first: Python reads no text of thousands of digits
            significant = value.lstrip("0") or "0"
            microseconds = int(significant) * 1000 if len(significant) <= len(str(MAX_MILLISECONDS)) else None
        elif found := _SPAN.fullmatch(value):
            part = found.groupdict(default="")
            minutes = (int(part["days"] or 0) * 24 + int(part["hours"])) * 60 + int(part["minutes"])
            microseconds = (minutes * 60 + int(part["seconds"])) * 1_000_000 + int(part["fraction"][:6].ljust(6, "0"))
    elif type(value) is int:
        microseconds = value * 1000
    if microseconds is None or not 0 <= microseconds // 1000 <= MAX_MILLISECONDS:
        raise Unreadable(f"is {shown(value)}, neither a time span (d.hh:mm:ss.fffffff) nor whole milliseconds")
    return microseconds / 1_000_000
