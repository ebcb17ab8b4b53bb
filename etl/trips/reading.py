"""One collection as a run reads it: crawled until its snapshot is proven, batch by batch into staging."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from itertools import compress
from typing import ParamSpec, TypeVar

import msgspec
from sqlalchemy import Connection

from etl.catalogue import Collection
from etl.extract.client import ApplianceClient
from etl.extract.companions import Companions, read_companions
from etl.extract.confirm import CONTROLS
from etl.extract.crawl import Crawl
from etl.extract.discovery import Facts
from etl.extract.evidence import MOST_CRAWLS, CrawlReport, evidence
from etl.extract.objects import read_object
from etl.load.known import KnownItems, known_items
from etl.load.ledger import CollectionOutcome, Run
from etl.load.snapshot import count_distinct
from etl.load.staging import Staging, open_staging
from etl.load.thread import WarehouseThread
from etl.transform.hashing import hash_items
from etl.transform.text import point_ids

P = ParamSpec("P")
R = TypeVar("R")

#: Items that are transformed and staged at a time: memory is bounded by two batches and the pages in flight.
BATCH_ITEMS = 10_000


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one collection has come; `total` is null where the appliance does not tell."""

    appliance: str
    collection: str
    doing: str
    """`reading`, `reading again` or `asking by id`."""
    done: int
    pages: int
    total: int | None


@dataclass(slots=True)
class Reading:
    """What a run has seen of one collection."""

    collection: Collection
    known: KnownItems
    status: str = "complete"
    error: str | None = None
    crawls: int = 0
    pages: int = 0
    api_total: int | None = None
    evidence: str | None = None
    is_whole: bool = True
    """False where only a part was asked for, so that what is not listed is not missed."""
    last_read: list[bytes] = field(default_factory=list)
    """The last items of the last crawl, raw: the control of the questions by id."""
    missed: int = 0
    """What was present and the last crawl did not list."""
    unconfirmed: int = 0
    doubt: str | None = None
    """Why some that vanished are neither gone nor there."""
    withheld: str | None = None
    """What the mass-deletion guard said, where nobody accepted it."""

    @property
    def is_read(self) -> bool:
        """Whether there is anything to merge."""
        return self.status == "complete"

    def give_up(self, status: str, error: Exception) -> None:
        """Notes that the collection could not be read: what is known of it is left alone."""
        self.status, self.error = status, str(error)
        self.evidence = None

    def describe(self, outcome: CollectionOutcome) -> None:
        """Fills in what the merge cannot know."""
        outcome.crawls, outcome.pages, outcome.api_total = self.crawls, self.pages, self.api_total
        outcome.evidence, outcome.proven = self.evidence, self.evidence is not None
        outcome.unconfirmed = self.unconfirmed
        outcome.status, outcome.error = self.status, self.error
        if self.withheld:
            outcome.status, outcome.error = "partial", self.withheld


class Desk:
    """What every step of a run's reading works with: the appliance, and staging on the run's own connection."""

    def __init__(
        self,
        client: ApplianceClient,
        facts: Facts,
        run: Run,
        connection: Connection,
        on_warehouse: WarehouseThread,
        on_progress: Callable[[Progress], None],
    ) -> None:
        self.client = client
        self.facts = facts
        self.api_version = facts.api_version
        self.run = run
        self.connection = connection
        self.staging: Staging = open_staging(connection)
        self._thread = on_warehouse
        self._on_progress = on_progress

    async def on_warehouse(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """On the warehouse's thread, in a short transaction: it touches temporary tables only and locks nobody."""

        def committed() -> R:
            with self.connection.begin():
                return function(*args, **kwargs)

        return await self._thread(committed)

    async def open(self, collection: Collection) -> Reading:
        """A reading that has not begun."""
        known = await self.on_warehouse(known_items, self.connection, self.run.appliance_id, collection)
        return Reading(collection, known)

    async def read(self, reading: Reading, client: ApplianceClient) -> None:
        """Reads a collection until its snapshot is proven, or three times.

        Raises:
            ApplianceError: it cannot be read.
        """
        companions = None
        if reading.collection.companion:
            companions = await read_companions(client, self.api_version, reading.collection.companion)
        if not reading.collection.is_page:
            await self._read_object(reading, client)
            return
        earlier: CrawlReport | None = None
        before = 0
        while reading.crawls < MOST_CRAWLS:
            report = await self.crawl(reading, client, companions)
            distinct, union = await self.on_warehouse(self._count, reading)
            added = None if earlier is None else union - before
            reading.evidence = evidence(report, distinct, earlier=earlier, added=added)
            if reading.evidence and not self._suspiciously_empty(reading, report):
                break
            earlier, before = report, union

    async def crawl(
        self, reading: Reading, client: ApplianceClient, companions: Companions | None = None
    ) -> CrawlReport:
        """Crawls one collection; a batch is transformed and staged while the next one is fetched."""
        reading.crawls += 1
        reading.last_read = []
        doing = "reading" if reading.crawls == 1 else "reading again"
        crawl = Crawl(client, self.api_version, reading.collection)
        items: list[bytes] = []
        things = pages = 0
        staged = asyncio.ensure_future(asyncio.sleep(0))
        try:
            async with aclosing(crawl.pages()) as answers:
                async for page in answers:
                    items += companions.join(page.items) if companions else page.items
                    pages += 1
                    things += len(page.items) - page.repeated
                    reading.api_total = page.total
                    reading.last_read = (reading.last_read + page.items)[-CONTROLS:]
                    self.report(reading, doing, things, page.total, pages)
                    if len(items) >= BATCH_ITEMS:
                        await staged
                        staged = asyncio.ensure_future(self.on_warehouse(self.stage, reading, items))
                        items = []
            await staged
        finally:
            staged.cancel()
        await self.on_warehouse(self.stage, reading, items)
        reading.pages += crawl.report.pages
        return crawl.report

    async def _read_object(self, reading: Reading, client: ApplianceClient) -> None:
        items = await read_object(client, self.api_version, reading.collection)
        reading.crawls = reading.pages = 1
        reading.api_total, reading.evidence = len(items), "single_page"
        await self.on_warehouse(self.stage, reading, items)

    def stage(self, reading: Reading, items: Sequence[bytes]) -> None:
        """Transforms and stages what is not known to be unchanged."""
        fresh = list(compress(items, ~reading.known.meet(hash_items(items), reading.crawls)))
        if fresh:
            # pandas takes longer to import than an identical night takes to sync: only where there is work for it
            from etl.transform.items import normalise

            batch = normalise(fresh, collection=reading.collection.name)
            self.staging.add(reading.collection, reading.crawls, batch.frame, batch.rejected)

    def report(self, reading: Reading, doing: str, done: int, total: int | None, pages: int = 0) -> None:
        """Tells whoever watches how far it has come."""
        self._on_progress(Progress(self.client.name, reading.collection.name, doing, done, pages, total))

    def _suspiciously_empty(self, reading: Reading, report: CrawlReport) -> bool:
        """An empty answer where things were known is read twice, since nothing is listed that could be a control."""
        return report.rows == 0 and len(reading.known) > 0 and reading.crawls == 1

    def _count(self, reading: Reading) -> tuple[int, int]:
        """The distinct items of the last crawl, and of all crawls of the run."""
        last, union = (
            count_distinct(self.staging, self.run, reading.collection, reading.known, crawl)
            for crawl in (reading.crawls, None)
        )
        return last, union


class _Identified(msgspec.Struct):
    id: str


def ids_of(items: Sequence[bytes]) -> list[str]:
    """The readable ids, spelled as vanished things are asked for: a control proves nothing if it asks otherwise."""
    ids = point_ids([_id_of(item) for item in items])
    return [one for row, one in enumerate(ids.values) if one is not None and row not in ids.faults]


def _id_of(item: bytes) -> str | None:
    try:
        return msgspec.json.decode(item, type=_Identified).id
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def narrowed(collection: Collection, **params: str) -> Collection:
    """The collection with parameters that let only some of it be listed."""
    return replace(collection, params={**collection.params, **params})
