"""What is committed is not called a failure."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from sqlalchemy import text

from etl.load.warehouse import Warehouse
from etl.simulator import Estate, simulate
from etl.sync import RunResult

REFUSE = {
    "sqlite": ["create trigger refuse before update on appliances begin select raise(abort, 'not today'); end"],
    "postgresql": [
        "create function refuse() returns trigger language plpgsql as 'begin raise exception ''not today''; end'",
        "create trigger refuse before update on appliances for each row execute function refuse()",
    ],
}
NIGHT = datetime(2026, 3, 1, 2, tzinfo=UTC)


def test_a_run_that_cannot_write_what_the_appliance_told_of_itself_has_succeeded_and_says_so(
    sync: Callable[..., RunResult], rows: Callable[..., list[dict[str, Any]]], warehouse: Warehouse
) -> None:
    with warehouse.begin() as connection:
        for statement in REFUSE[warehouse.dialect]:
            connection.execute(text(statement))
    with simulate(Estate.from_seed(3, machines=2, days=3), version="v8.1") as appliance:
        first = sync(appliance, now=lambda: NIGHT)
        told_nothing = rows("select api_version, first_synced_at from appliances")
        with warehouse.begin() as connection:
            connection.execute(text(f"drop trigger refuse{' on appliances' if warehouse.path is None else ''}"))
        second = sync(appliance, now=lambda: NIGHT + timedelta(days=1))
    assert (first.status, first.error, first.inserted) == ("succeeded", None, len(appliance.estate.points))
    (warning,) = first.warnings
    assert "the run is committed" in warning
    assert "not today" in warning
    assert told_nothing == [{"api_version": None, "first_synced_at": None}]
    assert (second.status, second.warnings) == ("succeeded", [])
    assert rows("select status from sync_runs") == [{"status": "succeeded"}] * 2
    # the appliance is known since the first run, whichever wrote it down
    (known,) = rows(
        "select appliances.api_version, first_synced_at = observed_at as since_the_first from appliances "
        "join sync_runs using (appliance_id) where run_number = 1"
    )
    assert (known["api_version"], bool(known["since_the_first"])) == ("v8.1", True)


def test_time_goes_on_where_the_machines_clock_went_back(
    sync: Callable[..., RunResult], rows: Callable[..., list[dict[str, Any]]]
) -> None:
    estate = Estate.from_seed(3, machines=2, days=3)
    results = []
    with simulate(estate, version="v8.1") as appliance:
        for days in (0, -1, -400, 1):
            results.append(sync(appliance, now=lambda days=days: NIGHT + timedelta(days=days)))
            first, second, *_ = [point.id for point in estate.points]
            estate.delete(first)
            estate.change(second, backup_size_bytes=1_000 + len(results))
    assert [(result.status, result.deleted, result.updated) for result in results] == [
        ("succeeded", 0, 0),
        *[("succeeded", 1, 1)] * 3,
    ]
    runs = rows("select started_at, observed_at, finished_at from sync_runs order by run_number")
    for run, later in pairwise(runs):
        assert run["started_at"] < run["observed_at"] <= run["finished_at"]
        assert run["observed_at"] <= later["started_at"]
    assert rows("select count(*) as n from restore_point_versions where valid_to <= valid_from") == [{"n": 0}]
    gone = (
        "select count(*) as n, sum(case when {} then 1 else 0 end) as ordered from restore_points where deleted_run > 0"
    )
    (deletions,) = rows(gone.format("first_seen_at <= last_confirmed_at and last_confirmed_at < deleted_at"))
    assert deletions == {"n": 3, "ordered": 3}
