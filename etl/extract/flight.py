"""Asks for a collection's pages ahead of need, several at a time, in the order of their offsets."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from etl.extract.pages import Envelope, read_envelope
from etl.extract.seams import Stretch, overlap, stretch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from etl.extract.client import ApplianceClient
    from etl.extract.versions import Spelling


@dataclass(frozen=True, slots=True)
class Answered:
    """A page as it was asked for and answered."""

    offset: int
    limit: int
    envelope: Envelope
    rows: Stretch

    @property
    def short(self) -> bool:
        """Whether it has fewer items than there was room for, by what was asked and by what is told."""
        return len(self.envelope.items) < min(self.limit, self.envelope.limit or self.limit)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A page that was asked for: offsets from `offset` to before `end`."""

    offset: int
    end: int
    task: asyncio.Task[Envelope]


@dataclass(slots=True)
class Flight:
    """The pages under way; `step` rows are asked for at a time, in up to `window` requests."""

    client: ApplianceClient
    path: str
    spelling: Spelling
    step: int
    params: Mapping[str, str] = field(default_factory=dict)
    window: int = 1
    _under_way: deque[_Asked] = field(default_factory=deque)

    @property
    def stride(self) -> int:
        """How far apart pages are asked for: a page without its overlap."""
        return self.step - overlap(self.step)

    def plan(self, last: Answered | None, horizon: int) -> None:
        """Have the page after `last` under way, and up to `window` pages of what there is before `horizon`."""
        if last is None:
            self._ask(0, self.step)
        else:
            self._follow(last)
        while len(self._under_way) < self.window and self._under_way[-1].end < horizon:
            self._ask(self._under_way[-1].end - overlap(self.step), self.step)

    async def head(self) -> Answered:
        """Wait for the page that comes next; it stays so until another one is planned after it."""
        asked = self._under_way[0]
        return _answered(asked.offset, asked.end - asked.offset, await asked.task)

    async def again(self, offset: int) -> Answered:
        """Ask for a page out of turn."""
        return _answered(offset, self.step, await self._request(offset, self.step))

    def drop_head(self) -> None:
        """Take the page that came next out, to be asked for anew when its turn comes."""
        self._under_way.popleft()

    async def stop(self) -> None:
        """Let go of the pages that were asked ahead and are not wanted any more."""
        tasks = [asked.task for asked in self._under_way]
        self._under_way.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _follow(self, last: Answered) -> None:
        unneeded = [asked for asked in self._under_way if asked.offset <= last.offset]
        for asked in unneeded:
            self._under_way.remove(asked)
            asked.task.cancel()  # no-op for the one just read
        count = len(last.rows.keys)
        following = last.rows.end - min(overlap(self.step), overlap(count))
        if not self._under_way:
            self._ask(following, self.step)
        elif self._under_way[0].offset > following:
            # The page before was shorter than its limit: what it left out is asked for by itself.
            missing = self._under_way[0].offset + overlap(self.step) - following
            self._ask(following, min(self.step, missing), first=True)

    def _ask(self, offset: int, limit: int, *, first: bool = False) -> None:
        task = asyncio.create_task(self._request(offset, limit))
        # A page that is let go may have failed already: that is nobody's business then, and no log's.
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        (self._under_way.appendleft if first else self._under_way.append)(_Asked(offset, offset + limit, task))

    async def _request(self, offset: int, limit: int) -> Envelope:
        paging = {self.spelling.offset: str(offset), self.spelling.limit: str(limit)}
        params = self.spelling.spell(self.params) | paging
        reader = partial(read_envelope, name=self.client.name, path=self.path)
        return await self.client.read(self.path, params, reader)


def _answered(offset: int, limit: int, envelope: Envelope) -> Answered:
    return Answered(offset, limit, envelope, stretch(offset, envelope.items))
