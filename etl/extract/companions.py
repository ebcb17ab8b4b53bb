"""Puts what another listing says of the same things into a collection's items, as one more member of each."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

import msgspec

from etl.errors import BadRequest, Forbidden, NotServed
from etl.extract.crawl import Crawl

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl.catalogue import Companion
    from etl.extract.client import ApplianceClient


class Companions:
    """The items of another listing, raw, by their `id`."""

    def __init__(self, companion: Companion, by_id: dict[str, bytes]) -> None:
        self._companion = companion
        self._by_id = by_id

    def join(self, items: Sequence[bytes]) -> list[bytes]:
        """Give the items with the companion of each among its members; as they are where there is none."""
        return [self._joined(item) for item in items]

    def _joined(self, item: bytes) -> bytes:
        own_id = _member(item, self._companion.on)
        found = self._by_id.get(own_id.lower()) if own_id else None
        if found is None:
            return item
        return b'{"%s":%s,%s' % (self._companion.member.encode(), found, item.lstrip()[1:])


async def read_companions(client: ApplianceClient, api_version: str, companion: Companion) -> Companions:
    """Read another listing whole; it is empty where the version does not serve it or the role may not read it."""
    by_id: dict[str, bytes] = {}
    try:
        async with aclosing(Crawl(client, api_version, companion).pages()) as pages:
            async for page in pages:
                for item in page.items:
                    if own_id := _member(item, "id"):
                        by_id[own_id.lower()] = item
    except (Forbidden, NotServed, BadRequest):
        by_id.clear()
    return Companions(companion, by_id)


def _member(item: bytes, name: str) -> str | None:
    try:
        value = msgspec.json.decode(item)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, str) else None
