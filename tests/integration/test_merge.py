"""The merge: what was staged against what is known, on both databases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from nights import FIRST_NIGHT, FIRST_OBSERVED, Nights, counting_writes
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from etl.load import schema
from etl.load.models import RejectedRecord, RestorePoint, RestorePointVersion, SyncRun
from etl.load.warehouse import Warehouse


def item(number: int, **fields: Any) -> dict[str, Any]:
    """A v8.1 restore point of a virtual machine."""
    return {
        "id": f"00000000-0000-4000-8000-{number:012d}",
        "backupDestination": "AzureBlob",
        "type": "Incremental",
        "pointInTime": "2026-02-28T23:00:11.482326Z",
        "backupSizeBytes": 1_000_000 + number,
        "isCorrupted": False,
        "vmName": f"vm-{number}",
        "resourceHashId": f"hash-{number}",
        "state": "Ok",
        "gfsFlags": "Daily",
        "jobSessionId": "B2E70000-0000-4000-8000-000000000001",
        "immutableTill": None,
        "latestChainSizeBytes": 5_000_000,
        **fields,
    }


def points(warehouse: Warehouse) -> list[RestorePoint]:
    with Session(warehouse.engine) as session:
        return list(session.scalars(select(RestorePoint).order_by(RestorePoint.restore_point_id)))


def versions(warehouse: Warehouse) -> list[RestorePointVersion]:
    with Session(warehouse.engine) as session:
        return list(
            session.scalars(
                select(RestorePointVersion).order_by(
                    RestorePointVersion.restore_point_id, RestorePointVersion.run_number
                )
            )
        )


def rejects(warehouse: Warehouse) -> list[RejectedRecord]:
    with Session(warehouse.engine) as session:
        return list(session.scalars(select(RejectedRecord).order_by(RejectedRecord.field, RejectedRecord.first_run)))


def test_a_new_point_gets_its_row_and_its_first_version(nights: Nights) -> None:
    outcome = nights.load([item(1)])
    assert (outcome.inserted, outcome.extracted) == (1, 1)
    (point,) = points(nights.warehouse)
    assert point.appliance_id == 1
    assert point.restore_point_id == "00000000-0000-4000-8000-000000000001"
    assert (point.workload, point.collection) == ("vm", "vm")
    assert point.point_in_time == datetime(2026, 2, 28, 23, 0, 11, 482326, tzinfo=UTC)
    assert point.backup_size_bytes == 1_000_001
    assert point.job_session_id == "b2e70000-0000-4000-8000-000000000001"
    assert point.is_corrupted is False
    assert point.extra == {}
    assert point.first_seen_at == point.last_changed_at == FIRST_OBSERVED
    assert (point.first_run, point.last_changed_run, point.deleted_run) == (1, 1, None)
    assert point.last_confirmed_at is None
    assert point.deleted_at is None
    (version,) = versions(nights.warehouse)
    assert (version.run_number, version.change) == (1, "appeared")
    assert (version.valid_from, version.valid_to) == (FIRST_OBSERVED, None)
    assert (version.closed_run, version.closed_by) == (None, None)
    assert version.backup_size_bytes == 1_000_001


def test_the_same_content_writes_no_restore_point_row(nights: Nights) -> None:
    many = [item(number) for number in range(2_000)]
    nights.load(many)
    with counting_writes(nights.warehouse) as writes:
        outcome = nights.load(many)
    assert (outcome.inserted, outcome.updated, outcome.unchanged) == (0, 0, 2_000)
    assert writes() == 0
    with counting_writes(nights.warehouse) as writes:
        nights.load([*many[1:], item(0, state="Corrupted")])
    assert writes() == 3  # the point, its old version closed, its new version


def test_reordered_keys_and_moved_links_are_no_change(nights: Nights) -> None:
    nights.load([item(1)])
    with counting_writes(nights.warehouse) as writes:
        outcome = nights.load([{"usn": 7, "_links": {"self": {"href": "x"}}, **dict(reversed(item(1).items()))}])
    assert (outcome.updated, outcome.unchanged) == (0, 1)
    assert writes() == 0


def test_a_tracked_change_closes_the_version_and_opens_another(nights: Nights) -> None:
    nights.load([item(1), item(2)])
    outcome = nights.load([item(1, type="Full", backupSizeBytes=9), item(2)])
    assert (outcome.inserted, outcome.updated, outcome.unchanged) == (0, 1, 1)
    point, other = points(nights.warehouse)
    assert (point.restore_point_type, point.backup_size_bytes) == ("Full", 9)
    assert point.last_changed_at == FIRST_OBSERVED + timedelta(days=1)
    assert (point.first_seen_at, point.first_run, point.last_changed_run) == (FIRST_OBSERVED, 1, 2)
    assert (other.last_changed_at, other.last_changed_run) == (FIRST_OBSERVED, 1)
    old, new, _ = versions(nights.warehouse)
    assert (old.valid_from, old.valid_to, old.closed_run, old.closed_by) == (
        FIRST_OBSERVED,
        FIRST_OBSERVED + timedelta(days=1),
        2,
        "changed",
    )
    assert (old.restore_point_type, new.restore_point_type) == ("Incremental", "Full")
    assert (new.change, new.valid_from, new.valid_to) == ("changed", FIRST_OBSERVED + timedelta(days=1), None)


@pytest.mark.parametrize(
    "moved",
    [
        {"latestChainSizeBytes": 7},
        {"dataRetrievalStatus": "Retrieving"},
        {"retrievedDataExpirationDate": "2026-04-01T00:00:00Z"},
        {"somethingNew": {"b": 1, "a": [2, None]}},
    ],
    ids=lambda moved: next(iter(moved)),
)
def test_what_moves_by_itself_is_updated_in_place_and_makes_no_version(nights: Nights, moved: dict[str, Any]) -> None:
    nights.load([item(1)])
    outcome = nights.load([item(1, **moved)])
    assert (outcome.updated, outcome.unchanged) == (1, 0)
    (version,) = versions(nights.warehouse)
    assert version.change == "appeared"
    (point,) = points(nights.warehouse)
    assert (point.last_changed_run, point.last_changed_at) == (1, FIRST_OBSERVED)
    again = nights.load([item(1, **moved)])
    assert (again.updated, again.unchanged) == (0, 1)


def test_absent_leaves_the_column_alone_and_null_empties_it(nights: Nights) -> None:
    nights.load([item(1), item(2)])
    absent = {key: value for key, value in item(1).items() if key not in ("gfsFlags", "state")}
    outcome = nights.load([absent, item(2, gfsFlags=None)])
    assert (outcome.updated, outcome.unchanged) == (1, 1)
    kept, emptied = points(nights.warehouse)
    assert (kept.gfs_flags, kept.state) == ("Daily", "Ok")
    assert emptied.gfs_flags is None


def test_an_api_upgrade_is_restated_not_changed(nights: Nights) -> None:
    v1 = {key: item(1)[key] for key in ("id", "pointInTime", "backupSizeBytes", "backupDestination")}
    link = {"_links": {"BackupJob": {"href": "https://vba/api/v1/jobSessions/7"}}}
    nights.load([v1 | link], api_version="v1")
    nights.load([item(1)], api_version="v8.1")
    first, second = versions(nights.warehouse)
    assert (first.job_session_id, first.resource_name) == ("7", None)
    assert second.change == "restated"
    assert (second.job_session_id, second.resource_name) == ("b2e70000-0000-4000-8000-000000000001", "vm-1")
    nights.load([item(1, state="Corrupted")], api_version="v8.1")
    assert versions(nights.warehouse)[-1].change == "changed"


def test_a_real_change_during_an_api_upgrade_is_a_change(nights: Nights) -> None:
    v1 = {key: item(1)[key] for key in ("id", "pointInTime", "backupSizeBytes", "backupDestination")}
    nights.load([v1], api_version="v1")
    nights.load([item(1, backupSizeBytes=5)], api_version="v8.1")
    assert versions(nights.warehouse)[-1].change == "changed"


def test_a_deleted_point_that_is_seen_again_reappears(nights: Nights) -> None:
    nights.load([item(1)])
    with nights.warehouse.begin() as connection:
        connection.execute(
            RestorePoint.__table__.update().values(
                deleted_at=FIRST_OBSERVED + timedelta(hours=1), last_confirmed_at=FIRST_OBSERVED, deleted_run=1
            )
        )
        connection.execute(
            RestorePointVersion.__table__.update().values(
                valid_to=FIRST_OBSERVED + timedelta(hours=1), closed_run=1, closed_by="deleted"
            )
        )
    outcome = nights.load([item(1)])
    assert (outcome.reappeared, outcome.unchanged, outcome.updated) == (1, 0, 0)
    (point,) = points(nights.warehouse)
    assert (point.deleted_at, point.last_confirmed_at, point.deleted_run) == (None, None, None)
    assert [version.change for version in versions(nights.warehouse)] == ["appeared", "reappeared"]


@pytest.mark.parametrize("batch", [1, 10_000], ids=["in two batches", "in one batch"])
def test_an_id_that_is_read_twice_counts_once_and_as_it_was_read_last(nights: Nights, batch: int) -> None:
    outcome = nights.load([item(1, state="Ok"), item(2), item(1, state="Corrupted")], batch=batch)
    assert (outcome.inserted, outcome.extracted) == (2, 2)
    assert [point.state for point in points(nights.warehouse)] == ["Corrupted", "Ok"]


def test_an_id_that_is_listed_in_two_forms_does_not_flip_every_night(nights: Nights) -> None:
    twice = [item(1), item(2), item(1, state="Corrupted")]
    assert nights.load(twice).inserted == 2
    with counting_writes(nights.warehouse) as writes:
        for _ in range(2):
            outcome = nights.load(twice)
            assert (outcome.updated, outcome.unchanged, outcome.extracted) == (0, 2, 2)
    assert writes() == 0
    assert nights.load([item(1), item(2)]).updated == 1


def test_a_bad_record_every_night_is_one_row_until_it_is_read_well(nights: Nights) -> None:
    bad = [item(1, pointInTime="yesterday"), item(2, backupSizeBytes=-1), item(3)]
    for night in (1, 2):
        outcome = nights.load(bad)
        assert (outcome.rejected, outcome.field_errors, outcome.extracted) == (1, 1, 3)
        assert outcome.inserted == (2 if night == 1 else 0)
    assert [point.restore_point_id[-1] for point in points(nights.warehouse)] == ["2", "3"]
    whole, field = sorted(rejects(nights.warehouse), key=lambda record: record.field or "")
    assert (whole.field, field.field) == (None, "backupSizeBytes")
    for record, number in ((whole, 1), (field, 2)):
        assert (record.first_run, record.last_run, record.resolved_run) == (1, 2, None)
        assert record.restore_point_id == item(number)["id"]
        assert record.collection == "vm"
    nights.load([item(1), item(2), item(3)])
    assert {record.resolved_run for record in rejects(nights.warehouse)} == {3}
    nights.load(bad)
    assert {(record.last_run, record.resolved_run) for record in rejects(nights.warehouse)} == {(4, None)}


def test_time_never_goes_back_for_an_appliance(nights: Nights) -> None:
    nights.load([item(1)])
    nights.now = FIRST_NIGHT - timedelta(days=3)
    nights.load([item(1, state="Corrupted")])
    old, new = versions(nights.warehouse)
    # it began a microsecond after the run before it had observed, and observed another one later
    assert old.valid_to == new.valid_from == FIRST_OBSERVED + timedelta(microseconds=2)


def test_a_point_that_is_not_listed_is_left_alone(nights: Nights) -> None:
    nights.load([item(1), item(2)])
    before = points(nights.warehouse)[1]
    outcome = nights.load([item(1)])
    assert (outcome.deleted, outcome.unconfirmed, outcome.unchanged) == (0, 0, 1)
    after = points(nights.warehouse)[1]
    assert (after.deleted_at, after.last_changed_at) == (None, before.last_changed_at)


def test_two_appliances_may_hold_the_same_id(warehouse: Warehouse, nights: Nights) -> None:
    nights.load([item(1)])
    with warehouse.begin() as connection:
        connection.execute(text("update appliances set name = 'south'"))
    nights.load([item(1, state="Corrupted")])
    assert [(point.appliance_id, point.state) for point in points(warehouse)] == [(1, "Ok"), (2, "Corrupted")]
    assert [version.change for version in versions(warehouse)] == ["appeared", "appeared"]


def test_sqlite_keeps_instants_in_one_form_that_sorts(nights: Nights, rows: Any) -> None:
    nights.load([item(1, pointInTime="2026-02-28T23:00:11Z")])
    (row,) = rows("select point_in_time, first_seen_at from restore_points")
    if nights.warehouse.dialect == "sqlite":
        assert row == {"point_in_time": "2026-02-28 23:00:11.000000", "first_seen_at": "2026-03-01 02:00:01.123456"}
    else:
        assert row["point_in_time"] == datetime(2026, 2, 28, 23, 0, 11, tzinfo=UTC)


def test_a_first_load_tells_the_planner_what_later_runs_join_by(postgres_url: str) -> None:
    """PostgreSQL took thousands of points for one, and compared each of them with each that had changed."""
    warehouse = Warehouse(postgres_url)
    schema.upgrade(warehouse)
    Nights(warehouse).load([item(number) for number in range(200)])
    with warehouse.connect() as connection:
        known = {tuple(row) for row in connection.execute(text("select tablename, attname from pg_stats"))}
    for table, columns in {
        "restore_points": ("appliance_id", "restore_point_id", "collection", "source_hash"),
        "restore_point_versions": ("appliance_id", "restore_point_id"),
    }.items():
        assert {(table, column) for column in columns} <= known


def test_a_run_of_a_dead_process_is_marked_abandoned_by_the_next(nights: Nights) -> None:
    nights.load([item(1)])
    with nights.warehouse.begin() as connection:
        connection.execute(SyncRun.__table__.update().values(status="running", finished_at=None))
    nights.load([item(1)])
    with Session(nights.warehouse.engine) as session:
        first, second = session.scalars(select(SyncRun).order_by(SyncRun.run_number))
        assert (first.status, second.status) == ("abandoned", "succeeded")
        assert second.extracted == second.unchanged == 1
