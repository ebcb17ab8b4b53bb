"""Reads sizes in bytes, counts and yes-or-no flags, exactly: no figure passes through a float."""

from __future__ import annotations

import re
from types import NoneType
from typing import TYPE_CHECKING, Final, cast

from etl.transform.cells import Cells, Unreadable, read_each, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_SIZE: Final = 2**63 - 1

_DIGITS = re.compile(r"[0-9]+")


def sizes(values: Sequence[object]) -> Cells[int]:
    """Read sizes in bytes, or counts: whole numbers from 0 to 2**63 - 1, or texts of decimal digits that say one."""
    if set(map(type, values)) <= {int, NoneType}:
        figures = cast("list[int]", [value for value in values if value is not None])
        if not figures or (min(figures) >= 0 and max(figures) <= MAX_SIZE):
            return Cells(cast("Sequence[int | None]", values))
    return read_each(values, _size)


def flags(values: Sequence[object]) -> Cells[bool]:
    """Read yes-or-no flags: true, false or null."""
    if set(map(type, values)) <= {bool, NoneType}:
        return Cells(cast("Sequence[bool | None]", values))
    return read_each(values, _flag)


def _size(value: object) -> int:
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        significant = value.lstrip("0") or "0"
        if len(significant) <= len(str(MAX_SIZE)) and int(significant) <= MAX_SIZE:
            return int(significant)
    elif type(value) is int and 0 <= value <= MAX_SIZE:
        return value
    raise Unreadable(f"is {shown(value)}, not a whole number from 0 to {MAX_SIZE}")


def _flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise Unreadable(f"is {shown(value)}, neither true nor false")
