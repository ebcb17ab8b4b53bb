"""What a warehouse in one file needs: how it is opened, its write lock, and that its log does not grow for ever."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from etl.errors import WarehouseError

#: Seconds that a writer waits for another one's short transaction on the same file.
BUSY_SECONDS = 30
#: SQLite's own wait cannot be interrupted: a run that is told to stop must not sit it out.
_BUSY_STEP_SECONDS = 0.25
#: Seconds that the log waits for readers before it is left as it is. New ones are not held up meanwhile: as soon as
#: everything is folded in they read the file alone.
FOLD_SECONDS = 1
#: Bytes of log that are nothing to speak of: SQLite folds it in by itself at 1,000 pages of 4 kB.
SMALL_LOG = 4 * 1024 * 1024

#: An entry of a connection's `info`: it was told to stop.
STOPPED = "stopped"


class Frozen(sqlite3.Connection):
    """A file that may not be written, in a directory where no log may be made, read as if it never changed.

    That it did not is checked afterwards: whoever may write it can do so at any time.
    """

    path: Path
    state: tuple[int, int, int]

    def has_changed(self) -> bool:
        """Whether somebody wrote the file since it was opened."""
        return _state(self.path) != self.state


def open_file(path: Path) -> sqlite3.Connection:
    """Opens the database; also one that may only be read.

    With a log at hand SQLite reads such a file by itself. Without one it wants to make it, and where it may not it
    must be told that the file stands still (`immutable`), which is so while nobody has a log open.
    """
    connection = _connect(path)
    try:
        connection.execute("pragma schema_version").close()  # opening alone does not touch the file
    except sqlite3.OperationalError as error:
        connection.close()
        only_to_read = error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN)
        if not only_to_read or not os.access(path, os.R_OK) or log_bytes(path):
            raise
        state = _state(path)
        frozen = _connect(path, "?immutable=1", Frozen)
        frozen.path, frozen.state = path, state  # type: ignore[attr-defined]
        return frozen
    except BaseException:
        connection.close()
        raise
    return connection


def prepare(connection: Any, _record: object) -> None:
    """Session settings of each connection."""
    for pragma in (f"busy_timeout = {BUSY_SECONDS * 1000}", "foreign_keys = on", "cache_size = -65536"):
        connection.execute(f"pragma {pragma}")


def begin(connection: Connection) -> None:
    """Begins a transaction; one that writes takes the write lock at once, so that it never fails late.

    Readers and the writer do not wait for each other, since what is written goes to a log first. The file keeps that
    setting; asking for it where it is set would need the right to write.
    """
    if connection.get_execution_options().get("sqlite_begin", "deferred") == "deferred":
        connection.exec_driver_sql("begin deferred")
        return
    raw: sqlite3.Connection = connection.connection.dbapi_connection  # type: ignore[assignment]
    patience = time.monotonic() + BUSY_SECONDS
    raw.execute(f"pragma busy_timeout = {_BUSY_STEP_SECONDS * 1000:.0f}")
    try:
        while True:
            try:
                if raw.execute("pragma journal_mode").fetchone() != ("wal",):
                    raw.execute("pragma journal_mode = wal").close()
                connection.exec_driver_sql("begin immediate")
            except Exception as error:
                if not _is_busy(error) or connection.info.get(STOPPED) or time.monotonic() > patience:
                    raise
            else:
                return
    finally:
        raw.execute(f"pragma busy_timeout = {BUSY_SECONDS * 1000}")


def fold_log(path: Path) -> int:
    """Folds the log into the file and empties it, unless a reader is in the way; returns the bytes left in the log.

    SQLite does the first by itself, but an emptied log keeps its size, and while one reader relieves another it is
    never emptied at all. Never fails: the next run tries again.
    """
    if log_bytes(path) > SMALL_LOG:
        try:
            with closing(_connect(path)) as connection:
                connection.execute(f"pragma busy_timeout = {FOLD_SECONDS * 1000}")
                connection.execute("pragma wal_checkpoint(truncate)").close()
        except sqlite3.Error:
            pass
    return log_bytes(path)


def log_bytes(path: Path) -> int:
    """The size of the write-ahead log, 0 where there is none."""
    try:
        return path.with_name(f"{path.name}-wal").stat().st_size
    except OSError:
        return 0


def refuse_missing_directory(path: Path) -> None:
    """Raises if there is no place for the file."""
    if not path.parent.is_dir():
        raise WarehouseError(f"the warehouse cannot be opened: there is no directory {path.parent.absolute()}")


def _connect(path: Path, query: str = "", factory: type[sqlite3.Connection] = sqlite3.Connection) -> sqlite3.Connection:
    # the driver must not begin or commit by itself: `begin` does, so that DDL and reads are transactional too
    return sqlite3.connect(
        path.absolute().as_uri() + query, uri=True, isolation_level=None, check_same_thread=False, factory=factory
    )


def _state(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


def _is_busy(error: Exception) -> bool:
    cause = error.__cause__ or error
    return isinstance(cause, sqlite3.OperationalError) and cause.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
