"""Each appliance with its last run, its restore points and how fresh they are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from etl.load.ledger import FINISHED
from etl.load.models import Appliance, RestorePoint, SyncRun
from etl.load.warehouse import Warehouse


@dataclass(frozen=True, slots=True)
class ApplianceStatus:
    """One appliance; the run's columns are null before its first run."""

    appliance: str
    tenant: str | None
    api_version: str | None
    last_run: int | None
    last_status: str | None
    last_started_at: datetime | None
    error: str | None
    data_as_of: datetime | None
    """Start of the newest run whose snapshot is proven; null before the first."""
    hours_behind: float | None
    restore_points: int
    deleted: int


def status_of(warehouse: Warehouse, now: datetime) -> list[ApplianceStatus]:
    """Every appliance of the warehouse, by name; `now` is what freshness is counted from."""
    newest = select(SyncRun.appliance_id, func.max(SyncRun.run_number).label("run_number")).group_by(
        SyncRun.appliance_id
    )
    last = newest.subquery()
    fresh = (
        select(SyncRun.appliance_id, func.max(SyncRun.started_at).label("data_as_of"))
        .where(SyncRun.status.in_(FINISHED), SyncRun.snapshot_proven.is_(True))
        .group_by(SyncRun.appliance_id)
        .subquery()
    )
    points = (
        select(
            RestorePoint.appliance_id,
            func.count().filter(RestorePoint.deleted_at.is_(None)).label("present"),
            func.count(RestorePoint.deleted_at).label("deleted"),
        )
        .group_by(RestorePoint.appliance_id)
        .subquery()
    )
    query = (
        select(Appliance, SyncRun, fresh.c.data_as_of, points.c.present, points.c.deleted)
        .select_from(Appliance)
        .outerjoin(last, last.c.appliance_id == Appliance.appliance_id)
        .outerjoin(SyncRun, (SyncRun.appliance_id == last.c.appliance_id) & (SyncRun.run_number == last.c.run_number))
        .outerjoin(fresh, fresh.c.appliance_id == Appliance.appliance_id)
        .outerjoin(points, points.c.appliance_id == Appliance.appliance_id)
        .order_by(Appliance.name)
    )
    with warehouse.connect() as connection, Session(connection) as session:
        return [
            ApplianceStatus(
                appliance=appliance.name,
                tenant=appliance.tenant,
                api_version=appliance.api_version,
                last_run=run.run_number if run else None,
                last_status=run.status if run else None,
                last_started_at=run.started_at if run else None,
                error=run.error if run else None,
                data_as_of=data_as_of,
                hours_behind=round((now - data_as_of).total_seconds() / 3600, 1) if data_as_of else None,
                restore_points=present or 0,
                deleted=deleted or 0,
            )
            for appliance, run, data_as_of, present, deleted in session.execute(query)
        ]
