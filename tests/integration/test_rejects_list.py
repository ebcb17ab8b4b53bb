"""The list of rejected records, on both databases."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from nights import FIRST_NIGHT, Nights, backup, point_id

from etl import console_history
from etl.errors import UsageError
from etl.load.warehouse import Warehouse
from etl.report.rejects import rejected

MADE = FIRST_NIGHT - timedelta(hours=5)
NO_TIME = backup(1, MADE, pointInTime="yesterday")
NO_SIZE = backup(2, MADE, backupSizeBytes=-1)
NO_ID = backup(3, MADE, id=None)


@pytest.fixture
def nights(warehouse: Warehouse) -> Nights:
    """Runs that take no time: what one saw and what it wrote bear one instant."""
    return Nights(warehouse, reading_takes=timedelta(0))


@pytest.fixture
def lived(nights: Nights) -> Nights:
    """Two nights of a bad item and a bad field; on the second the field is well again, and one has no id."""
    nights.load([NO_TIME, NO_SIZE])
    nights.load([NO_TIME, backup(2, MADE), NO_ID])
    nights.load([backup(9, MADE, pointInTime="")], appliance="south")
    return nights


def told(nights: Nights, appliance: str | None = None, *, include_resolved: bool = False) -> list[tuple[object, ...]]:
    return [
        (one.appliance, one.restore_point_id, one.field, one.first_run, one.last_run, one.resolved_run)
        for one in rejected(nights.warehouse, appliance, include_resolved)
    ]


def test_open_records_by_appliance_and_first_run(lived: Nights) -> None:
    assert told(lived) == [
        ("north", point_id(1), None, 1, 2, None),
        ("north", None, None, 2, 2, None),
        ("south", point_id(9), None, 1, 1, None),
    ]


def test_resolved_ones_where_asked_for(lived: Nights) -> None:
    everything = told(lived, include_resolved=True)
    assert len(everything) == 4
    assert ("north", point_id(2), "backupSizeBytes", 1, 1, 2) in everything


def test_of_one_appliance(lived: Nights) -> None:
    assert [one[0] for one in told(lived, "south")] == ["south"]
    assert [one[0] for one in told(lived, "north")] == ["north", "north"]
    with pytest.raises(UsageError, match="no appliance named east"):
        rejected(lived.warehouse, "east", False)  # at once, not at the first row


def test_each_tells_reason_times_and_raw_text(lived: Nights) -> None:
    first, *_ = rejected(lived.warehouse, None, False)
    assert first.collection == "vm"
    assert "'yesterday'" in first.reason or '"yesterday"' in first.reason
    assert (first.first_met_at, first.last_met_at) == (FIRST_NIGHT, FIRST_NIGHT + timedelta(days=1))
    assert json.loads(first.raw) == NO_TIME
    assert len(first.record_hash) == 64


def test_what_people_see(lived: Nights, capsys: pytest.CaptureFixture[str]) -> None:
    console_history.print_rejects(rejected(lived.warehouse, "north", True), as_json=False)
    out, err = capsys.readouterr()
    assert err == "3 rejected records\n"
    lines = out.splitlines()
    assert f"north vm: {point_id(1)}" in lines
    assert f"north vm: backupSizeBytes of {point_id(2)}" in lines
    assert "north vm: an item without a readable id" in lines
    place = lines.index(f"north vm: {point_id(1)}")
    assert "yesterday" in lines[place + 1]
    assert lines[place + 2] == (
        "  first met by run 1, 2026-03-01 02:00:00 UTC; last by run 2, 2026-03-02 02:00:00 UTC; open"
    )
    assert any(line.endswith("resolved by run 2") for line in lines)
    console_history.print_rejects(rejected(lived.warehouse, "south", False), as_json=False)
    assert capsys.readouterr().err == "1 rejected record\n"


def test_what_programs_see(lived: Nights, capsys: pytest.CaptureFixture[str]) -> None:
    console_history.print_rejects(rejected(lived.warehouse, None, False), as_json=True)
    objects = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["restore_point_id"] for one in objects] == [point_id(1), None, point_id(9)]
    assert json.loads(objects[0]["raw"]) == NO_TIME
    assert objects[0]["resolved_run"] is None
