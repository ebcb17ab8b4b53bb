"""Rejected records read again: what an older program left behind, and what is readable now."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest
from nights import FIRST_NIGHT, Nights, backup, counting_writes, point_id
from sqlalchemy import text

from etl.errors import UsageError
from etl.load import ledger
from etl.load.warehouse import Warehouse
from etl.replay import replay_appliance
from etl.report.rejects import rejected
from etl.sync import RunResult

MADE = FIRST_NIGHT - timedelta(hours=5)
STILL_BAD = backup(8, MADE, pointInTime="yesterday")


def replay(nights: Nights, name: str = "north") -> RunResult | None:
    return replay_appliance(name, nights.warehouse, now=lambda: nights.now)


def reject(warehouse: Warehouse, item: dict[str, Any], field: str | None, raw: str | None = None) -> str:
    """Leaves an open record, as an older program would have that could not read the item or its field."""
    raw = raw or json.dumps(item)
    record_hash = sha256(f"{field}{raw}".encode()).hexdigest()
    with warehouse.begin() as connection:
        connection.execute(
            text(
                "insert into rejected_records (appliance_id, record_hash, collection, field, restore_point_id, "
                "reason, raw, first_run, last_run) values (1, :hash, 'vm', :field, :id, 'Unreadable.', :raw, 1, 1)"
            ),
            {"hash": record_hash, "field": field, "id": item["id"], "raw": raw},
        )
    return record_hash


def open_ids(warehouse: Warehouse) -> list[tuple[str | None, str | None]]:
    return [(one.restore_point_id, one.field) for one in rejected(warehouse, None, include_resolved=False)]


def test_an_item_that_is_readable_now_is_merged_by_a_run_of_its_own(
    nights: Nights, rows: Callable[..., list[dict[str, Any]]]
) -> None:
    nights.load([backup(1, MADE), STILL_BAD], evidence="single_page")
    record_hash = reject(nights.warehouse, backup(2, MADE), None)
    result = replay(nights)
    assert result is not None
    assert (result.status, result.run_number, result.snapshot_proven, result.evidence) == ("succeeded", 2, False, None)
    assert (result.extracted, result.inserted, result.rejected, result.deleted) == (2, 1, 1, 0)
    run = rows("select status, extracted, inserted, rejected, snapshot_proven from sync_runs where run_number = 2")
    assert [tuple(one.values()) for one in run] == [("succeeded", 2, 1, 1, False)]
    assert [one["restore_point_id"] for one in rows("select restore_point_id from restore_points order by 1")] == [
        point_id(1),
        point_id(2),
    ]
    versions = rows(
        "select run_number, change from restore_point_versions where restore_point_id = :id", id=point_id(2)
    )
    assert [tuple(one.values()) for one in versions] == [(2, "appeared")]
    assert open_ids(nights.warehouse) == [(point_id(8), None)]
    resolved = rows("select resolved_run from rejected_records where record_hash = :hash", hash=record_hash)
    assert resolved == [{"resolved_run": 2}]


def test_a_field_that_is_readable_now_is_filled_and_makes_a_version(
    nights: Nights, rows: Callable[..., list[dict[str, Any]]]
) -> None:
    nights.load([backup(1, MADE)], evidence="single_page")
    with nights.warehouse.begin() as connection:
        connection.execute(text("update restore_points set backup_size_bytes = null, source_hash = null"))
        connection.execute(text("update restore_point_versions set backup_size_bytes = null"))
    reject(nights.warehouse, backup(1, MADE), "backupSizeBytes")
    reject(nights.warehouse, backup(1, MADE), "state")
    result = replay(nights)
    assert result is not None
    assert (result.extracted, result.updated, result.field_errors) == (1, 1, 0)
    versions = rows("select change, backup_size_bytes as size from restore_point_versions order by run_number")
    assert [tuple(one.values()) for one in versions] == [("appeared", None), ("changed", 34_359_738_368)]
    assert open_ids(nights.warehouse) == []
    with counting_writes(nights.warehouse) as written:
        outcome = nights.load([backup(1, MADE)], evidence="single_page")
    assert (outcome.unchanged, written()) == (1, 0)


def test_what_is_still_unreadable_stays_one_open_record(nights: Nights) -> None:
    nights.load([STILL_BAD, backup(3, MADE, backupSizeBytes=-1)], evidence="single_page")
    before = list(rejected(nights.warehouse, None, include_resolved=True))
    for _ in range(2):
        result = replay(nights)
        assert result is not None
        assert (result.extracted, result.unchanged, result.rejected, result.field_errors) == (2, 1, 1, 1)
    after = list(rejected(nights.warehouse, None, include_resolved=True))
    assert [one.record_hash for one in after] == [one.record_hash for one in before]
    assert {one.resolved_run for one in after} == {None}


def test_a_record_whose_text_was_cut_stays_as_it_is(nights: Nights) -> None:
    nights.load([backup(1, MADE)], evidence="single_page")
    whole = json.dumps(backup(2, MADE, note="x" * 70_000))
    reject(nights.warehouse, backup(2, MADE), None, whole.encode()[: 64 * 1024].decode())
    assert replay(nights) is None
    reject(nights.warehouse, backup(3, MADE), None)
    result = replay(nights)
    assert result is not None
    assert (result.extracted, result.inserted) == (1, 1)
    assert open_ids(nights.warehouse) == [(point_id(2), None)]


def test_only_open_records_are_read_again(nights: Nights) -> None:
    nights.load([STILL_BAD, backup(1, MADE)], evidence="single_page")
    nights.load([backup(1, MADE)], evidence="single_page")
    assert replay(nights) is None


def test_it_is_not_taken_for_a_look_at_the_appliance(nights: Nights) -> None:
    nights.load([backup(1, MADE), STILL_BAD], evidence="single_page")
    with nights.warehouse.begin() as connection:
        connection.execute(text("update sync_runs set tool_version = 'older', api_version = 'v1'"))
    assert replay(nights) is not None
    with nights.warehouse.begin() as connection:
        known = ledger.look_up(connection, "north")
    assert known is not None
    assert (known.tool_version, known.api_version) == ("older", "v1")


def test_a_replay_that_fails_says_so_and_changes_nothing(
    nights: Nights, rows: Callable[..., list[dict[str, Any]]]
) -> None:
    nights.load([backup(1, MADE)], evidence="single_page")
    reject(nights.warehouse, backup(2, MADE), None)
    everything = "select * from restore_points order by restore_point_id"
    before = rows(everything)
    with nights.warehouse.begin() as connection:
        # nobody can write a version any more
        connection.execute(text("alter table restore_point_versions rename to away"))
    result = replay(nights)
    assert result is not None
    assert (result.status, result.run_number) == ("failed", 2)
    assert "restore_point_versions" in (result.error or "")
    assert rows(everything) == before
    with nights.warehouse.begin() as connection:
        connection.execute(text("alter table away rename to restore_point_versions"))
    assert rows("select status, error from sync_runs where run_number = 2") == [
        {"status": "failed", "error": result.error}
    ]
    again = replay(nights)
    assert again is not None
    assert (again.status, again.inserted) == ("succeeded", 1)


def test_an_unknown_appliance_is_named(nights: Nights) -> None:
    with pytest.raises(UsageError, match="no appliance named east in this warehouse"):
        replay(nights, "east")


def test_its_counts_are_those_of_the_ledger(nights: Nights) -> None:
    nights.load([STILL_BAD, backup(1, MADE)], evidence="single_page")
    result = replay(nights)
    assert result is not None
    told = asdict(result)
    assert told["extracted"] == sum(
        told[name] for name in ("inserted", "updated", "unchanged", "reappeared", "rejected")
    )
