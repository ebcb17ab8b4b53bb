"""What a run has to know of job sessions: where to go on reading them, and which are named but not known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, and_, func, insert, select, update

from etl.catalogue import SESSIONS
from etl.load.kept import KEPT
from etl.load.ledger import FINISHED, Run
from etl.load.models import JobSession, RestorePoint, SyncRun, SyncRunInventory
from etl.load.staging import Staging

#: Ids in one statement.
_AT_ONCE = 1000

_SESSIONS, _POINTS = KEPT["job_sessions"], KEPT["restore_points"]


@dataclass(frozen=True, slots=True)
class KnownSessions:
    """What is known: `read_until` is when the newest run began that read them, on our clock (null: none has).

    `remembered` counts those that the appliance is not known to have forgotten; `under_way` maps the id of those that
    had not ended to their start. `all_named_known`: no restore point named one that could not be asked for.
    """

    read_until: datetime | None
    remembered: int
    under_way: dict[str, datetime | None]
    all_named_known: bool


def known_sessions(connection: Connection, appliance_id: int, statuses_under_way: Iterable[str]) -> KnownSessions:
    """Looks up where the last run left off."""
    last = connection.execute(
        select(SyncRun.started_at, SyncRunInventory.unconfirmed)
        .join(
            SyncRunInventory,
            and_(
                SyncRunInventory.appliance_id == SyncRun.appliance_id,
                SyncRunInventory.run_number == SyncRun.run_number,
            ),
        )
        .where(
            SyncRun.appliance_id == appliance_id,
            SyncRun.status.in_(FINISHED),
            SyncRunInventory.collection == SESSIONS.name,
            SyncRunInventory.status == "complete",
            SyncRunInventory.crawls > 0,
        )
        .order_by(SyncRun.run_number.desc())
        .limit(1)
    ).first()
    present = and_(JobSession.appliance_id == appliance_id, JobSession.deleted_at.is_(None))
    under_way = connection.execute(
        select(JobSession.job_session_id, JobSession.started_at).where(
            present, JobSession.status.in_(sorted(statuses_under_way))
        )
    )
    return KnownSessions(
        read_until=last.started_at if last else None,
        remembered=connection.scalar(select(func.count()).select_from(JobSession).where(present)) or 0,
        under_way={row.job_session_id: row.started_at for row in under_way},
        all_named_known=last is not None and last.unconfirmed == 0,
    )


def count_new(staging: Staging, run: Run) -> int:
    """How many staged sessions are not among those that the appliance is known to remember."""
    if not staging.holds(_SESSIONS.staged):
        return 0
    facts, staged = _SESSIONS.facts, _SESSIONS.staged
    new = (
        select(staged.c.job_session_id)
        .select_from(
            staged.outerjoin(facts, and_(_SESSIONS.of(run.appliance_id, staged), facts.c.deleted_at.is_(None)))
        )
        .where(facts.c.job_session_id.is_(None))
        .distinct()
    )
    return staging.connection.scalar(select(func.count()).select_from(new.subquery())) or 0


def named_but_unknown(staging: Staging, run: Run, *, by_any_point: bool) -> list[str]:
    """The ids of sessions that restore points name, and that neither the warehouse nor this run has met.

    Args:
        staging: sealed.
        run: whose appliance.
        by_any_point: look at every restore point that the warehouse holds too, not only at those that were staged.
    """
    unknown: set[str] = set()
    sources = []
    if staging.holds(_POINTS.staged):
        sources.append(select(_POINTS.staged.c.job_session_id.label("named")))
    if by_any_point:
        sources.append(
            select(RestorePoint.job_session_id.label("named")).where(RestorePoint.appliance_id == run.appliance_id)
        )
    for source in sources:
        named = source.distinct().subquery()
        known = and_(JobSession.appliance_id == run.appliance_id, JobSession.job_session_id == named.c.named)
        wanted = (
            select(named.c.named)
            .select_from(named.outerjoin(JobSession, known))
            .where(named.c.named.is_not(None), JobSession.job_session_id.is_(None))
        )
        unknown.update(staging.connection.scalars(wanted))
    if unknown and staging.holds(_SESSIONS.staged):
        unknown.difference_update(staging.connection.scalars(select(_SESSIONS.staged.c.job_session_id)))
    return sorted(unknown)


def write_forgotten(connection: Connection, run: Run, ids: Sequence[str]) -> None:
    """Writes a row for each session that the appliance had forgotten before it could be read: its id is all there is.

    A session that is known is marked as forgotten.
    """
    for start in range(0, len(ids), _AT_ONCE):
        chunk = ids[start : start + _AT_ONCE]
        marked = connection.scalars(
            update(JobSession)
            .where(JobSession.appliance_id == run.appliance_id, JobSession.job_session_id.in_(chunk))
            .values(
                last_confirmed_at=JobSession.last_changed_at, deleted_at=run.observed_at, deleted_run=run.run_number
            )
            .returning(JobSession.job_session_id)
        )
        unread = set(chunk).difference(marked)
        if unread:
            life = {
                "appliance_id": run.appliance_id,
                "extra": {},
                "collection": SESSIONS.name,
                "first_seen_at": run.observed_at,
                "last_changed_at": run.observed_at,
                "deleted_at": run.observed_at,
                "first_run": run.run_number,
                "last_changed_run": run.run_number,
                "deleted_run": run.run_number,
            }
            connection.execute(insert(JobSession), [{"job_session_id": one, **life} for one in sorted(unread)])
