"""Restore points with their versions, what could not be read, and why points went."""

from __future__ import annotations

from sqlalchemy import CheckConstraint
from sqlalchemy.orm import Mapped

from etl.load.models.base import (
    Base,
    BigInt,
    FactKey,
    Json,
    Life,
    Moment,
    TextKey,
    Validity,
    life_checks,
    one_of,
    validity_checks,
)

CAUSES = ("retention", "manual", "policy_removed", "orphaned", "unexplained")
MATCHES = ("item", "resource_and_time", "session_only")


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


class RestorePoint(Tracked, Life, Base):
    """One row for each restore point ever seen, as it was last seen; a sync never removes one."""

    __tablename__ = "restore_points"

    appliance_id: Mapped[FactKey]
    restore_point_id: Mapped[TextKey]
    # untracked: they move by themselves, so they are updated in place and make no version
    latest_chain_size_bytes: Mapped[BigInt | None]
    data_retrieval_status: Mapped[str | None]
    retrieved_data_expires_at: Mapped[Moment | None]
    point_in_time_offset_minutes: Mapped[int | None]
    extra: Mapped[Json]

    __table_args__ = life_checks()


class RestorePointVersion(Tracked, Validity, Base):
    """What a restore point looked like, and when; what it says about itself is `point_in_time`."""

    __tablename__ = "restore_point_versions"

    appliance_id: Mapped[FactKey]
    restore_point_id: Mapped[TextKey]

    __table_args__ = validity_checks("restore_point_versions", "restore_point_id")


class Deletion(Base):
    """Each time that a restore point was found gone, and why, as far as the evidence carries.

    It went after `last_confirmed_at` and before `observed_gone_at`. `explained_run` is the run that found the cause
    (null while it is `unexplained`), `match_kind` how the session that explains it was told to be the one, `note` what
    kept it from being known or what else fits.
    """

    __tablename__ = "deletions"

    appliance_id: Mapped[FactKey]
    restore_point_id: Mapped[TextKey]
    run_number: Mapped[FactKey]
    last_confirmed_at: Mapped[Moment]
    observed_gone_at: Mapped[Moment]
    cause: Mapped[str]
    job_session_id: Mapped[str | None]
    match_kind: Mapped[str | None]
    explained_run: Mapped[int | None]
    note: Mapped[str | None]

    __table_args__ = (
        CheckConstraint(one_of("cause", CAUSES), name="cause"),
        CheckConstraint(one_of("match_kind", MATCHES), name="match_kind"),
        CheckConstraint("last_confirmed_at <= observed_gone_at", name="interval"),
        CheckConstraint("(cause = 'unexplained') = (explained_run is null)", name="explained"),
    )


class RejectedRecord(Base):
    """What could not be read: a whole item (`field` is null) or one field of an item that was loaded.

    `item_id` is the item's id if that is readable; of a restore point `restore_point_id` holds it too.
    """

    __tablename__ = "rejected_records"

    appliance_id: Mapped[FactKey]
    record_hash: Mapped[TextKey]
    collection: Mapped[str]
    field: Mapped[str | None]
    restore_point_id: Mapped[str | None]
    item_id: Mapped[str | None]
    reason: Mapped[str]
    raw: Mapped[str]
    first_run: Mapped[int]
    last_run: Mapped[int]
    resolved_run: Mapped[int | None]
