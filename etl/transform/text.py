"""Reads ids, names and enumerations: text as given, refused where no database could hold it."""

from __future__ import annotations

import re
from types import NoneType
from typing import TYPE_CHECKING, Final, cast

from etl.transform.cells import Cells, Unreadable, read_each, shown, storable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MAX_ID_LENGTH: Final = 600
"""Characters of the longest id: what every database can still hold in an index, four bytes a character."""

_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def point_ids(values: Sequence[object]) -> Cells[str]:
    """Read restore point ids: text that is not blank; UUIDs in lower case. Null is a fault."""
    if (
        NoneType not in map(type, values)
        and _regular_ids(values)
        and all(map(str.strip, cast("Sequence[str]", values)))
    ):
        return Cells(cast("Sequence[str]", values))
    cells = read_each(values, _point_id)
    nothing = {row: "is null" for row, value in enumerate(values) if value is None}
    return Cells(cells.values, cells.faults | nothing)


def identifiers(values: Sequence[object]) -> Cells[str]:
    """Read other ids: text as given, a whole number as its digits; UUIDs in lower case."""
    if _regular_ids(values):
        return Cells(cast("Sequence[str | None]", values))
    return read_each(values, _identifier)


def names(values: Sequence[object]) -> Cells[str]:
    """Read names: text as given."""
    if _regular(values):
        return Cells(cast("Sequence[str | None]", values))
    return read_each(values, _name)


def enumerations(values: Sequence[object]) -> Cells[str]:
    """Read enumerations: text as given, unknown values too; an array of texts in sorted order, joined with commas."""
    if _regular(values):
        return Cells(cast("Sequence[str | None]", values))
    return read_each(values, _enumeration)


def _regular(values: Sequence[object]) -> bool:
    return set(map(type, values)) <= {str, NoneType} and storable("".join(_texts(values)))


def _regular_ids(values: Sequence[object]) -> bool:
    if not set(map(type, values)) <= {str, NoneType}:
        return False
    joined = "".join(_texts(values))
    longest = max(map(len, _texts(values)), default=0)
    return longest <= MAX_ID_LENGTH and joined == joined.lower() and storable(joined)


def _texts(values: Sequence[object]) -> Iterable[str]:
    return cast("Iterable[str]", filter(None, values))


def _point_id(value: object) -> str:
    if not isinstance(value, str):
        raise Unreadable(f"is {shown(value)}, not a text")
    if not value.strip():
        raise Unreadable("is blank")
    return _identifier(value)


def _identifier(value: object) -> str:
    if type(value) is int:
        value = str(value)
    if not isinstance(value, str):
        raise Unreadable(f"is {shown(value)}, neither a text nor a whole number")
    text = _name(value)
    if len(text) > MAX_ID_LENGTH:
        raise Unreadable(f"is {shown(value)}, longer than the {MAX_ID_LENGTH} characters an id may have")
    return text.lower() if _UUID.fullmatch(text) else text


def _name(value: object) -> str:
    if not isinstance(value, str):
        raise Unreadable(f"is {shown(value)}, not a text")
    if not storable(value):
        raise Unreadable(f"is {shown(value)}, with characters that cannot be stored (NUL or broken Unicode)")
    return value


def _enumeration(value: object) -> str:
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return ",".join(sorted(map(_name, value)))
    if not isinstance(value, str):
        raise Unreadable(f"is {shown(value)}, neither a text nor an array of texts")
    return _name(value)
