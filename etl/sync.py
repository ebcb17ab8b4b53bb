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
from etl.clock import utc_now
from etl.errors import RestorepointsError, WarehouseError
from etl.extract.client import ApplianceClient
from etl.extract.discovery import Facts, discover
from etl.extract.endpoint import Endpoint
from etl.load import ledger, vanished
from etl.load.ledger import ApplianceState, CollectionOutcome, KnownAppliance, Run
from etl.load.locks import run_lock
from etl.load.merge import merge
from etl.load.thread import WarehouseThread
from etl.load.warehouse import Warehouse, write
from etl.trip import Progress, Trip


@dataclass(frozen=True, slots=True)
class Source:
    """An appliance as configured."""

    endpoint: Endpoint
    api_version: str = "auto"
    collections: tuple[str, ...] = ("vm",)
    tenant: str | None = None
    time_zone: str | None = None


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
    collections: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    """Sentences for a person about what was not an error and yet wants to be known."""


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
    run_number = None
    try:
        async with WarehouseThread(warehouse) as on_warehouse:
            known, connection, run = await on_warehouse(_open, on_warehouse, source, now)
            run_number = run.run_number
            try:
                async with ApplianceClient(source.endpoint) as client:
                    facts = await discover(client, source.api_version, known.api_version, now)
                    trip = Trip(client, facts, run, connection, on_warehouse, on_progress)
                    await trip.read(source.collections)
                    if not accepted.new_identity:
                        await trip.refuse_another_appliance(known, facts, source.endpoint.url)
                    guard = await trip.too_much_vanished()
                    withheld = None if accepted.mass_deletion else guard
                    if withheld:
                        trip.withhold()
                    else:
                        await trip.confirm()
                outcomes = await on_warehouse(
                    _write, source, known, facts, trip, now, withheld, bool(guard) and accepted.mass_deletion
                )
            except BaseException as error:
                with suppress(WarehouseError):  # if it is the warehouse that broke, the next run says so
                    await on_warehouse(_fail, warehouse, run, _reason(error), now)
                raise
    except RestorepointsError as error:
        seconds = round(time.monotonic() - began, 3)
        return RunResult(name, "failed", run_number, seconds=seconds, error=str(error))
    sums = ledger.sums(outcomes)
    return RunResult(
        name,
        "succeeded" if withheld is None else "partial",
        run_number,
        snapshot_proven=sums["snapshot_proven"],
        evidence=ledger.weakest_evidence(outcomes),
        seconds=round(time.monotonic() - began, 3),
        error=withheld,
        collections=[asdict(outcome) for outcome in outcomes],
        warnings=_warnings(name, trip),
        **{count: sums[count] for count in RunResult.__slots__ if count in ledger.COUNTED},
    )


def _open(
    on_warehouse: WarehouseThread, source: Source, now: Callable[[], datetime]
) -> tuple[KnownAppliance, Connection, Run]:
    """The appliance's lock on a connection of the run's own, and the run's row in the ledger."""
    warehouse, endpoint = on_warehouse.warehouse, source.endpoint
    with warehouse.begin() as connection:
        known = ledger.register(connection, name=endpoint.name, base_url=endpoint.url, tenant=source.tenant)
    connection = on_warehouse.held.enter_context(warehouse.connect())
    on_warehouse.held.enter_context(run_lock(warehouse, connection, known.appliance_id))
    with write(connection):
        run = ledger.start(connection, known.appliance_id, base_url=endpoint.url, now=now())
    return known, connection, run


def _write(
    source: Source,
    known: KnownAppliance,
    facts: Facts,
    trip: Trip,
    now: Callable[[], datetime],
    withheld: str | None,
    accepted_mass_deletion: bool,
) -> list[CollectionOutcome]:
    """The run's one transaction of data, with its rows in the ledger; then what the appliance told of itself."""
    connection = trip.connection
    state = ApplianceState(
        base_url=source.endpoint.url,
        api_version=facts.api_version,
        tenant=source.tenant,
        time_zone=source.time_zone or facts.time_zone,
        identity=facts.identity,
        clock_skew_seconds=facts.clock_skew_seconds,
    )
    run = trip.run.observing(now())
    outcomes = []
    with write(connection):
        trip.staging.seal()
        for reading in trip.readings:
            vanished.unstage_gone(connection, run, reading.collection)
            outcome = merge(
                connection,
                run,
                reading.collection,
                reading.known,
                other_api_version=known.api_version not in (None, facts.api_version),
                restamp=known.tool_version != __version__,
            )
            outcome.deleted = vanished.write_deletions(connection, run, reading.collection)
            reading.describe(outcome)
            outcomes.append(outcome)
        ledger.finish(
            connection,
            run,
            outcomes,
            state,
            now(),
            error=withheld,
            accepted_mass_deletion=accepted_mass_deletion,
        )
    with write(connection):
        ledger.remember(connection, run, state)
    return outcomes


def _fail(warehouse: Warehouse, run: Run, reason: str, now: Callable[[], datetime]) -> None:
    # on a connection of its own: the run's may be what broke
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
        if reading.evidence is None:
            said.append(
                f"{name}: {reading.collection} was read {reading.crawls} times and kept moving: what was found is "
                "merged, but the snapshot is not proven complete"
            )
        if reading.unconfirmed and not reading.withheld:
            said.append(
                f"{name}: {reading.unconfirmed:,} restore points of {reading.collection} vanished and could not be "
                f"confirmed as deleted; they are kept ({reading.doubt})"
            )
    return said
