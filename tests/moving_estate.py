"""A collection that moves while it is read, and the truth about it; read without a socket, request by request."""

from __future__ import annotations

import asyncio
import json
import random
import uuid
from dataclasses import dataclass, field

from etl.catalogue import COLLECTIONS
from etl.extract.crawl import Crawl
from etl.extract.evidence import CrawlReport, evidence
from etl.extract.exchange import Answer
from etl.simulator import Estate
from etl.simulator.paging import PageRequest, envelope

MOST_REQUESTS = 20_000


@dataclass
class MovingEstate:
    """Points of which some are born and some die before each page that is read.

    `inserts` and `deletes` are so many a page, `pairs` die and are replaced at once, `burst` die together before the
    page `burst_at`. Has what a crawl needs of a client: pages under way are answered in no certain order.
    """

    order: str
    count: int = 4000
    seed: int = 1
    inserts: float = 0.0
    deletes: float = 0.0
    pairs: float = 0.0
    moves: float = 0.0
    burst: int = 0
    burst_at: int = -1
    cap: int | None = None
    tells_total: bool = True
    concurrency: int = 8
    name: str = "acme"
    requests: int = 0
    lived: set[str] = field(default_factory=set)
    """The points that have lived since `watch`."""

    def __post_init__(self) -> None:
        self.draw = random.Random(self.seed)
        self.living: list[str] = []
        self.estate = Estate.from_seed(self.seed, machines=1, days=0)
        self.machine = self.estate.machines[0]
        self.estate.delete(*[point.id for point in self.estate.points])
        for _ in range(self.count):
            self.be_born()
        self.estate.list_in(self.order, self.seed, self.moves)

    def watch(self) -> None:
        """Begin anew to note who lives on, and to count requests."""
        self.requests, self.lived = 0, set(self.living)

    def be_born(self) -> None:
        born = str(uuid.UUID(int=self.draw.getrandbits(128), version=4))
        self.living.append(born)
        self.estate.create(self.machine, id=born)

    def die(self) -> None:
        if self.living:
            place = self.draw.randrange(len(self.living))
            self.living[place], self.living[-1] = self.living[-1], self.living[place]
            dead = self.living.pop()
            self.lived.discard(dead)
            self.estate.delete(dead)

    def pass_time(self) -> None:
        for change, mean in ((self.be_born, self.inserts), (self.die, self.deletes), (self.replace, self.pairs)):
            whole, rest = divmod(mean, 1)
            for _ in range(int(whole) + (self.draw.random() < rest)):
                change()
        if self.requests == self.burst_at:
            for _ in range(self.burst):
                self.die()

    def replace(self) -> None:
        self.die()
        self.be_born()

    async def read(self, path, params, reader):
        for _ in range(self.draw.randrange(3)):
            await asyncio.sleep(0)
        if self.requests:
            self.pass_time()
        self.requests += 1
        assert self.requests < MOST_REQUESTS, "a crawl has to end"
        limit = min(int(params["Limit"]), self.cap or 10_000)
        asked = PageRequest(int(params["Offset"]), limit)
        items, total = self.estate.page("v8", asked.offset, limit)
        return reader(
            Answer(200, "application/json", envelope(items, asked, total, tells_total=self.tells_total, links={}))
        )


@dataclass(frozen=True)
class Run:
    """What up to three crawls came to: each one's report and ids, and the evidence of the last."""

    evidence: str | None
    reports: list[CrawlReport]
    missed: int
    """Points that lived from the first request of the last crawl to its last and are in none of the crawls."""
    missed_by_last: int
    requests: int


async def one_crawl(client, page_size: int) -> tuple[CrawlReport, set[str]]:
    crawl = Crawl(client, "v8", COLLECTIONS["vm"], page_size=page_size)
    ids = {json.loads(item)["id"] async for page in crawl.pages() for item in page.items}
    return crawl.report, ids


def read(moving: MovingEstate, *, page_size: int = 100, most_crawls: int = 1) -> Run:
    """Crawl as a run does: until there is evidence, at most so many times."""
    reports: list[CrawlReport] = []
    seen: set[str] = set()
    requests, found = 0, None
    while found is None and len(reports) < most_crawls:
        moving.watch()
        report, ids = asyncio.run(one_crawl(moving, page_size))
        added = len(ids - seen) if reports else None
        found = evidence(report, len(ids), earlier=reports[-1] if reports else None, added=added)
        reports.append(report)
        seen |= ids
        requests += moving.requests
    return Run(found, reports, len(moving.lived - seen), len(moving.lived - ids), requests)
