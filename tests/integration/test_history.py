"""One restore point's life, on both databases."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest
from nights import FIRST_NIGHT, Nights, backup, point_id

from etl import console_history, console_words
from etl.errors import UsageError
from etl.load.warehouse import Warehouse
from etl.report.history import Change, Deletion, PointHistory, history
from etl.report.queries import answer

MADE = FIRST_NIGHT - timedelta(hours=5)


@pytest.fixture
def nights(warehouse: Warehouse) -> Nights:
    """Runs that take no time: what one saw and what it wrote bear one instant."""
    return Nights(warehouse, reading_takes=timedelta(0))


def night(number: int) -> datetime:
    """When run `number` was."""
    return FIRST_NIGHT + timedelta(days=number - 1)


@pytest.fixture
def lived(nights: Nights) -> Nights:
    """A point that appeared, became full and smaller, went, came back, was found corrupted, and went again."""
    first = {"restore": "abc", "latestChainSizeBytes": 5_000_000}
    nights.load([backup(1, MADE, **first)], evidence="single_page")
    nights.load([backup(1, MADE, **first, type="Full", backupSizeBytes=1_500)], evidence="single_page")
    nights.load([backup(1, MADE, **first, type="Full", backupSizeBytes=1_500)], evidence="single_page")
    nights.load([], evidence="single_page", gone=[point_id(1)])
    nights.load([backup(1, MADE, **first, type="Full", backupSizeBytes=1_500)])
    nights.load([backup(1, MADE, **first, type="Full", backupSizeBytes=1_500, isCorrupted=True)])
    nights.load([], evidence="single_page")
    nights.load([], gone=[point_id(1)])
    return nights


def the_one(found: list[PointHistory]) -> PointHistory:
    (point,) = found
    return point


def test_a_whole_life(lived: Nights) -> None:
    point = the_one(history(lived.warehouse, point_id(1), None))
    assert (point.appliance, point.restore_point_id, point.collection) == ("north", point_id(1), "vm")
    assert (point.first_seen_at, point.first_run) == (night(1), 1)
    assert (point.last_changed_at, point.last_changed_run) == (night(6), 6)
    assert point.deletion == Deletion(night(7), night(8), 8)
    assert point.last_confirmed_at == night(7)
    assert (point.attributes["resource_name"], point.attributes["is_corrupted"]) == ("vm-1", True)
    assert point.untracked["latest_chain_size_bytes"] == 5_000_000
    assert point.untracked["extra"] == {"restore": "abc"}
    versions = [
        (one.run_number, one.change, one.valid_from, one.valid_to, one.closed_run, one.closed_by)
        for one in point.versions
    ]
    assert versions == [
        (1, "appeared", night(1), night(2), 2, "changed"),
        (2, "changed", night(2), night(4), 4, "deleted"),
        (5, "reappeared", night(5), night(6), 6, "changed"),
        (6, "changed", night(6), night(8), 8, "deleted"),
    ]
    assert [one.changes for one in point.versions] == [
        (),
        (Change("backup_size_bytes", 34_359_738_368, 1_500), Change("restore_point_type", "Incremental", "Full")),
        (),
        (Change("is_corrupted", False, True),),
    ]
    assert [one.deletion for one in point.versions] == [
        None,
        Deletion(night(3), night(4), 4),
        None,
        Deletion(night(7), night(8), 8),
    ]
    assert [one.attributes["backup_size_bytes"] for one in point.versions] == [34_359_738_368, 1_500, 1_500, 1_500]


@pytest.mark.parametrize(
    ("nights_as_proven", "confirmed"),
    [(["order", "order"], night(2)), (["order", None], night(1)), ([None, None], night(1))],
)
def test_a_point_that_exists_is_confirmed_by_the_newest_proof(
    nights: Nights, nights_as_proven: list[str | None], confirmed: datetime
) -> None:
    for evidence in nights_as_proven:
        nights.load([backup(1, MADE)], evidence=evidence)
    point = the_one(history(nights.warehouse, point_id(1), None))
    assert (point.deletion, point.last_confirmed_at) == (None, confirmed)
    (version,) = point.versions
    assert (version.valid_to, version.closed_run, version.closed_by, version.deletion) == (None, None, None, None)


def test_a_proof_that_left_something_unconfirmed_confirms_nothing(nights: Nights) -> None:
    nights.load([backup(1, MADE)], evidence="order")
    nights.load([], evidence="order", unconfirmed=1)
    assert the_one(history(nights.warehouse, point_id(1), None)).last_confirmed_at == night(1)


@pytest.mark.parametrize(
    ("id_in_it", "asked", "is_found"),
    [
        (point_id(1), point_id(1).upper(), True),
        (point_id(1), f" {point_id(1)}\n", True),
        (point_id(1).upper(), point_id(1).upper(), True),
        ("Not-A-UUID", "Not-A-UUID", True),
        ("Not-A-UUID", "not-a-uuid", False),
        (point_id(1), point_id(2), False),
        (point_id(1), "abcdef00", False),
        (point_id(1), "%", False),
        (point_id(1), "", False),
    ],
)
def test_an_id_is_found_in_any_case_if_it_is_a_uuid(nights: Nights, id_in_it: str, asked: str, is_found: bool) -> None:
    nights.load([backup(1, MADE, id=id_in_it)])
    assert bool(history(nights.warehouse, asked, None)) is is_found


def test_the_same_id_on_two_appliances(nights: Nights) -> None:
    nights.load([backup(1, MADE)], appliance="south", evidence="order")
    nights.load([backup(1, MADE, state="Corrupted")], appliance="north")
    nights.load([], appliance="north", gone=[point_id(1)])
    north, south = history(nights.warehouse, point_id(1), None)
    assert (north.appliance, north.attributes["state"], len(north.versions)) == ("north", "Corrupted", 1)
    assert north.deletion == Deletion(night(2), night(3), 2)
    assert (south.appliance, south.attributes["state"], south.deletion) == ("south", "Ok", None)
    assert [one.appliance for one in history(nights.warehouse, point_id(1), "south")] == ["south"]
    with pytest.raises(UsageError, match="no appliance named east in this warehouse; it knows north, south"):
        history(nights.warehouse, point_id(1), "east")


def test_what_people_see(lived: Nights, capsys: pytest.CaptureFixture[str]) -> None:
    console_history.print_history(history(lived.warehouse, point_id(1), None), point_id(1), as_json=False)
    assert capsys.readouterr().out.splitlines() == [
        f"north: {point_id(1)}",
        "  resource        vm-1",
        "  workload        vm",
        "  region          West Europe",
        "  point in time   2026-02-28 21:00:00 UTC",
        "  size            1.5 kB (1,500 bytes)",
        "  whole chain     5.0 MB (5,000,000 bytes)",
        "  kept in         AzureBlob",
        "  type            Full",
        "  state           Ok",
        "  corrupted       yes",
        "  GFS flags       Daily",
        "  job session     b2e70000-0000-4000-8000-000000000001, never read",
        "  first seen      2026-03-01 02:00:00 UTC, run 1",
        "  deleted         after 2026-03-07 02:00:00 UTC, before 2026-03-08 02:00:00 UTC, when run 8 found it gone",
        "  run 1: appeared, valid from 2026-03-01 02:00:00 UTC to 2026-03-02 02:00:00 UTC",
        "  run 2: changed, valid from 2026-03-02 02:00:00 UTC to 2026-03-04 02:00:00 UTC",
        "    backup_size_bytes: 34.4 GB (34,359,738,368 bytes) -> 1.5 kB (1,500 bytes)",
        "    restore_point_type: Incremental -> Full",
        "    deleted after 2026-03-03 02:00:00 UTC, before 2026-03-04 02:00:00 UTC, when run 4 found it gone",
        "  run 5: reappeared, valid from 2026-03-05 02:00:00 UTC to 2026-03-06 02:00:00 UTC",
        "  run 6: changed, valid from 2026-03-06 02:00:00 UTC to 2026-03-08 02:00:00 UTC",
        "    is_corrupted: no -> yes",
        "    deleted after 2026-03-07 02:00:00 UTC, before 2026-03-08 02:00:00 UTC, when run 8 found it gone",
    ]


def test_what_people_see_of_one_that_exists_and_of_none(nights: Nights, capsys: pytest.CaptureFixture[str]) -> None:
    nights.load([backup(1, MADE)], evidence="order")
    console_history.print_history(history(nights.warehouse, point_id(1), None), point_id(1), as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert "  exists          certain up to 2026-03-01 02:00:00 UTC, and not found gone since" in lines
    assert lines[-1] == "  run 1: appeared, valid from 2026-03-01 02:00:00 UTC to now"
    console_history.print_history(history(nights.warehouse, "nothing", None), "nothing", as_json=False)
    out, err = capsys.readouterr()
    assert (out, err) == ("", "no appliance in this warehouse ever listed a restore point nothing\n")


def test_what_programs_see(lived: Nights, capsys: pytest.CaptureFixture[str]) -> None:
    console_history.print_history(history(lived.warehouse, point_id(1), None), point_id(1), as_json=True)
    (point,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert point["appliance"] == "north"
    assert point["attributes"]["backup_size_bytes"] == 1_500
    assert point["versions"][3]["changes"] == [{"column": "is_corrupted", "old": False, "new": True}]
    assert datetime.fromisoformat(point["versions"][1]["deletion"]["last_confirmed_at"]) == night(3)
    assert point["deletion"]["run_number"] == 8


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1_000, "1.0 kB (1,000 bytes)"),
        (999_949, "999.9 kB (999,949 bytes)"),
        (999_950, "1.0 MB (999,950 bytes)"),
        (34_359_738_368, "34.4 GB (34,359,738,368 bytes)"),
        (2**63 - 1, "9.2 EB (9,223,372,036,854,775,807 bytes)"),
    ],
)
def test_sizes_for_people(number: int, words: str) -> None:
    assert console_words.size(number) == words


def test_the_shipped_query_tells_deletions_too(nights: Nights) -> None:
    many = [backup(number, MADE) for number in range(4)]
    nights.load(many, evidence="order")
    nights.load([backup(4, MADE), backup(0, MADE, state="Corrupted")], evidence="order", gone=[point_id(3)])
    columns, rows = answer(nights.warehouse, "changed_since_last_run")
    assert columns[:4] == ("appliance", "change", "kept_in", "restore_points")
    assert [tuple(row[:5]) for row in rows] == [
        ("north", "appeared", "AzureBlob", 1, 34_359_738_368),
        ("north", "changed", "AzureBlob", 1, 34_359_738_368),
        ("north", "deleted", "AzureBlob", 1, 34_359_738_368),
    ]
    _, kept = answer(nights.warehouse, "kept")
    assert [row[3] for row in kept] == [4]
    _, newest = answer(nights.warehouse, "newest_restore_points")
    assert [row[2] for row in newest] == ["vm-0", "vm-1", "vm-2", "vm-4"]
