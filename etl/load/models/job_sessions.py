"""Job sessions, and what they say that they removed."""

from __future__ import annotations

from sqlalchemy.orm import Mapped

from etl.load.models.base import Base, BigInt, FactKey, Json, Life, Moment, TextKey, Texts, life_checks


class JobSession(Life, Base):
    """One row for each job session ever seen or named; `deleted_at` is set once the appliance has forgotten it.

    Of a session that was forgotten before it could be read, nothing but its id is known.
    """

    __tablename__ = "job_sessions"

    appliance_id: Mapped[FactKey]
    job_session_id: Mapped[TextKey]
    session_type: Mapped[str | None]
    localized_type: Mapped[str | None]
    status: Mapped[str | None]
    policy_id: Mapped[str | None]
    policy_name: Mapped[str | None]
    policy_type: Mapped[str | None]
    is_policy_removed: Mapped[bool | None]
    started_at: Mapped[Moment | None]
    stopped_at: Mapped[Moment | None]
    duration_seconds: Mapped[float | None]
    protected_instances_count: Mapped[BigInt | None]
    deleted_restore_points_count: Mapped[BigInt | None]
    checked_instances_count: Mapped[BigInt | None]
    extra: Mapped[Json]

    __table_args__ = life_checks()


class SessionEvidence(Base):
    """Whether the list of what a removing session deleted was read, in run `read_run`; `error` says why it was not.

    `resource_ids` are those of the resources that the session's log names, where it lists no items.
    """

    __tablename__ = "session_evidence"

    appliance_id: Mapped[FactKey]
    job_session_id: Mapped[TextKey]
    read_run: Mapped[int]
    error: Mapped[str | None]
    resource_ids: Mapped[Texts]


class DeletedItem(Base):
    """One row of what a session says that it deleted, as received: it names no restore point.

    `item_id` is told at v2 and v3 only, and nobody says what it is an id of.
    """

    __tablename__ = "deleted_items"

    appliance_id: Mapped[FactKey]
    job_session_id: Mapped[TextKey]
    item_number: Mapped[FactKey]
    item_id: Mapped[str | None]
    resource_id: Mapped[str | None]
    resource_name: Mapped[str | None]
    snapshot_time: Mapped[Moment | None]
    backup_size_bytes: Mapped[BigInt | None]
    repository_id: Mapped[str | None]
    repository_name: Mapped[str | None]
