"""How a run reads job sessions: those since the last run, all of them when some were forgotten, and those named.

Sessions are purged by age, so that a window shows what came and never what went. What went shows in the count: if the
appliance lists as many as are remembered, nothing did; else all of them are read once, and what a proven listing does
not hold has been forgotten.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from etl.catalogue import SESSIONS, UNDER_WAY
from etl.errors import ApplianceError
from etl.extract.confirm import confirm
from etl.extract.pages import read_envelope
from etl.extract.versions import path_of, rank, spellings
from etl.load.job_sessions import KnownSessions, count_new, known_sessions, named_but_unknown
from etl.trips.reading import Desk, Reading, ids_of, narrowed
from etl.trips.trip import Trip

#: How far before the last run's start a window begins: clocks differ, and a session may be listed late.
OVERLAP = timedelta(hours=1)
#: How far a window goes back for sessions that had not ended; older ones are asked for by id.
LONGEST_WINDOW = timedelta(days=3)
#: The first version whose filter by start is documented.
FILTERED_SINCE = "v2"


@dataclass(slots=True)
class SessionsRead:
    """The reading of the sessions, what was known before, and the ids of those that the appliance no longer knows."""

    reading: Reading
    known: KnownSessions
    forgotten: list[str] = field(default_factory=list)


async def read_sessions(trip: Trip) -> SessionsRead:
    """Reads the job sessions that a run needs, and adds their reading to the trip's."""
    desk = trip.desk
    known = await desk.on_warehouse(known_sessions, desk.connection, desk.run.appliance_id, UNDER_WAY)
    since = _window_start(desk, known)
    if since is None:
        read = SessionsRead(await trip.try_to_read(SESSIONS), known)
    else:
        window = narrowed(SESSIONS, FromUtc=f"{since:%Y-%m-%dT%H:%M:%SZ}")
        read = SessionsRead(await trip.try_to_read(window), known)
        read.reading.is_whole = False
        if read.reading.is_read:
            await _read_all_if_some_went(trip, read)
    trip.readings.append(read.reading)
    if read.reading.is_read and since is not None and not read.reading.is_whole:
        old = sorted(one for one, started in known.under_way.items() if started is None or started < since)
        await _ask(desk, read, old)
    return read


async def read_named_sessions(trip: Trip, read: SessionsRead) -> None:
    """Asks for the sessions that restore points name and nobody has seen; the staging tables are sealed."""
    if not read.reading.is_read:
        return
    desk = trip.desk
    named = await desk.on_warehouse(
        named_but_unknown, desk.staging, desk.run, by_any_point=not read.known.all_named_known
    )
    await _ask(desk, read, named)


def _window_start(desk: Desk, known: KnownSessions) -> datetime | None:
    """From when on sessions are asked for, on the appliance's clock; null: all of them."""
    if known.read_until is None or rank(desk.api_version) < rank(FILTERED_SINCE):
        return None
    skew = timedelta(seconds=desk.facts.clock_skew_seconds or 0)
    since = known.read_until + skew - OVERLAP
    for started in known.under_way.values():
        if started is not None and since - LONGEST_WINDOW <= started < since:
            since = started
    return since.astimezone(UTC).replace(microsecond=0)


async def _read_all_if_some_went(trip: Trip, read: SessionsRead) -> None:
    desk, reading = trip.desk, read.reading
    new = await desk.on_warehouse(count_new, desk.staging, desk.run)
    total = await _count_listed(desk)
    if total is not None and total == read.known.remembered + new:
        return
    whole = await trip.try_to_read(SESSIONS)
    whole.pages += reading.pages
    read.reading = whole


async def _count_listed(desk: Desk) -> int | None:
    path = path_of(desk.api_version, SESSIONS)
    spelling, _ = spellings(desk.api_version)
    try:
        return await desk.client.bearing().read(
            path,
            {spelling.offset: "0", spelling.limit: "1"},
            lambda answer: read_envelope(answer, name=desk.client.name, path=path).total,
        )
    except ApplianceError:
        return None


async def _ask(desk: Desk, read: SessionsRead, ids: list[str]) -> None:
    if not ids:
        return
    reading = read.reading
    answered = 0

    def on_answers(count: int) -> None:
        nonlocal answered
        answered += count
        desk.report(reading, "asking by id", answered, len(ids))

    found = await confirm(
        desk.client.bearing(),
        desk.api_version,
        SESSIONS,
        ids,
        listed=ids_of(reading.last_read),
        on_answers=on_answers,
    )
    await desk.on_warehouse(desk.stage, reading, found.present)
    read.forgotten += found.gone
    reading.unconfirmed += found.unconfirmed
    reading.doubt = reading.doubt or found.reason
