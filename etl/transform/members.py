"""Gets what the fields of items hold, inside objects too."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from etl.transform.cells import shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Members(NamedTuple):
    """What a column's fields hold, an entry per item.

    `values`: None where there is nothing. `names`: the field that a value came from, as messages spell it.
    `faults`: row → field → why it cannot be looked into.
    """

    values: list[object]
    names: Sequence[str]
    faults: dict[int, dict[str, str]]


def members(items: Sequence[Mapping[str, Any]], paths: Sequence[str]) -> Members:
    """Get the first of `paths` that is not null from each item; a dot in a path leads into an object."""
    if not paths:
        return Members([None] * len(items), [""] * len(items), {})
    if len(paths) == 1 and "." not in paths[0]:
        return Members(_top(items, paths[0]), [paths[0]] * len(items), {})
    values: list[object] = []
    names: list[str] = []
    faults: dict[int, dict[str, str]] = {}
    split = [(path, path.split(".")) for path in paths]
    for row, item in enumerate(items):
        value, name = None, paths[0]
        for path, parts in split:
            value, fault = _dig(item, parts)
            if fault:
                faults.setdefault(row, {}).update(fault)
            if value is not None:
                name = path
                break
        values.append(value)
        names.append(name)
    return Members(values, names, faults)


def not_taken(
    items: Sequence[Mapping[str, Any]], paths: Sequence[str], taken: Members, held: Sequence[object]
) -> dict[int, dict[str, object]]:
    """Give, by row, the fields among `paths` that say something else than the one taken and the column `held` of it.

    Members of objects are not among them: objects are kept whole.
    """
    others: dict[int, dict[str, object]] = {}
    alternatives = [path for path in paths if "." not in path] if len(paths) > 1 else []
    for path in alternatives:
        for row, item in enumerate(items):
            value = item.get(path)
            if value is not None and path != taken.names[row] and value not in (taken.values[row], held[row]):
                others.setdefault(row, {})[path] = value
    return others


def tops(paths: Sequence[str]) -> set[str]:
    """Give the fields at the top of an item that paths begin with."""
    return {path.partition(".")[0] for path in paths}


def _top(items: Sequence[Mapping[str, Any]], field: str) -> list[object]:
    try:
        return list(map(itemgetter(field), items))
    except KeyError:
        return [item.get(field) for item in items]


def _dig(item: Mapping[str, Any], parts: Sequence[str]) -> tuple[object, dict[str, str]]:
    value: object = item
    for depth, part in enumerate(parts):
        if value is None:
            return None, {}
        if not isinstance(value, dict):
            return None, {".".join(parts[:depth]): f"is {shown(value)}, not an object"}
        value = value.get(part)
    return value, {}
