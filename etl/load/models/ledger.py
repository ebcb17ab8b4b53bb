"""The appliances, and the ledger of their runs."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.schema import SchemaItem

from etl.load.models.base import ApplianceKey, Base, Count, FactKey, Json, Moment, TextKey, one_of

RUN_STATUSES = ("running", "succeeded", "partial", "failed", "abandoned")
COLLECTION_STATUSES = ("complete", "partial", "forbidden", "not_served", "failed")
EVIDENCE = ("single_page", "order", "totals", "two_crawls")


class Appliance(Base):
    """One row for each appliance; its number is made once and never changes, its name may."""

    __tablename__ = "appliances"

    appliance_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(unique=True)
    base_url: Mapped[str]
    tenant: Mapped[str | None]
    identity: Mapped[Json | None]
    api_version: Mapped[str | None]
    time_zone: Mapped[str] = mapped_column(server_default="UTC")
    first_synced_at: Mapped[Moment | None]


class Counts:
    """What a run, or one collection of it, read and wrote.

    `extracted` (distinct items) = inserted + updated + unchanged + reappeared + rejected.
    """

    crawls: Mapped[Count]
    pages: Mapped[Count]
    api_total: Mapped[int | None]
    extracted: Mapped[Count]
    inserted: Mapped[Count]
    updated: Mapped[Count]
    unchanged: Mapped[Count]
    deleted: Mapped[Count]
    reappeared: Mapped[Count]
    unconfirmed: Mapped[Count]
    rejected: Mapped[Count]
    field_errors: Mapped[Count]


class SyncRun(Counts, Base):
    """The ledger: one row for each run of one appliance, numbered from 1 per appliance."""

    __tablename__ = "sync_runs"

    appliance_id: Mapped[ApplianceKey]
    run_number: Mapped[FactKey]
    status: Mapped[str]
    started_at: Mapped[Moment]
    observed_at: Mapped[Moment]
    finished_at: Mapped[Moment | None]
    api_version: Mapped[str | None]
    base_url: Mapped[str]
    clock_skew_seconds: Mapped[float | None]
    snapshot_proven: Mapped[bool | None]
    accepted_mass_deletion: Mapped[bool] = mapped_column(server_default=text("false"))
    error: Mapped[str | None]
    tool_version: Mapped[str]
    host: Mapped[str]

    __table_args__ = (
        CheckConstraint(one_of("status", RUN_STATUSES), name="status"),
        Index(
            "uq_sync_runs_running",
            "appliance_id",
            unique=True,
            postgresql_where=text("status = 'running'"),
            sqlite_where=text("status = 'running'"),
        ),
    )


class OfCollection(Counts):
    """What a run read of one collection, and how sure it is. `error` says why it could not be read."""

    appliance_id: Mapped[FactKey]
    run_number: Mapped[FactKey]
    collection: Mapped[TextKey]
    status: Mapped[str]
    proven: Mapped[bool]
    evidence: Mapped[str | None]
    error: Mapped[str | None]


def _collection_checks() -> tuple[SchemaItem, ...]:
    return (
        ForeignKeyConstraint(["appliance_id", "run_number"], ["sync_runs.appliance_id", "sync_runs.run_number"]),
        CheckConstraint(one_of("status", COLLECTION_STATUSES), name="status"),
        CheckConstraint(one_of("evidence", EVIDENCE), name="evidence"),
    )


class SyncRunCollection(OfCollection, Base):
    """Each collection of restore points that a run asked for; the run's own row sums these up."""

    __tablename__ = "sync_run_collections"
    __table_args__ = _collection_checks()


class SyncRunInventory(OfCollection, Base):
    """Each other collection: job sessions, protected resources, policies, repositories."""

    __tablename__ = "sync_run_inventory"
    __table_args__ = _collection_checks()


class StorageCount(Base):
    """How many restore points the appliance counts, beside how many the warehouse held after that run.

    Snapshots, backups in repositories and archives, over all workloads; networks and continuous backups count in
    none of them. Null: not told. `told` is the appliance's answer whole.
    """

    __tablename__ = "storage_counts"

    appliance_id: Mapped[FactKey]
    run_number: Mapped[FactKey]
    snapshots_told: Mapped[int | None]
    snapshots_held: Mapped[int]
    backups_told: Mapped[int | None]
    backups_held: Mapped[int]
    archives_told: Mapped[int | None]
    archives_held: Mapped[int]
    told: Mapped[Json]

    __table_args__ = (
        ForeignKeyConstraint(["appliance_id", "run_number"], ["sync_runs.appliance_id", "sync_runs.run_number"]),
    )
