"""Reads a collection page by page, in order and without gaps, and keeps account of what that proves."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from urllib.parse import quote

from etl.errors import NoProgress
from etl.extract.evidence import CrawlReport
from etl.extract.flight import Flight
from etl.extract.pages import Page
from etl.extract.seams import Seam, compare, overlap
from etl.extract.versions import path_of, spellings

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from etl.extract.client import Answer, ApplianceClient
    from etl.extract.flight import Answered
    from etl.extract.pages import Envelope
    from etl.extract.versions import Listing

__all__ = ["Crawl", "Page", "ask"]

_ROOM_TO_GROW = 10_000
_MOST_ITEMS = 10_000_000
"""Twenty times the largest collection that one appliance is known to hold: a crawl ends, whatever is told."""
_MOST_TRIES = 8
"""At one lost thread; each looks two strides further back: 7,200 rows at 500 a page."""
_SPARE_TRIES = 16
"""In a whole crawl, besides one for each stride that it has come: a thread that is lost over and over is let go."""
_MOST_IDLE = 10
"""Pages in a row that are the same although no rows came: more than were under way when something changed."""
_MOST_CHASED = 20
"""Short pages in a row with a few new rows each: a collection that grows as fast as it is read, and tells no total."""


class Crawl:
    """One reading of a collection, from its start to its end."""

    def __init__(self, client: ApplianceClient, api_version: str, listing: Listing, *, page_size: int = 500) -> None:
        self._client = client
        self._api_version = api_version
        self._listing = listing
        self._page_size = page_size
        self._report: CrawlReport | None = None

    @property
    def report(self) -> CrawlReport:
        """What the crawl has shown of itself; there is none before `pages` has ended."""
        if self._report is None:
            raise RuntimeError("a crawl reports when its pages have ended")
        return self._report

    async def pages(self) -> AsyncGenerator[Page]:
        """Give the collection's pages in order, without gaps; at least one, each with the rows it repeats.

        Up to the client's `concurrency` pages are in flight. An appliance that puts fewer items into a page than
        it was asked for is followed at its own pace. A page from further back follows where a thread was lost.
        Raises `NoProgress` for pages that do not move on, `NotAPage`, `Forbidden`, `NotServed`, and what the
        client raises.
        """
        path = path_of(self._api_version, self._listing)
        for spelling in spellings(self._api_version):
            flight = Flight(self._client, path, spelling, self._page_size, self._listing.params)
            reading = _Reading(flight, self._page_size)
            try:
                async with aclosing(reading.pages()) as pages:
                    async for page in pages:
                        yield page
                self._report = reading.tally.report()
                return
            except _WrongSpelling:
                # A parameter that the appliance does not know is ignored, and it answers its default page again.
                continue
            finally:
                await reading.flight.stop()
        raise NoProgress(
            f"{self._client.name}: {path} ignores the page that is asked for, with parameters in either spelling; "
            "nothing past its first page can be read."
        )


async def ask(client: ApplianceClient, api_version: str, listing: Listing, item_id: str) -> Answer:
    """Ask for one item by its id; the answer's status tells: 200, 404, or anything else."""
    return await client.get(f"{path_of(api_version, listing)}/{quote(item_id, safe='')}")


class _WrongSpelling(Exception):
    """The appliance answered another page than the one asked for, before any was handed out."""


@dataclass(slots=True)
class _Tally:
    """What the pages of a reading have shown so far."""

    answers: int = 0
    again: int = 0
    furthest: int = 0
    rows: int = 0
    idle: int = 0
    chased: int = 0
    seams_hold: bool = True
    ascending: bool = True
    quiet: bool = True
    single_page: bool = False
    total: int | None = None
    totals_alike: bool = True

    def answered(self, page: Answered) -> None:
        """Count a page that was read, whether or not it is handed out."""
        if self.answers and page.envelope.total != self.total:
            self.totals_alike = False
        self.answers += 1
        self.total = page.envelope.total

    def accept(self, page: Answered, before: Answered | None, seam: Seam) -> bool:
        """Count a page that is handed out; tell whether the collection ends with it."""
        self.furthest = max(self.furthest, page.rows.end)
        self.rows += len(page.rows.keys) - seam.repeated
        self.seams_hold &= seam.holds
        self.ascending &= seam.ascending
        self.quiet &= seam.exact
        ended = _ended(page, seam)
        self.chased = self.chased + 1 if not ended and _is_chased(page, seam) else 0
        if self.chased > _MOST_CHASED:
            self.seams_hold = False  # what such a page left out and what came meanwhile look alike
            return True
        if ended:
            self.single_page = before is None or (self.answers == 2 and _held_all(before, page, seam))
        else:
            self.idle = self.idle + 1 if before is not None and _stands_still(before, page) else 0
        return ended

    def report(self) -> CrawlReport:
        return CrawlReport(
            pages=self.answers,
            rows=self.rows,
            seams_hold=self.seams_hold,
            ascending=self.ascending,
            single_page=self.single_page,
            total=self.total if self.totals_alike else None,
            quiet=self.quiet,
        )


@dataclass(slots=True)
class _Reading:
    """One reading of a collection from its start, with one spelling of the paging parameters."""

    flight: Flight
    page_size: int
    tally: _Tally = field(default_factory=_Tally)
    ceiling: int = _MOST_ITEMS
    paging: bool = False
    """Whether the appliance was seen to answer the page that it was asked for."""

    async def pages(self) -> AsyncGenerator[Page]:
        before: Answered | None = None
        self.flight.plan(None, 0)
        while True:
            page = await self._next(before)
            page, seam = await self._joined(before, page)
            ended = self.tally.accept(page, before, seam)
            if not ended:
                self._go_on(page, first=before is None)
                if before is None:
                    # Nothing is handed out until the second page has shown that the appliance pages at all:
                    # with the other spelling everything begins anew.
                    self._check(await self.flight.head(), page)
            yield _handed_out(page, seam)
            if ended:
                return
            before = page

    async def _next(self, before: Answered | None) -> Answered:
        page = await self.flight.head()
        self._check(page, before)
        self.tally.answered(page)
        return page

    async def _joined(self, before: Answered | None, page: Answered) -> tuple[Answered, Seam]:
        """Give the page that goes on from the one before it, and how they join.

        It is the page given, or, where rows have slipped below it, one from further back.
        """
        if before is None:
            return page, _beginning(page)
        seam = compare(before.rows, page.rows)
        # shared ids that changed places are no lost thread but no fixed order; and what is proven no more stays so
        lost = seam.repeated == 0 and before.rows.has_ids and self.tally.seams_hold
        found = await self._pick_up(before, page) if lost else None
        return found or (page, seam)

    async def _pick_up(self, before: Answered, lost: Answered) -> tuple[Answered, Seam] | None:
        """Look further back for a page that joins the one before; None if it is not found with bounded effort.

        Every page has room for two strides of rows that went: its own, and that of the page whose rows it looks for.
        """
        self.flight.drop_head()  # it may be older than the page that it does not join
        total = lost.envelope.total
        here = lost.offset if total is None else min(lost.offset, total)
        for back in range(1, 2 * _MOST_TRIES, 2):
            if self.tally.again >= _SPARE_TRIES + self.tally.furthest // self.flight.stride:
                return None
            self.tally.again += 1
            page = await self.flight.again(max(0, here - back * self.flight.stride))
            self._check(page, None)
            self.tally.answered(page)
            seam = compare(before.rows, page.rows)
            if page.offset == 0:
                # The collection's beginning joins whatever was read: from here everything is read anew.
                return page, replace(seam, holds=True, ascending=page.rows.ascending, exact=False)
            if seam.holds:
                return page, replace(seam, exact=False)
        return None

    def _go_on(self, page: Answered, *, first: bool) -> None:
        """Have what follows a page asked for; choose how far apart pages are asked for, and how many at a time."""
        envelope, flight = page.envelope, self.flight
        if first:
            self.ceiling = _ceiling(envelope)
            flight.step = min(envelope.limit or self.page_size, len(envelope.items))
            # A limit that comes back as it was asked shows that the parameters are understood; otherwise the
            # second page is asked alone, to see whether the appliance caps its pages or ignores the parameters.
            understood = envelope.limit == self.page_size and envelope.total is not None
            flight.window = flight.client.concurrency if understood else 1
            # pages of one row have none to share
            self.tally.seams_hold &= overlap(flight.step) > 0
        elif envelope.total is not None:
            flight.window = flight.client.concurrency
        else:  # the more there was, the further ahead: a small collection is not asked for eight pages
            flight.window = min(2 * flight.window, flight.client.concurrency)
        if page.rows.end > self.ceiling:
            raise self._stuck(f"has no end: it went on after {page.rows.end} items, far more than it told of at first")
        if self.tally.idle > _MOST_IDLE:
            raise self._stuck(f"answers the same page at {page.offset} as at the offsets before it")
        flight.plan(page, _MOST_ITEMS if envelope.total is None else envelope.total)

    def _check(self, page: Answered, before: Answered | None) -> None:
        """Check that a page is the one that was asked for."""
        envelope = page.envelope
        if not envelope.items:
            if envelope.total is not None and page.offset < envelope.total:
                raise self._stuck(f"has an empty page at {page.offset} of {envelope.total}")
            return
        moved = envelope.offset in (page.offset, None)
        same = before is not None and envelope.offset is None and envelope.items == before.envelope.items
        if not self.paging and (same or not moved):
            raise _WrongSpelling
        if not moved:
            raise self._stuck(f"answers another page than the one at {page.offset} that it was asked for")
        self.paging |= page.offset > 0

    def _stuck(self, does: str) -> NoProgress:
        return NoProgress(
            f"{self.flight.client.name}: {self.flight.path} {does}. Run again; if it stays, "
            "look at what stands between the appliance and this machine, or set another api_version."
        )


def _beginning(page: Answered) -> Seam:
    return Seam(repeated=0, holds=True, ascending=page.rows.ascending, exact=True)


def _ended(page: Answered, seam: Seam) -> bool:
    """Tell whether a page is the last one: it is short, and its total or a page of nothing new says so too."""
    total, end = page.envelope.total, page.rows.end
    nothing_new = seam.repeated == len(page.rows.keys)
    return page.short and (end == total or (nothing_new and (total is None or total < end)))


def _is_chased(page: Answered, seam: Seam) -> bool:
    """Tell whether a page would be the last one but for a tenth of new rows at most; no cap makes pages so short."""
    new = len(page.rows.keys) - seam.repeated
    return page.short and page.envelope.total is None and 0 < new <= max(1, page.limit // 10)


def _held_all(first: Answered, last: Answered, seam: Seam) -> bool:
    """Tell whether a first page held the whole collection, by a second, last one that has nothing new.

    A first page that is full says so by its total alone, and v1's page calls that the number of its own items: the
    second page, which has fewer and tells the same, shows that the whole collection is counted. Without a total the
    first page has to be short: a full one may have had rows behind it that went before the second was asked.
    """
    if seam.repeated < len(last.rows.keys) or first.envelope.total != last.envelope.total:
        return False
    return first.short if first.envelope.total is None else first.envelope.total == first.rows.end


def _stands_still(before: Answered, page: Answered) -> bool:
    """Tell whether a page is the same as the one before it, although by their totals no rows came in between."""
    earlier, later = before.envelope.total, page.envelope.total
    grew = earlier is not None and later is not None and earlier < later
    return before.rows.keys == page.rows.keys and not grew


def _handed_out(page: Answered, seam: Seam) -> Page:
    envelope = page.envelope
    return Page(page.offset, envelope.limit or len(envelope.items), envelope.total, envelope.items, seam.repeated)


def _ceiling(first: Envelope) -> int:
    """Give the number of items at which a crawl is given up: a total may grow meanwhile, but not for ever."""
    if first.total is None or first.total <= len(first.items):
        return _MOST_ITEMS
    return 2 * first.total + _ROOM_TO_GROW
