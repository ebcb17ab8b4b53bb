"""Why restore points went: what has to be explained, the evidence that is kept for it, and the answers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import (
    Connection,
    Row,
    Select,
    Table,
    and_,
    bindparam,
    delete,
    func,
    insert,
    literal,
    or_,
    select,
    union_all,
    update,
)

from etl.catalogue import Collection
from etl.load.clocks import Clocks, Interval
from etl.load.kept import KEPT
from etl.load.ledger import Run
from etl.load.models import (
    DeletedItem,
    Deletion,
    JobSession,
    Policy,
    Repository,
    RestorePoint,
    SessionEvidence,
)
from etl.load.staging import Staging
from etl.load.vanished import last_proof

UNEXPLAINED = "unexplained"

_SESSIONS = KEPT["job_sessions"]


@dataclass(frozen=True, slots=True)
class RemovingSession:
    """A session of a removing kind; instants on the appliance's clock."""

    job_session_id: str
    session_type: str
    started_at: datetime
    stopped_at: datetime | None
    deleted_count: int | None
    status: str | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was read of one removing session: rows of `deleted_items` without their keys, or the error instead."""

    job_session_id: str
    items: Sequence[dict[str, Any]] = ()
    error: str | None = None
    resource_ids: list[str] = field(default_factory=list)


def open_intervals(staging: Staging, run: Run, collections: Iterable[Collection], clocks: Clocks) -> list[Interval]:
    """When points went that nobody has explained yet, on the appliance's clock: those of earlier runs, and this run's.

    This run's end lies ahead: it is still reading.
    """
    connection = staging.connection
    earlier = connection.execute(
        select(Deletion.last_confirmed_at, Deletion.observed_gone_at, Deletion.run_number)
        .where(Deletion.appliance_id == run.appliance_id, Deletion.cause == UNEXPLAINED)
        .distinct()
    )
    found = [clocks.shifted(row.last_confirmed_at, row.observed_gone_at, row.run_number) for row in earlier]
    for collection in collections:
        kept = KEPT[collection.entity.table]
        if not staging.holds(kept.gone):
            continue
        facts, gone = kept.facts, kept.gone
        oldest = connection.scalar(
            select(func.min(facts.c.last_changed_at))
            .join(gone, and_(kept.of(run.appliance_id, gone), gone.c.collection == collection.name))
            .where(facts.c.deleted_at.is_(None))
        )
        if oldest is not None:
            proof = last_proof(connection, run, collection)
            ahead = run.observed_at + timedelta(days=1)
            found.append(clocks.shifted(max(oldest, proof or oldest), ahead, run.run_number))
    return found


def known_types(connection: Connection, appliance_id: int, removes: Callable[[str], bool]) -> list[str]:
    """The types of sessions, among those that were ever written, that remove restore points."""
    seen = connection.scalars(select(JobSession.session_type).where(JobSession.appliance_id == appliance_id).distinct())
    return sorted(one for one in seen if one and removes(one))


def removing_types(staging: Staging, run: Run, removes: Callable[[str], bool]) -> list[str]:
    """The same, among those that this run has read too."""
    types = set(known_types(staging.connection, run.appliance_id, removes))
    if staging.holds(_SESSIONS.staged):
        staged = staging.connection.scalars(select(_SESSIONS.staged.c.session_type).distinct())
        types.update(one for one in staged if one and removes(one))
    return sorted(types)


def oldest_start(connection: Connection, run: Run, evidence: Sequence[Evidence]) -> datetime | None:
    """When the first of these sessions began, on the appliance's clock; null if there is none."""
    read = select(func.min(JobSession.started_at)).where(JobSession.appliance_id == run.appliance_id)
    ids = [one.job_session_id for one in evidence]
    starts = [
        connection.scalar(read.where(JobSession.job_session_id.in_(ids[start : start + 1000])))
        for start in range(0, len(ids), 1000)
    ]
    return min((start for start in starts if start is not None), default=None)


def sessions_to_read(
    staging: Staging,
    run: Run,
    types: Sequence[str],
    intervals: Sequence[Interval],
    slack: timedelta,
    under_way: Iterable[str],
) -> list[RemovingSession]:
    """The removing sessions that fall into one of the intervals, have ended, and are not read yet.

    Args:
        staging: what this run has read of sessions counts more than what is known.
        run: whose appliance.
        types: the session types that remove.
        intervals: on the appliance's clock.
        slack: how far outside of them a session may lie.
        under_way: the statuses of sessions that have not ended.
    """
    columns = ("job_session_id", "session_type", "status", "started_at", "stopped_at", "deleted_restore_points_count")
    removing = _SESSIONS.facts.c.session_type.in_(types)
    known = select(*(_SESSIONS.facts.c[name] for name in columns)).where(
        _SESSIONS.facts.c.appliance_id == run.appliance_id, _SESSIONS.facts.c.deleted_at.is_(None), removing
    )
    rows = {row.job_session_id: row for row in staging.connection.execute(known)}
    if staging.holds(_SESSIONS.staged):
        staged = select(*(_SESSIONS.staged.c[name] for name in columns))
        for row in staging.connection.execute(staged):
            rows[row.job_session_id] = row
    read = set(
        staging.connection.scalars(
            select(SessionEvidence.job_session_id).where(
                SessionEvidence.appliance_id == run.appliance_id, SessionEvidence.error.is_(None)
            )
        )
    )
    still = frozenset(under_way)
    return [
        _session(row)
        for row in rows.values()
        if row.session_type in types
        and row.started_at is not None
        and row.status not in still
        and row.job_session_id not in read
        and any(row.started_at <= end + slack and (row.stopped_at or end) >= begin - slack for begin, end in intervals)
    ]


def write_evidence(connection: Connection, run: Run, evidence: Sequence[Evidence]) -> None:
    """Keeps what was read of removing sessions, in the caller's transaction; a second reading replaces the first."""
    if not evidence:
        return
    again = [{"again": one.job_session_id} for one in evidence]
    connection.execute(
        delete(SessionEvidence).where(
            SessionEvidence.appliance_id == run.appliance_id, SessionEvidence.job_session_id == bindparam("again")
        ),
        again,
    )
    connection.execute(
        insert(SessionEvidence),
        [
            {
                "appliance_id": run.appliance_id,
                "job_session_id": one.job_session_id,
                "read_run": run.run_number,
                "error": one.error,
                "resource_ids": one.resource_ids,
            }
            for one in evidence
        ],
    )
    items = [
        {"appliance_id": run.appliance_id, "job_session_id": one.job_session_id, "item_number": number, **item}
        for one in evidence
        for number, item in enumerate(one.items, 1)
    ]
    if items:
        connection.execute(insert(DeletedItem), items)


def unexplained(connection: Connection, run: Run, *, found_gone: bool, since: datetime | None) -> list[Row[Any]]:
    """The deletions to explain, a row each.

    Columns: those of `deletions` that tell when it was; the point's own; of the policy that made it
    `policy_deleted_at` and `is_policy_removed`; `is_new` where `deletions` has no row yet.

    Args:
        connection: the run's own, after its merges.
        run: whose appliance.
        found_gone: this run has found points gone, which is what has no row yet.
        since: take in earlier deletions, too, that were observed from then on.
    """
    of_point = and_(
        RestorePoint.appliance_id == Deletion.appliance_id,
        RestorePoint.restore_point_id == Deletion.restore_point_id,
    )
    asked: list[Select[*tuple[Any, ...]]] = []
    if found_gone:
        asked.append(
            select(
                RestorePoint.restore_point_id,
                RestorePoint.deleted_run.label("run_number"),
                RestorePoint.last_confirmed_at,
                RestorePoint.deleted_at.label("observed_gone_at"),
                literal(1).label("is_new"),
            ).where(RestorePoint.appliance_id == run.appliance_id, RestorePoint.deleted_run == run.run_number)
        )
    if since is not None:
        asked.append(
            select(
                Deletion.restore_point_id,
                Deletion.run_number,
                Deletion.last_confirmed_at,
                Deletion.observed_gone_at,
                literal(0).label("is_new"),
            )
            .join(RestorePoint, of_point)
            .where(
                Deletion.appliance_id == run.appliance_id,
                Deletion.cause == UNEXPLAINED,
                Deletion.observed_gone_at >= since,
            )
        )
    if not asked:
        return []
    deletion = union_all(*asked).subquery("deletion")
    point, session = RestorePoint, JobSession
    return list(
        connection.execute(
            select(
                deletion,
                point.workload,
                point.resource_id,
                point.resource_name,
                point.point_in_time,
                point.backup_size_bytes,
                point.backup_destination,
                point.access_tier,
                session.is_policy_removed,
                Policy.deleted_at.label("policy_deleted_at"),
            )
            .select_from(deletion)
            .join(
                point,
                and_(point.appliance_id == run.appliance_id, point.restore_point_id == deletion.c.restore_point_id),
            )
            .outerjoin(
                session,
                and_(session.appliance_id == run.appliance_id, session.job_session_id == point.job_session_id),
            )
            .outerjoin(Policy, and_(Policy.appliance_id == run.appliance_id, Policy.policy_id == session.policy_id))
            .order_by(deletion.c.restore_point_id, deletion.c.run_number)
        )
    )


def kept_evidence(
    connection: Connection, appliance_id: int, types: Sequence[str], begin: datetime, end: datetime
) -> list[tuple[RemovingSession, Evidence | None]]:
    """The removing sessions between two instants of the appliance's clock, each with what was read of it, if it was.

    Items come with the `storage_tier` of their repository, where that is known.
    """
    sessions = connection.execute(
        select(
            JobSession.job_session_id,
            JobSession.session_type,
            JobSession.started_at,
            JobSession.stopped_at,
            JobSession.deleted_restore_points_count,
            JobSession.status,
            SessionEvidence.job_session_id.label("read"),
            SessionEvidence.error,
            SessionEvidence.resource_ids,
        )
        .outerjoin(
            SessionEvidence,
            and_(
                SessionEvidence.appliance_id == JobSession.appliance_id,
                SessionEvidence.job_session_id == JobSession.job_session_id,
            ),
        )
        .where(
            JobSession.appliance_id == appliance_id,
            JobSession.session_type.in_(types),
            JobSession.started_at <= end,
            or_(JobSession.stopped_at.is_(None), JobSession.stopped_at >= begin),
        )
        .order_by(JobSession.started_at, JobSession.job_session_id)
    ).all()
    wanted = [row.job_session_id for row in sessions if row.read is not None]
    items: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for start in range(0, len(wanted), 1000):
        found = connection.execute(
            select(DeletedItem.__table__, Repository.storage_tier)
            .outerjoin(
                Repository,
                and_(
                    Repository.appliance_id == DeletedItem.appliance_id,
                    Repository.repository_id == DeletedItem.repository_id,
                ),
            )
            .where(
                DeletedItem.appliance_id == appliance_id,
                DeletedItem.job_session_id.in_(wanted[start : start + 1000]),
            )
            .order_by(DeletedItem.job_session_id, DeletedItem.item_number)
        )
        for row in found:
            items[row.job_session_id].append(dict(row._mapping))
    return [
        (
            _session(row),
            None
            if row.read is None
            else Evidence(row.job_session_id, items[row.job_session_id], row.error, row.resource_ids),
        )
        for row in sessions
    ]


def write_explained(connection: Connection, run: Run, rows: Sequence[dict[str, Any]], *, new: bool) -> None:
    """Writes causes, in the caller's transaction: rows of `deletions` that are new, or that are filled in."""
    if not rows:
        return
    if new:
        connection.execute(insert(Deletion), [{"appliance_id": run.appliance_id, **row} for row in rows])
        return
    connection.execute(
        update(cast(Table, Deletion.__table__)).where(
            Deletion.appliance_id == run.appliance_id,
            Deletion.restore_point_id == bindparam("of_point"),
            Deletion.run_number == bindparam("of_run"),
        ),
        [
            {"of_point": row["restore_point_id"], "of_run": row["run_number"]}
            | {name: row[name] for name in ("cause", "job_session_id", "match_kind", "explained_run", "note")}
            for row in rows
        ],
    )


def _session(row: Any) -> RemovingSession:
    return RemovingSession(
        row.job_session_id,
        row.session_type,
        row.started_at,
        row.stopped_at,
        row.deleted_restore_points_count,
        row.status,
    )
