"""The warehouse's tables.

Every fact table's primary key begins with `appliance_id` and nothing depends on a global sequence, so that the
same schema is valid on plain PostgreSQL, on SQLite and on Citus (facts distributed by `appliance_id`, `appliances`
a reference table). Facts carry no foreign keys to each other: they are written only by set-based merges inside one
transaction, and a per-row check would double the cost of a first load.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, ClassVar, cast

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    MetaData,
    Table,
    Text,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from etl.load.types import Instant, JsonObject

RUN_STATUSES = ("running", "succeeded", "partial", "failed", "abandoned")
COLLECTION_STATUSES = ("complete", "partial", "forbidden", "not_served", "failed")
EVIDENCE = ("single_page", "order", "totals", "two_crawls")
CHANGES = ("appeared", "changed", "restated", "reappeared")

BigInt = Annotated[int, mapped_column(BigInteger)]
Moment = Annotated[datetime, mapped_column(Instant)]
Json = Annotated[dict[str, Any], mapped_column(JsonObject)]
ApplianceKey = Annotated[
    int, mapped_column(ForeignKey("appliances.appliance_id"), primary_key=True, autoincrement=False)
]
FactKey = Annotated[int, mapped_column(primary_key=True, autoincrement=False)]
TextKey = Annotated[str, mapped_column(Text, primary_key=True)]
Count = Annotated[int, mapped_column(server_default=text("0"))]


def one_of(column: str, values: tuple[str, ...]) -> str:
    """The text of a check that `column` holds one of `values` (or null)."""
    return f"{column} in ({', '.join(repr(value) for value in values)})"


class Base(DeclarativeBase):
    """Common metadata, with a name for every constraint, so that migrations can name what they change."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {str: Text}


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


class SyncRunCollection(Counts, Base):
    """What a run read of one collection, and how sure it is."""

    __tablename__ = "sync_run_collections"

    appliance_id: Mapped[FactKey]
    run_number: Mapped[FactKey]
    collection: Mapped[TextKey]
    status: Mapped[str]
    proven: Mapped[bool]
    evidence: Mapped[str | None]

    __table_args__ = (
        ForeignKeyConstraint(["appliance_id", "run_number"], ["sync_runs.appliance_id", "sync_runs.run_number"]),
        CheckConstraint(one_of("status", COLLECTION_STATUSES), name="status"),
        CheckConstraint(one_of("evidence", EVIDENCE), name="evidence"),
    )


class Tracked:
    """What a restore point says about itself and keeps: a change here makes a version."""

    workload: Mapped[str]
    resource_id: Mapped[str | None]
    resource_name: Mapped[str | None]
    region_id: Mapped[str | None]
    region_name: Mapped[str | None]
    point_in_time: Mapped[Moment]
    backup_size_bytes: Mapped[BigInt | None]
    backup_destination: Mapped[str | None]
    restore_point_type: Mapped[str | None]
    state: Mapped[str | None]
    is_corrupted: Mapped[bool | None]
    gfs_flags: Mapped[str | None]
    job_session_id: Mapped[str | None]
    vbr_id: Mapped[str | None]
    access_tier: Mapped[str | None]
    immutable_until: Mapped[Moment | None]


class RestorePoint(Tracked, Base):
    """One row for each restore point ever seen, as it was last seen; a sync never removes one."""

    __tablename__ = "restore_points"

    appliance_id: Mapped[FactKey]
    restore_point_id: Mapped[TextKey]
    # untracked: they move by themselves, so they are updated in place and make no version
    latest_chain_size_bytes: Mapped[BigInt | None]
    data_retrieval_status: Mapped[str | None]
    retrieved_data_expires_at: Mapped[Moment | None]
    extra: Mapped[Json]
    # life: what the warehouse knows about the row
    collection: Mapped[str]
    source_hash: Mapped[BigInt | None]
    point_in_time_offset_minutes: Mapped[int | None]
    first_seen_at: Mapped[Moment]
    last_changed_at: Mapped[Moment]
    last_confirmed_at: Mapped[Moment | None]
    deleted_at: Mapped[Moment | None]
    first_run: Mapped[int]
    last_changed_run: Mapped[int]
    deleted_run: Mapped[int | None]

    __table_args__ = (CheckConstraint("last_confirmed_at <= deleted_at", name="deletion_interval"),)


class RestorePointVersion(Tracked, Base):
    """SCD2: what a restore point looked like from `valid_from` (inclusive) to `valid_to` (exclusive, null = open).

    Valid times are when the warehouse observed it; what the point says about itself is `point_in_time`.
    """

    __tablename__ = "restore_point_versions"

    appliance_id: Mapped[FactKey]
    restore_point_id: Mapped[TextKey]
    run_number: Mapped[FactKey]
    valid_from: Mapped[Moment]
    valid_to: Mapped[Moment | None]
    change: Mapped[str]
    closed_run: Mapped[int | None]
    closed_by: Mapped[str | None]

    __table_args__ = (
        CheckConstraint("valid_from < valid_to", name="validity"),
        CheckConstraint(one_of("change", CHANGES), name="change"),
        CheckConstraint(one_of("closed_by", ("changed", "deleted")), name="closed_by"),
        Index(
            "uq_restore_point_versions_open",
            "appliance_id",
            "restore_point_id",
            unique=True,
            postgresql_where=text("valid_to is null"),
            sqlite_where=text("valid_to is null"),
        ),
    )


class RejectedRecord(Base):
    """What could not be read: a whole item (`field` is null) or one field of an item that was loaded."""

    __tablename__ = "rejected_records"

    appliance_id: Mapped[FactKey]
    record_hash: Mapped[TextKey]
    collection: Mapped[str]
    field: Mapped[str | None]
    restore_point_id: Mapped[str | None]
    reason: Mapped[str]
    raw: Mapped[str]
    first_run: Mapped[int]
    last_run: Mapped[int]
    resolved_run: Mapped[int | None]


#: The tables for set-based SQL.
POINTS, VERSIONS, REJECTED = (
    cast(Table, model.__table__) for model in (RestorePoint, RestorePointVersion, RejectedRecord)
)

#: Columns of which a change makes a version, and those that are updated in place.
TRACKED = tuple(column.name for column in VERSIONS.columns if column.name in Tracked.__annotations__)
UNTRACKED = (
    "latest_chain_size_bytes",
    "data_retrieval_status",
    "retrieved_data_expires_at",
    "extra",
    "point_in_time_offset_minutes",
)
