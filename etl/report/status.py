"""Each appliance with its last run, its restore points and how fresh they are; below it, each of its collections."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Connection, and_, func, select
from sqlalchemy.orm import Session

from etl.catalogue import COLLECTIONS, RESTORE_POINTS
from etl.load.kept import KEPT
from etl.load.ledger import FINISHED
from etl.load.models import Appliance, Deletion, SyncRun, SyncRunCollection, SyncRunInventory
from etl.load.warehouse import Warehouse
from etl.report.scope import one_state
from etl.report.storage import StorageCounts, newest_counts

#: How long a deletion that nobody can explain is shown as news.
NEWS = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class CollectionStatus:
    """One collection, as the newest finished run that asked for it found it, and what the warehouse holds of it."""

    collection: str
    status: str
    """`complete`, `partial` (its deletions were withheld), `forbidden`, `not_served` or `failed`."""
    run_number: int
    proven: bool
    evidence: str | None
    error: str | None
    data_as_of: datetime | None
    """Start of the newest run that proved it; null before the first."""
    present: int
    deleted: int


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
    unexplained: int
    """Deletions found in the last seven days of which nobody knows why."""
    collections: list[CollectionStatus] = field(default_factory=list)
    """Of restore points, in the catalogue's order."""
    inventory: list[CollectionStatus] = field(default_factory=list)
    """Job sessions, protected resources, policies, repositories."""
    storage_counts: StorageCounts | None = None
    """Null: the appliance never told."""


def status_of(warehouse: Warehouse, now: datetime) -> list[ApplianceStatus]:
    """Every appliance of the warehouse, by name; `now` is what freshness is counted from."""
    last = (
        select(SyncRun.appliance_id, func.max(SyncRun.run_number).label("run_number"))
        .group_by(SyncRun.appliance_id)
        .subquery()
    )
    fresh = (
        select(SyncRun.appliance_id, func.max(SyncRun.started_at).label("data_as_of"))
        .where(SyncRun.status.in_(FINISHED), SyncRun.snapshot_proven.is_(True))
        .group_by(SyncRun.appliance_id)
        .subquery()
    )
    news = (
        select(Deletion.appliance_id, func.count().label("unexplained"))
        .where(Deletion.cause == "unexplained", Deletion.observed_gone_at > now - NEWS)
        .group_by(Deletion.appliance_id)
        .subquery()
    )
    query = (
        select(Appliance, SyncRun, fresh.c.data_as_of, news.c.unexplained)
        .select_from(Appliance)
        .outerjoin(last, last.c.appliance_id == Appliance.appliance_id)
        .outerjoin(SyncRun, (SyncRun.appliance_id == last.c.appliance_id) & (SyncRun.run_number == last.c.run_number))
        .outerjoin(fresh, fresh.c.appliance_id == Appliance.appliance_id)
        .outerjoin(news, news.c.appliance_id == Appliance.appliance_id)
        .order_by(Appliance.name)
    )
    with one_state(warehouse) as connection, Session(connection) as session:
        held = _held(connection)
        points, inventory = (_collections(connection, ledger, held) for ledger in (SyncRunCollection, SyncRunInventory))
        counts = newest_counts(connection)
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
                restore_points=sum(one.present for one in _of_points(held, appliance.appliance_id)),
                deleted=sum(one.deleted for one in _of_points(held, appliance.appliance_id)),
                unexplained=unexplained or 0,
                collections=points[appliance.appliance_id],
                inventory=inventory[appliance.appliance_id],
                storage_counts=counts.get(appliance.appliance_id),
            )
            for appliance, run, data_as_of, unexplained in session.execute(query)
        ]


@dataclass(frozen=True, slots=True)
class _Held:
    present: int = 0
    deleted: int = 0


_HeldBy = dict[tuple[int, str], _Held]
"""Appliance and collection → what the warehouse holds of it."""


def _held(connection: Connection) -> _HeldBy:
    found: _HeldBy = {}
    for kept in KEPT.values():
        facts = kept.facts.c
        counted = connection.execute(
            select(
                facts.appliance_id,
                facts.collection,
                func.count().filter(facts.deleted_at.is_(None)).label("present"),
                func.count(facts.deleted_at).label("deleted"),
            ).group_by(facts.appliance_id, facts.collection)
        )
        for row in counted:
            found[row.appliance_id, row.collection] = _Held(row.present, row.deleted)
    return found


def _of_points(held: _HeldBy, appliance_id: int) -> list[_Held]:
    return [
        one
        for (of_appliance, collection), one in held.items()
        if of_appliance == appliance_id and COLLECTIONS[collection].entity is RESTORE_POINTS
    ]


def _collections(
    connection: Connection, ledger: type[SyncRunCollection] | type[SyncRunInventory], held: _HeldBy
) -> dict[int, list[CollectionStatus]]:
    asked = (
        select(
            ledger.appliance_id,
            ledger.collection,
            func.max(ledger.run_number).label("run_number"),
            func.max(SyncRun.started_at).filter(ledger.proven).label("data_as_of"),
        )
        .join(SyncRun, and_(SyncRun.appliance_id == ledger.appliance_id, SyncRun.run_number == ledger.run_number))
        # a replay of rejected records has crawled nothing, and tells nothing of the appliance
        .where(SyncRun.status.in_(FINISHED), SyncRun.crawls > 0)
        .group_by(ledger.appliance_id, ledger.collection)
        .subquery()
    )
    rows = connection.execute(
        select(
            ledger.appliance_id,
            ledger.collection,
            ledger.run_number,
            ledger.status,
            ledger.proven,
            ledger.evidence,
            ledger.error,
            asked.c.data_as_of,
        ).join(
            asked,
            and_(
                asked.c.appliance_id == ledger.appliance_id,
                asked.c.collection == ledger.collection,
                asked.c.run_number == ledger.run_number,
            ),
        )
    )
    found: dict[int, list[CollectionStatus]] = defaultdict(list)
    in_order = list(COLLECTIONS)
    for row in sorted(rows, key=lambda row: in_order.index(row.collection)):
        there = held.get((row.appliance_id, row.collection), _Held())
        found[row.appliance_id].append(
            CollectionStatus(
                collection=row.collection,
                status=row.status,
                run_number=row.run_number,
                proven=row.proven,
                evidence=row.evidence,
                error=row.error,
                data_as_of=row.data_as_of,
                present=there.present,
                deleted=there.deleted,
            )
        )
    return found
