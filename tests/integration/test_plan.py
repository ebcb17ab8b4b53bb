"""`plan`: a dry run that finds what a sync would find, and leaves the warehouse as it was."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from nights import counting_writes

from etl.clock import utc_now
from etl.extract.endpoint import Endpoint
from etl.load.warehouse import Warehouse
from etl.plan import Plan, plan_appliance
from etl.simulator import Estate, SimulatedAppliance, simulate
from etl.sync import Source

Rows = Callable[..., list[dict[str, Any]]]


def items(*numbers: int) -> list[dict[str, Any]]:
    return [{"id": f"id-{number}", "pointInTime": "2026-02-28T23:00:11Z", "state": "Ok"} for number in numbers]


def plan(appliance: SimulatedAppliance, warehouse: Warehouse, password: str = "simulated-password") -> Plan:
    source = Source(Endpoint("north", appliance.url, "reporter", password, retry_for=2))
    return asyncio.run(plan_appliance(source, warehouse, now=utc_now, on_progress=lambda _: None))


def test_it_counts_and_writes_nothing(warehouse: Warehouse, rows: Rows, sync: Callable[..., Any]) -> None:
    with simulate(Estate.from_items(items(*range(10))), version="v8.1") as appliance:
        first = plan(appliance, warehouse)
        assert rows("select * from appliances") == rows("select * from sync_runs") == []
        sync(appliance)
        appliance.estate.delete("id-1")
        appliance.estate.change("id-2", state="Corrupted")
        appliance.estate.change("id-3", pointInTime="soon")
        appliance.estate.add_item(items(77)[0])
        ledger = rows("select * from sync_runs")
        with counting_writes(warehouse) as writes:
            second = plan(appliance, warehouse)
        assert writes() == 0
        assert rows("select * from sync_runs") == ledger
        assert rows("select * from rejected_records") == []
        result = sync(appliance)
    assert (first.new, first.extracted, first.snapshot_proven, first.error) == (10, 10, True, None)
    assert (second.new, second.changed, second.unchanged, second.vanished, second.rejected) == (1, 1, 7, 1, 1)
    assert (result.inserted, result.updated, result.unchanged, result.deleted, result.rejected) == (1, 1, 7, 1, 1)
    assert second.extracted == result.extracted == 10


def test_it_says_what_the_guard_would_say(warehouse: Warehouse, sync: Callable[..., Any]) -> None:
    with simulate(Estate.from_items(items(*range(60))), version="v8.1") as appliance:
        sync(appliance)
        appliance.estate.delete(*(f"id-{number}" for number in range(40)))
        found = plan(appliance, warehouse)
    assert found.vanished == 40
    assert "--accept-mass-deletion" in str(found.error)


def test_what_would_fail_is_an_error(warehouse: Warehouse) -> None:
    with simulate(Estate.from_items(items(1)), version="v8.1") as appliance:
        found = plan(appliance, warehouse, password="wrong")
    assert found.extracted == 0
    assert "north" in str(found.error)
