"""What an appliance holds at this moment, in listing order, with the JSON of every item kept ready."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from etl.simulator.order import ById, Order, make_order
from etl.simulator.points import RestorePoint
from etl.simulator.shapes import render


@dataclass(frozen=True, slots=True)
class GivenItem:
    """An item that is served as it was given, whatever the version; `id` is None when it has no text as id."""

    value: object

    @property
    def id(self) -> str | None:
        """The item's own id, if it has one that can be asked for."""
        found = self.value.get("id") if isinstance(self.value, dict) else None
        return found if isinstance(found, str) else None

    def text(self) -> bytes:
        """The item as JSON; escapes keep even a lone surrogate servable."""
        return json.dumps(self.value, separators=(",", ":")).encode("ascii")


Entry = RestorePoint | GivenItem


class Listing:
    """Entries by key, listed in the order of their keys unless another is wished.

    Keys are the ids of restore points, as the vendor's sample is in order of ids, so that a new point shifts the
    rows behind it; given items have keys that keep the given order. Hidden entries are held but not listed.
    """

    def __init__(self, host: str) -> None:
        self._host = host
        self._entries: dict[str, Entry] = {}
        self._hidden: set[str] = set()
        self._order: Order = ById([])
        self._texts: dict[str, dict[str, bytes]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        entries = self._entries
        return iter([entries[key] for key in sorted(entries)])

    def get(self, key: str) -> Entry | None:
        """Return the entry, hidden or not."""
        return self._entries.get(key)

    def put(self, key: str, entry: Entry) -> None:
        """Add an entry or put another in its place."""
        if key not in self._entries:
            self._order.add(key)
        self._entries[key] = entry
        self._forget_texts(key)

    def remove(self, key: str) -> None:
        """Take an entry away for good."""
        del self._entries[key]
        self._order.remove(key)
        self._hidden.discard(key)
        self._forget_texts(key)

    def hide(self, key: str) -> None:
        """Leave an entry out of the listing; asked for by id it still answers."""
        self._hidden.add(key)

    def show(self, key: str) -> None:
        """List a hidden entry again."""
        self._hidden.discard(key)

    def expect_many_changes(self) -> None:
        """Sort once at the next reading instead of at every change until then."""
        if isinstance(self._order, ById):
            self._order.expect_many_changes()

    def list_in(self, order: str, seed: int, moves: float) -> None:
        """List in another of `ORDERS` from now on."""
        self._order = make_order(order, list(self._entries), seed, moves)

    def text(self, key: str, version: str) -> bytes:
        """Return the entry's JSON as `version` writes it."""
        texts = self._texts.setdefault(version, {})
        text = texts.get(key)
        if text is None:
            entry = self._entries[key]
            text = entry.text() if isinstance(entry, GivenItem) else render(entry, version, self._host)
            texts[key] = text
        return text

    def slice(
        self, version: str, offset: int, limit: int | None, wanted: Callable[[Entry], bool] | None
    ) -> tuple[list[bytes], int]:
        """Return the JSON of one page's items (`limit` None: all from `offset` on) and the total listed."""
        self._order.turn()
        keys = self._listed()
        if wanted is not None:
            keys = [key for key in keys if wanted(self._entries[key])]
        end = None if limit is None else offset + limit
        return [self.text(key, version) for key in keys[offset:end]], len(keys)

    def _listed(self) -> list[str]:
        keys = self._order.keys()
        return [key for key in keys if key not in self._hidden] if self._hidden else keys

    def _forget_texts(self, key: str) -> None:
        for texts in self._texts.values():
            texts.pop(key, None)
