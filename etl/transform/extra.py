"""Keeps every field that has no column: as compact JSON with sorted keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from etl.transform.cells import BeyondNumber, escaped, shown, storable

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

UNKEPT = frozenset({"usn"})
"""Fields that are dropped: a change counter of the appliance, which says nothing about the point."""

_encode = msgspec.json.Encoder(order="sorted", decimal_format="number").encode


def extras(
    items: Sequence[Mapping[str, Any]],
    shapes: Sequence[tuple[str, ...]],
    modelled: Collection[str],
    kept: Mapping[int, Mapping[str, object]],
) -> tuple[list[str], dict[int, dict[str, str]]]:
    """Give for each item the JSON object of what has no column, and row → field → why it could not be kept.

    `shapes` are the items' field names, in each item's order. Dropped are `usn` and `_links.self`, and `_links` if
    nothing else was in it. `kept` adds, by row, fields that have a column but say more than the column holds.
    """
    unmodelled: dict[tuple[str, ...], list[str]] = {}
    texts: list[str] = []
    faults: dict[int, dict[str, str]] = {}
    for row, (item, shape) in enumerate(zip(items, shapes, strict=True)):
        fields = unmodelled.get(shape)
        if fields is None:
            fields = [name for name in shape if name not in modelled and name not in UNKEPT]
            unmodelled[shape] = fields
        rest = {name: item[name] for name in fields}
        if rest.get("_links"):
            _drop_self(rest)
        if row in kept:
            rest |= kept[row]
        text = _regular(rest)
        if text is None:
            wrong = {name: fault for name, value in rest.items() if (fault := _fault(name, value))}
            text = _encode({name: value for name, value in rest.items() if name not in wrong}).decode()
            if wrong:
                faults[row] = {escaped(name): fault for name, fault in wrong.items()}
        texts.append(text)
    return texts, faults


def _drop_self(rest: dict[str, Any]) -> None:
    links = rest["_links"]
    if isinstance(links, dict):
        others = {name: link for name, link in links.items() if name.lower() != "self"}
        if others:
            rest["_links"] = others
        else:
            del rest["_links"]


def _regular(rest: Mapping[str, Any]) -> str | None:
    if not rest:
        return "{}"
    try:
        text = _encode(rest).decode()
    except (UnicodeEncodeError, TypeError):
        return None
    return None if "\\u0000" in text else text


def _fault(name: str, value: object) -> str | None:
    if not storable(name):
        return "has a name with characters that cannot be stored (NUL or broken Unicode)"
    open_ends: list[object] = [value]
    while open_ends:
        part = open_ends.pop()
        if isinstance(part, dict):
            open_ends.extend(part.keys())
            open_ends.extend(part.values())
        elif isinstance(part, list):
            open_ends.extend(part)
        elif isinstance(part, BeyondNumber):
            return f"holds {shown(part)}, a number that cannot be stored"
        elif isinstance(part, str) and not storable(part):
            return f"holds {shown(part)}, with characters that cannot be stored (NUL or broken Unicode)"
    return None
