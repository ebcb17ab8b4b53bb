"""Rejected records: what could not be read, why, since when, and whether it has been read well since."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, select
from sqlalchemy.orm import aliased

from etl.load.models import REJECTED, SyncRun
from etl.load.warehouse import Warehouse
from etl.report.scope import appliances_asked

#: Rows fetched at a time; each may hold 64 kB of raw text.
ROWS_AT_A_TIME = 500


@dataclass(frozen=True, slots=True)
class Reject:
    """A rejected item, or one unreadable field of an item that was loaded; the same one every night is one."""

    appliance: str
    collection: str
    restore_point_id: str | None
    """Null: the id could not be read either."""
    field: str | None
    """Null: the whole item was rejected."""
    reason: str
    first_run: int
    first_met_at: datetime
    last_run: int
    last_met_at: datetime
    resolved_run: int | None
    """The run that no longer met it; null: open."""
    record_hash: str
    raw: str
    """The item as received, escaped, at most 64 kB."""


def rejected(warehouse: Warehouse, appliance: str | None, include_resolved: bool) -> Iterator[Reject]:
    """Every open rejected record, or resolved ones too: by appliance, collection and first run; streamed.

    Raises:
        UsageError: at once, if the warehouse holds no appliance of that name.
    """
    with warehouse.connect() as connection:
        asked = appliances_asked(connection, appliance)
    return _rejected(warehouse, asked, include_resolved=include_resolved)


def _rejected(warehouse: Warehouse, asked: dict[str, int], *, include_resolved: bool) -> Iterator[Reject]:
    first, last = aliased(SyncRun), aliased(SyncRun)
    record = REJECTED.c
    query = (
        select(
            record.collection,
            record.restore_point_id,
            record.field,
            record.reason,
            record.first_run,
            first.started_at,
            record.last_run,
            last.started_at,
            record.resolved_run,
            record.record_hash,
            record.raw,
        )
        .join(first, and_(first.appliance_id == record.appliance_id, first.run_number == record.first_run))
        .join(last, and_(last.appliance_id == record.appliance_id, last.run_number == record.last_run))
        .order_by(record.collection, record.first_run, record.record_hash)
    )
    if not include_resolved:
        query = query.where(record.resolved_run.is_(None))
    for appliance, appliance_id in asked.items():
        with warehouse.connect() as connection:
            rows = connection.execution_options(yield_per=ROWS_AT_A_TIME).execute(
                query.where(record.appliance_id == appliance_id)
            )
            for row in rows:
                yield Reject(appliance, *row)
