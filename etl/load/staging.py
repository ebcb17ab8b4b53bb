"""Staging: temporary tables that hold what a run has read until the merge; the only part that differs by database.

A temporary table locks nobody, so that crawling happens outside any write transaction on the warehouse itself.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import psycopg
from psycopg.types.json import set_json_dumps
from sqlalchemy import Column, Connection, Integer, MetaData, Table, Text, text

from etl.load.kept import KEPT, make_temporary
from etl.load.models import REJECTED

if TYPE_CHECKING:
    import pandas as pd

    from etl.catalogue import Collection

REJECTED_COLUMNS: Final = ("record_hash", "field", "item_id", "reason", "raw")

STAGED_REJECTS: Final = Table(
    "staged_rejected_records",
    MetaData(),
    Column("collection", Text, nullable=False),
    Column("crawl", Integer, nullable=False),
    *(Column(name, REJECTED.c[name].type) for name in REJECTED_COLUMNS),
    prefixes=["temporary"],
)


class Staging(ABC):
    """Takes batches of one run in the order they were read; a key that is read twice counts as it was read last.

    A table is made when the first row comes for it: most nights, most tables are not needed. The caller gives each
    call a transaction.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._made: dict[str, Table] = {}

    def holds(self, table: Table) -> bool:
        """Whether anything was ever staged in a temporary table."""
        return table.name in self._made

    def make(self, table: Table, *unique: str) -> None:
        """Makes a temporary table unless this run has it already; a row's `unique` columns tell it from any other."""
        if table.name not in self._made:
            make_temporary(self.connection, table)
            self._made[table.name] = table
            self._expect_unique(table, unique)

    def add(self, collection: Collection, crawl: int, items: pd.DataFrame, rejected: pd.DataFrame) -> None:
        """Stages one batch.

        Args:
            collection: the collection that was read.
            crawl: which crawl of the run read it, from 1.
            items: columns and order of the entity's `batch`; text as `str`, integers as `Int64`, instants as
                `datetime64[us, UTC]`, `absent` as `int64`.
            rejected: columns and order of `REJECTED_COLUMNS`, all text.
        """
        kept = KEPT[collection.entity.table]
        for table, unique, columns, frame in (
            (kept.staged, kept.key, collection.entity.batch, items),
            (STAGED_REJECTS, ("record_hash",), REJECTED_COLUMNS, rejected),
        ):
            if tuple(frame.columns) != columns:
                raise ValueError(f"a batch for {table.name} has the columns {tuple(frame.columns)}")
            if len(frame):
                self.make(table, *unique)
                columns_of_values = [self._values(frame[name]) for name in columns]
                own = [[collection.name] * len(frame), [crawl] * len(frame)]
                self.copy(table, list(zip(*own, *columns_of_values, strict=True)))

    @abstractmethod
    def seal(self) -> None:
        """After the last batch: makes each key (and each rejected record) unique, keeping the one read last."""

    @abstractmethod
    def _expect_unique(self, table: Table, columns: Sequence[str]) -> None: ...

    @abstractmethod
    def copy(self, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
        """Adds rows to a temporary table, values in the order of its columns."""

    @abstractmethod
    def _instants(self, naive_utc: np.ndarray[Any, Any]) -> list[Any]: ...

    def _values(self, column: pd.Series[Any]) -> list[Any]:
        if hasattr(column.dtype, "tz"):  # asked of the column itself, so that pandas need not be imported here
            return self._instants(column.dt.tz_convert(None).to_numpy(dtype="datetime64[us]"))
        values: list[Any] = column.array.to_numpy(dtype=object, na_value=None).tolist()
        return values


class PostgresStaging(Staging):
    """Binary COPY: 83 ms for 100,000 rows, where `executemany` takes 1,410."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._unique: dict[str, Sequence[str]] = {}

    def _expect_unique(self, table: Table, columns: Sequence[str]) -> None:
        if columns:
            self._unique[table.name] = columns

    def seal(self) -> None:
        """Deletes the earlier rows of a key, then tells the planner how much there is."""
        for table, columns in self._unique.items():
            key = ", ".join(columns)
            same = " and ".join(f"earlier.{one} = repeated.{one}" for one in columns)
            # rows only ever append here, so the physical row address (ctid) tells the order of reading
            self.connection.execute(
                text(f"""
                    delete from {table} as earlier
                    using (
                        select {key}, max(ctid) as last_read
                        from {table}
                        group by {key}
                        having count(*) > 1
                    ) as repeated
                    where {same}
                        and earlier.ctid < repeated.last_read
                """)
            )
            self.connection.execute(text(f"analyze {table}"))

    def copy(self, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
        """By binary COPY."""
        names = ", ".join(table.c.keys())
        cursor: psycopg.Cursor[Any] = self.connection.connection.cursor()  # type: ignore[assignment]
        set_json_dumps(str, context=cursor)  # a batch brings JSON as text already
        with cursor.copy(f"copy {table.name} ({names}) from stdin (format binary)") as copy:
            copy.set_types([_COPY_TYPES[column.type.compile(self.connection.dialect)] for column in table.c])
            for row in rows:
                copy.write_row(row)

    def _instants(self, naive_utc: np.ndarray[Any, Any]) -> list[Any]:
        values: list[Any] = naive_utc.astype(object).tolist()
        return values


#: A naive UTC datetime as `timestamp` has the same bytes as the `timestamptz` it goes into.
_COPY_TYPES: Final = {
    "TEXT": "text",
    "BIGINT": "int8",
    "INTEGER": "int4",
    "BOOLEAN": "bool",
    "DOUBLE PRECISION": "float8",
    "FLOAT": "float8",
    "JSONB": "jsonb",
    "TIMESTAMP WITH TIME ZONE": "timestamp",
}


class SqliteStaging(Staging):
    """Multi-row `values`: `executemany` gives the interpreter up at every row, 18 s for 10,000 beside a busy thread."""

    #: SQLite takes at most 32,766 parameters in one statement.
    ROWS = 1000

    def _expect_unique(self, table: Table, columns: Sequence[str]) -> None:
        if columns:
            index = f"create unique index temp.uq_{table.name} on {table.name} ({', '.join(columns)})"
            self.connection.exec_driver_sql(index)

    def seal(self) -> None:
        """Nothing to do: `insert or replace` on the unique index keeps the row read last."""

    def copy(self, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
        """By inserts of many rows each."""
        for start in range(0, len(rows), self.ROWS):
            chunk = rows[start : start + self.ROWS]
            row = f"({', '.join('?' * len(table.c))})"
            statement = f"insert or replace into temp.{table.name} values {', '.join([row] * len(chunk))}"
            self.connection.exec_driver_sql(statement, tuple(value for row_ in chunk for value in row_))

    def _instants(self, naive_utc: np.ndarray[Any, Any]) -> list[Any]:
        texts = np.datetime_as_string(naive_utc, unit="us").tolist()
        return [None if value == "NaT" else value.replace("T", " ", 1) for value in texts]


def open_staging(connection: Connection) -> Staging:
    """Staging on this connection, empty, in the way its database likes best."""
    return PostgresStaging(connection) if connection.dialect.name == "postgresql" else SqliteStaging(connection)
