"""The table of normalising rules once more, now read back from each database with plain SQL."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import postgres
import pytest
from nights import Nights
from normalising_cases import CASES, Case
from sqlalchemy import select
from sqlalchemy.orm import Session

from etl.load import schema
from etl.load.models import RejectedRecord, RestorePoint
from etl.load.warehouse import Warehouse
from etl.transform.items import normalise


@dataclass(frozen=True)
class Loaded:
    """What all the cases together left in one warehouse."""

    points: dict[str, RestorePoint]
    rejected: list[RejectedRecord]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    if request.param == "sqlite":
        path: Path = tmp_path_factory.mktemp("cases") / "restorepoints.db"
        yield load(f"sqlite:///{path}")
    else:
        server: postgres.PostgresServer = request.getfixturevalue("postgres_server")
        url = server.create_database()
        yield load(url.render_as_string(hide_password=False))
        server.drop_database(url)


def load(url: str) -> Loaded:
    warehouse = Warehouse(url)
    schema.upgrade(warehouse)
    Nights(warehouse).load([case.raw for case in CASES])
    with Session(warehouse.engine) as session:
        points = {point.restore_point_id: point for point in session.scalars(select(RestorePoint))}
        return Loaded(points, list(session.scalars(select(RejectedRecord))))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case: Case, loaded: Loaded) -> None:
    batch = normalise([case.raw], collection="vm")
    hashes = set(batch.rejected["record_hash"])
    rejected = [record for record in loaded.rejected if record.record_hash in hashes]
    assert Counter(record.field for record in rejected) == Counter(field for field, _ in case.rejected)
    for field, part in case.rejected:
        assert any(record.field == field and part in record.reason for record in rejected)
    if not case.loaded:
        assert len(batch.frame) == 0
        return
    point = loaded.points[batch.frame["restore_point_id"].iloc[0]]
    for column, expected in case.columns.items():
        found: Any = getattr(point, column)
        if column == "extra":  # as numbers of any length come back from JSON
            found, expected = json.dumps(found, sort_keys=True), json.dumps(expected, sort_keys=True)
        assert found == expected
        assert type(found) is type(expected)


def test_every_case_is_there(loaded: Loaded) -> None:
    assert len(loaded.points) == sum(case.loaded for case in CASES)
    assert len(loaded.rejected) == sum(len(case.rejected) for case in CASES)
