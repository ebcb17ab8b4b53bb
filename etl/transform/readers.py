"""Reads the columns of a batch: how each is read is named in its collection's description.

A reader takes the items and gives arrays; what it could not read is told by row and field and costs that field alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from etl.transform.endings import endings
from etl.transform.instants import Instants, instants
from etl.transform.job_sessions import job_sessions
from etl.transform.members import members, not_taken
from etl.transform.schedules import Schedule, read_schedule
from etl.transform.sizes import flags, sizes
from etl.transform.text import enumerations, identifiers, names

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pandas.api.extensions import ExtensionArray

    from etl.catalogue import Collection
    from etl.transform.cells import Cells

Items = Sequence[Mapping[str, Any]]

INSTANT = "datetime64[us, UTC]"

_CELLS: dict[str, tuple[str, Callable[[Sequence[object]], Cells[Any]]]] = {
    "identifier": ("str", identifiers),
    "name": ("str", names),
    "enumeration": ("str", enumerations),
    "flag": ("boolean", flags),
    "negated_flag": ("boolean", flags),
    "whole": ("Int64", sizes),
}
_DTYPES = {reads: dtype for reads, (dtype, _) in _CELLS.items()} | {
    "key": "str",
    "fixed": "str",
    "instant": INSTANT,
    "offset": "Int64",
    "job_session": "str",
}
_SCHEDULE = {
    "schedule": ("text", "str"),
    "expected_snapshots_per_day": ("snapshots_per_day", "Float64"),
    "expected_backups_per_day": ("backups_per_day", "Float64"),
    "snapshots_to_keep": ("snapshots_to_keep", "Int64"),
    "snapshot_retention_days": ("snapshot_retention_days", "Int64"),
    "backup_retention_days": ("backup_retention_days", "Int64"),
    "archive_retention_days": ("archive_retention_days", "Int64"),
}
_BY_COLUMN = {column: dtype for column, (_, dtype) in _SCHEDULE.items()} | {
    "stopped_at": INSTANT,
    "duration_seconds": "Float64",
}


def dtype_of(column: str, reads: str) -> str:
    """Give the pandas dtype of a column."""
    return _DTYPES.get(reads) or _BY_COLUMN[column]


@dataclass(slots=True)
class Columns:
    """Columns read.

    `arrays` by name. `faults`: row → field → what is wrong with it. `kept`: row → field → value for `extra`, where
    a column says less than its field. `present`: column → rows that have it although they lack its field.
    """

    arrays: dict[str, ExtensionArray] = field(default_factory=dict)
    faults: dict[int, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    kept: dict[int, dict[str, object]] = field(default_factory=lambda: defaultdict(dict))
    present: dict[str, Sequence[int]] = field(default_factory=dict)


def read_columns(items: Items, collection: Collection) -> Columns:
    """Read every column of a collection's items but its keys."""
    read = Columns()
    done: set[str] = set()
    for column in collection.entity.columns:
        reads = column.reads
        if reads in _CELLS:
            _read_cells(read, items, collection, column.name, reads)
        elif reads == "instant":
            _read_instants(read, items, collection, column.name)
        elif reads == "fixed":
            read.arrays[column.name] = pd.array([collection.fixed[column.name]] * len(items), dtype="str")
        elif reads not in done:
            _WHOLE[reads](read, items, collection)
            done.add(reads)
    return read


def array(values: Sequence[Any], dtype: str) -> ExtensionArray:
    """Give values (None: missing) as an array of one of the dtypes in use, instants aside."""
    if dtype == "str":
        return pd.array(values, dtype="str")
    missing = np.fromiter((value is None for value in values), np.bool_, len(values))
    if dtype == "Int64":
        return pd.arrays.IntegerArray(np.fromiter((value or 0 for value in values), np.int64, len(values)), missing)
    if dtype == "Float64":
        return pd.arrays.FloatingArray(np.fromiter((value or 0 for value in values), np.float64, len(values)), missing)
    return pd.arrays.BooleanArray(np.fromiter(map(bool, values), np.bool_, len(values)), missing)


def times(microseconds: NDArray[np.int64], missing: NDArray[np.bool_]) -> ExtensionArray:
    """Give microseconds since 1970 as an array of instants."""
    stamps = microseconds.astype("M8[us]")
    stamps[missing] = np.datetime64("NaT")
    return pd.DatetimeIndex(stamps).tz_localize("UTC").array


def _read_cells(read: Columns, items: Items, collection: Collection, column: str, reads: str) -> None:
    dtype, reader = _CELLS[reads]
    paths = collection.fields.get(column, ())
    found = members(items, paths)
    cells = reader(found.values)
    values = cells.values
    if reads == "negated_flag":
        values = [None if value is None else not value for value in values]
    read.arrays[column] = array(values, dtype)
    _note(read, found.faults)
    for row, why in cells.faults.items():
        read.faults[row][found.names[row]] = why
    for row, others in not_taken(items, paths, found, values).items():
        read.kept[row] |= others


def _read_instants(read: Columns, items: Items, collection: Collection, column: str) -> Instants:
    found = members(items, collection.fields.get(column, ()))
    instant = instants(found.values)
    read.arrays[column] = times(instant.microseconds, instant.missing)
    _note(read, found.faults)
    for row, why in instant.faults.items():
        read.faults[row][found.names[row]] = why
    for row in instant.endless:
        read.kept[row][found.names[row]] = found.values[row]
    return instant


def _read_offsets(read: Columns, items: Items, collection: Collection) -> None:
    """The offset of a local time; a local time that is another instant than the point's own says more: it is kept."""
    (name,) = collection.fields["point_in_time_offset_minutes"]
    found = members(items, (name,))
    local = instants(found.values)
    read.arrays["point_in_time_offset_minutes"] = pd.arrays.IntegerArray(local.offsets, ~local.has_offset)
    for row, why in local.faults.items():
        read.faults[row][name] = why
    point_in_time = read.arrays["point_in_time"].astype("int64")
    differs = ~local.missing & ((local.microseconds != point_in_time) | ~local.has_offset)
    for row in local.endless.union(np.flatnonzero(differs).tolist()):
        read.kept[row][name] = found.values[row]


def _read_job_sessions(read: Columns, items: Items, collection: Collection) -> None:
    (name,) = collection.fields["job_session_id"]
    sessions = job_sessions(items, name)
    read.arrays["job_session_id"] = array(sessions.values, "str")
    for row, (at_fault, why) in sessions.faults.items():
        read.faults[row][at_fault] = why
    read.present["job_session_id"] = sessions.linked


def _read_endings(read: Columns, items: Items, collection: Collection) -> None:
    names_of = {column: collection.fields[column][0] for column in ("started_at", "status", *_ENDING)}
    found = endings(items, **names_of)
    read.arrays["stopped_at"] = times(found.stopped.microseconds, found.stopped.missing)
    read.arrays["duration_seconds"] = array(found.seconds, "Float64")
    _note(read, found.faults)
    for row, kept in found.kept.items():
        read.kept[row] |= kept


def _read_schedules(read: Columns, items: Items, collection: Collection) -> None:
    schedules: list[Schedule] = [read_schedule(item, collection.workload or "") for item in items]
    # what an SLA policy promises stands in its template: where that could not be read, nothing is said
    member = collection.companion.member if collection.companion else None
    told = [row for row, item in enumerate(items) if member is None or member in item]
    for column, (attribute, dtype) in _SCHEDULE.items():
        read.arrays[column] = array([getattr(one, attribute) for one in schedules], dtype)
        read.present[column] = told


def _note(read: Columns, faults: Mapping[int, Mapping[str, str]]) -> None:
    for row, by_field in faults.items():
        read.faults[row] |= by_field


_ENDING = ("stopped_at", "duration_seconds")
_WHOLE: dict[str, Callable[[Columns, Items, Collection], None]] = {
    "offset": _read_offsets,
    "job_session": _read_job_sessions,
    "ending": _read_endings,
    "schedule": _read_schedules,
}
