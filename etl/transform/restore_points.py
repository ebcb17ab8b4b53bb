"""Turns a batch of raw restore points into a typed frame and rejected records."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from etl.transform.cells import cut, shown
from etl.transform.decode import decode
from etl.transform.extra import Shapes, extras, shapes_of
from etl.transform.fields import FIELDS, FRAME_DTYPES, WORKLOADS
from etl.transform.hashing import hash_items
from etl.transform.instants import Instants, instants
from etl.transform.job_sessions import job_sessions
from etl.transform.rejected import Rejection, rejected_frame
from etl.transform.sizes import flags, sizes
from etl.transform.text import enumerations, identifiers, names, point_ids

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray
    from pandas.api.extensions import ExtensionArray

    from etl.transform.cells import Cells

_READERS: dict[str, Callable[[Sequence[object]], Cells[Any]]] = {
    "resource_id": identifiers,
    "resource_name": names,
    "region_id": identifiers,
    "region_name": names,
    "backup_size_bytes": sizes,
    "backup_destination": enumerations,
    "restore_point_type": enumerations,
    "state": enumerations,
    "is_corrupted": flags,
    "gfs_flags": enumerations,
    "vbr_id": identifiers,
    "access_tier": enumerations,
    "latest_chain_size_bytes": sizes,
    "data_retrieval_status": enumerations,
}
_INSTANTS = ("immutable_until", "retrieved_data_expires_at")
_ALWAYS_THERE = frozenset({"workload", "extra", "source_hash", "absent"})


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """A batch normalised.

    `frame`: one row per restore point, columns and dtypes as `FRAME_DTYPES`; times in UTC, sizes in bytes, missing
    text NaN, `extra` a compact JSON object, `absent` a bit per column that the item has no field for (bit i:
    column i), `source_hash` missing where a field was unreadable. `rejected`: one row per unreadable field or item,
    columns `record_hash`, `field` (missing: the whole item), `restore_point_id`, `reason`, `raw`, all text.
    """

    frame: pd.DataFrame
    rejected: pd.DataFrame


def normalise(items: Sequence[bytes], *, collection: str) -> Batch:
    """Normalise raw items of one collection, as received; an item or field that is unreadable never stops the rest.

    An item without a readable id and point in time is rejected whole; any other unreadable field leaves its column
    empty and is rejected by itself. Of several items with one id the last is taken, and only its fields judged.

    Raises:
        KeyError: the collection is unknown.
    """
    fields = FIELDS[collection]
    decoded = decode(items)
    rejections = [Rejection(row, None, None, f"The item {fault}.") for row, fault in decoded.faults.items()]
    rows = [row for row, item in enumerate(decoded.values) if item is not None]
    points = [item for item in decoded.values if item is not None]

    ids = point_ids(_values(points, fields["restore_point_id"]))
    times = instants(_values(points, fields["point_in_time"]))
    whole = _rejected_whole(points, ids, times, fields)
    rejections += [Rejection(rows[at], None, ids.values[at], reason) for at, reason in whole.items()]
    last_read = {ids.values[at]: at for at in range(len(points)) if at not in whole}
    kept = sorted(last_read.values())

    columns, faults = _columns([points[at] for at in kept], times.microseconds[kept], fields)
    columns["restore_point_id"] = pd.array([ids.values[at] for at in kept], dtype="str")
    columns["workload"] = pd.array([WORKLOADS[collection]] * len(kept), dtype="str")
    hashes = hash_items([items[rows[at]] for at in kept])
    unreadable = np.zeros(len(kept), np.bool_)
    unreadable[list(faults)] = True
    columns["source_hash"] = pd.arrays.IntegerArray(hashes, unreadable)
    for at, field_faults in faults.items():
        row, point_id = rows[kept[at]], ids.values[kept[at]]
        rejections += [Rejection(row, field, point_id, f"{cut(field)} {why}.") for field, why in field_faults.items()]
    frame = pd.DataFrame({column: columns[column] for column in FRAME_DTYPES}, copy=False)
    return Batch(frame, rejected_frame(rejections, items, collection))


def _values(items: Sequence[Mapping[str, Any]], field: str) -> list[object]:
    try:
        return list(map(itemgetter(field), items))
    except KeyError:
        return [item.get(field) for item in items]


def _rejected_whole(
    points: Sequence[Mapping[str, Any]], ids: Cells[str], times: Instants, fields: Mapping[str, str]
) -> dict[int, str]:
    """Give row → reason for the points without a readable id or point in time."""
    id_field, time_field = fields["restore_point_id"], fields["point_in_time"]
    reasons: dict[int, list[str]] = defaultdict(list)
    for at, fault in ids.faults.items():
        why = fault if id_field in points[at] else "is missing"
        reasons[at].append(f"{id_field} {why}: a restore point needs an id.")
    for at in np.flatnonzero(times.missing).tolist():
        why = times.faults.get(at, "is null" if time_field in points[at] else "is missing")
        if at in times.endless:
            why = f"is {shown(points[at][time_field])}, which stands for no date"
        reasons[at].append(f"{time_field} {why}: a restore point needs its point in time.")
    return {at: " ".join(why) for at, why in reasons.items()}


def _columns(
    points: Sequence[Mapping[str, Any]], point_in_time: NDArray[np.int64], fields: Mapping[str, str]
) -> tuple[dict[str, ExtensionArray | NDArray[np.int64]], dict[int, dict[str, str]]]:
    """Give every column that the points' own fields fill, and row → field → what is wrong with it."""
    columns: dict[str, ExtensionArray | NDArray[np.int64]] = {"point_in_time": _times(point_in_time)}
    faults: dict[int, dict[str, str]] = defaultdict(dict)
    kept_as_well: dict[int, dict[str, object]] = defaultdict(dict)

    for column, read in _READERS.items():
        field = fields[column]
        cells = read(_values(points, field))
        columns[column] = _array(cells.values, FRAME_DTYPES[column])
        for at, why in cells.faults.items():
            faults[at][field] = why

    sessions = job_sessions(points, fields["job_session_id"])
    columns["job_session_id"] = _array(sessions.values, "str")
    for at, (field, why) in sessions.faults.items():
        faults[at][field] = why

    for column in (*_INSTANTS, "point_in_time_offset_minutes"):
        field = fields[column]
        times = instants(_values(points, field))
        for at, why in times.faults.items():
            faults[at][field] = why
        unsaid = times.endless
        if column in _INSTANTS:
            columns[column] = _times(times.microseconds, times.missing)
        else:
            columns[column] = pd.arrays.IntegerArray(times.offsets, ~times.has_offset)
            differs = ~times.missing & ((times.microseconds != point_in_time) | ~times.has_offset)
            unsaid = unsaid.union(np.flatnonzero(differs).tolist())
        for at in unsaid:
            kept_as_well[at][field] = points[at][field]

    shapes = shapes_of(points)
    texts, extra_faults = extras(points, shapes, frozenset(fields.values()), kept_as_well)
    columns["extra"] = pd.array(texts, dtype="str")
    for at, why_by_field in extra_faults.items():
        faults[at] |= why_by_field
    columns["absent"] = _absent(shapes, fields, sessions.linked)
    return columns, faults


def _absent(shapes: Shapes, fields: Mapping[str, str], linked: Sequence[int]) -> NDArray[np.int64]:
    """Give per point the columns without a field, a bit each; `linked` points have a session by their link."""
    bits = {column: 1 << at for at, column in enumerate(FRAME_DTYPES) if column not in _ALWAYS_THERE}
    masks = [sum(bit for column, bit in bits.items() if fields[column] not in shape) for shape in shapes.distinct]
    absent = np.array(masks, np.int64)[np.array(shapes.of_rows, np.intp)]
    absent[linked] &= ~bits["job_session_id"]
    return absent


def _array(values: Sequence[Any], dtype: str) -> ExtensionArray:
    if dtype == "str":
        return pd.array(values, dtype="str")
    missing = np.fromiter((value is None for value in values), np.bool_, len(values))
    if dtype == "Int64":
        return pd.arrays.IntegerArray(np.fromiter((value or 0 for value in values), np.int64, len(values)), missing)
    return pd.arrays.BooleanArray(np.fromiter(map(bool, values), np.bool_, len(values)), missing)


def _times(microseconds: NDArray[np.int64], missing: NDArray[np.bool_] | None = None) -> ExtensionArray:
    stamps = microseconds.astype("M8[us]")
    if missing is not None:
        stamps[missing] = np.datetime64("NaT")
    return pd.DatetimeIndex(stamps).tz_localize("UTC").array
