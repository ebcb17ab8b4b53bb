"""Items of every collection, as an appliance sends them → what becomes of them: `fixtures/collections/<name>.json`.

Read by the tests of the transformer and by those of the warehouse. No two items of one table have one key, so that all
of them can be loaded together.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from etl.catalogue import COLLECTIONS, EXTRA, Collection, Entity

FOLDER = Path(__file__).parent / "fixtures" / "collections"


@dataclass(frozen=True, slots=True)
class Case:
    """One item and what becomes of it.

    `key`: null if the item is rejected whole. `columns`: column → value, instants as text in UTC with microseconds; a
    column that is not there is null. `absent`: the columns that the item has no field for. `extra`: null where it is
    not looked at. `rejected`: (field or null for the whole item, part of the reason) for each rejected record.
    """

    collection: Collection
    name: str
    version: str
    item: dict[str, Any]
    key: tuple[str, ...] | None = None
    columns: dict[str, Any] | None = None
    absent: frozenset[str] = frozenset()
    extra: dict[str, Any] | None = None
    rejected: tuple[tuple[str | None, str], ...] = ()

    def __str__(self) -> str:
        return f"{self.collection.name}: {self.name}"

    @property
    def raw(self) -> bytes:
        """The item as received."""
        return json.dumps(self.item).encode()

    @property
    def item_id(self) -> str | None:
        """What its rejected records call it: its id, if that is readable; a pair of ids is no id."""
        if len(self.collection.entity.key) > 1:
            return None
        told = self.item.get("id")
        return self.key[0] if self.key else told if isinstance(told, str) and told.strip() else None

    @property
    def expected(self) -> dict[str, Any]:
        """Every column that the fixtures speak of, with its value."""
        return dict.fromkeys(columns_of(self.collection.entity)) | (self.columns or {})


def columns_of(entity: Entity) -> list[str]:
    """The columns that the fixtures speak of: what schedules mean has its own tests."""
    return [column.name for column in entity.columns if column.reads != "schedule"]


def read(collection: Collection) -> list[Case]:
    """The cases of one collection, in their file's order."""
    told = json.loads((FOLDER / f"{collection.name}.json").read_text("utf-8"))
    return [
        Case(
            collection,
            case.pop("name"),
            case.pop("version"),
            case.pop("item"),
            key=tuple(case.pop("key")) if "key" in case else None,
            absent=frozenset(case.pop("absent", ())),
            rejected=tuple((field, reason) for field, reason in case.pop("rejected", ())),
            **case,
        )
        for case in told["cases"]
    ]


CASES = [case for collection in COLLECTIONS.values() for case in read(collection)]


def same(found: Any, expected: Any) -> bool:
    """Equal and of one type: true is no 1, and 0 no 0.0; JSON objects as whatever spelled them."""
    if isinstance(expected, dict):
        return json.dumps(found, sort_keys=True) == json.dumps(expected, sort_keys=True)
    return type(found) is type(expected) and found == expected


def wrong(found: dict[str, Any], case: Case) -> dict[str, tuple[Any, Any]]:
    """Column → (found, expected), where they are not the same."""
    expected = case.expected | ({} if case.extra is None else {EXTRA: case.extra})
    return {name: (found[name], value) for name, value in expected.items() if not same(found[name], value)}
