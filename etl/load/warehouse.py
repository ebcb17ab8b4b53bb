"""The warehouse: one engine, with the session settings that both databases need to be safe."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import psycopg
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from etl.errors import ConfigError, WarehouseError

#: Ends a statement within a fifth of a second of its client's death, so that a killed run frees its lock at once
#: (without it the lock was seen to be held for seconds); the rest keeps every session in UTC.
POSTGRES_SETTINGS = {
    "TimeZone": "UTC",
    "client_connection_check_interval": "200ms",
    "application_name": "restorepoints",
}
#: Seconds that a writer waits for another one's short transaction on the same SQLite file.
SQLITE_BUSY_SECONDS = 30

#: What a statement on the warehouse may raise; `Warehouse.explain` puts it in words.
DATABASE_ERRORS = (SQLAlchemyError, psycopg.Error)

to_json = partial(msgspec.json.encode, order="sorted")


class Warehouse:
    """A SQL database that holds the history: SQLite 3.37 or newer, or PostgreSQL 15 or newer.

    Connections are not pooled: a run holds one for its whole life, and everything else is short.
    """

    def __init__(self, url: str) -> None:
        try:
            self.url: URL = make_url(url)
            self.engine: Engine = create_engine(
                self.url, poolclass=NullPool, json_serializer=lambda value: to_json(value).decode()
            )
        except (ArgumentError, NoSuchModuleError, ModuleNotFoundError, ValueError) as error:
            raise ConfigError(
                "the warehouse's URL is not understood; use sqlite:///FILE or postgresql://USER@HOST/DATABASE"
            ) from error
        self.dialect = self.engine.dialect.name
        if self.dialect == "sqlite":
            event.listen(self.engine, "connect", _prepare_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)
        elif self.dialect == "postgresql":
            event.listen(self.engine, "connect", _prepare_postgresql)
        else:
            raise WarehouseError(f"a warehouse on {self.dialect} is not supported; use SQLite or PostgreSQL")

    def __str__(self) -> str:
        """The URL without its password, which may stand in its query too."""
        query = {name: "***" if "password" in name else value for name, value in self.url.query.items()}
        return self.url.set(query=query).render_as_string(hide_password=True)

    @property
    def path(self) -> Path | None:
        """The file of an embedded warehouse; null on a server."""
        return Path(self.url.database) if self.dialect == "sqlite" and self.url.database else None

    def explain(self, error: Exception) -> WarehouseError:
        """A database's error in one sentence, without the statement and its parameters."""
        return WarehouseError(f"the warehouse {self} failed: {first_line(error)}")

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """A connection; whatever its transaction has not committed is rolled back at the end."""
        try:
            connection = self.engine.connect()
        except DATABASE_ERRORS as error:
            raise WarehouseError(f"the warehouse {self} cannot be opened: {first_line(error)}") from error
        with connection:
            yield connection

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A connection with one write transaction, committed at the end."""
        with self.connect() as connection, write(connection):
            yield connection


@contextmanager
def write(connection: Connection) -> Iterator[None]:
    """One write transaction on `connection`; on SQLite the write lock is taken at once, so that it never fails late."""
    connection.execution_options(sqlite_begin="immediate")
    try:
        with connection.begin():
            yield
    finally:
        connection.execution_options(sqlite_begin="deferred")


def first_line(error: Exception) -> str:
    """What the database driver said first."""
    text = str(error.__cause__ or error).strip()
    return text.splitlines()[0] if text else type(error).__name__


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # the driver must not begin or commit by itself: `begin` below does, so that DDL and reads are transactional too
    connection.isolation_level = None
    for pragma in (
        f"busy_timeout = {SQLITE_BUSY_SECONDS * 1000}",
        "journal_mode = wal",
        "foreign_keys = on",
        "cache_size = -65536",
    ):
        connection.execute(f"pragma {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(f"begin {connection.get_execution_options().get('sqlite_begin', 'deferred')}")


def _prepare_postgresql(connection: Any, _record: object) -> None:
    with connection.cursor() as cursor:
        for name, value in POSTGRES_SETTINGS.items():
            cursor.execute("select set_config(%s, %s, false)", (name, value))
    connection.commit()
