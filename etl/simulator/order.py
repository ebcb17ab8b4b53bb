"""In which order a collection is listed, which no source says; some orders are fixed, others are not."""

from __future__ import annotations

import random
from bisect import bisect_left, insort
from typing import Protocol

ORDERS = ("id", "newest", "slots", "moving", "none")
"""By id (given items: as given); newest first; a new row in a deleted one's place; rows that change place; none."""


class Order(Protocol):
    """The keys of a listing, in order."""

    def add(self, key: str) -> None:
        """Take in a key that is not there."""

    def remove(self, key: str) -> None:
        """Take out a key that is there."""

    def turn(self) -> None:
        """Do what happens to the order before a page is read."""

    def keys(self) -> list[str]:
        """Return all keys; the list is not to be changed."""


class ById:
    """In the order of the keys themselves; sorted once when it is read after many changes."""

    def __init__(self, keys: list[str]) -> None:
        self._keys: set[str] = set(keys)
        self._sorted: list[str] | None = None

    def add(self, key: str) -> None:
        """Take in a key where it belongs."""
        self._keys.add(key)
        if self._sorted is not None:
            insort(self._sorted, key)

    def remove(self, key: str) -> None:
        """Take out a key."""
        self._keys.remove(key)
        if self._sorted is not None:
            del self._sorted[bisect_left(self._sorted, key)]

    def expect_many_changes(self) -> None:
        """Sort once at the next reading instead of at every change until then."""
        self._sorted = None

    def turn(self) -> None:
        """Stay as it is."""

    def keys(self) -> list[str]:
        """Return the keys, sorted."""
        if self._sorted is None:
            self._sorted = sorted(self._keys)
        return self._sorted


class NewestFirst:
    """The key that came last stands first."""

    def __init__(self, keys: list[str]) -> None:
        self._keys = keys[::-1]

    def add(self, key: str) -> None:
        """Take in a key at the beginning."""
        self._keys.insert(0, key)

    def remove(self, key: str) -> None:
        """Take out a key."""
        self._keys.remove(key)

    def turn(self) -> None:
        """Stay as it is."""

    def keys(self) -> list[str]:
        """Return the keys, the newest first."""
        return self._keys


class SlotReuse:
    """As a heap of rows: what is deleted leaves a free slot, and a new row takes one by chance, or else the end."""

    def __init__(self, keys: list[str], seed: int) -> None:
        self._slots: list[str | None] = [*keys]
        self._free: list[int] = []
        self._draw = random.Random(seed)  # noqa: S311 - repeatable on purpose, no secret
        self._keys: list[str] | None = None

    def add(self, key: str) -> None:
        """Take in a key at a free slot, or at the end."""
        self._keys = None
        if self._free:
            self._slots[self._free.pop(self._draw.randrange(len(self._free)))] = key
        else:
            self._slots.append(key)

    def remove(self, key: str) -> None:
        """Take out a key; its slot is free."""
        self._keys = None
        slot = self._slots.index(key)
        self._slots[slot] = None
        self._free.append(slot)

    def turn(self) -> None:
        """Stay as it is."""

    def keys(self) -> list[str]:
        """Return the keys, slot by slot."""
        if self._keys is None:
            self._keys = [key for key in self._slots if key is not None]
        return self._keys


class Moving(SlotReuse):
    """A heap whose rows also change place: `moves` of them on average before each page that is read."""

    def __init__(self, keys: list[str], seed: int, moves: float) -> None:
        super().__init__(keys, seed)
        self._moves = moves

    def turn(self) -> None:
        """Put a few rows elsewhere."""
        whole, rest = divmod(self._moves, 1)
        for _ in range(int(whole) + (self._draw.random() < rest)):
            if self._slots:
                row = self._slots.pop(self._draw.randrange(len(self._slots)))
                self._slots.insert(self._draw.randrange(len(self._slots) + 1), row)
                self._free = [slot for slot, key in enumerate(self._slots) if key is None]
                self._keys = None


class Shuffled(SlotReuse):
    """Another order for each page that is read."""

    def turn(self) -> None:
        """Shuffle."""
        keys = [key for key in self._slots if key is not None]
        self._draw.shuffle(keys)
        self._slots, self._free, self._keys = [*keys], [], None


def make_order(name: str, keys: list[str], seed: int, moves: float) -> Order:
    """Make an order of one of `ORDERS` over keys that are given as they came, the oldest first."""
    match name:
        case "newest":
            return NewestFirst(keys)
        case "slots":
            return SlotReuse(keys, seed)
        case "moving":
            return Moving(keys, seed, moves)
        case "none":
            return Shuffled(keys, seed)
        case _:
            return ById(keys)
