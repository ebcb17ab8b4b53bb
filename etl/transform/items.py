"""Turns a batch of raw items of one collection into a typed frame and rejected records."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from etl.catalogue import COLLECTIONS, EXTRA
from etl.transform.cells import cut, shown
from etl.transform.decode import decode
from etl.transform.extra import Shapes, extras, shapes_of
from etl.transform.hashing import hash_items
from etl.transform.instants import instants
from etl.transform.members import members, tops
from etl.transform.readers import Columns, array, dtype_of, read_columns
from etl.transform.rejected import Rejection, rejected_frame
from etl.transform.text import point_ids

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from etl.catalogue import Collection, Entity

Key = tuple[str | None, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """A batch normalised.

    `frame`: one row per item, columns as the entity's `batch`, dtypes as `frame_dtypes`; times in UTC, sizes in bytes,
    missing text NaN, `extra` a compact JSON object, `absent` a bit per column that the item has no field for (bit i:
    column i), `source_hash` missing where a field was unreadable. `rejected`: one row per unreadable field or item,
    columns `record_hash`, `field` (missing: the whole item), `item_id`, `reason`, `raw`, all text.
    """

    frame: pd.DataFrame
    rejected: pd.DataFrame


def frame_dtypes(entity: Entity) -> dict[str, str]:
    """Give the columns of an entity's frame, in order, with their pandas dtypes."""
    own = {EXTRA: "str", "source_hash": "Int64", "absent": "int64"}
    return {column: own.get(column) or dtype_of(column, entity.reads[column]) for column in entity.batch}


def normalise(items: Sequence[bytes], *, collection: str) -> Batch:
    """Normalise raw items of one collection, as received; an item or field that is unreadable never stops the rest.

    An item without a readable key, or without what its entity requires, is rejected whole; any other unreadable field
    leaves its column empty and is rejected by itself. Of several items with one key the last is taken, and only its
    fields judged.

    Raises:
        KeyError: the collection is unknown.
    """
    described = COLLECTIONS[collection]
    entity = described.entity
    decoded = decode(items)
    rejections = [Rejection(row, None, None, f"The item {fault}.") for row, fault in decoded.faults.items()]
    rows = [row for row, item in enumerate(decoded.values) if item is not None]
    things = [item for item in decoded.values if item is not None]

    keys, whole = _keys(things, described)
    rejections += [Rejection(rows[at], None, _item_id(keys[at]), reason) for at, reason in whole.items()]
    last_read = {keys[at]: at for at in range(len(things)) if at not in whole}
    kept = sorted(last_read.values())

    points = [things[at] for at in kept]
    read = read_columns(points, described)
    for place, column in enumerate(entity.key):
        read.arrays[column] = array([keys[at][place] for at in kept], "str")
    shapes = shapes_of(points)
    modelled = {path for paths in described.fields.values() for path in paths}
    texts, extra_faults = extras(points, shapes, modelled, read.kept)
    for at, why_by_field in extra_faults.items():
        read.faults[at] |= why_by_field
    read.arrays[EXTRA] = array(texts, "str")
    hashes = hash_items([items[rows[at]] for at in kept])
    unreadable = np.zeros(len(kept), np.bool_)
    unreadable[list(read.faults)] = True
    read.arrays["source_hash"] = pd.arrays.IntegerArray(hashes, unreadable)
    for at, field_faults in read.faults.items():
        item_id = _item_id(keys[kept[at]])
        rejections += [
            Rejection(rows[kept[at]], field, item_id, f"{cut(field)} {why}.") for field, why in field_faults.items()
        ]
    columns = read.arrays | {"absent": _absent(shapes, described, read)}
    frame = pd.DataFrame({column: columns[column] for column in entity.batch}, copy=False)
    return Batch(frame, rejected_frame(rejections, items, collection))


def _keys(things: Sequence[Mapping[str, Any]], described: Collection) -> tuple[list[Key], dict[int, str]]:
    """Give the key of each item, and row → reason for those without a readable one or without what is required."""
    entity = described.entity
    reasons: dict[int, list[str]] = defaultdict(list)
    ids = []
    for column in entity.key:
        (name,) = described.fields[column]
        found = members(things, (name,)).values
        if not described.is_page:
            # an object that stands alone needs no id: the collection's name tells it from any other
            found = [described.name if value is None else value for value in found]
        cells = point_ids(found)
        for at, fault in cells.faults.items():
            why = fault if name in things[at] else "is missing"
            reasons[at].append(f"{name} {why}: a {entity.one} needs an id.")
        ids.append(cells.values)
    for column in entity.required:
        (name,) = described.fields[column]
        found = members(things, (name,)).values
        times = instants(found)
        for at in np.flatnonzero(times.missing).tolist():
            why = times.faults.get(at, "is null" if name in things[at] else "is missing")
            if at in times.endless:
                why = f"is {shown(found[at])}, which stands for no date"
            reasons[at].append(f"{name} {why}: a {entity.one} needs its {column.replace('_', ' ')}.")
    return list(zip(*ids, strict=True)), {at: " ".join(why) for at, why in reasons.items()}


def _item_id(key: Key) -> str | None:
    return key[0] if len(key) == 1 else None


def _absent(shapes: Shapes, described: Collection, read: Columns) -> NDArray[np.int64]:
    """Give per item the columns without a field, a bit each."""
    always_there = {*described.entity.key, *described.fixed, EXTRA, "source_hash", "absent"}
    bits = {column: 1 << at for at, column in enumerate(described.entity.batch) if column not in always_there}
    wanted = {column: tops(described.fields.get(column, ())) for column in bits}
    masks = [sum(bit for column, bit in bits.items() if wanted[column].isdisjoint(shape)) for shape in shapes.distinct]
    absent = np.array(masks, np.int64)[np.array(shapes.of_rows, np.intp)]
    for column, rows in read.present.items():
        absent[list(rows)] &= ~bits[column]
    return absent
