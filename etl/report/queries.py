"""The questions shipped as plain SQL, one file each under `sql/`, the same text on both databases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import text

from etl import shipped
from etl.load.warehouse import Warehouse


def answer(warehouse: Warehouse, question: str) -> tuple[tuple[str, ...], Sequence[Sequence[Any]]]:
    """The columns and rows that answer `question`, the name of a file under `sql/` without its ending."""
    statement = (shipped.folder("sql") / f"{question}.sql").read_text("utf-8")
    with warehouse.connect() as connection:
        result = connection.execute(text(statement))
        return tuple(result.keys()), [tuple(row) for row in result]
