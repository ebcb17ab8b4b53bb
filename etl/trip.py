"""The two trips of a run through the pipe: the crawls of each collection, then the questions for what has vanished."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from itertools import compress
from typing import ParamSpec, TypeVar

import msgspec
from sqlalchemy import Connection

from etl.errors import AnotherAppliance
from etl.extract.client import ApplianceClient
from etl.extract.confirm import CONTROLS, confirm
from etl.extract.crawl import Crawl
from etl.extract.discovery import Facts
from etl.extract.evidence import MOST_CRAWLS, CrawlReport, evidence
from etl.load import vanished
from etl.load.known import KnownItems, known_items
from etl.load.ledger import CollectionOutcome, KnownAppliance, Run
from etl.load.snapshot import any_staged_is_known, count_distinct
from etl.load.staging import Staging, open_staging
from etl.load.thread import WarehouseThread
from etl.transform.hashing import hash_items
from etl.transform.text import point_ids

P = ParamSpec("P")
R = TypeVar("R")

#: Items that are transformed and staged at a time: memory is bounded by two batches and the pages in flight.
BATCH_ITEMS = 10_000
#: More than this share of an appliance's present points, and more than this many, are not believed to vanish at once.
GUARD_SHARE, GUARD_POINTS = 0.5, 20


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

    collection: str
    known: KnownItems
    crawls: int = 0
    pages: int = 0
    api_total: int | None = None
    evidence: str | None = None
    last_read: list[bytes] = field(default_factory=list)
    """The last items of the last crawl, raw: the control of the questions by id."""
    missed: int = 0
    """Present points that the last crawl did not list."""
    unconfirmed: int = 0
    doubt: str | None = None
    """Why some that vanished are neither gone nor there."""
    withheld: bool = False

    def describe(self, outcome: CollectionOutcome) -> None:
        """Fills in what the merge cannot know."""
        outcome.crawls, outcome.pages, outcome.api_total = self.crawls, self.pages, self.api_total
        outcome.evidence, outcome.proven = self.evidence, self.evidence is not None
        outcome.unconfirmed = self.unconfirmed
        if self.withheld:
            outcome.status = "partial"


class Trip:
    """Everything that a run reads, into staging tables on the run's connection; it writes nothing else."""

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
        self.api_version = facts.api_version
        self.run = run
        self.connection = connection
        self._thread = on_warehouse
        self.on_progress = on_progress
        self.staging: Staging
        self.readings: list[Reading] = []

    async def read(self, collections: tuple[str, ...]) -> None:
        """The first trip: reads each collection until its snapshot is proven, or three times."""
        self.staging = await self._on_warehouse(self._open_staging)
        for collection in collections:
            known = await self._on_warehouse(self._known_items, collection)
            reading = Reading(collection, known)
            self.readings.append(reading)
            earlier: CrawlReport | None = None
            before = 0
            while reading.crawls < MOST_CRAWLS:
                report = await self._crawl(reading)
                distinct, union = await self._on_warehouse(self._count, reading)
                added = None if earlier is None else union - before
                reading.evidence = evidence(report, distinct, earlier=earlier, added=added)
                if reading.evidence and not self._suspiciously_empty(reading, report):
                    break
                earlier, before = report, union
        await self._on_warehouse(self._find_missed)

    async def confirm(self) -> None:
        """The second trip: asks for what has vanished by id; what is there after all is staged like the rest."""
        for reading in self.readings:
            ids = await self._on_warehouse(vanished.vanished_ids, self.connection, reading.collection)
            if not ids:
                continue
            listed = _ids_of(reading.last_read)
            if reading.last_read and not listed:
                reading.unconfirmed, reading.doubt = (
                    len(ids),
                    "nothing listed has a readable id to compare with",
                )
                continue
            answered = 0

            def on_answers(count: int, reading: Reading = reading, total: int = len(ids)) -> None:
                nonlocal answered
                answered += count
                self._report(reading, "asking by id", answered, total)

            found = await confirm(
                self.client,
                self.api_version,
                reading.collection,
                ids,
                listed=listed,
                on_answers=on_answers,
            )
            reading.unconfirmed, reading.doubt = found.unconfirmed, found.reason
            await self._on_warehouse(self._stage, reading, found.present)
            await self._on_warehouse(vanished.mark_gone, self.connection, reading.collection, found.gone)

    async def too_much_vanished(self) -> str | None:
        """What the mass-deletion guard says: null if it lets the deletions pass."""
        missed = sum(reading.missed for reading in self.readings)
        present = await self._count_present()
        if missed <= GUARD_POINTS or missed <= GUARD_SHARE * present:
            return None
        return (
            f"{self.client.name}: {missed:,} of {present:,} restore points vanished at once. Nothing was marked "
            "deleted, the rest is merged. If they are gone indeed, run it again with --accept-mass-deletion."
        )

    def withhold(self) -> None:
        """Gives up asking: what has vanished stays as it is."""
        for reading in self.readings:
            reading.unconfirmed = reading.missed
            reading.withheld = reading.missed > 0

    async def refuse_another_appliance(self, known: KnownAppliance, facts: Facts, base_url: str) -> None:
        """Raises if another appliance answers under this name.

        One that moved, or was restored elsewhere, has another address or identity and yet the points that are known;
        one that was reset, replaced, or is another one has none of them.

        Raises:
            AnotherAppliance: the identity differs (the address, where no identity is told) and no point is known.
        """
        told = facts.identity.keys() & known.identity.keys()
        differs = (
            any(facts.identity[key] != known.identity[key] for key in told) if told else known.base_url != base_url
        )
        if not differs or not await self._on_warehouse(vanished.knows_any, self.connection, self.run.appliance_id):
            return
        if any(reading.known.count_met() for reading in self.readings):
            return
        if await self._on_warehouse(any_staged_is_known, self.connection, self.run):
            return
        name = self.client.name
        raise AnotherAppliance(
            f"{name}: another appliance answers at {base_url} than the one whose restore points are kept under this "
            "name: its identity differs and none of its points is known. Nothing was written. If the old one was "
            f"replaced, keep its history with `restorepoints appliances rename {shlex.quote(name)} "
            f"{shlex.quote(name + '-old')}` and run this again, or let the new one go on under this name with "
            "--accept-new-identity. If the address is wrong, correct it."
        )

    async def _count_present(self) -> int:
        return await self._on_warehouse(vanished.count_present, self.connection, self.run.appliance_id)

    async def _on_warehouse(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """On the warehouse's thread, in a short transaction: it touches temporary tables only and locks nobody."""

        def committed() -> R:
            with self.connection.begin():
                return function(*args, **kwargs)

        return await self._thread(committed)

    async def _crawl(self, reading: Reading) -> CrawlReport:
        """Crawls one collection; a batch is transformed and staged while the next one is fetched."""
        reading.crawls += 1
        reading.last_read = []
        doing = "reading" if reading.crawls == 1 else "reading again"
        crawl = Crawl(self.client, self.api_version, reading.collection)
        items: list[bytes] = []
        points = pages = 0
        staged = asyncio.ensure_future(asyncio.sleep(0))
        try:
            async with aclosing(crawl.pages()) as answers:
                async for page in answers:
                    items += page.items
                    pages += 1
                    points += len(page.items) - page.repeated
                    reading.api_total = page.total
                    reading.last_read = (reading.last_read + page.items)[-CONTROLS:]
                    self._report(reading, doing, points, page.total, pages)
                    if len(items) >= BATCH_ITEMS:
                        await staged
                        staged = asyncio.ensure_future(self._on_warehouse(self._stage, reading, items))
                        items = []
            await staged
        finally:
            staged.cancel()
        await self._on_warehouse(self._stage, reading, items)
        reading.pages += crawl.report.pages
        return crawl.report

    def _suspiciously_empty(self, reading: Reading, report: CrawlReport) -> bool:
        """An empty answer where points were known is read twice, since nothing is listed that could be a control."""
        holds_points = len(reading.known) > 0
        return report.rows == 0 and holds_points and reading.crawls == 1

    def _open_staging(self) -> Staging:
        vanished.prepare(self.connection)
        return open_staging(self.connection)

    def _known_items(self, collection: str) -> KnownItems:
        return known_items(self.connection, self.run.appliance_id, collection)

    def _count(self, reading: Reading) -> tuple[int, int]:
        """The distinct items of the last crawl, and of all crawls of the run."""
        last, union = (
            count_distinct(self.connection, self.run, reading.collection, reading.known, crawl)
            for crawl in (reading.crawls, None)
        )
        return last, union

    def _find_missed(self) -> None:
        self.staging.seal()
        for reading in self.readings:
            reading.missed = vanished.find_vanished(
                self.staging, self.run, reading.collection, reading.known, reading.crawls
            )

    def _stage(self, reading: Reading, items: list[bytes]) -> None:
        fresh = list(compress(items, ~reading.known.meet(hash_items(items), reading.crawls)))
        if fresh:
            # pandas takes longer to import than an identical night takes to sync: only where there is work for it
            from etl.transform.restore_points import normalise

            batch = normalise(fresh, collection=reading.collection)
            self.staging.add(reading.collection, reading.crawls, batch.frame, batch.rejected)

    def _report(self, reading: Reading, doing: str, done: int, total: int | None, pages: int = 0) -> None:
        self.on_progress(Progress(self.client.name, reading.collection, doing, done, pages, total))


class _Identified(msgspec.Struct):
    id: str


def _ids_of(items: Sequence[bytes]) -> list[str]:
    """The readable ids, spelled as vanished points are asked for: a control proves nothing if it asks otherwise."""
    ids = point_ids([_id_of(item) for item in items])
    return [one for row, one in enumerate(ids.values) if one is not None and row not in ids.faults]


def _id_of(item: bytes) -> str | None:
    try:
        return msgspec.json.decode(item, type=_Identified).id
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
