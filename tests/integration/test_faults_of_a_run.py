"""What a run makes of an appliance that misbehaves: whole, or one clear failure with the data as they were."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response

from etl.simulator import Estate, SimulatedAppliance, simulate
from etl.simulator.faults import CutShort, Dripping, Dropped
from etl.sync import RunResult

Sync = Callable[..., RunResult]
Rows = Callable[..., list[dict[str, Any]]]

LIST = "/api/v8.1/restorePoints/virtualMachines"
COUNT = 1_200
EVERYTHING = (
    "select restore_points.*, versions.* from restore_points "
    "inner join restore_point_versions as versions "
    "on restore_points.restore_point_id = versions.restore_point_id order by 2, versions.run_number"
)


def item(number: int, **fields: Any) -> dict[str, Any]:
    return {"id": id_of(number), "pointInTime": "2026-02-28T23:00:11Z", "backupSizeBytes": number, **fields}


def id_of(number: int) -> str:
    return f"{number:08x}-0000-4000-8000-000000000000"


@pytest.fixture
def appliance() -> Iterator[SimulatedAppliance]:
    estate = Estate.from_items([item(number) for number in range(COUNT)])
    with simulate(estate, version="v8.1", page_cap=200) as appliance:
        yield appliance


def pass_a_night(appliance: SimulatedAppliance) -> None:
    """One point changes, one goes, one comes."""
    appliance.estate.change(id_of(5), backupSizeBytes=5_000)
    appliance.estate.delete(id_of(7))
    appliance.estate.add_item(item(COUNT))


def assert_in_step(appliance: SimulatedAppliance, rows: Rows) -> None:
    present = rows("select restore_point_id, backup_size_bytes from restore_points where deleted_at is null")
    kept = {row["restore_point_id"]: row["backup_size_bytes"] for row in present}
    assert kept == {one["id"]: one["backupSizeBytes"] for one in appliance.estate.items}


PAGE = json.dumps({"totalCount": 1, "offset": 0, "limit": 1, "results": [item(1)]}).encode()
#: Faults that another attempt may cure, with what the failure says.
PASSING: dict[str, tuple[Callable[[], Response], str]] = {
    "500": (lambda: JSONResponse({"title": "Oops"}, 500), "HTTP 500"),
    "502 as HTML": (lambda: HTMLResponse("<h1>Bad Gateway</h1>", 502), "HTTP 502"),
    "503": (lambda: PlainTextResponse("", 503), "HTTP 503"),
    "504": (lambda: PlainTextResponse("late", 504), "HTTP 504"),
    "429 with Retry-After": (lambda: PlainTextResponse("", 429, headers={"Retry-After": "0"}), "HTTP 429"),
    "dropped": (Dropped, "connection"),
    "cut": (lambda: CutShort(PAGE, 40, media_type="application/json"), "cut short"),
    "a slow first byte": (lambda: Dripping(PAGE, 30, media_type="application/json"), "no whole answer"),
    "HTML instead of JSON": (lambda: HTMLResponse("<h1>Sign in</h1>"), "not JSON"),
}


@pytest.mark.parametrize(("fault", "said"), PASSING.values(), ids=PASSING)
def test_on_some_requests_the_run_is_whole(
    sync: Sync, rows: Rows, appliance: SimulatedAppliance, fault: Callable[[], Response], said: str
) -> None:
    sync(appliance)
    pass_a_night(appliance)
    asked: dict[str, int] = {}

    def every_request_once(request: Any) -> Response | None:
        if not request.url.path.startswith(LIST):
            return None
        asked[str(request.url)] = asked.get(str(request.url), 0) + 1
        return fault() if asked[str(request.url)] == 1 and len(asked) % 3 == 1 else None

    appliance.before_request(every_request_once)
    result = sync(appliance, retry_for=4)
    assert sum(times > 1 for times in asked.values()) >= 2
    assert (result.status, result.snapshot_proven) == ("succeeded", True)
    assert (result.inserted, result.updated, result.deleted, result.unconfirmed) == (1, 1, 1, 0)
    assert_in_step(appliance, rows)


@pytest.mark.parametrize(("fault", "said"), PASSING.values(), ids=PASSING)
def test_on_every_request_the_run_fails_within_its_time_and_writes_nothing(
    sync: Sync,
    rows: Rows,
    appliance: SimulatedAppliance,
    fault: Callable[[], Response],
    said: str,
) -> None:
    sync(appliance)
    pass_a_night(appliance)
    before = rows(EVERYTHING)
    with appliance.before_request(lambda request: fault() if request.url.path.startswith(LIST) else None):
        result = sync(appliance, retry_for=1, workloads=("vm",))
    assert result.status == "failed"
    assert said in str(result.error)
    assert "north" in str(result.error)
    assert result.seconds < 10
    assert rows(EVERYTHING) == before
    assert rows("select status, error from sync_runs where run_number = 2") == [
        {"status": "failed", "error": result.error}
    ]
    assert sync(appliance).status == "succeeded"
    assert_in_step(appliance, rows)


def envelope(request: Any, **changes: Any) -> dict[str, Any]:
    offset, limit = (int(request.query_params.get(name, 0)) for name in ("Offset", "Limit"))
    page = [item(number) for number in range(offset, min(offset + limit, COUNT))]
    whole = {"totalCount": COUNT, "offset": offset, "limit": limit, "results": page}
    return {name: value for name, value in {**whole, **changes}.items() if value is not ...}


#: Pages that are none, as an answer to every request.
NO_PAGES: dict[str, Callable[[Any], object]] = {
    "null": lambda _: None,
    "[]": lambda _: [],
    "no results": lambda request: envelope(request, results=...),
    "results null": lambda request: envelope(request, results=None),
    "results an object": lambda request: envelope(request, results={}),
    "results a number": lambda request: envelope(request, results=7),
    "a total in words": lambda request: envelope(request, totalCount="many"),
    "a total of half a point": lambda request: envelope(request, totalCount=1.5),
    "an offset in words": lambda request: envelope(request, offset="first"),
    "paging is ignored": lambda request: envelope(request, offset=0, results=[item(n) for n in range(200)]),
    "the offset is not echoed": lambda request: envelope(request, offset=3),
    "empty before the total": lambda request: envelope(
        request, results=[] if int(request.query_params.get("Offset", 0)) else [item(n) for n in range(200)]
    ),
}


@pytest.mark.parametrize("make", NO_PAGES.values(), ids=NO_PAGES)
def test_an_answer_that_is_no_page_is_one_clear_failure(
    sync: Sync, rows: Rows, appliance: SimulatedAppliance, make: Callable[[Any], object]
) -> None:
    sync(appliance)
    before = rows(EVERYTHING)
    with appliance.before_request(lambda request: JSONResponse(make(request)) if request.url.path == LIST else None):
        result = sync(appliance, retry_for=1, workloads=("vm",))
    assert result.status == "failed"
    assert "north" in str(result.error)
    assert len(str(result.error).splitlines()) == 1
    assert rows(EVERYTHING) == before
    assert sync(appliance).status == "succeeded"


#: Items as no sender should write them, in the raw.
ODD_ITEMS: dict[str, tuple[bytes, int, int]] = {
    "duplicate keys": (b'{"id": "odd", "pointInTime": "2026-01-01T00:00:00Z", "state": "A", "state": "B"}', 0, 0),
    "NaN": (b'{"id": "odd", "pointInTime": "2026-01-01T00:00:00Z", "backupSizeBytes": NaN}', 0, 1),
    "a huge number": (
        b'{"id": "odd", "pointInTime": "2026-01-01T00:00:00Z", "backupSizeBytes": 1' + b"0" * 400 + b"}",
        0,
        1,
    ),
    "a lone surrogate": (b'{"id": "odd", "pointInTime": "2026-01-01T00:00:00Z", "state": "\\ud800"}', 0, 1),
    "invalid UTF-8": (b'{"id": "odd", "pointInTime": "2026-01-01T00:00:00Z", "state": "\xff"}', 0, 1),
    "a NUL": (b'{"id": "odd", "pointInTime": "2026-01-01T00:00:00Z", "state": "\\u0000"}', 0, 1),
    "3,000 levels": (
        b'{"id": "odd", "pointInTime": "2026-01-01T00:00:00Z", "note": ' + b"[" * 3_000 + b"]" * 3_000 + b"}",
        0,
        1,
    ),
    "no object": (b'"odd"', 1, 0),
    "no id": (b'{"pointInTime": "2026-01-01T00:00:00Z"}', 1, 0),
    "an id of another kind": (b'{"id": ["odd"], "pointInTime": "2026-01-01T00:00:00Z"}', 1, 0),
}


@pytest.mark.parametrize(("odd", "rejected", "fields"), ODD_ITEMS.values(), ids=ODD_ITEMS)
def test_an_odd_item_costs_itself_at_most(
    sync: Sync, rows: Rows, appliance: SimulatedAppliance, odd: bytes, rejected: int, fields: int
) -> None:
    def with_it(request: Any) -> Response | None:
        if request.url.path != LIST:
            return None
        page = json.dumps(envelope(request, totalCount=3, results=[item(n) for n in range(2)])).encode()
        return Response(page.replace(b'"results": [', b'"results": [' + odd + b", "), media_type="application/json")

    appliance.before_request(with_it)
    result = sync(appliance)
    assert (result.status, result.inserted, result.rejected) == ("succeeded", 3 - rejected, rejected)
    assert bool(result.field_errors) is bool(fields)
    kept = rows("select reason, raw from rejected_records")
    assert len(kept) == rejected + fields
    assert all(row["reason"] and row["raw"] for row in kept)
    again = sync(appliance)
    assert (again.status, again.updated, again.inserted, again.unchanged) == ("succeeded", 0, 0, 3 - rejected)


@pytest.mark.parametrize("dies_at", range(12))
def test_a_token_that_dies_at_any_request(sync: Sync, rows: Rows, appliance: SimulatedAppliance, dies_at: int) -> None:
    sync(appliance)
    pass_a_night(appliance)
    asked: list[str] = []

    def dies(request: Any) -> None:
        if request.url.path.startswith("/api/v8"):
            asked.append(request.url.path)
            if len(asked) == dies_at + 1:
                appliance.expire_tokens()

    appliance.before_request(dies)
    result = sync(appliance)
    assert len(asked) > 12
    assert (result.status, result.inserted, result.updated, result.deleted) == ("succeeded", 1, 1, 1)
    assert_in_step(appliance, rows)


def test_a_password_that_changes_during_the_run_is_one_clear_failure(
    sync: Sync, rows: Rows, appliance: SimulatedAppliance
) -> None:
    sync(appliance)
    pass_a_night(appliance)

    def changes(request: Any) -> Response | None:
        if request.url.path == LIST and request.query_params.get("Offset") not in (None, "0"):
            appliance.expire_tokens()
        if request.url.path.endswith("/oauth2/token") and len(appliance.requests) > first + 2:
            return JSONResponse({"error": "invalid_grant"}, 401)
        return None

    first = len(appliance.requests)
    before = rows(EVERYTHING)
    with appliance.before_request(changes):
        result = sync(appliance)
    assert result.status == "failed"
    assert "refused to sign in" in str(result.error)
    assert rows(EVERYTHING) == before
    assert sync(appliance).status == "succeeded"


@pytest.mark.parametrize("order", ["id", "newest", "slots"])
def test_one_comes_and_one_goes_at_every_page_and_nothing_living_is_missed(sync: Sync, rows: Rows, order: str) -> None:
    """The total never moves. The next quiet run is exact."""
    estate = Estate.from_seed(3, machines=9, days=12)
    with simulate(estate, version="v8.1", page_cap=100, order=order) as appliance:
        sync(appliance)
        doomed = iter([point.id for point in estate.points][::3])
        born: list[str] = []

        def churn(request: Any) -> None:
            if request.url.path == LIST:
                estate.delete(next(doomed))
                born.append(estate.create(backup_destination="ManualSnapshot").id)

        with appliance.before_request(churn):
            moved = sync(appliance)
        living = {point.id for point in estate.points}
        gone = {row["restore_point_id"] for row in rows("select * from restore_points where deleted_at is not null")}
        seen = {row["restore_point_id"] for row in rows("select * from restore_points")}
        assert (moved.status, moved.snapshot_proven) == ("succeeded", True)
        assert gone.isdisjoint(living)
        assert living - set(born) <= seen
        quiet = sync(appliance)
    present = {row["restore_point_id"] for row in rows("select * from restore_points where deleted_at is null")}
    assert (quiet.status, quiet.snapshot_proven, quiet.unconfirmed) == ("succeeded", True, 0)
    assert present == living


def test_no_order_at_all_is_said_after_three_crawls_and_loses_nothing(sync: Sync, rows: Rows) -> None:
    estate = Estate.from_items([item(number) for number in range(600)])
    with simulate(estate, version="v8.1", page_cap=100) as quiet:
        sync(quiet)
    estate.delete(id_of(7), id_of(8))
    with simulate(estate, version="v8.1", page_cap=100, order="none") as appliance:
        result = sync(appliance)
    assert (result.status, result.snapshot_proven, result.evidence) == ("succeeded", False, None)
    assert rows("select crawls, proven from sync_run_collections where run_number = 2 and collection = 'vm'") == [
        {"crawls": 3, "proven": False}
    ]
    assert any("not proven complete" in warning for warning in result.warnings)
    gone = {row["restore_point_id"] for row in rows("select * from restore_points where deleted_at is not null")}
    assert gone == {id_of(7), id_of(8)}


def test_a_fault_in_mid_crawl_costs_no_page_that_was_read(sync: Sync, appliance: SimulatedAppliance) -> None:
    """The pages before it are not asked for again."""
    asked: list[str] = []

    async def fault(request: Any) -> Response | None:
        if request.url.path != LIST:
            return None
        asked.append(request.query_params["Offset"])
        await asyncio.sleep(0)
        return PlainTextResponse("", 503) if asked.count("180") == 1 and asked[-1] == "180" else None

    appliance.before_request(fault)
    assert sync(appliance).inserted == COUNT
    assert asked.count("180") == 2
    assert asked.count("0") == 1
