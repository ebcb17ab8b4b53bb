"""One restore point's whole life: its row, what made it, its versions with what changed, and why it went."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, RowMapping, Select, and_, case, null, select

from etl.catalogue import RESTORE_POINTS
from etl.load.models import POINTS, VERSIONS
from etl.load.models import Deletion as Why
from etl.load.warehouse import Warehouse
from etl.report.proofs import confirmed_before, later_of, newest_proofs
from etl.report.scope import appliances_asked, one_state
from etl.report.sessions import Session, SessionPolicy, sessions_by_id

_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


@dataclass(frozen=True, slots=True)
class Change:
    """One tracked column that differs from the version before; sizes in bytes, instants in UTC."""

    column: str
    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class Deletion:
    """When a point went, after `last_confirmed_at` and before run `run_number` found it gone at `deleted_at`; and why.

    The cause and what belongs to it are null where the deletion is older than the warehouse's first look for causes.
    """

    last_confirmed_at: datetime
    deleted_at: datetime
    run_number: int
    cause: str | None = None
    """`retention`, `manual`, `policy_removed`, `orphaned` or `unexplained`."""
    match_kind: str | None = None
    """How the evidence fits: `item`, `resource_and_time` or `session_only`; null while unexplained."""
    session: Session | None = None
    """The one that explains it; null too where several fit equally, which `note` names."""
    explained_run: int | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class PointVersion:
    """A state that a point was seen in, from `valid_from` (inclusive) to `valid_to` (exclusive; null: still so)."""

    run_number: int
    change: str
    """`appeared`, `changed`, `restated` (only the API version differs) or `reappeared`."""
    valid_from: datetime
    valid_to: datetime | None
    closed_run: int | None
    closed_by: str | None
    changes: tuple[Change, ...]
    """Against the version before; empty for the first."""
    deletion: Deletion | None
    """What ended it, where that was a deletion."""
    attributes: dict[str, Any]
    """Every tracked column by its name."""


@dataclass(frozen=True, slots=True)
class PointHistory:
    """A restore point of one appliance; the same id on another appliance is another point."""

    appliance: str
    restore_point_id: str
    collection: str
    first_seen_at: datetime
    first_run: int
    last_changed_at: datetime
    last_changed_run: int
    last_confirmed_at: datetime
    """The last instant at which it certainly existed, as far as is known now."""
    deletion: Deletion | None
    """Null while it exists."""
    attributes: dict[str, Any]
    """Every tracked column as it was seen last."""
    session: Session | None
    """What made it; null if the appliance does not say."""
    policy: SessionPolicy | None
    """Of that session; null if it has none, or names none."""
    untracked: dict[str, Any]
    """The columns without a history; `extra` holds the fields that have no column."""
    versions: tuple[PointVersion, ...]
    """In order; a gap between two of them is a deletion."""


def history(warehouse: Warehouse, restore_point_id: str, appliance: str | None) -> list[PointHistory]:
    """The point of that id on each appliance that ever listed it, by the appliances' names; empty if none did.

    A UUID is taken in any case, another id as it is.

    Raises:
        UsageError: the warehouse holds no appliance of that name.
    """
    wanted = restore_point_id.strip()
    wanted = wanted.lower() if _UUID.fullmatch(wanted) else wanted
    with one_state(warehouse) as connection:
        asked = appliances_asked(connection, appliance)
        found = (_history(connection, name, appliance_id, wanted) for name, appliance_id in asked.items())
        return [point for point in found if point is not None]


def _history(connection: Connection, appliance: str, appliance_id: int, wanted: str) -> PointHistory | None:
    newest = newest_proofs(appliance_id)
    point, version = POINTS.c, VERSIONS.c
    before_its_end = confirmed_before(appliance_id, point.collection, version.closed_run)
    # a deletion that was followed by a return keeps no interval of its own; the ledger still tells it
    confirmed_at = case(
        (version.closed_by != "deleted", null()),
        (point.deleted_run == version.closed_run, point.last_confirmed_at),
        (version.closed_by == "deleted", later_of(before_its_end, version.valid_from)),
        else_=later_of(newest.c.confirmed_at, version.valid_from),
    )
    rows = [
        row._mapping
        for row in connection.execute(
            select(POINTS, VERSIONS, confirmed_at.label("confirmed_at"))
            .join(
                VERSIONS,
                and_(version.appliance_id == point.appliance_id, version.restore_point_id == point.restore_point_id),
            )
            .outerjoin(newest, newest.c.collection == point.collection)
            .where(point.appliance_id == appliance_id, point.restore_point_id == wanted)
            .order_by(version.run_number)
        )
    ]
    if not rows:
        return None
    row = rows[-1]
    reasons = {one.run_number: one for one in connection.execute(_reasons(appliance_id, wanted))}
    made_by = row[point.job_session_id]
    named = {made_by, *(one.job_session_id for one in reasons.values())} - {None}
    sessions = sessions_by_id(connection, appliance_id, named) if named else {}
    session, policy = sessions[made_by] if made_by is not None else (None, None)
    versions = tuple(_versions(rows, reasons, sessions))
    return PointHistory(
        appliance=appliance,
        restore_point_id=wanted,
        collection=row[point.collection],
        first_seen_at=row[point.first_seen_at],
        first_run=row[point.first_run],
        last_changed_at=row[point.last_changed_at],
        last_changed_run=row[point.last_changed_run],
        last_confirmed_at=row["confirmed_at"],
        deletion=versions[-1].deletion,
        attributes={name: row[point[name]] for name in RESTORE_POINTS.tracked},
        session=session,
        policy=policy,
        untracked={name: row[point[name]] for name in RESTORE_POINTS.untracked},
        versions=versions,
    )


def _reasons(appliance_id: int, restore_point_id: str) -> Select[*tuple[Any, ...]]:
    return select(Why.run_number, Why.cause, Why.match_kind, Why.job_session_id, Why.explained_run, Why.note).where(
        Why.appliance_id == appliance_id, Why.restore_point_id == restore_point_id
    )


def _versions(
    rows: Sequence[RowMapping],
    reasons: Mapping[int, Row[Any]],
    sessions: Mapping[str, tuple[Session, SessionPolicy | None]],
) -> Iterator[PointVersion]:
    version = VERSIONS.c
    before: dict[str, Any] = {}
    for row in rows:
        now = {name: row[version[name]] for name in RESTORE_POINTS.tracked}
        deletion = None
        if row[version.closed_by] == "deleted":
            deletion = Deletion(row["confirmed_at"], row[version.valid_to], row[version.closed_run])
            if (why := reasons.get(deletion.run_number)) is not None:
                deletion = replace(
                    deletion,
                    cause=why.cause,
                    match_kind=why.match_kind,
                    session=sessions[why.job_session_id][0] if why.job_session_id is not None else None,
                    explained_run=why.explained_run,
                    note=why.note,
                )
        yield PointVersion(
            run_number=row[version.run_number],
            change=row[version.change],
            valid_from=row[version.valid_from],
            valid_to=row[version.valid_to],
            closed_run=row[version.closed_run],
            closed_by=row[version.closed_by],
            changes=tuple(
                Change(name, before[name], now[name])
                for name in RESTORE_POINTS.tracked
                if before and before[name] != now[name]
            ),
            deletion=deletion,
            attributes=now,
        )
        before = now
