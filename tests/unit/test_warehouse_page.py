"""`docs/warehouse.md` describes every table and every column that the warehouse has, and no others."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from etl.load.models import Base
from etl.load.models.base import Life, Validity

PAGE = (Path(__file__).parent.parent.parent / "docs" / "warehouse.md").read_text("utf-8")
#: The words by which a table's section refers to columns that another section describes.
REFERENCES = {
    "the life columns": set(Life.__annotations__),
    "the columns of a version": set(Validity.__annotations__),
    "the columns of `sync_run_collections`": set(Base.metadata.tables["sync_run_collections"].columns.keys()),
    "the counts below": set(Base.metadata.tables["sync_run_collections"].columns.keys()),
    "the tracked columns": set(Base.metadata.tables["restore_points"].columns.keys()),
}
SECTIONS = {
    table: body
    for heading, body in re.findall(r"^### ([^\n]*)\n(.*?)(?=^##)", PAGE, re.DOTALL | re.MULTILINE)
    for table in re.findall(r"`(\w+)`", heading)
}


def first_cells(table: str) -> list[str]:
    return re.findall(r"^\| (.*?) \|", SECTIONS[table], re.MULTILINE)


def described(table: str) -> set[str]:
    """The columns that the table's own rows name."""
    return {name for cell in first_cells(table) if cell not in REFERENCES for name in re.findall(r"`(\w+)`", cell)}


def test_every_table_has_its_section() -> None:
    assert set(SECTIONS) == set(Base.metadata.tables)


@pytest.mark.parametrize("table", Base.metadata.tables)
def test_every_column_is_described(table: str) -> None:
    referred = {name for cell in first_cells(table) for name in REFERENCES.get(cell, ())}
    missing = set(Base.metadata.tables[table].columns.keys()) - described(table) - referred
    assert sorted(missing) == []


@pytest.mark.parametrize("table", Base.metadata.tables)
def test_no_column_is_described_that_is_none(table: str) -> None:
    # a section of two tables describes the facts and their versions at once
    together = [other for other, body in SECTIONS.items() if body == SECTIONS[table]]
    known = {column.name for other in together for column in Base.metadata.tables[other].columns}
    assert sorted(described(table) - known) == []


def test_what_is_described_elsewhere_is_described_there() -> None:
    assert set(Life.__annotations__) <= described("restore_points")
    assert set(Validity.__annotations__) <= described("restore_point_versions")
