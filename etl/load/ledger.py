"""The ledger: which runs there were, what each read and wrote, and how sure it is."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, insert, literal, select, update
from sqlalchemy.dialects import postgresql, sqlite

from etl import __version__
from etl.catalogue import COLLECTIONS, RESTORE_POINTS, Collection
from etl.errors import LockLost
from etl.load.models import EVIDENCE, Appliance, SyncRun, SyncRunCollection, SyncRunInventory

#: A run that has committed data.
FINISHED = ("succeeded", "partial")


@dataclass(frozen=True, slots=True)
class KnownAppliance:
    """An appliance as its newest finished run left it; the versions are null before the first."""

    appliance_id: int
    base_url: str
    identity: dict[str, str]
    api_version: str | None
    tool_version: str | None


@dataclass(frozen=True, slots=True)
class Run:
    """A run that has begun. `observed_at` is the one time of everything that it writes."""

    appliance_id: int
    run_number: int
    started_at: datetime
    observed_at: datetime

    def observing(self, now: datetime) -> Run:
        """The run when it has seen everything and begins to write: later than its start, whatever the clock says."""
        return replace(self, observed_at=max(now, self.observed_at))


@dataclass(slots=True)
class CollectionOutcome:
    """What a run read and wrote of one collection: a row of `sync_run_collections` or `sync_run_inventory`."""

    collection: str
    status: str = "complete"
    proven: bool = False
    evidence: str | None = None
    error: str | None = None
    crawls: int = 0
    pages: int = 0
    api_total: int | None = None
    extracted: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0
    reappeared: int = 0
    unconfirmed: int = 0
    rejected: int = 0
    field_errors: int = 0


#: The columns that a run's row sums up.
COUNTED = tuple(
    name for name in CollectionOutcome.__slots__ if name not in ("collection", "status", "proven", "evidence", "error")
)


@dataclass(frozen=True, slots=True)
class ApplianceState:
    """What an appliance told about itself in a run; written to `appliances` only if it differs."""

    base_url: str
    api_version: str
    tenant: str | None
    time_zone: str | None
    """Of both, null: nothing was told or configured, and what is known stays."""
    identity: dict[str, str] = field(default_factory=dict)
    clock_skew_seconds: float | None = None


def ledger_of(collection: Collection) -> type[SyncRunCollection] | type[SyncRunInventory]:
    """The table of the ledger that tells what was read of a collection."""
    return SyncRunCollection if collection.entity is RESTORE_POINTS else SyncRunInventory


def of_points(outcomes: Sequence[CollectionOutcome]) -> list[CollectionOutcome]:
    """Those that tell of restore points: a run's own row sums these up."""
    return [outcome for outcome in outcomes if COLLECTIONS[outcome.collection].entity is RESTORE_POINTS]


def register(connection: Connection, *, name: str, base_url: str, tenant: str | None) -> KnownAppliance:
    """The appliance of this name, made if it is new. Call it in a short transaction of its own.

    Its number is one more than the highest, without a sequence: two that are made at once collide on the primary
    key, and the later one takes the next number.
    """
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    next_id = func.coalesce(select(func.max(Appliance.appliance_id)).scalar_subquery(), 0) + 1
    row = select(next_id, literal(name), literal(base_url), literal(tenant, Appliance.tenant.type))
    make = (
        dialect.insert(Appliance)
        .from_select(["appliance_id", "name", "base_url", "tenant"], row)
        .on_conflict_do_nothing()
    )
    while (known := look_up(connection, name)) is None:
        connection.execute(make)
    return known


def look_up(connection: Connection, name: str) -> KnownAppliance | None:
    """The appliance of this name; null if the warehouse knows none."""
    found = connection.execute(
        select(Appliance.appliance_id, Appliance.base_url, Appliance.identity).where(Appliance.name == name)
    ).first()
    if found is None:
        return None
    finished = (
        select(SyncRun.api_version, SyncRun.tool_version)
        # a replay of rejected records has crawled nothing, and tells nothing of the appliance
        .where(SyncRun.appliance_id == found.appliance_id, SyncRun.status.in_(FINISHED), SyncRun.crawls > 0)
        .order_by(SyncRun.run_number.desc())
        .limit(1)
    )
    api_version, tool_version = connection.execute(finished).first() or (None, None)
    return KnownAppliance(found.appliance_id, found.base_url, found.identity or {}, api_version, tool_version)


def rename(connection: Connection, old: str, new: str) -> bool:
    """Gives an appliance another name, which is free; false if there is none of the old name."""
    renamed = connection.execute(update(Appliance).where(Appliance.name == old).values(name=new))
    return renamed.rowcount > 0


def start(connection: Connection, appliance_id: int, *, base_url: str, now: datetime) -> Run:
    """Opens the run's row (`running`). The caller holds the appliance's lock, so a row still open is a dead run's.

    Time never goes back for an appliance: where the machine's clock did, the run begins right after the last one
    observed, and not at that instant: what lived only within this run would be there as of the last one.
    """
    connection.execute(
        update(SyncRun)
        .where(SyncRun.appliance_id == appliance_id, SyncRun.status == "running")
        .values(
            status="abandoned",
            finished_at=now,
            error="the run ended without a word; its process or machine died",
        )
    )
    last = connection.execute(
        select(
            func.max(SyncRun.run_number).label("run_number"),
            func.max(SyncRun.observed_at).label("observed_at"),
        ).where(SyncRun.appliance_id == appliance_id)
    ).one()
    tick = timedelta(microseconds=1)
    started_at = now if last.observed_at is None else max(now, last.observed_at + tick)
    observed_at = started_at + tick
    run = Run(appliance_id, (last.run_number or 0) + 1, started_at, observed_at)
    connection.execute(
        insert(SyncRun).values(
            appliance_id=appliance_id,
            run_number=run.run_number,
            status="running",
            started_at=run.started_at,
            observed_at=run.observed_at,
            base_url=base_url,
            tool_version=__version__,
            host=f"{platform.node()} (pid {os.getpid()})",
        )
    )
    return run


def finish(
    connection: Connection,
    run: Run,
    outcomes: list[CollectionOutcome],
    state: ApplianceState,
    now: datetime,
    *,
    error: str | None = None,
    accepted_mass_deletion: bool = False,
) -> None:
    """Closes the run's row and writes one row for each collection; call it in the transaction of the data.

    With an `error` the run is `partial`: a collection failed or something was withheld, the rest is committed.

    Raises:
        LockLost: the row is `running` no more. Whoever holds the appliance's lock may say so, and nobody else: should a
            lock ever fail to hold, the run that was thought dead must not write.
    """
    for outcome in outcomes:
        row = {"appliance_id": run.appliance_id, "run_number": run.run_number, **asdict(outcome)}
        connection.execute(insert(ledger_of(COLLECTIONS[outcome.collection])), row)
    closed = connection.execute(
        update(SyncRun)
        .where(
            SyncRun.appliance_id == run.appliance_id,
            SyncRun.run_number == run.run_number,
            SyncRun.status == "running",
        )
        .values(
            status="succeeded" if error is None else "partial",
            error=error,
            accepted_mass_deletion=accepted_mass_deletion,
            observed_at=run.observed_at,
            finished_at=max(now, run.observed_at),
            api_version=state.api_version,
            clock_skew_seconds=state.clock_skew_seconds,
            **sums(outcomes),
        )
        .returning(SyncRun.run_number)
    ).first()
    if closed is None:
        raise LockLost(
            "another run of this appliance began meanwhile and took this one for dead, so its lock did not hold; "
            "nothing was written"
        )


def fail(connection: Connection, run: Run, error: str, now: datetime) -> None:
    """Closes the run's row as `failed` with the reason; a run that has committed its data stays as it is."""
    connection.execute(
        update(SyncRun)
        .where(
            SyncRun.appliance_id == run.appliance_id,
            SyncRun.run_number == run.run_number,
            SyncRun.status == "running",
        )
        .values(status="failed", finished_at=max(now, run.started_at), error=error)
    )


def remember(connection: Connection, run: Run, state: ApplianceState) -> None:
    """Writes what the appliance told about itself, if it differs from what is known.

    In a short transaction of its own: on Citus a write to this reference table blocks every other run until commit.
    """
    row = connection.execute(select(Appliance).where(Appliance.appliance_id == run.appliance_id)).one()._mapping
    wanted: dict[str, Any] = {
        "base_url": state.base_url,
        "api_version": state.api_version,
        "tenant": state.tenant or row["tenant"],
        "time_zone": state.time_zone or row["time_zone"],
        "identity": {**(row["identity"] or {}), **state.identity},
        "first_synced_at": row["first_synced_at"] or _first_observed(connection, run),
    }
    changed = {column: value for column, value in wanted.items() if row[column] != value}
    if changed:
        connection.execute(update(Appliance).where(Appliance.appliance_id == run.appliance_id).values(**changed))


def _first_observed(connection: Connection, run: Run) -> datetime:
    """When the appliance's first finished run observed it: this one, unless that could not write it down."""
    first = connection.scalar(
        select(func.min(SyncRun.observed_at)).where(
            SyncRun.appliance_id == run.appliance_id, SyncRun.status.in_(FINISHED)
        )
    )
    return first or run.observed_at


def sums(outcomes: list[CollectionOutcome]) -> dict[str, Any]:
    """The counts of restore points, null where one collection has none; and whether all that were read are proven."""
    read = _read(outcomes)
    total: dict[str, Any] = {}
    for name in COUNTED:
        values = [getattr(outcome, name) for outcome in read]
        total[name] = None if None in values else sum(values)
    total["snapshot_proven"] = bool(read) and all(outcome.proven for outcome in read)
    return total


def weakest_evidence(outcomes: list[CollectionOutcome]) -> str | None:
    """The weakest evidence that any collection of restore points rests on; null where one has none."""
    found = [outcome.evidence for outcome in _read(outcomes)]
    return None if None in found or not found else max(found, key=EVIDENCE.index)


def _read(outcomes: Sequence[CollectionOutcome]) -> list[CollectionOutcome]:
    return [outcome for outcome in of_points(outcomes) if outcome.status in ("complete", "partial")]
