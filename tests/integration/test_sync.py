"""Whole runs: a simulated appliance on a real socket in front, a real warehouse behind."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from nights import counting_writes

from etl.load.warehouse import Warehouse
from etl.simulator import Estate, simulate
from etl.sync import RunResult

SAMPLE = json.loads((Path(__file__).parent.parent / "samples" / "restore-points-v1.json").read_bytes())["results"]

Sync = Callable[..., RunResult]
Rows = Callable[..., list[dict[str, Any]]]


def v1_items(count: int) -> list[dict[str, Any]]:
    return [
        {
            "id": f"00000000-0000-4000-8000-{number:012d}",
            "pointInTime": "2026-02-28T23:00:11.48232Z",
            "backupSizeBytes": number,
            "backupDestination": "AzureBlob",
        }
        for number in range(count)
    ]


def test_the_vendors_own_sample_is_loaded_value_by_value(sync: Sync, rows: Rows, warehouse: Warehouse) -> None:
    with simulate(Estate.from_items(SAMPLE), version="v1") as appliance:
        first = sync(appliance)
        with counting_writes(warehouse) as writes:
            second = sync(appliance)
    assert (first.status, first.inserted, first.extracted) == ("succeeded", 5, 5)
    assert (second.inserted, second.updated, second.unchanged) == (0, 0, 5)
    assert writes() == 0
    found = rows(
        "select restore_point_id, backup_destination, backup_size_bytes, job_session_id, workload, "
        "cast(point_in_time as text) as point_in_time from restore_points order by restore_point_id"
    )
    expected = [
        ("15ed5dd3-c759-4726-9682-be9f9d72a7d5", "ManualSnapshot", "7", "2020-02-03 13:02:39.35773"),
        ("1e1782e9-9921-4e11-980a-77203e9c691a", "AzureBlob", "38", "2020-02-05 10:48:38.853005"),
        ("cd88a27f-afb0-4bd2-b9e7-bc1bd47252a0", "Snapshot", "37", "2020-02-05 10:45:14.482326"),
        ("df483336-91b8-4e6b-87cf-7bd95f43c3de", "AzureBlob", "27", "2020-02-04 11:15:29.990303"),
        ("f5661843-f425-4081-9d77-de440b4106e1", "AzureBlob", "31", "2020-02-04 19:02:30.328869"),
    ]
    assert [
        (
            row["restore_point_id"],
            row["backup_destination"],
            row["job_session_id"],
            row["point_in_time"].removesuffix("+00").rstrip("0"),
        )
        for row in found
    ] == expected
    assert {row["backup_size_bytes"] for row in found} == {136_367_309_312}
    assert {row["workload"] for row in found} == {"vm"}
    never_told = (
        "resource_id, resource_name, region_id, region_name, restore_point_type, state, is_corrupted, gfs_flags, "
        "vbr_id, access_tier, immutable_until, latest_chain_size_bytes, data_retrieval_status, "
        "retrieved_data_expires_at, point_in_time_offset_minutes, last_confirmed_at, deleted_at, deleted_run"
    )
    assert {value for row in rows(f"select {never_told} from restore_points") for value in row.values()} == {None}


@pytest.mark.parametrize("wanted", ["named", "auto"])
@pytest.mark.parametrize("version", ["v1", "v2", "v3", "v4", "v6", "v8", "v8.1"])
def test_every_api_version(sync: Sync, rows: Rows, version: str, wanted: str) -> None:
    with simulate(Estate.from_seed(3, machines=4, days=10), version=version) as appliance:
        truth = {point.id for point in appliance.estate.points}
        result = sync(appliance, api_version=version if wanted == "named" else "auto")
    assert (result.status, result.error) == ("succeeded", None)
    assert result.inserted == result.extracted == len(truth) > 40
    assert {row["restore_point_id"] for row in rows("select restore_point_id from restore_points")} == truth
    (run,) = rows("select api_version, status, inserted from sync_runs")
    assert run == {"api_version": version, "status": "succeeded", "inserted": len(truth)}
    (appliance_row,) = rows("select api_version, time_zone from appliances")
    assert appliance_row == {"api_version": version, "time_zone": "Europe/Berlin"}
    assert rows("select count(*) as n from restore_points where job_session_id is null") == [{"n": 0}]


@pytest.mark.parametrize("tells_total", [True, False], ids=["total told", "total null"])
@pytest.mark.parametrize("cap", [None, 30], ids=["no cap", "capped at 30"])
@pytest.mark.parametrize("count", [0, 1, 500, 501, 1_234])
def test_every_size_of_collection(
    sync: Sync, rows: Rows, warehouse: Warehouse, count: int, cap: int | None, tells_total: bool
) -> None:
    with simulate(Estate.from_items(v1_items(count)), version="v2", page_cap=cap, tells_total=tells_total) as appliance:
        result = sync(appliance)
        again = sync(appliance)
    assert (result.status, result.extracted, result.inserted) == ("succeeded", count, count)
    assert (again.inserted, again.updated, again.unchanged) == (0, 0, count)
    collection = result.collections[0]
    assert collection["api_total"] == (count if tells_total else None)
    # a full page needs a second one to show that it was the last, and a total to have been so when it was read
    one_page = count < (cap or 500) or (count == 500 and cap is None and tells_total)
    assert result.snapshot_proven is True
    assert collection["evidence"] == ("single_page" if one_page else "order")
    assert rows("select count(*) as n from restore_points") == [{"n": count}]


def test_a_result_says_what_the_ledger_says(sync: Sync, rows: Rows) -> None:
    items = [*v1_items(3), {"id": "x", "pointInTime": None}, {**v1_items(5)[4], "backupSizeBytes": True}]
    with simulate(Estate.from_items(items), version="v1") as appliance:
        result = sync(appliance)
    (run,) = rows("select * from sync_runs")
    (collection,) = rows("select * from sync_run_collections where collection = 'vm'")
    assert (result.extracted, result.inserted, result.rejected, result.field_errors) == (5, 4, 1, 1)
    for name in ("extracted", "inserted", "updated", "unchanged", "rejected", "field_errors", "deleted", "reappeared"):
        assert run[name] == collection[name] == result.collections[0][name] == getattr(result, name)
    assert (run["run_number"], run["error"], run["pages"], run["api_total"]) == (1, None, 1, 5)
    assert collection["collection"] == "vm"
    assert bool(run["snapshot_proven"]) is bool(collection["proven"]) is result.snapshot_proven is True


def test_a_failed_run_is_in_the_ledger_and_leaves_the_data_alone(sync: Sync, rows: Rows, warehouse: Warehouse) -> None:
    with simulate(Estate.from_items(v1_items(1_200)), version="v1") as appliance:
        sync(appliance)
        appliance.estate.change(f"00000000-0000-4000-8000-{0:012d}", backupSizeBytes=77)
        broken = appliance.before_request(break_at_offset("960"))
        with counting_writes(warehouse) as writes:
            failed = sync(appliance, retry_for=0.5)
        broken.remove()
        repaired = sync(appliance)
    assert (failed.status, failed.run_number, failed.inserted) == ("failed", 2, 0)
    assert failed.error is not None
    assert "north" in failed.error
    assert writes() == 0
    assert (repaired.status, repaired.updated, repaired.unchanged) == ("succeeded", 1, 1_199)
    assert [(run["run_number"], run["status"]) for run in rows("select * from sync_runs order by 1, 2")] == [
        (1, "succeeded"),
        (2, "failed"),
        (3, "succeeded"),
    ]
    (run,) = rows("select error, finished_at from sync_runs where run_number = 2")
    assert run["error"] == failed.error
    assert run["finished_at"] is not None


def break_at_offset(offset: str) -> Callable[[Any], Any]:
    from starlette.responses import PlainTextResponse

    def hook(request: Any) -> Any:
        if request.query_params.get("offset") == offset:
            return PlainTextResponse("Bad Gateway", status_code=502)
        return None

    return hook


def test_a_wrong_password_is_told_and_written_down(sync: Sync, rows: Rows) -> None:
    with simulate(Estate.from_items(v1_items(3)), version="v1") as appliance:
        result = sync(appliance, password="not-this-one")
    assert (result.status, result.run_number) == ("failed", 1)
    assert "not-this-one" not in json.dumps(rows("select error from sync_runs")) + str(result)
    assert rows("select count(*) as n from restore_points") == [{"n": 0}]
    (row,) = rows("select first_synced_at, api_version from appliances")
    assert row == {"first_synced_at": None, "api_version": None}


def test_an_appliance_that_serves_less_than_before_is_not_read_silently(sync: Sync, rows: Rows) -> None:
    estate = Estate.from_seed(3, machines=2, days=3)
    with simulate(estate, version="v8.1") as appliance:
        sync(appliance)
    with simulate(estate, version="v7", serves=("v7", "v6")) as appliance:
        refused = sync(appliance)
        named = sync(appliance, api_version="v7")
    assert refused.status == "failed"
    assert "v8.1" in str(refused.error)
    assert "v7" in str(refused.error)
    assert named.status == "succeeded"


@pytest.mark.parametrize(
    ("older", "newer"),
    [("v1", "v8.1"), ("v1", "v2"), ("v2", "v3"), ("v3", "v4"), ("v4", "v5"), ("v5", "v6"), ("v6", "v7"), ("v7", "v8")],
)
def test_an_upgrade_of_the_appliance_changes_no_restore_point(sync: Sync, rows: Rows, older: str, newer: str) -> None:
    estate = Estate.from_seed(5, machines=4, days=9)
    with simulate(estate, version=older) as appliance:
        first = sync(appliance)
    with simulate(estate, version=newer) as appliance:
        second, third = sync(appliance), sync(appliance)
    assert (second.status, second.inserted, second.deleted, second.reappeared) == ("succeeded", 0, 0, 0)
    counted = rows("select change, count(*) as n from restore_point_versions group by change")
    changes = {row["change"]: row["n"] for row in counted}
    assert changes.keys() <= {"appeared", "restated"}
    assert changes.get("restated", 0) <= second.updated
    if (older, newer) == ("v1", "v8.1"):
        assert changes["restated"] == first.inserted  # session numbers became UUIDs, machines got their names
    assert (third.updated, third.unchanged) == (0, first.inserted)


def test_what_no_database_can_hold_of_an_identity_is_left_out(sync: Sync, rows: Rows) -> None:
    from starlette.responses import JSONResponse

    def about(request: Any) -> Any:
        return JSONResponse({"databaseId": "a\x00b"}) if request.url.path == "/api/v1/system/about" else None

    with simulate(Estate.from_items(v1_items(3)), version="v1") as appliance:
        appliance.before_request(about)
        result = sync(appliance)
    assert (result.status, result.error) == ("succeeded", None)
    assert "databaseId" not in str(rows("select identity from appliances"))


def test_an_endless_number_beside_a_nan_costs_its_items_only(sync: Sync, rows: Rows) -> None:
    from starlette.responses import Response

    bad = [
        b'{"id":"many","pointInTime":"2026-01-01T00:00:00Z","backupSizeBytes":' + b"9" * 5_000 + b"}",
        b'{"id":"none","pointInTime":"2026-01-01T00:00:00Z","backupSizeBytes":NaN}',
    ]
    body = b'{"offset":0,"limit":500,"totalCount":2,"results":[' + b",".join(bad) + b"]}"

    def page(request: Any) -> Any:
        is_list = request.url.path.endswith("/restorePoints")
        return Response(body, media_type="application/json") if is_list else None

    with simulate(Estate.from_items([]), version="v1") as appliance:
        appliance.before_request(page)
        result = sync(appliance)
    assert (result.status, result.inserted, result.field_errors) == ("succeeded", 2, 2)
    assert {row["restore_point_id"] for row in rows("select * from restore_points")} == {"many", "none"}


def test_the_run_has_one_time_and_the_caller_gives_it(sync: Sync, rows: Rows) -> None:
    at = datetime(2026, 5, 4, 3, 2, 1, 999_998, tzinfo=UTC)  # it observes a microsecond after its start
    with simulate(Estate.from_seed(3, machines=2, days=3), version="v8.1") as appliance:
        sync(appliance, now=lambda: at)
    times = rows(
        "select distinct cast(first_seen_at as text) as at from restore_points "
        "union select cast(valid_from as text) from restore_point_versions "
        "union select cast(observed_at as text) from sync_runs "
        "union select cast(first_synced_at as text) from appliances"
    )
    assert [row["at"].removesuffix("+00") for row in times] == ["2026-05-04 03:02:01.999999"]


def test_no_secret_reaches_the_warehouse(sync: Sync, warehouse: Warehouse, rows: Rows) -> None:
    with simulate(Estate.from_seed(3, machines=2, days=3), version="v8.1", expires_in=2) as appliance:
        sync(appliance)
        sync(appliance, password="another-password")
        secrets = ["simulated-password", "another-password", *appliance.tokens_issued]
    assert len(secrets) > 3
    text = ""
    for table in ("appliances", "sync_runs", "sync_run_collections", "restore_points", "rejected_records"):
        text += str(rows(f"select * from {table}"))
    assert len(text) > 1_000
    assert not [secret for secret in secrets if secret in text]
