"""One run of one appliance: both trips through the pipe, then one transaction of data, and the ledger around it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from etl import __version__
from etl.catalogue import SESSIONS, WORKLOADS, inventory_of, points_of
from etl.clock import utc_now
from etl.errors import RestorepointsError, WarehouseError
from etl.extract.client import ApplianceClient
from etl.extract.discovery import Facts, discover
from etl.extract.endpoint import Endpoint
from etl.extract.storage import read_storage_usage
from etl.load import ledger, schema, vanished
from etl.load.deletions import Evidence
from etl.load.job_sessions import write_forgotten
from etl.load.ledger import ApplianceState, CollectionOutcome, KnownAppliance, Run
from etl.load.locks import run_lock
from etl.load.merge import merge
from etl.load.rejects import read_again
from etl.load.sqlite import fold_log
from etl.load.storage import write_counts
from etl.load.thread import WarehouseThread
from etl.load.warehouse import DATABASE_ERRORS, Warehouse, write
from etl.trips.machines import resolve_machines
from etl.trips.reading import Desk, Progress
from etl.trips.removals import Explained, read_evidence, write_causes
from etl.trips.sessions import SessionsRead, read_named_sessions, read_sessions
from etl.trips.trip import Trip

#: Seconds that a run which is told to stop takes at most to write that down.
STOP_SECONDS = 5
#: Bytes of SQLite's log that a person should know of.
LARGE_LOG = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Source:
    """An appliance as configured."""

    endpoint: Endpoint
    api_version: str = "auto"
    workloads: tuple[str, ...] = WORKLOADS
    tenant: str | None = None
    time_zone: str | None = None
    resolve_machines: bool = False
    """At v1 to v3, ask for the machine of each new restore point."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """What a person has looked at and accepts for one run."""

    mass_deletion: bool = False
    new_identity: bool = False


@dataclass(frozen=True, slots=True)
class RunResult:
    """What one run did; its fields, but the last, are those of `--output json`."""

    appliance: str
    status: str
    run_number: int | None = None
    snapshot_proven: bool = False
    evidence: str | None = None
    extracted: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0
    reappeared: int = 0
    unconfirmed: int = 0
    rejected: int = 0
    field_errors: int = 0
    seconds: float = 0.0
    error: str | None = None
    explained: int = 0
    """Deletions whose cause became known, earlier ones among them."""
    unexplained: int = 0
    """Restore points that this run found gone and nobody knows why."""
    collections: list[dict[str, Any]] = field(default_factory=list)
    inventory: list[dict[str, Any]] = field(default_factory=list)
    """The same of job sessions, protected resources, policies and repositories."""
    warnings: list[str] = field(default_factory=list)
    """Sentences for a person about what was not an error and yet wants to be known."""

    @property
    def forbidden(self) -> list[str]:
        """The collections that the account may not read."""
        return [one["collection"] for one in (*self.collections, *self.inventory) if one["status"] == "forbidden"]


async def sync_appliance(
    source: Source,
    warehouse: Warehouse,
    *,
    accepted: Accepted = Accepted(),
    now: Callable[[], datetime] = utc_now,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> RunResult:
    """Brings the warehouse in step with one appliance; what goes wrong with either is in the result.

    The warehouse's schema must be this program's (`etl.load.schema.check`). A run that is cancelled is written down
    as failed, and the cancellation goes on.
    """
    began = time.monotonic()
    name = source.endpoint.name
    begun: list[Run] = []  # told by the warehouse's thread, so that a run stopped while it begins is written down too
    try:
        async with WarehouseThread(warehouse) as on_warehouse:
            try:
                known, connection, run = await on_warehouse(_open, on_warehouse, source, now, begun)
                async with ApplianceClient(source.endpoint) as client:
                    facts = await discover(client, source.api_version, known.api_version, now)
                    desk = await on_warehouse(Desk, client, facts, run, connection, on_warehouse, on_progress)
                    trip = Trip(desk)
                    gathered = await _gather(trip, source, known, accepted)
                state = _state(source, facts)
                written = await on_warehouse(_write, known, state, trip, gathered, now)
                run, outcomes = written.run, written.outcomes
                warnings = await on_warehouse(_afterwards, name, warehouse, connection, run, state)
            except BaseException as error:
                # if it is the warehouse that broke, the next run says so; who is told to stop does not wait for it long
                patience = None if isinstance(error, RestorepointsError) else STOP_SECONDS
                with suppress(WarehouseError, TimeoutError):
                    async with asyncio.timeout(patience):
                        await on_warehouse(_fail, warehouse, begun, _reason(error), now)
                raise
    except RestorepointsError as error:
        seconds = round(time.monotonic() - began, 3)
        run_number = begun[0].run_number if begun else None
        return RunResult(name, "failed", run_number, seconds=seconds, error=str(error))
    sums = ledger.sums(outcomes)
    points = ledger.of_points(outcomes)
    return RunResult(
        name,
        "succeeded" if written.error is None else "partial",
        run.run_number,
        snapshot_proven=sums["snapshot_proven"],
        evidence=ledger.weakest_evidence(outcomes),
        seconds=round(time.monotonic() - began, 3),
        error=written.error,
        explained=written.causes.explained,
        unexplained=written.causes.unexplained,
        collections=[asdict(outcome) for outcome in points],
        inventory=[asdict(outcome) for outcome in outcomes if outcome not in points],
        warnings=_warnings(name, trip) + gathered.warnings + warnings,
        **{count: sums[count] for count in RunResult.__slots__ if count in ledger.COUNTED},
    )


@dataclass(slots=True)
class _Gathered:
    """What was read besides the collections' items."""

    sessions: SessionsRead
    evidence: list[Evidence]
    usage: dict[str, float] | None
    guarded: bool
    warnings: list[str]


@dataclass(frozen=True, slots=True)
class _Written:
    """What a run has written; `error` says what of it failed or was withheld."""

    run: Run
    outcomes: list[CollectionOutcome]
    causes: Explained
    error: str | None


async def _gather(trip: Trip, source: Source, known: KnownAppliance, accepted: Accepted) -> _Gathered:
    """Everything that a run reads, in the order in which one thing leads to the next."""
    desk = trip.desk
    await trip.read(points_of(source.workloads), inventory_of(source.workloads))
    if not accepted.new_identity:
        await trip.refuse_another_appliance(known, desk.facts, source.endpoint.url)
    usage = await read_storage_usage(desk.client.bearing(), desk.api_version)
    sessions = await read_sessions(trip)
    await trip.find_missed()
    warnings = []
    if source.resolve_machines and (problem := await resolve_machines(trip)):
        warnings.append(problem)
    guarded = await trip.guard(accepted=accepted.mass_deletion)
    await trip.confirm()
    await read_named_sessions(trip, sessions)
    evidence = await read_evidence(trip) if sessions.reading.is_read else []
    return _Gathered(sessions, evidence, usage, bool(guarded), warnings)


def _open(
    on_warehouse: WarehouseThread, source: Source, now: Callable[[], datetime], begun: list[Run]
) -> tuple[KnownAppliance, Connection, Run]:
    """The appliance's lock on a connection of the run's own, and the run's row in the ledger."""
    warehouse, endpoint = on_warehouse.warehouse, source.endpoint
    with warehouse.begin() as connection:
        known = ledger.register(connection, name=endpoint.name, base_url=endpoint.url, tenant=source.tenant)
    connection = on_warehouse.held.enter_context(warehouse.connect())
    on_warehouse.held.enter_context(run_lock(warehouse, connection, known.appliance_id))
    schema.check_for_run(warehouse, connection)
    with write(connection):
        run = ledger.start(connection, known.appliance_id, base_url=endpoint.url, now=now())
    begun.append(run)
    return known, connection, run


def _state(source: Source, facts: Facts) -> ApplianceState:
    return ApplianceState(
        base_url=source.endpoint.url,
        api_version=facts.api_version,
        tenant=source.tenant,
        time_zone=source.time_zone or facts.time_zone,
        identity=facts.identity,
        clock_skew_seconds=facts.clock_skew_seconds,
    )


def _write(
    known: KnownAppliance, state: ApplianceState, trip: Trip, gathered: _Gathered, now: Callable[[], datetime]
) -> _Written:
    """The run's one transaction of data, with its rows in the ledger."""
    desk = trip.desk
    connection, staging = desk.connection, desk.staging
    run = desk.run.observing(now())
    outcomes = []
    error = trip.error()
    with write(connection):
        staging.seal()
        for reading in trip.readings:
            if not reading.is_read:
                outcome = CollectionOutcome(reading.collection.name)
            else:
                vanished.unstage_gone(staging, run, reading.collection)
                outcome = merge(
                    staging,
                    run,
                    reading.collection,
                    trip.known(reading.collection),
                    other_api_version=known.api_version not in (None, state.api_version),
                    restamp=known.tool_version != __version__,
                    replayed=None if reading.is_whole else read_again(staging, run, reading.collection),
                )
                outcome.deleted = vanished.write_deletions(staging, run, reading.collection)
            reading.describe(outcome)
            outcomes.append(outcome)
        write_forgotten(connection, run, gathered.sessions.forgotten)
        causes = write_causes(
            connection,
            run,
            gathered.evidence,
            desk.facts.clock_skew_seconds,
            found_gone=any(outcome.deleted for outcome in ledger.of_points(outcomes)),
            blind_because=gathered.sessions.reading.error,
        )
        ledger.finish(
            connection,
            run,
            outcomes,
            state,
            now(),
            error=error,
            accepted_mass_deletion=gathered.guarded and not any(reading.withheld for reading in trip.readings),
        )
        if gathered.usage is not None:
            write_counts(connection, run, gathered.usage)
    return _Written(run, outcomes, causes, error)


def _afterwards(name: str, warehouse: Warehouse, connection: Connection, run: Run, state: ApplianceState) -> list[str]:
    """What the appliance told of itself, and the log of an embedded warehouse; returns what a person should know.

    The data are committed, so that nothing here makes the run a failure.
    """
    said = []
    try:
        with write(connection):
            ledger.remember(connection, run, state)
    except DATABASE_ERRORS as error:
        said.append(
            f"{name}: the run is committed, but not what the appliance told about itself, which the next run writes: "
            f"{warehouse.explain(error)}"
        )
    if warehouse.path is not None and (left := fold_log(warehouse.path)) > LARGE_LOG:
        said.append(
            f"{name}: the log beside {warehouse.path} has grown to {left // 2**20:,} MiB, because another program "
            "keeps a transaction open that reads the warehouse; once it has ended, the next run empties the log"
        )
    return said


def _fail(warehouse: Warehouse, begun: list[Run], reason: str, now: Callable[[], datetime]) -> None:
    # on a connection of its own: the run's may be what broke
    for run in begun:
        with warehouse.begin() as connection:
            ledger.fail(connection, run, reason, now())


def _reason(error: BaseException) -> str:
    if isinstance(error, RestorepointsError):
        return str(error)
    if isinstance(error, asyncio.CancelledError):
        return "the run was stopped before it was over"
    return f"unexpected: {type(error).__name__}"


def _warnings(name: str, trip: Trip) -> list[str]:
    said = []
    for reading in trip.readings:
        collection = reading.collection
        if reading.status == "not_served" and len(reading.known):
            said.append(
                f"{reading.error} Earlier runs read {collection.name}; what is known of it "
                f"({len(reading.known):,} {collection.entity.many}) is left alone and grows old."
            )
        if reading.status == "forbidden":
            said.append(f"{reading.error} What is known of {collection.name} is left alone.")
        if reading.is_read and reading.evidence is None:
            said.append(
                f"{name}: {collection.name} was read {reading.crawls} times and kept moving: what was found is "
                "merged, but the snapshot is not proven complete"
            )
        if reading.unconfirmed and collection.entity is SESSIONS.entity:
            said.append(
                f"{name}: {reading.unconfirmed:,} job sessions could not be confirmed, neither as remembered nor as "
                f"forgotten ({reading.doubt}); the next run looks again"
            )
        elif reading.unconfirmed and not reading.withheld:
            said.append(
                f"{name}: {reading.unconfirmed:,} {collection.entity.many} of {collection.name} vanished and could not "
                f"be confirmed as deleted; they are kept ({reading.doubt})"
            )
    return said
