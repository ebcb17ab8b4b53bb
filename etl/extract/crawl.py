"""Reads a collection page by page, in order and without gaps, several pages in flight."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import quote

from etl.errors import NoProgress
from etl.extract.pages import Envelope, Page, read_envelope
from etl.extract.versions import Spelling, collection_path, spellings

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from etl.extract.client import Answer, ApplianceClient

__all__ = ["Page", "ask", "crawl"]

_ROOM_TO_GROW = 10_000
_MOST_ITEMS = 10_000_000
"""Twenty times the largest collection that one appliance is known to hold: a crawl ends, whatever is told."""


async def crawl(
    client: ApplianceClient, api_version: str, collection: str, *, page_size: int = 500
) -> AsyncGenerator[Page]:
    """Give a collection's pages in the order of their offsets, without gaps; at least one, the last perhaps empty.

    Up to the client's `concurrency` pages are in flight. An appliance that puts fewer items into a page than
    it was asked for is followed at its own pace. Raises `NoProgress` for pages that do not move on, `NotAPage`,
    `Forbidden`, `NotServed`, and what the client raises.
    """
    path = collection_path(api_version, collection)
    for spelling in spellings(api_version):
        reading = _Reading(client, path, spelling, page_size)
        try:
            async with aclosing(reading.pages()) as pages:
                async for page in pages:
                    yield page
            return
        except _WrongSpelling:
            # A parameter that the appliance does not know is ignored, and it answers its default page again.
            continue
        finally:
            await reading.stop()
    raise NoProgress(
        f"{client.name}: {path} ignores the page that is asked for, with parameters in either spelling; "
        "nothing past its first page can be read."
    )


async def ask(client: ApplianceClient, api_version: str, collection: str, restore_point_id: str) -> Answer:
    """Ask for one item by its id; the answer's status tells: 200, 404, or anything else."""
    return await client.get(f"{collection_path(api_version, collection)}/{quote(restore_point_id, safe='')}")


class _WrongSpelling(Exception):
    """The appliance answered another page than the one asked for, before any was handed out."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """A page that was asked for: offsets from `offset` to before `end`."""

    offset: int
    end: int
    task: asyncio.Task[Envelope]


@dataclass(slots=True)
class _Reading:
    """One reading of a collection from its start, with one spelling of the paging parameters."""

    client: ApplianceClient
    path: str
    spelling: Spelling
    page_size: int
    step: int = 0
    window: int = 1
    paging: bool = False
    """Whether the appliance was seen to answer the page that it was asked for."""
    in_flight: deque[_Asked] = field(default_factory=deque)
    """In the order of their offsets; the first is read next."""

    async def pages(self) -> AsyncGenerator[Page]:
        offset, previous, ceiling = 0, None, 0
        self._ask(0, self.page_size)
        while True:
            envelope = await self._head(previous)
            following = offset + len(envelope.items)
            more = _more(envelope, offset)
            if more:
                if previous is None:
                    ceiling = _ceiling(envelope)
                if following > ceiling:
                    raise self._stuck(f"went on after {following} items, where its first page told of {envelope.total}")
                self._pace(envelope, previous)
                self._plan(following, envelope.total)
                if previous is None:
                    # Nothing is handed out until the second page has shown that the appliance pages at all:
                    # with the other spelling everything begins anew.
                    await self._head(envelope)
            yield _page(envelope, offset)
            if not more:
                return
            offset, previous = following, envelope

    async def stop(self) -> None:
        """Let go of the pages that were asked ahead and are not wanted any more."""
        tasks = [asked.task for asked in self.in_flight]
        self.in_flight.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _pace(self, envelope: Envelope, previous: Envelope | None) -> None:
        """Choose how far apart pages are asked for, and how many at a time."""
        if previous is None:
            self.step = min(envelope.limit or self.page_size, len(envelope.items))
            # A limit that comes back as it was asked shows that the parameters are understood; otherwise the
            # second page is asked alone, to see whether the appliance caps its pages or ignores the parameters.
            understood = envelope.limit == self.page_size and envelope.total is not None
            self.window = self.client.concurrency if understood else 1
        elif envelope.total is not None:
            self.window = self.client.concurrency
        else:  # the more there was, the further ahead: a small collection is not asked for eight pages
            self.window = min(2 * self.window, self.client.concurrency)

    def _plan(self, offset: int, total: int | None) -> None:
        """Have the page at `offset` in flight, and up to `window` pages of what the total tells of."""
        unneeded = [asked for asked in self.in_flight if asked.offset < offset]
        for asked in unneeded:
            self.in_flight.remove(asked)
            asked.task.cancel()  # no-op for the one just read
        if not self.in_flight:
            self._ask(offset, self.step)
        elif self.in_flight[0].offset > offset:
            # The page before was shorter than its limit: what it left out is asked for by itself.
            self._ask(offset, min(self.step, self.in_flight[0].offset - offset), first=True)
        horizon = _MOST_ITEMS if total is None else total
        while len(self.in_flight) < self.window and self.in_flight[-1].end < horizon:
            self._ask(self.in_flight[-1].end, self.step)

    def _ask(self, offset: int, limit: int, *, first: bool = False) -> None:
        params = {self.spelling.offset: str(offset), self.spelling.limit: str(limit)}
        reader = partial(read_envelope, name=self.client.name, path=self.path)
        task = asyncio.create_task(self.client.read(self.path, params, reader))
        # A page that is let go may have failed already: that is nobody's business then, and no log's.
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        (self.in_flight.appendleft if first else self.in_flight.append)(_Asked(offset, offset + limit, task))

    async def _head(self, previous: Envelope | None) -> Envelope:
        """Wait for the next page and check that it is the one that was asked for."""
        asked = self.in_flight[0]
        envelope = await asked.task
        if not envelope.items:
            if envelope.total is not None and asked.offset < envelope.total:
                raise self._stuck(f"has an empty page at {asked.offset} of {envelope.total}")
            return envelope
        moved = envelope.offset in (asked.offset, None) and (previous is None or envelope.items != previous.items)
        if not moved and not self.paging:
            raise _WrongSpelling
        if not moved:
            raise self._stuck(f"answers another page than the one at {asked.offset} that it was asked for")
        self.paging = asked.offset > 0
        return envelope

    def _stuck(self, does: str) -> NoProgress:
        return NoProgress(
            f"{self.client.name}: {self.path} {does}. Run again; if it stays, "
            "look at what stands between the appliance and this machine, or set another api_version."
        )


def _page(envelope: Envelope, offset: int) -> Page:
    return Page(offset, envelope.limit or len(envelope.items), envelope.total, envelope.items)


def _more(envelope: Envelope, offset: int) -> bool:
    """Tell whether something follows this page, as far as it tells."""
    count = len(envelope.items)
    full = count > 0 and count >= (envelope.limit or count)
    if envelope.total is None:
        return full
    if offset + count < envelope.total:
        return True
    # v1's page calls totalCount the number of records in the results: on a full page a total that fits this
    # meaning, or tells of fewer items than were read, is not believed.
    believable = offset + count == envelope.total and (offset > 0 or count < (envelope.limit or count + 1))
    return full and envelope.limit is not None and not believable


def _ceiling(first: Envelope) -> int:
    """Give the number of items at which a crawl is given up: a total may grow meanwhile, but not for ever."""
    if first.total is None or first.total <= len(first.items):
        return _MOST_ITEMS
    return 2 * first.total + _ROOM_TO_GROW
