"""Job sessions and policies, as far as the warehouse knows them, for whoever names one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Row, and_, select

from etl.catalogue import UNDER_WAY
from etl.load.models import JobSession, Policy


@dataclass(frozen=True, slots=True)
class Session:
    """A job session; nothing but its id is known of one that was never read."""

    job_session_id: str
    is_read: bool
    forgotten_at: datetime | None
    """When the warehouse found that the appliance does not know it any more; null: it may still."""
    under_way: bool = False
    """It had not ended when it was last read."""
    session_type: str | None = None
    localized_type: str | None = None
    status: str | None = None
    started_at: datetime | None = None
    stopped_at: datetime | None = None
    duration_seconds: float | None = None
    policy_id: str | None = None
    policy_name: str | None = None
    """As the policy was called then."""


@dataclass(frozen=True, slots=True)
class SessionPolicy:
    """The policy that a session ran for."""

    policy_id: str
    policy_name: str | None
    """As it is called now, or was last."""
    exists: bool | None
    """Null: neither the policy itself was ever read nor does its session say that it was removed."""
    last_confirmed_at: datetime | None
    gone_at: datetime | None
    """It was removed between the two, where that was seen."""


def sessions_by_id(
    connection: Connection, appliance_id: int, ids: Iterable[str]
) -> dict[str, tuple[Session, SessionPolicy | None]]:
    """Each of these few sessions with its policy; null where it has none, or names none."""
    wanted = sorted(set(ids))
    session, policy = JobSession, Policy
    rows = connection.execute(
        select(
            session.job_session_id,
            session.session_type,
            session.localized_type,
            session.status,
            session.started_at,
            session.stopped_at,
            session.duration_seconds,
            session.policy_id,
            session.policy_name,
            session.is_policy_removed,
            session.deleted_at.label("forgotten_at"),
            policy.policy_id.label("known_policy_id"),
            policy.policy_name.label("known_policy_name"),
            policy.last_confirmed_at.label("policy_confirmed_at"),
            policy.deleted_at.label("policy_gone_at"),
        )
        .outerjoin(policy, and_(policy.appliance_id == session.appliance_id, policy.policy_id == session.policy_id))
        .where(session.appliance_id == appliance_id, session.job_session_id.in_(wanted))
    )
    found = {row.job_session_id: (_session(row), _policy(row)) for row in rows}
    unread = (one for one in wanted if one not in found)
    return found | {one: (Session(one, is_read=False, forgotten_at=None), None) for one in unread}


def _session(row: Row[*tuple[object, ...]]) -> Session:
    told = (row.session_type, row.status, row.started_at)
    return Session(
        job_session_id=row.job_session_id,
        is_read=any(fact is not None for fact in told),
        forgotten_at=row.forgotten_at,
        under_way=row.status in UNDER_WAY,
        session_type=row.session_type,
        localized_type=row.localized_type,
        status=row.status,
        started_at=row.started_at,
        stopped_at=row.stopped_at,
        duration_seconds=row.duration_seconds,
        policy_id=row.policy_id,
        policy_name=row.policy_name,
    )


def _policy(row: Row[*tuple[object, ...]]) -> SessionPolicy | None:
    if row.policy_id is None:
        return None
    exists: bool | None = None
    if row.policy_gone_at is not None or row.is_policy_removed:
        exists = False
    elif row.known_policy_id is not None:
        exists = True
    return SessionPolicy(
        policy_id=row.policy_id,
        policy_name=row.known_policy_name or row.policy_name,
        exists=exists,
        last_confirmed_at=row.policy_confirmed_at,
        gone_at=row.policy_gone_at,
    )
