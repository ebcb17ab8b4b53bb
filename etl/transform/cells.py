"""What every column's normaliser shares: the column it hands back and how a cell says that it is unreadable."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Generic, TypeVar

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Cell = TypeVar("Cell")

SHOWN = 60
"""Characters of an offending value that a reason shows."""

_encode = msgspec.json.Encoder(decimal_format="number", enc_hook=str).encode


class Unreadable(ValueError):
    """One cell cannot be read; the message completes a sentence that begins with the field's name."""


class BeyondNumber:
    """A number in an item that is none in SQL: NaN, Infinity, or past what a double can hold.

    `text` is how the item spells it.
    """

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Cells(Generic[Cell]):
    """A column read: one value per row (None where there is none), and row → what is wrong with it."""

    values: Sequence[Cell | None]
    faults: dict[int, str] = field(default_factory=dict)


def read_each(values: Sequence[object], read: Callable[[object], Cell | None]) -> Cells[Cell]:
    """Read a column cell by cell: the exact way, for columns with anything out of the ordinary in them."""
    cells: list[Cell | None] = []
    faults: dict[int, str] = {}
    for row, value in enumerate(values):
        try:
            cells.append(None if value is None else read(value))
        except Unreadable as fault:
            cells.append(None)
            faults[row] = str(fault)
    return Cells(cells, faults)


def storable(text: str) -> bool:
    """Whether a text can live in every database: no NUL, no lone surrogate."""
    if "\0" in text:
        return False
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def escaped(text: str) -> str:
    """Give the text with NUL and lone surrogates spelled as backslash escapes, so that it can be stored."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\u0000")


def shown(value: object) -> str:
    """Give an offending value as a reason shows it: as JSON, escaped and cut."""
    if isinstance(value, (BeyondNumber, Decimal)):
        text = str(value)
    elif isinstance(value, str):
        text = f'"{value}"'
    else:
        try:
            text = _encode(value).decode()
        except (UnicodeEncodeError, RecursionError):
            text = f"an unreadable {'object' if isinstance(value, dict) else 'array'}"
    return cut(text)


def cut(text: str) -> str:
    """Give a text as a reason shows it: what does not print is escaped, and `SHOWN` characters are enough."""
    printable = "".join(one if one.isprintable() else f"\\u{ord(one):04x}" for one in text[: SHOWN + 1])
    return printable if len(printable) <= SHOWN else printable[: SHOWN - 1] + "…"
