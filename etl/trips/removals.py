"""Why restore points went: reads what removing sessions say that they deleted, and writes what that explains."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from sqlalchemy import Connection, Row

from etl.catalogue import UNDER_WAY
from etl.errors import ApplianceError
from etl.extract.crawl import Crawl
from etl.extract.versions import path_of
from etl.load import deletions
from etl.load.clocks import Clocks, clocks_of
from etl.load.deletions import Evidence, RemovingSession
from etl.load.ledger import Run
from etl.transform.causes import TOLERANCE, UNEXPLAINED, DeletedItem, Gone, Removal, explain
from etl.transform.deleted_items import deleted_items, named_resources
from etl.transform.removing import removes
from etl.trips.trip import Trip

if TYPE_CHECKING:
    from collections.abc import Mapping

    from etl.trips.reading import Desk

_OK, _NOT_FOUND = 200, 404
#: Statuses of a session that did what it was for.
_WENT_WELL = ("Success", "Warning")

#: Sessions whose lists are read in one run; should there be more, the next run goes on.
MOST_SESSIONS = 1000


@dataclass(frozen=True, slots=True)
class Explained:
    """How many deletions a run explained, earlier ones among them, and how many of its own it could not."""

    explained: int = 0
    unexplained: int = 0


@dataclass(frozen=True, slots=True)
class _OfSession:
    """A listing below one job session."""

    job_session_id: str
    name: str

    @property
    def paths(self) -> tuple[tuple[str, str], ...]:
        return (("v2", f"/jobSessions/{quote(self.job_session_id, safe='')}/{self.name}"),)

    @property
    def params(self) -> Mapping[str, str]:
        return {}


async def read_evidence(trip: Trip) -> list[Evidence]:
    """Reads the lists of what was deleted, of every session that may explain a deletion nobody has explained yet."""
    desk = trip.desk

    def find() -> list[RemovingSession]:
        collections = [reading.collection for reading in trip.points]
        clocks = clocks_of(desk.connection, desk.run, desk.facts.clock_skew_seconds)
        intervals = deletions.open_intervals(desk.staging, desk.run, collections, clocks)
        if not intervals:
            return []
        types = deletions.removing_types(desk.staging, desk.run, removes)
        return deletions.sessions_to_read(desk.staging, desk.run, types, intervals, TOLERANCE, UNDER_WAY)

    sessions = (await desk.on_warehouse(find))[:MOST_SESSIONS]
    return list(await asyncio.gather(*(_read(desk, session) for session in sessions)))


async def _read(desk: Desk, session: RemovingSession) -> Evidence:
    client = desk.client.bearing()
    items: list[bytes] = []
    try:
        listing = _OfSession(session.job_session_id, "deletedItems")
        async with aclosing(Crawl(client, desk.api_version, listing).pages()) as pages:
            async for page in pages:
                items += page.items[page.repeated :]
    except ApplianceError as error:
        return Evidence(session.job_session_id, error=str(error))
    if items:
        readable = deleted_items(items)
        fault = None if readable else "none of the items that it lists can be read"
        return Evidence(session.job_session_id, readable, fault)
    try:
        log = await client.get(path_of(desk.api_version, _OfSession(session.job_session_id, "log")))
    except ApplianceError as error:
        return Evidence(session.job_session_id, error=str(error))
    if log.status == _NOT_FOUND:
        return Evidence(session.job_session_id)
    named = named_resources(log.body) if log.status == _OK else None
    if named is None:
        return Evidence(
            session.job_session_id, error=f"it lists nothing, and its log cannot be read (HTTP {log.status})"
        )
    return Evidence(session.job_session_id, resource_ids=named)


def write_causes(
    connection: Connection,
    run: Run,
    evidence: Sequence[Evidence],
    skew_seconds: float | None,
    *,
    found_gone: bool,
    blind_because: str | None,
) -> Explained:
    """Keeps the evidence and explains this run's deletions, and earlier ones that it may fill in.

    In the run's transaction, after its merges.

    Args:
        connection: the run's own.
        run: it observed everything that is written here.
        evidence: what it has read.
        skew_seconds: the appliance's clock minus ours, if it tells the time.
        found_gone: this run has found restore points gone.
        blind_because: why no sessions could be read, if they could not; told with what stays unexplained.
    """
    deletions.write_evidence(connection, run, evidence)
    since = deletions.oldest_start(connection, run, evidence)
    clocks = clocks_of(connection, run, skew_seconds)
    rows = deletions.unexplained(
        connection, run, found_gone=found_gone, since=None if since is None else clocks.ours(since) - TOLERANCE
    )
    if not rows:
        return Explained()
    gone = [_gone(row, clocks) for row in rows]
    begin = min(one.last_confirmed_at for one in gone) - TOLERANCE
    end = max(one.observed_at for one in gone) + TOLERANCE
    types = deletions.known_types(connection, run.appliance_id, removes)
    removals = [_removal(*one) for one in deletions.kept_evidence(connection, run.appliance_id, types, begin, end)]
    written: dict[bool, list[dict[str, Any]]] = {True: [], False: []}
    explained = 0
    for row, found in zip(rows, explain(gone, removals), strict=True):
        is_explained = found.cause != UNEXPLAINED
        explained += is_explained
        if not is_explained and not row.is_new:
            continue
        written[bool(row.is_new)].append(
            {
                "restore_point_id": row.restore_point_id,
                "run_number": row.run_number,
                "last_confirmed_at": row.last_confirmed_at,
                "observed_gone_at": row.observed_gone_at,
                "cause": found.cause,
                "job_session_id": found.session_id,
                "match_kind": found.match,
                "explained_run": run.run_number if is_explained else None,
                "note": found.note if is_explained else blind_because or found.note,
            }
        )
    for is_new, of_kind in written.items():
        deletions.write_explained(connection, run, of_kind, new=is_new)
    return Explained(explained, sum(row["cause"] == UNEXPLAINED for row in written[True]))


def _gone(row: Row[Any], clocks: Clocks) -> Gone:
    begin, end = clocks.shifted(row.last_confirmed_at, row.observed_gone_at, row.run_number)
    return Gone(
        restore_point_id=row.restore_point_id,
        workload=row.workload,
        resource_id=row.resource_id,
        resource_name=row.resource_name,
        point_in_time=row.point_in_time,
        backup_size_bytes=row.backup_size_bytes,
        backup_destination=row.backup_destination,
        access_tier=row.access_tier,
        last_confirmed_at=begin,
        observed_at=end,
        policy_gone=row.policy_deleted_at is not None or bool(row.is_policy_removed),
    )


def _removal(session: RemovingSession, read: Evidence | None) -> Removal:
    items = None
    if read is not None and read.error is None:
        items = tuple(
            DeletedItem(
                item_id=item["item_id"],
                resource_id=item["resource_id"],
                resource_name=item["resource_name"],
                snapshot_time=item["snapshot_time"],
                backup_size_bytes=item["backup_size_bytes"],
                repository_id=item["repository_id"],
                storage_tier=item["storage_tier"],
            )
            for item in read.items
        )
    return Removal(
        session_id=session.job_session_id,
        session_type=session.session_type,
        started_at=session.started_at,
        stopped_at=session.stopped_at,
        deleted_count=session.deleted_count,
        items=items,
        resources=frozenset(read.resource_ids if read else ()),
        fault=(read.error if read else None) or (None if items is not None else "it was not read yet"),
        went_well=session.status in _WENT_WELL,
    )
