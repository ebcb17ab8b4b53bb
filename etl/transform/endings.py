"""Reads when job sessions ended, and how long they took.

A session that is under way has no end, whatever its fields say: appliances were seen to tell 1900-01-01 for one, and
an end before its beginning.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from etl.catalogue import UNDER_WAY
from etl.transform.cells import shown
from etl.transform.instants import Instants, instants
from etl.transform.members import members
from etl.transform.spans import spans


@dataclass(frozen=True, slots=True)
class Endings:
    """Both columns; `faults` and `kept` by row and field."""

    stopped: Instants
    seconds: list[float | None]
    faults: dict[int, dict[str, str]]
    kept: dict[int, dict[str, object]]


def endings(
    items: Sequence[Mapping[str, Any]], *, started_at: str, status: str, stopped_at: str, duration_seconds: str
) -> Endings:
    """Read ends and durations (in seconds) of sessions; the names are those of the items' fields.

    Both are missing for a session under way, and what the fields say of it is kept. An end before the beginning of a
    session that is over is a fault.
    """
    told_stop = members(items, (stopped_at,)).values
    told_span = members(items, (duration_seconds,)).values
    statuses = members(items, (status,)).values
    started = instants(members(items, (started_at,)).values)
    under_way = [isinstance(one, str) and one in UNDER_WAY for one in statuses]
    stopped = instants([None if running else told for told, running in zip(told_stop, under_way, strict=True)])
    read = spans([None if running else told for told, running in zip(told_span, under_way, strict=True)])
    faults: dict[int, dict[str, str]] = defaultdict(dict)
    kept: dict[int, dict[str, object]] = defaultdict(dict)
    for row, why in stopped.faults.items():
        faults[row][stopped_at] = why
    for row in stopped.endless:
        kept[row][stopped_at] = told_stop[row]
    for row, why in read.faults.items():
        faults[row][duration_seconds] = why
    for row in np.flatnonzero(
        ~stopped.missing & ~started.missing & (stopped.microseconds < started.microseconds)
    ).tolist():
        stopped.missing[row] = True
        faults[row][stopped_at] = f"is {shown(told_stop[row])}, before the session began"
    for row, running in enumerate(under_way):
        if running:
            told = {stopped_at: told_stop[row], duration_seconds: told_span[row]}
            kept[row] |= {name: value for name, value in told.items() if value is not None}
    return Endings(stopped, list(read.values), dict(faults), dict(kept))
