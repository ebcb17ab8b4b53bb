"""The warehouse: one engine, with the session settings that both databases need to be safe."""

from __future__ import annotations

import socket
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import psycopg
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from etl.errors import ConfigError, WarehouseError
from etl.load import sqlite
from etl.load.remedies import remedy

#: Ends a statement within a fifth of a second of its client's death, so that a killed run frees its lock at once
#: (without it the lock was seen to be held for seconds); the rest keeps every session in UTC.
POSTGRES_SETTINGS = {
    "TimeZone": "UTC",
    "client_connection_check_interval": "200ms",
    "application_name": "restorepoints",
}
#: Seconds that a server may take to answer at all; a URL may say otherwise.
CONNECT_SECONDS = 10
#: Seconds that a server may take to break a statement off.
CANCEL_SECONDS = 2

#: What a statement on the warehouse may raise; `Warehouse.explain` puts it in words.
DATABASE_ERRORS = (SQLAlchemyError, psycopg.Error, sqlite3.Error)

to_json = partial(msgspec.json.encode, order="sorted")


class Warehouse:
    """A SQL database that holds the history: SQLite 3.37 or newer, or PostgreSQL 15 or newer.

    Connections are not pooled: a run holds one for its whole life, and everything else is short.
    """

    def __init__(self, url: str) -> None:
        self._open: dict[int, tuple[Any, dict[Any, Any], int]] = {}
        try:
            self.url: URL = make_url(url)
            self.engine: Engine = create_engine(
                self.url,
                poolclass=NullPool,
                json_serializer=lambda value: to_json(value).decode(),
                **self._connecting(url),
            )
        except (ArgumentError, NoSuchModuleError, ModuleNotFoundError, ValueError) as error:
            raise ConfigError(
                "the warehouse's URL is not understood; use sqlite:///FILE or postgresql://USER@HOST/DATABASE"
            ) from error
        self.dialect = self.engine.dialect.name
        if self.dialect == "sqlite":
            event.listen(self.engine, "connect", sqlite.prepare)
            event.listen(self.engine, "begin", sqlite.begin)
        elif self.dialect == "postgresql":
            event.listen(self.engine, "connect", _prepare_postgresql)
        else:
            raise WarehouseError(f"a warehouse on {self.dialect} is not supported; use SQLite or PostgreSQL")
        event.listen(self.engine, "connect", self._note_opened)
        event.listen(self.engine, "close", self._note_closed)

    def _connecting(self, url: str) -> dict[str, Any]:
        """How the engine comes to its connections."""
        if self.url.get_backend_name() == "sqlite":
            if "?" in url or not self.url.database:
                raise ConfigError("a warehouse on SQLite is a file, without parameters: sqlite:///FILE")
            return {"creator": partial(sqlite.open_file, Path(self.url.database))}
        if "connect_timeout" in self.url.query or "service" in self.url.query:
            return {}
        return {"connect_args": {"connect_timeout": CONNECT_SECONDS}}

    def _note_opened(self, raw: Any, record: Any) -> None:
        self._open[id(raw)] = raw, record.info, threading.get_ident()

    def _note_closed(self, raw: Any, _record: object) -> None:
        self._open.pop(id(raw), None)

    def interrupt(self, thread: int, *, forcibly: bool = False) -> None:
        """Breaks off what runs on the connections of a thread, from another one; nothing happens where nothing runs.

        Args:
            thread: the identity of the thread that opened them.
            forcibly: cut the connections to a server that does not answer even that.
        """
        for raw, info, opened_by in list(self._open.values()):
            if opened_by != thread:
                continue
            info[sqlite.STOPPED] = True
            with suppress(*DATABASE_ERRORS, OSError):
                if isinstance(raw, sqlite3.Connection):
                    raw.interrupt()
                elif forcibly:
                    with socket.socket(fileno=socket.dup(raw.fileno())) as stream:
                        stream.shutdown(socket.SHUT_RDWR)
                else:
                    raw.cancel_safe(timeout=CANCEL_SECONDS)

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
        return WarehouseError(f"the warehouse {self} failed: {in_words(error)}")

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """A connection; whatever its transaction has not committed is rolled back at the end.

        Raises:
            WarehouseError: it cannot be opened, or is a file that was only to be read and changed meanwhile.
        """
        if self.path is not None:
            sqlite.refuse_missing_directory(self.path)
        try:
            connection = self.engine.connect()
        except DATABASE_ERRORS as error:
            raise WarehouseError(f"the warehouse {self} cannot be opened: {in_words(error)}") from error
        with connection:
            yield connection
            raw = connection.connection.dbapi_connection
            if isinstance(raw, sqlite.Frozen) and raw.has_changed():
                raise WarehouseError(f"the warehouse {self} was written while it was read; ask again")

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


def in_words(error: Exception) -> str:
    """What the database driver said first, and what to do about it."""
    told = error.__cause__ or error
    text = str(told).strip()
    first_line = text.splitlines()[0] if text else type(error).__name__
    cure = remedy(told)
    return f"{first_line}; {cure}" if cure else first_line


def _prepare_postgresql(connection: Any, _record: object) -> None:
    with connection.cursor() as cursor:
        for name, value in POSTGRES_SETTINGS.items():
            cursor.execute("select set_config(%s, %s, false)", (name, value))
    connection.commit()
