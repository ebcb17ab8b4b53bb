"""What `status` tells of each appliance and of each of its collections, on both databases."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime, timedelta

import pytest
import told
from nights import FIRST_NIGHT, Nights, backup, point_id

from etl import console
from etl.load.warehouse import Warehouse
from etl.report.status import ApplianceStatus, CollectionStatus, status_of

MADE = FIRST_NIGHT - timedelta(hours=5)
LATER = FIRST_NIGHT + timedelta(days=10)


@pytest.fixture
def nights(warehouse: Warehouse) -> Nights:
    """Runs that take no time: what one saw and what it wrote bear one instant."""
    return Nights(warehouse, reading_takes=timedelta(0))


def night(number: int) -> datetime:
    """When run `number` was."""
    return FIRST_NIGHT + timedelta(days=number - 1)


def the_one(nights: Nights, now: datetime = LATER) -> ApplianceStatus:
    (row,) = status_of(nights.warehouse, now)
    return row


def test_each_collection_tells_what_it_holds_and_how_sure_that_is(nights: Nights) -> None:
    nights.load([backup(1, MADE), backup(2, MADE)], evidence="order")
    nights.load([backup(1, MADE), backup(3, MADE)], evidence="totals", gone=[point_id(2)])
    nights.load([backup(1, MADE), backup(3, MADE)])
    (vm,) = the_one(nights).collections
    assert vm == CollectionStatus(
        collection="vm",
        status="complete",
        run_number=3,
        proven=False,
        evidence=None,
        error=None,
        data_as_of=night(2),
        present=2,
        deleted=1,
    )
    row = the_one(nights)
    assert (row.restore_points, row.deleted, row.data_as_of, row.last_run) == (2, 1, night(2), 3)


def test_a_collection_is_as_the_newest_run_that_asked_for_it_found_it(nights: Nights) -> None:
    nights.load([backup(1, MADE)], evidence="order")
    told.reading(nights.warehouse, 1, "sql", "complete", proven=True, evidence="order", crawls=1)
    told.reading(nights.warehouse, 1, "file_share", "complete", proven=True, evidence="order", crawls=1)
    nights.load([backup(1, MADE)], evidence="order")
    told.reading(nights.warehouse, 2, "sql", "forbidden", error="north: the account may not read SQL (HTTP 403).")
    row = the_one(nights)
    assert [(one.collection, one.status, one.run_number) for one in row.collections] == [
        ("vm", "complete", 2),
        ("sql", "forbidden", 2),
        ("file_share", "complete", 1),
    ]
    assert row.collections[1].error == "north: the account may not read SQL (HTTP 403)."
    assert row.collections[1].data_as_of == night(1)


def test_a_run_that_failed_and_a_replay_tell_nothing_of_a_collection(nights: Nights, warehouse: Warehouse) -> None:
    nights.load([backup(1, MADE)], evidence="order")
    nights.load([backup(1, MADE)], evidence="order")
    with warehouse.begin() as connection:
        connection.exec_driver_sql("update sync_runs set crawls = 0 where run_number = 2")
    nights.load([backup(1, MADE)], evidence="order")
    with warehouse.begin() as connection:
        connection.exec_driver_sql("update sync_runs set status = 'abandoned' where run_number = 3")
    (vm,) = the_one(nights).collections
    assert (vm.run_number, vm.data_as_of) == (1, night(1))


def test_the_inventory_is_told_beside_the_restore_points(nights: Nights) -> None:
    nights.load([backup(1, MADE)], evidence="order")
    told.inventory(nights.warehouse, 1, "job_sessions", "complete", proven=True, evidence="single_page")
    told.inventory(nights.warehouse, 1, "vm_policies", "failed", error="north: it kept failing")
    told.inventory(nights.warehouse, 1, "sql_policies", "not_served")
    told.session(nights.warehouse, "a", "PolicyBackup")
    told.session(nights.warehouse, "b")
    told.policy(nights.warehouse, "gold")
    row = the_one(nights)
    assert [(one.collection, one.status, one.present, one.deleted) for one in row.inventory] == [
        ("vm_policies", "failed", 1, 0),
        ("sql_policies", "not_served", 0, 0),
        ("job_sessions", "complete", 1, 1),
    ]
    assert (row.inventory[2].data_as_of, row.inventory[0].data_as_of) == (night(1), None)
    assert [one.collection for one in row.collections] == ["vm"]
    assert (row.restore_points, row.deleted) == (1, 0)


def test_appliances_are_kept_apart(nights: Nights) -> None:
    nights.load([backup(1, MADE)], appliance="north", evidence="order")
    nights.load([backup(1, MADE), backup(2, MADE)], appliance="south", evidence="order")
    nights.load([backup(2, MADE)], appliance="south", evidence="order", gone=[point_id(1)])
    told.cause(nights.warehouse, point_id(1), 1, "unexplained", observed_gone_at=night(5))
    for run_number in (2, 1):
        told.counts(nights.warehouse, run_number, appliance_id=2, snapshots_told=run_number)
    told.counts(nights.warehouse, 1, snapshots_told=7)
    north, south = status_of(nights.warehouse, LATER)
    assert [[(one.collection, one.run_number) for one in row.collections] for row in (north, south)] == [
        [("vm", 1)],
        [("vm", 2)],
    ]
    assert [(one.appliance, one.restore_points, one.deleted) for one in (north, south)] == [
        ("north", 1, 0),
        ("south", 1, 1),
    ]
    assert [(one.collections[0].present, one.collections[0].deleted) for one in (north, south)] == [(1, 0), (1, 1)]
    assert (north.unexplained, south.unexplained) == (1, 0)
    assert [row.storage_counts and row.storage_counts.snapshots_told for row in (north, south)] == [7, 2]


def test_unexplained_counts_the_last_seven_days_alone(nights: Nights) -> None:
    nights.load([backup(1, MADE)], evidence="order")
    now = night(20)
    for number, ago in enumerate((timedelta(days=7), timedelta(days=7) - timedelta(seconds=1), timedelta(0)), 1):
        told.cause(nights.warehouse, point_id(number), 1, "unexplained", observed_gone_at=now - ago)
    told.cause(nights.warehouse, point_id(4), 1, "manual", observed_gone_at=now)
    assert the_one(nights, now).unexplained == 2


def test_a_difference_to_what_the_appliance_counts_is_told(nights: Nights, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        nights.load([backup(1, MADE)], evidence="order")
    told.reading(nights.warehouse, 2, "sql", "not_served")
    told.reading(nights.warehouse, 2, "file_share", "forbidden")
    told.counts(nights.warehouse, 1, snapshots_told=7, snapshots_held=9)
    told.counts(
        nights.warehouse, 2, snapshots_told=1_200, snapshots_held=1_198, backups_told=5, backups_held=5, archives_held=3
    )
    row = the_one(nights)
    assert row.storage_counts is not None
    assert asdict(row.storage_counts) == {
        "run_number": 2,
        "snapshots_told": 1_200,
        "snapshots_held": 1_198,
        "backups_told": 5,
        "backups_held": 5,
        "archives_told": None,
        "archives_held": 3,
        "not_read": ["file_share", "cosmos_db"],
    }
    console.print_status([row])
    assert capsys.readouterr().err.splitlines() == [
        "north: the appliance counts 1,200 snapshots, the warehouse holds 1,198 (run 2, which did not read file_share, "
        "cosmos_db)"
    ]


def test_counts_that_agree_say_nothing(nights: Nights, capsys: pytest.CaptureFixture[str]) -> None:
    nights.load([backup(1, MADE)], evidence="order")
    told.counts(nights.warehouse, 1, snapshots_told=0, backups_told=1, backups_held=1, archives_told=None)
    console.print_status([the_one(nights)])
    assert capsys.readouterr().err == ""


def test_what_people_see(nights: Nights, capsys: pytest.CaptureFixture[str]) -> None:
    nights.load([backup(1, MADE), backup(2, MADE)], evidence="order")
    told.reading(nights.warehouse, 1, "sql", "failed", error="north: it kept failing")
    told.reading(nights.warehouse, 1, "vnet", "not_served")
    told.reading(nights.warehouse, 1, "file_share", "complete", crawls=3)
    told.inventory(nights.warehouse, 1, "job_sessions", "complete", proven=True, evidence="single_page")
    told.cause(nights.warehouse, point_id(3), 1, "unexplained", observed_gone_at=LATER)
    console.print_status([the_one(nights)])
    appliances, collections = capsys.readouterr().out.split("\n\n")
    heads, row = appliances.splitlines()
    assert "unexplained" in heads
    assert row.split()[:4] == ["north", "2", "0", "1"]
    assert [" ".join(line.split()) for line in collections.splitlines()] == [
        "appliance collection status present deleted evidence data as of (UTC) error",
        "north vm complete 2 0 order 2026-03-01 02:00:00",
        "north sql failed 0 0 north: it kept failing",
        "north file_share complete 0 0 not proven",
        "north job_sessions complete 0 0 single_page 2026-03-01 02:00:00",
    ]


def test_what_programs_see(nights: Nights, capsys: pytest.CaptureFixture[str]) -> None:
    nights.load([backup(1, MADE)], evidence="order")
    told.reading(nights.warehouse, 1, "vnet", "not_served")
    console.print_json(asdict(the_one(nights)))
    row = json.loads(capsys.readouterr().out)
    assert [(one["collection"], one["status"]) for one in row["collections"]] == [
        ("vm", "complete"),
        ("vnet", "not_served"),
    ]
    assert (row["inventory"], row["storage_counts"], row["unexplained"]) == ([], None, 0)


def test_one_that_was_never_synced_has_no_collections(warehouse: Warehouse, capsys: pytest.CaptureFixture[str]) -> None:
    from etl.load import ledger

    with warehouse.begin() as connection:
        ledger.register(connection, name="north", base_url="https://north", tenant=None)
    (row,) = status_of(warehouse, LATER)
    assert (row.collections, row.inventory, row.last_run, row.restore_points) == ([], [], None, 0)
    console.print_status([row])
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_every_question_sees_the_warehouse_at_one_moment(warehouse: Warehouse, nights: Nights) -> None:
    from sqlalchemy import func, select

    from etl.load.models import RestorePoint
    from etl.report.scope import one_state

    nights.load([backup(1, MADE)], evidence="order")
    counted = select(func.count()).select_from(RestorePoint)
    with one_state(warehouse) as connection:
        before = connection.scalar(counted)
        nights.load([backup(1, MADE), backup(2, MADE)], evidence="order")
        assert (before, connection.scalar(counted)) == (1, 1)
    with one_state(warehouse) as connection:
        assert connection.scalar(counted) == 2
