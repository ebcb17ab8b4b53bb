"""Compares two neighbouring pages: what they share, and whether one goes on where the other ended."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec

from etl.extract.evidence import OVERLAP

if TYPE_CHECKING:
    from collections.abc import Sequence


class _Item(msgspec.Struct):
    id: str = ""


_decoder = msgspec.json.Decoder(_Item)


@dataclass(frozen=True, slots=True)
class Stretch:
    """The rows of one page: `keys` are their ids, or the raw text of an item that has no readable id."""

    offset: int
    keys: list[str | bytes]
    has_ids: bool
    """Whether any row has an id."""
    ascending: bool
    """Whether every row has an id and the ids ascend strictly, as text."""

    @property
    def end(self) -> int:
        """The offset of the first row after it."""
        return self.offset + len(self.keys)


@dataclass(frozen=True, slots=True)
class Seam:
    """How a page joins the one before it.

    repeated: how many of its rows were on that page. holds: they share an id, and the shared ones keep their order.
    ascending: by its ids it goes on where that page ended. exact: it begins with just the rows asked for twice.
    """

    repeated: int
    holds: bool
    ascending: bool
    exact: bool


def overlap(rows: int) -> int:
    """Give how many of a page's rows are asked for again; half of a small page, so that each brings something new."""
    return min(OVERLAP, rows // 2)


def stretch(offset: int, items: Sequence[bytes]) -> Stretch:
    """Read the ids of a page's items."""
    keys = [_id(item) or item for item in items]
    ids = [key for key in keys if isinstance(key, str)]
    ascending = len(ids) == len(keys) and all(one < following for one, following in pairwise(ids))
    return Stretch(offset, keys, bool(ids), ascending)


def compare(before: Stretch, after: Stretch) -> Seam:
    """Compare a page with the one before it."""
    places = {key: place for place, key in enumerate(before.keys)}
    repeated = sum(key in places for key in after.keys)
    shared = [places[key] for key in after.keys if isinstance(key, str) and key in places]
    skipped = after.offset - before.offset
    twice = max(0, before.end - after.offset)
    exact = skipped >= 0 and repeated == twice and before.keys[skipped : skipped + twice] == after.keys[:twice]
    return Seam(
        repeated=repeated,
        holds=bool(shared) and all(one < following for one, following in pairwise(shared)),
        ascending=before.ascending and after.ascending and (exact or _goes_on(before, after, len(shared))),
        exact=exact,
    )


def _goes_on(before: Stretch, after: Stretch, shared: int) -> bool:
    """Tell whether a page whose ids ascend goes on from another one, but for a few rows that came or went meanwhile.

    Where both should show the same rows, those that only one shows must have been created or deleted between the
    two answers. Pages of no order, each sorted by itself, would show mostly such rows.
    """
    pages = [[key for key in page.keys if isinstance(key, str)] for page in (before, after)]
    if not all(pages):
        return True
    first, last = max(ids[0] for ids in pages), min(ids[-1] for ids in pages)
    met = sum(first <= one <= last for ids in pages for one in ids)  # those shared are met twice
    return met - 2 * shared <= shared


def _id(item: bytes) -> str:
    """Give an item's id, empty if it has none that can be read."""
    try:
        return _decoder.decode(item).id
    except msgspec.ValidationError:
        return ""
    except (msgspec.DecodeError, RecursionError):
        return _id_despite(item)


def _id_despite(item: bytes) -> str:
    """Give the id of an item that the fast reader refuses for the sake of another field."""
    try:
        value = json.loads(item.decode("utf-8", "surrogateescape"), strict=False)
    except (ValueError, RecursionError):
        return ""
    found = value.get("id") if isinstance(value, dict) else None
    return found if isinstance(found, str) else ""
