"""Decodes raw items; one bad spot in an item costs no more than it must."""

from __future__ import annotations

import json
import math
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import msgspec

from etl.transform.cells import BeyondNumber, Cells, Unreadable, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_DIGITS: Final = 4300
"""Characters of the longest number that is kept: where Python stops reading whole numbers."""

MAX_LEVELS: Final = 200
"""Levels of an item that nests deeper than the readers follow; what lies below them is left out.

They are more than a field may have, so that a field that lost something is refused.
"""

_bracket_or_string = re.compile(r'[\[{]|[\]}]|"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_DECODE_ERRORS = (msgspec.MsgspecError, ValueError, RecursionError)


def decode(items: Sequence[bytes]) -> Cells[dict[str, Any]]:
    """Decode raw items to objects; a fault says of an item why it is none.

    Fractions stay exact (`Decimal`). Text that is not UTF-8 arrives with lone surrogates in it and a number that
    no database holds as `BeyondNumber`, so that the field they stand in can be refused and the rest be read.
    """
    try:
        values: list[Any] = list(map(_decode_exactly, items))
    except _DECODE_ERRORS:
        values = []
    if len(values) == len(items) and set(map(type, values)) <= {dict}:
        return Cells(values)

    objects: list[dict[str, Any] | None] = []
    faults: dict[int, str] = {}
    for row, raw in enumerate(items):
        try:
            objects.append(_decode_one(raw))
        except Unreadable as fault:
            objects.append(None)
            faults[row] = str(fault)
    return Cells(objects, faults)


def _decode_one(raw: bytes) -> dict[str, Any]:
    try:
        value = _decode_tolerantly(raw)
    except ValueError:
        raise Unreadable("is not readable as JSON") from None
    if not isinstance(value, dict):
        raise Unreadable(f"is {shown(value)}, not an object")
    return value


def _decode_tolerantly(raw: bytes) -> Any:
    try:
        return _decode_exactly(raw)
    except _DECODE_ERRORS:
        text = raw.decode("utf-8", "surrogateescape")
    try:
        return _load(text)
    except RecursionError:
        return _load(_shallow(text))


def _load(text: str) -> Any:
    return json.loads(text, strict=False, parse_int=_whole_number, parse_float=_fraction, parse_constant=BeyondNumber)


def _shallow(text: str) -> str:
    """Give a JSON text with null for each array or object that lies below `MAX_LEVELS`."""
    kept: list[str] = []
    depth = begin = 0
    for found in _bracket_or_string.finditer(text):
        if found[0] in "[{":
            depth += 1
            if depth == MAX_LEVELS + 1:
                kept += [text[begin : found.start()], "null"]
                begin = len(text)
        elif found[0] in "]}":
            if depth == MAX_LEVELS + 1:
                begin = found.end()
            depth -= 1
    return "".join([*kept, text[begin:]])


def _whole_number(text: str) -> int | BeyondNumber:
    return int(text) if len(text) <= MAX_DIGITS else BeyondNumber(text)


def _fraction(text: str) -> Decimal | BeyondNumber:
    nearest = float(text)
    exact = Decimal(text)
    if len(text) > MAX_DIGITS or not math.isfinite(nearest) or (nearest == 0) != exact.is_zero():
        return BeyondNumber(text)
    return exact


def _strict_fraction(text: str) -> Decimal:
    number = _fraction(text)
    if isinstance(number, BeyondNumber):
        raise ValueError(text)
    return number


_decode_exactly = msgspec.json.Decoder(float_hook=_strict_fraction).decode
