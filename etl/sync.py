"""One run of one appliance: crawl, transform, stage, merge, ledger."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from itertools import compress
from typing import Any

from sqlalchemy import Connection

from etl import __version__
from etl.errors import RunError
from etl.extract.client import ApplianceClient
from etl.extract.crawl import Crawl
from etl.extract.discovery import Facts, discover
from etl.extract.endpoint import Endpoint
from etl.load import ledger
from etl.load.known import KnownItems, known_items
from etl.load.ledger import ApplianceState, CollectionOutcome, KnownAppliance, Run
from etl.load.locks import run_lock
from etl.load.merge import merge
from etl.load.staging import Staging, open_staging
from etl.load.thread import WarehouseThread
from etl.load.warehouse import Warehouse, write
from etl.transform.hashing import hash_items

#: Items that are transformed and staged at a time: memory is bounded by two batches and the pages in flight.
BATCH_ITEMS = 10_000


def utc_now() -> datetime:
    """The machine's clock."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Source:
    """An appliance as configured."""

    endpoint: Endpoint
    api_version: str = "auto"
    collections: tuple[str, ...] = ("vm",)
    tenant: str | None = None
    time_zone: str | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the crawl of a collection has come; `total` is null where the appliance does not tell."""

    appliance: str
    collection: str
    points: int
    pages: int
    total: int | None


@dataclass(frozen=True, slots=True)
class RunResult:
    """What one run did; its fields are those of `--output json`."""

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


async def sync_appliance(
    source: Source,
    warehouse: Warehouse,
    *,
    now: Callable[[], datetime] = utc_now,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> RunResult:
    """Brings the warehouse in step with one appliance; what goes wrong with either is in the result.

    The warehouse's schema must be this program's (`etl.load.schema.check`). A run that is cancelled is written down
    as failed, and the cancellation goes on.
    """
    began = time.monotonic()
    run_number = None
    try:
        async with WarehouseThread(warehouse) as on_warehouse:
            known, connection, run = await on_warehouse(_open, on_warehouse, source, now)
            run_number = run.run_number
            try:
                trip = _Trip(source, known, connection, run, on_warehouse, now, on_progress)
                outcomes = await trip.read_and_merge()
            except BaseException as error:
                await on_warehouse(_fail, warehouse, run, _reason(error), now)
                raise
    except RunError as error:
        seconds = round(time.monotonic() - began, 3)
        return RunResult(source.endpoint.name, "failed", run_number, seconds=seconds, error=str(error))
    return _result(source.endpoint.name, run, outcomes, time.monotonic() - began)


@dataclass(frozen=True, slots=True)
class _Trip:
    """One way through the pipe for each collection of an appliance, then one merge for all."""

    source: Source
    known: KnownAppliance
    connection: Connection
    run: Run
    on_warehouse: WarehouseThread
    now: Callable[[], datetime]
    on_progress: Callable[[Progress], None]

    async def read_and_merge(self) -> list[CollectionOutcome]:
        async with ApplianceClient(self.source.endpoint) as client:
            facts = await discover(client, self.source.api_version, self.known.api_version, self.now)
            staging = await self.on_warehouse(open_staging, self.connection)
            readings = {
                collection: await self.read(client, facts.api_version, collection, staging)
                for collection in self.source.collections
            }
        return await self.on_warehouse(self.merge, staging, facts, readings)

    async def read(self, client: ApplianceClient, api_version: str, collection: str, staging: Staging) -> _Reading:
        """Crawls one collection; a batch is transformed and staged while the next one is fetched."""
        known = await self.on_warehouse(self.known_items, collection)
        reading = _Reading(known)
        items: list[bytes] = []
        staged = asyncio.ensure_future(asyncio.sleep(0))
        try:
            crawl = Crawl(client, api_version, collection)
            async for page in crawl.pages():
                items += page.items
                reading.pages += 1
                reading.points += len(page.items) - page.repeated
                reading.total = page.total
                self.on_progress(
                    Progress(self.source.endpoint.name, collection, reading.points, reading.pages, page.total)
                )
                if len(items) >= BATCH_ITEMS:
                    await staged
                    staged = asyncio.ensure_future(self.on_warehouse(_stage, collection, items, known, staging))
                    items = []
            reading.single_page = crawl.report.single_page
            await staged
        finally:
            staged.cancel()
        await self.on_warehouse(_stage, collection, items, known, staging)
        return reading

    def known_items(self, collection: str) -> KnownItems:
        known = known_items(self.connection, self.run.appliance_id, collection)
        self.connection.rollback()
        return known

    def merge(self, staging: Staging, facts: Facts, readings: dict[str, _Reading]) -> list[CollectionOutcome]:
        """The run's one transaction of data, with its rows in the ledger; then what the appliance told of itself."""
        state = ApplianceState(
            base_url=self.source.endpoint.url,
            api_version=facts.api_version,
            time_zone=self.source.time_zone or facts.time_zone,
            identity=facts.identity,
            clock_skew_seconds=facts.clock_skew_seconds,
        )
        staging.seal()
        outcomes = []
        with write(self.connection):
            for collection, reading in readings.items():
                outcome = merge(
                    self.connection,
                    self.run,
                    collection,
                    reading.known,
                    other_api_version=self.known.api_version not in (None, facts.api_version),
                    restamp=self.known.tool_version != __version__,
                )
                reading.describe(outcome)
                outcomes.append(outcome)
            ledger.finish(self.connection, self.run, "succeeded", outcomes, state, self.now())
        with write(self.connection):
            ledger.remember(self.connection, self.run, state)
        return outcomes


@dataclass(slots=True)
class _Reading:
    """What the crawl of one collection has seen so far."""

    known: KnownItems
    pages: int = 0
    points: int = 0
    total: int | None = None
    single_page: bool = False

    def describe(self, outcome: CollectionOutcome) -> None:
        outcome.crawls = 1
        outcome.pages = self.pages
        outcome.api_total = self.total
        # one response that held everything is one instant of the collection; several are not, without further proof
        outcome.proven = self.single_page
        outcome.evidence = "single_page" if outcome.proven else None


def _open(
    on_warehouse: WarehouseThread, source: Source, now: Callable[[], datetime]
) -> tuple[KnownAppliance, Connection, Run]:
    warehouse, endpoint = on_warehouse.warehouse, source.endpoint
    with warehouse.begin() as connection:
        known = ledger.register(connection, name=endpoint.name, base_url=endpoint.url, tenant=source.tenant)
    connection = on_warehouse.held.enter_context(warehouse.connect())
    on_warehouse.held.enter_context(run_lock(warehouse, connection, known.appliance_id))
    with write(connection):
        run = ledger.start(connection, known.appliance_id, base_url=endpoint.url, now=now())
    return known, connection, run


def _stage(collection: str, items: list[bytes], known: KnownItems, staging: Staging) -> None:
    fresh = list(compress(items, ~known.meet(hash_items(items))))
    if fresh:
        # pandas takes longer to import than an identical night takes to sync: only where there is work for it
        from etl.transform.restore_points import normalise

        batch = normalise(fresh, collection=collection)
        staging.add(collection, batch.frame, batch.rejected)


def _fail(warehouse: Warehouse, run: Run, reason: str, now: Callable[[], datetime]) -> None:
    # on a connection of its own: the run's may be what broke
    with warehouse.begin() as connection:
        ledger.fail(connection, run, reason, now())


def _reason(error: BaseException) -> str:
    if isinstance(error, RunError):
        return str(error)
    if isinstance(error, asyncio.CancelledError):
        return "the run was stopped before it was over"
    return f"unexpected: {type(error).__name__}"


def _result(name: str, run: Run, outcomes: list[CollectionOutcome], seconds: float) -> RunResult:
    sums = ledger.sums(outcomes)
    return RunResult(
        name,
        "succeeded",
        run.run_number,
        snapshot_proven=sums["snapshot_proven"],
        evidence=ledger.weakest_evidence(outcomes),
        seconds=round(seconds, 3),
        collections=[asdict(outcome) for outcome in outcomes],
        **{name: sums[name] for name in RunResult.__slots__ if name in ledger.COUNTED},
    )
