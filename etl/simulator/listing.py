"""What an appliance lists at this moment, in listing order, with the JSON of every item kept ready."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from etl.simulator.order import ById, Order, make_order

Row = TypeVar("Row")


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


class Listing(Generic[Row]):
    """Rows and given items by key, listed in the order of their keys unless another is wished.

    Keys are ids, as the vendor's sample is in order of ids, so that a new row shifts those behind it; given items
    have keys that keep the given order. Hidden entries are held but not listed. `render(row, version)` is the JSON.
    """

    def __init__(self, render: Callable[[Row, str], bytes]) -> None:
        self._render = render
        self._entries: dict[str, Row | GivenItem] = {}
        self._given_keys: dict[str, str] = {}
        self._given = 0
        self._hidden: set[str] = set()
        self._order: Order = ById([])
        self._texts: dict[str, dict[str, bytes]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Row | GivenItem]:
        entries = self._entries
        return iter([entries[key] for key in sorted(entries)])

    def rows(self) -> Iterator[Row]:
        """Yield every row that is no given item, hidden or not, in the order of keys."""
        return (entry for entry in self if not isinstance(entry, GivenItem))

    def row(self, key: str) -> Row | None:
        """Return the row of a key, hidden or not, None for a given item too."""
        entry = self._entries.get(key)
        return None if isinstance(entry, GivenItem) else entry

    def key_of(self, asked: str) -> str | None:
        """Return the key of the entry with this id, in any case, None if there is none."""
        folded = asked.lower()
        if folded in self._given_keys:
            return self._given_keys[folded]
        # A key of a given item is no id: only `_given_keys` leads to it.
        return folded if self.row(folded) is not None else None

    def entry(self, key: str) -> Row | GivenItem:
        """Return what is at a key, hidden or not; raises `KeyError`."""
        return self._entries[key]

    def put(self, key: str, entry: Row | GivenItem) -> None:
        """Add an entry or put another in its place."""
        if key not in self._entries:
            self._order.add(key)
        self._entries[key] = entry
        self._forget_texts(key)

    def give(self, value: object) -> None:
        """Add a given item, behind those that are there."""
        given, key = GivenItem(value), f"{self._given:09d}"
        self._given += 1
        self.put(key, given)
        if given.id is not None:
            self._given_keys[given.id.lower()] = key

    def remove(self, key: str) -> None:
        """Take an entry away for good."""
        entry = self._entries.pop(key)
        if isinstance(entry, GivenItem) and entry.id is not None:
            self._given_keys.pop(entry.id.lower(), None)
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
            text = entry.text() if isinstance(entry, GivenItem) else self._render(entry, version)
            texts[key] = text
        return text

    def slice(
        self, version: str, offset: int, limit: int | None, wanted: Callable[[Row], bool] | None = None
    ) -> tuple[list[bytes], int]:
        """Return the JSON of one page's items (`limit` None: all from `offset` on) and the total listed.

        Given items are always wanted.
        """
        self._order.turn()
        keys = self._listed()
        if wanted is not None:
            keys = [key for key in keys if self._is_wanted(key, wanted)]
        end = None if limit is None else offset + limit
        return [self.text(key, version) for key in keys[offset:end]], len(keys)

    def _is_wanted(self, key: str, wanted: Callable[[Row], bool]) -> bool:
        entry = self._entries[key]
        return isinstance(entry, GivenItem) or wanted(entry)

    def _listed(self) -> list[str]:
        keys = self._order.keys()
        return [key for key in keys if key not in self._hidden] if self._hidden else keys

    def _forget_texts(self, key: str) -> None:
        for texts in self._texts.values():
            texts.pop(key, None)


class Shelf:
    """The order of items that are worked out anew for each page; whoever stays keeps the place."""

    def __init__(self, order: str, seed: int, moves: float) -> None:
        self._order = make_order(order, [], seed, moves)
        self._known: set[str] = set()

    def arrange(self, keys: Iterable[str]) -> list[str]:
        """Return the keys that there are now, in listing order."""
        now = list(dict.fromkeys(keys))
        for gone in self._known - set(now):
            self._order.remove(gone)
        for new in now:
            if new not in self._known:
                self._order.add(new)
        self._known = set(now)
        self._order.turn()
        return self._order.keys()
