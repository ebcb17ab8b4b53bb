"""Items of every collection once more, now read back from each database with plain SQL."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import postgres
import pytest
from collection_cases import CASES, Case, columns_of, wrong
from nights import Nights
from sqlalchemy import JSON, Boolean, text

from etl.catalogue import COLLECTIONS, ENTITIES, EXTRA, Entity
from etl.load import schema
from etl.load.kept import KEPT
from etl.load.warehouse import Warehouse

Row = dict[str, Any]


@dataclass(frozen=True)
class Loaded:
    """What all the items together left in one warehouse; rows of facts and versions by table and key."""

    facts: dict[tuple[str, tuple[str, ...]], Row]
    versions: dict[tuple[str, tuple[str, ...]], Row]
    rejected: list[Row]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    if request.param == "sqlite":
        path: Path = tmp_path_factory.mktemp("collections") / "restorepoints.db"
        yield load(f"sqlite:///{path}")
    else:
        server: postgres.PostgresServer = request.getfixturevalue("postgres_server")
        url = server.create_database(request.getfixturevalue("postgres_template"))
        yield load(url.render_as_string(hide_password=False))
        server.drop_database(url)


def load(url: str) -> Loaded:
    warehouse = Warehouse(url)
    schema.upgrade(warehouse)
    listed = {name: [case.raw for case in CASES if case.collection.name == name] for name in COLLECTIONS}
    outcomes = Nights(warehouse).run(listed)
    for name, outcome in outcomes.items():
        cases = [case for case in CASES if case.collection.name == name]
        assert outcome.inserted == sum(case.key is not None for case in cases)
        assert outcome.rejected == sum(case.key is None for case in cases)
        assert outcome.field_errors == sum(len(case.rejected) for case in cases if case.key)
    facts: dict[tuple[str, tuple[str, ...]], Row] = {}
    versions: dict[tuple[str, tuple[str, ...]], Row] = {}
    with warehouse.connect() as connection:

        def rows(table: str) -> Iterator[Row]:
            for row in connection.execute(text(f"select * from {table}")):
                yield dict(row._mapping)

        for entity in ENTITIES.values():
            for row in rows(entity.table):
                facts[entity.table, tuple(row[name] for name in entity.key)] = plain(row, entity)
            for row in rows(entity.versions) if entity.versions else ():
                versions[entity.table, tuple(row[name] for name in entity.key)] = plain(row, entity)
        return Loaded(facts, versions, list(rows("rejected_records")))


def plain(row: Row, entity: Entity) -> Row:
    """The row as the fixtures write it; what has another form in the database fails here."""
    table = KEPT[entity.table].facts
    return {
        name: value if value is None or name not in (*columns_of(entity), EXTRA) else _plain(value, table.c[name].type)
        for name, value in row.items()
    }


def _plain(value: Any, kind: Any) -> Any:
    if isinstance(value, datetime):  # as PostgreSQL's driver gives it
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
    if isinstance(kind, Boolean) and type(value) is int:  # as SQLite keeps it
        return {0: False, 1: True}[value]
    if isinstance(kind, JSON) and isinstance(value, str):
        read = json.loads(value)
        assert value == json.dumps(read, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return read
    return value


@pytest.mark.parametrize("case", CASES, ids=str)
def test_item(case: Case, loaded: Loaded) -> None:
    records = [
        row
        for row in loaded.rejected
        if row["collection"] == case.collection.name and json.loads(row["raw"]) == case.item
    ]
    assert Counter(row["field"] for row in records) == Counter(field for field, _ in case.rejected)
    for field, part in case.rejected:
        assert any(row["field"] == field and part in row["reason"] for row in records)
    entity = case.collection.entity
    for row in records:
        assert row["item_id"] == case.item_id
        assert row["restore_point_id"] == (case.item_id if entity.table == "restore_points" else None)
    if case.key is None:
        return
    fact = loaded.facts[entity.table, case.key]
    assert wrong(fact, case) == {}
    assert (fact["collection"], fact["deleted_at"]) == (case.collection.name, None)
    if entity.versions:
        version = loaded.versions[entity.table, case.key]
        assert {name: version[name] for name in entity.tracked} == {name: fact[name] for name in entity.tracked}
        assert (version["change"], version["valid_to"]) == ("appeared", None)


def test_nothing_else_is_there(loaded: Loaded) -> None:
    there = Counter(case.collection.entity.table for case in CASES if case.key)
    assert Counter(table for table, _ in loaded.facts) == there
    assert Counter(table for table, _ in loaded.versions) == {
        table: count for table, count in there.items() if ENTITIES[table].versions
    }
    assert len(loaded.rejected) == sum(len(case.rejected) for case in CASES)
