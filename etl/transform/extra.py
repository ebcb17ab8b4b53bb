"""Keeps every field that has no column: as compact JSON with sorted keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from etl.transform.cells import BeyondNumber, escaped, shown, storable

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

UNKEPT = frozenset({"usn"})
"""Fields that are dropped: a change counter of the appliance, which says nothing about the point."""

MAX_DEPTH: Final = 100
"""Levels that a field may nest; the vendor's nest two, and databases and JSON readers stop at some depth."""

_encode = msgspec.json.Encoder(order="sorted", decimal_format="number").encode


class Shapes(NamedTuple):
    """Which field names each item of a batch has: `of_rows` counts in `distinct`, which has few."""

    distinct: list[tuple[str, ...]]
    of_rows: list[int]


def shapes_of(items: Sequence[Mapping[str, Any]]) -> Shapes:
    """Give the items' shapes, so that what follows from the names alone is worked out once a shape."""
    seen: dict[tuple[str, ...], int] = {}
    of_rows = [seen.setdefault(tuple(item), len(seen)) for item in items]
    return Shapes(list(seen), of_rows)


def extras(
    items: Sequence[Mapping[str, Any]],
    shapes: Shapes,
    modelled: Collection[str],
    kept: Mapping[int, Mapping[str, object]],
) -> tuple[list[str], dict[int, dict[str, str]]]:
    """Give for each item the JSON object of what has no column, and row → field → why it could not be kept.

    Dropped are `usn` and `_links.self`, and `_links` if nothing else was in it. `kept` adds, by row, fields that
    have a column but say more than the column holds.
    """
    unmodelled = [[name for name in shape if name not in modelled and name not in UNKEPT] for shape in shapes.distinct]
    all_null = [dict.fromkeys(names) for names in unmodelled]
    null_texts = [_encode(nulls).decode() if all(map(storable, nulls)) else None for nulls in all_null]
    texts: list[str] = []
    faults: dict[int, dict[str, str]] = {}
    for row, (item, shape) in enumerate(zip(items, shapes.of_rows, strict=True)):
        rest = {name: item[name] for name in unmodelled[shape]}
        text = null_texts[shape] if rest == all_null[shape] else None
        if text is None or row in kept:
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
    except (UnicodeEncodeError, TypeError, RecursionError):
        return None
    regular = "\\u0000" not in text and (len(text) <= 2 * MAX_DEPTH or text.count("{") + text.count("[") <= MAX_DEPTH)
    return text if regular else None


def _fault(name: str, value: object) -> str | None:
    if not storable(name):
        return "has a name with characters that cannot be stored (NUL or broken Unicode)"
    open_ends: list[tuple[int, object]] = [(0, value)]
    while open_ends:
        depth, part = open_ends.pop()
        if isinstance(part, (dict, list)):
            if depth == MAX_DEPTH:
                return f"nests deeper than {MAX_DEPTH} levels"
            inner = [*part.keys(), *part.values()] if isinstance(part, dict) else part
            open_ends.extend((depth + 1, one) for one in inner)
        elif isinstance(part, BeyondNumber):
            return f"holds {shown(part)}, a number that cannot be stored"
        elif isinstance(part, str) and not storable(part):
            return f"holds {shown(part)}, with characters that cannot be stored (NUL or broken Unicode)"
    return None
