"""What a warehouse holds of one appliance at a moment, as plain rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from etl.load.models import POINTS, REJECTED, VERSIONS, Appliance, SyncRun, SyncRunCollection
from etl.load.warehouse import Warehouse

Row = dict[str, Any]


class Reader(Warehouse):
    """The warehouse over one connection that stays: a walk asks thousands of questions."""

    def __init__(self, warehouse: Warehouse) -> None:
        super().__init__(warehouse.url.render_as_string(hide_password=False))

    def __enter__(self) -> Reader:
        self._connection = self.engine.connect()
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """The connection, without a transaction before and after."""
        try:
            yield self._connection
        finally:
            self._connection.rollback()
            self._connection.execution_options(yield_per=None)  # who streams rows leaves this behind


@dataclass(frozen=True, slots=True)
class Picture:
    """All rows of one appliance: points by id, versions by id in the order of runs, runs and collections by number."""

    points: dict[str, Row]
    versions: dict[str, list[Row]]
    runs: dict[int, Row]
    collections: dict[int, Row]
    rejected: dict[str, Row]

    @classmethod
    def of(cls, warehouse: Warehouse, appliance: str) -> Picture:
        """Takes it, in one transaction."""
        with warehouse.connect() as connection:
            number = connection.scalar(select(Appliance.appliance_id).where(Appliance.name == appliance))

            def rows(table: Any) -> list[Row]:
                found = connection.execute(select(table).where(table.c.appliance_id == number))
                return [dict(row._mapping) for row in found]

            versions: dict[str, list[Row]] = defaultdict(list)
            for row in sorted(rows(VERSIONS), key=lambda row: row["run_number"]):
                versions[row["restore_point_id"]].append(row)
            return cls(
                points={row["restore_point_id"]: row for row in rows(POINTS)},
                versions=dict(versions),
                runs={row["run_number"]: row for row in rows(SyncRun.__table__)},
                collections={row["run_number"]: row for row in rows(SyncRunCollection.__table__)},
                rejected={row["record_hash"]: row for row in rows(REJECTED)},
            )

    @property
    def data(self) -> tuple[object, ...]:
        """All that a run that fails must leave as it was."""
        return self.points, self.versions, self.collections, self.rejected

    @property
    def present(self) -> set[str]:
        """The points that are not deleted."""
        return {one for one, row in self.points.items() if row["deleted_at"] is None}

    @property
    def deleted(self) -> set[str]:
        """The points that are."""
        return self.points.keys() - self.present
