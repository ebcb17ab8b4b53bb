r"""Splits a page that the fast JSON reader refuses for the sake of one item.

msgspec refuses a whole text for a lone surrogate (`\ud800`, which RFC 8259 allows), a control character or a
NaN in it. One such item must not hide the others, so the standard library's more tolerant reader is asked
where each item begins and ends, and the items are handed on as they are. Neither reads what nests some thousand
levels deep; of such an item the brackets are counted.
"""

from __future__ import annotations

import json
import re
from typing import Any

_decoder = json.JSONDecoder(strict=False)
# Of an item only the end matters: its numbers stay text, since Python makes no integer of more than 4,300 digits.
_scanner = json.JSONDecoder(strict=False, parse_int=str, parse_float=str)
_blank = re.compile(r"[ \t\n\r]*")
_bracket_or_string = re.compile(r'[\[{]|[\]}]|"[^"\\]*(?:\\.[^"\\]*)*(?:"|\Z)', re.DOTALL)


class NotJson(ValueError):
    """Not JSON, even for a tolerant reader."""


def is_json(body: bytes) -> bool:
    """Tell whether a body is JSON for a tolerant reader; raises `RecursionError` for absurd nesting."""
    text = _text(body)
    try:
        return _value(text, 0)[1] == len(text)
    except NotJson:
        return False


def split_page(body: bytes) -> tuple[dict[str, Any], list[bytes] | None]:
    """Give a JSON object's values without `results`, and the raw text of each item of `results`.

    None for the items if `results` is missing or no array; then its value, if any, stands among the values.
    Raises `NotJson` for what is not JSON or no object, `RecursionError` for absurd nesting outside the items.
    """
    text = _text(body).rstrip(" \t\n\r")
    if not text.endswith("}"):
        raise NotJson
    position = _expect(text, 0, "{")
    values: dict[str, Any] = {}
    items: list[bytes] | None = None
    if position == len(text) - 1:
        return values, items
    while True:
        key, position = _value(text, position)
        if not isinstance(key, str):
            raise NotJson
        position = _expect(text, position, ":")
        if key == "results" and text[position : position + 1] == "[":
            items, position = _items(text, position)
        else:
            values[key], position = _value(text, position)
        if position == len(text) - 1:
            return values, items
        position = _expect(text, position, ",")


def _items(text: str, position: int) -> tuple[list[bytes], int]:
    items: list[bytes] = []
    position = _expect(text, position, "[")
    if text[position : position + 1] == "]":
        return items, _skip(text, position + 1)
    while True:
        start = position
        try:
            _, end = _scanner.raw_decode(text, start)
        except RecursionError:
            end = _closed(text, start)
        except ValueError:
            raise NotJson from None
        items.append(text[start:end].encode("utf-8", "surrogateescape"))
        position = _skip(text, end)
        if text[position : position + 1] == "]":
            return items, _skip(text, position + 1)
        position = _expect(text, position, ",")


def _closed(text: str, start: int) -> int:
    """Give the end of the array or object that begins at `start`, whatever stands between its brackets."""
    depth = 0
    for found in _bracket_or_string.finditer(text, start):
        if found[0] in "[{":
            depth += 1
        elif found[0] in "]}":
            depth -= 1
        if depth == 0:
            return found.end()
    raise NotJson


def _text(body: bytes) -> str:
    # Bytes that are not UTF-8 pass through unchanged: whoever reads the item judges them.
    return body.decode("utf-8", "surrogateescape")


def _value(text: str, position: int) -> tuple[Any, int]:
    try:
        value, end = _decoder.raw_decode(text, _skip(text, position))
    except ValueError:
        raise NotJson from None
    return value, _skip(text, end)


def _skip(text: str, position: int) -> int:
    blank = _blank.match(text, position)
    return blank.end() if blank else position


def _expect(text: str, position: int, character: str) -> int:
    position = _skip(text, position)
    if text[position : position + 1] != character:
        raise NotJson
    return _skip(text, position + 1)
