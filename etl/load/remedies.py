"""What cures an error of the database, in a few words for the person who meets it."""

from __future__ import annotations

import sqlite3
from typing import Final

import psycopg

_GONE = "run it again when the server can be reached"
_WRITABLE = "the user who runs this needs the right to write the file and its directory"

#: By the beginning of PostgreSQL's SQLSTATE.
_POSTGRESQL: Final = {
    "08": _GONE,
    "57P": _GONE,
    "53100": "make room on the server's disk, then run it again",
    "58030": "look at the server's disk, then run it again",
}
#: By the beginning of SQLite's error name.
_SQLITE: Final = {
    "SQLITE_FULL": "make room on its disk, then run it again",
    "SQLITE_IOERR": "look whether its disk is full, or files may not grow any more; then run it again",
    "SQLITE_READONLY": _WRITABLE,
    "SQLITE_CANTOPEN": _WRITABLE,
    "SQLITE_BUSY": "end the program that holds it, then run it again",
}


def remedy(error: BaseException) -> str:
    """What to do about a driver's error; empty where nothing can be said that the error does not say."""
    known: dict[str, str] = {}
    code = ""
    if isinstance(error, psycopg.Error):
        if error.sqlstate is None and isinstance(error, psycopg.OperationalError):
            return _GONE  # no server has said it
        known, code = _POSTGRESQL, error.sqlstate or ""
    elif isinstance(error, sqlite3.Error):
        known, code = _SQLITE, getattr(error, "sqlite_errorname", "")
    return next((cure for beginning, cure in known.items() if code.startswith(beginning)), "")
