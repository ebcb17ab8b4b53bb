"""Deleted means confirmed: asked by id, with a control, and never more than a person would believe at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from starlette.responses import HTMLResponse, JSONResponse, Response

from etl.simulator import Estate, simulate
from etl.sync import Accepted, RunResult

Sync = Callable[..., RunResult]
Rows = Callable[..., list[dict[str, Any]]]

LIST = "/api/v8.1/restorePoints/virtualMachines"


def items(*numbers: int) -> list[dict[str, Any]]:
    return [
        {"id": id_of(number), "pointInTime": "2026-02-28T23:00:11Z", "backupSizeBytes": number, "state": "Ok"}
        for number in numbers
    ]


def id_of(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


def at(day: int) -> Callable[[], datetime]:
    return lambda: datetime(2026, 3, day, 2, tzinfo=UTC)


def deleted(rows: Rows) -> set[str]:
    return {row["restore_point_id"] for row in rows("select * from restore_points where deleted_at is not null")}


def by_id(answer: Callable[[str], Response | None]) -> Callable[[Any], Response | None]:
    """A hook that answers questions by id in the appliance's place."""

    def hook(request: Any) -> Response | None:
        path = request.url.path
        return answer(path.removeprefix(f"{LIST}/")) if path.startswith(f"{LIST}/") else None

    return hook


def test_a_point_that_is_gone_is_deleted_as_an_interval(sync: Sync, rows: Rows) -> None:
    with simulate(Estate.from_items(items(*range(10))), version="v8.1") as appliance:
        sync(appliance, now=at(1))
        sync(appliance, now=at(2))
        appliance.estate.delete(id_of(3))
        result = sync(appliance, now=at(3))
        again = sync(appliance, now=at(4))
    assert (result.status, result.deleted, result.unchanged, result.unconfirmed) == ("succeeded", 1, 9, 0)
    assert (again.deleted, again.unchanged) == (0, 9)
    (point,) = rows("select * from restore_points where deleted_at is not null")
    assert point["restore_point_id"] == id_of(3)
    assert (point["deleted_run"], point["first_run"]) == (3, 1)
    assert str(point["last_confirmed_at"]).startswith("2026-03-02 02:00:00")  # the last proof before
    assert str(point["deleted_at"]).startswith("2026-03-03 02:00:00")
    (version,) = rows("select * from restore_point_versions where valid_to is not null")
    assert (version["closed_run"], version["closed_by"]) == (3, "deleted")
    assert version["valid_to"] == point["deleted_at"]
    assert rows("select deleted from sync_runs order by run_number") == [{"deleted": n} for n in (0, 0, 1, 0)]


def test_a_point_that_comes_back_reappears(sync: Sync, rows: Rows) -> None:
    with simulate(Estate.from_items(items(*range(10))), version="v8.1") as appliance:
        sync(appliance)
        appliance.estate.delete(id_of(3))
        sync(appliance)
        appliance.estate.add_item(items(3)[0])
        result = sync(appliance)
    assert (result.reappeared, result.deleted, result.unchanged) == (1, 0, 9)
    assert deleted(rows) == set()
    versions = rows(f"select * from restore_point_versions where restore_point_id = '{id_of(3)}' order by run_number")
    assert [(one["change"], one["closed_by"]) for one in versions] == [("appeared", "deleted"), ("reappeared", None)]


def test_a_hidden_point_is_there_and_its_content_is_merged(sync: Sync, rows: Rows) -> None:
    with simulate(Estate.from_items(items(*range(10))), version="v8.1") as appliance:
        sync(appliance)
        appliance.estate.hide(id_of(3), id_of(4))
        appliance.estate.change(id_of(4), state="Corrupted")
        result = sync(appliance)
    assert (result.deleted, result.unconfirmed, result.updated, result.unchanged, result.extracted) == (0, 0, 1, 9, 10)
    assert deleted(rows) == set()
    assert rows("select restore_point_id from restore_points where state = 'Corrupted'") == [
        {"restore_point_id": id_of(4)}
    ]


DOUBTS: dict[str, Callable[[str], Response | None]] = {
    "HTML 404 of a proxy": lambda one: HTMLResponse("<h1>Not Found</h1>", 404) if one in (id_of(3), id_of(4)) else None,
    "403": lambda one: JSONResponse({"title": "Forbidden"}, 403) if one in (id_of(3), id_of(4)) else None,
    "500": lambda one: JSONResponse({"title": "Oops"}, 500) if one in (id_of(3), id_of(4)) else None,
    "another item": lambda one: JSONResponse(items(9)[0]) if one in (id_of(3), id_of(4)) else None,
    "404 for everything": lambda one: JSONResponse({"title": "Not Found", "status": 404}, 404),
    "HTML for everything": lambda one: HTMLResponse("<h1>Not Found</h1>", 404),
    "a sign-in page for everything": lambda one: HTMLResponse("<h1>Welcome</h1>", 200),
}


@pytest.mark.parametrize("doubt", DOUBTS.values(), ids=DOUBTS)
def test_what_cannot_be_confirmed_is_kept_and_said(
    sync: Sync, rows: Rows, doubt: Callable[[str], Response | None]
) -> None:
    with simulate(Estate.from_items(items(*range(12))), version="v8.1") as appliance:
        sync(appliance)
        appliance.estate.hide(id_of(3), id_of(4))
        appliance.before_request(by_id(doubt))
        result = sync(appliance, retry_for=1)
    assert (result.status, result.deleted, result.unconfirmed) == ("succeeded", 0, 2)
    assert deleted(rows) == set()
    (warning,) = result.warnings
    assert "2 restore points of vm vanished and could not be confirmed" in warning
    assert rows("select unconfirmed from sync_run_collections where run_number = 2 and collection = 'vm'") == [
        {"unconfirmed": 2}
    ]


def test_an_appliance_that_minds_the_case_of_an_id_loses_nothing(sync: Sync, rows: Rows) -> None:
    """Ids are kept in lower case; where it lists them in upper case and knows no other, its 404 means nothing."""
    listed = [{**item, "id": item["id"].replace("00000000-", "ABCDEF00-", 1)} for item in items(*range(10))]

    def minds_case(one: str) -> Response | None:
        return None if one == one.upper() else JSONResponse({"title": "Not Found", "status": 404}, 404)

    with simulate(Estate.from_items(listed), version="v8.1") as appliance:
        sync(appliance)
        appliance.estate.hide(listed[3]["id"])
        with appliance.before_request(by_id(minds_case)):
            result = sync(appliance)
    assert (result.deleted, result.unconfirmed, deleted(rows)) == (0, 1, set())


def test_a_list_without_a_readable_id_is_no_control(sync: Sync, rows: Rows) -> None:
    with simulate(Estate.from_items(items(*range(3))), version="v8.1") as appliance:
        sync(appliance)
    with simulate(Estate.from_items([{**item, "id": 7.5} for item in items(*range(3))]), version="v8.1") as appliance:
        result = sync(appliance)
    assert (result.deleted, result.unconfirmed, result.rejected, deleted(rows)) == (0, 3, 3, set())


def test_a_control_that_fails_afterwards_takes_the_deletions_back(sync: Sync, rows: Rows) -> None:
    asked: list[str] = []

    def breaks_down(one: str) -> Response | None:
        asked.append(one)
        return JSONResponse({"title": "Not Found", "status": 404}, 404) if len(asked) > 3 else None

    with simulate(Estate.from_items(items(*range(12))), version="v8.1") as appliance:
        sync(appliance)
        appliance.estate.hide(id_of(3))
        appliance.before_request(by_id(breaks_down))
        result = sync(appliance)
    assert id_of(3) in asked
    assert (result.deleted, result.unconfirmed) == (0, 1)
    assert deleted(rows) == set()


def test_a_rejected_item_of_a_known_id_has_not_vanished(sync: Sync, rows: Rows) -> None:
    with simulate(Estate.from_items(items(*range(10))), version="v8.1") as appliance:
        sync(appliance)
        appliance.estate.change(id_of(3), pointInTime="soon")
        result = sync(appliance)
        asked = [request for request in appliance.requests if request.path == f"{LIST}/{id_of(3)}"]
    assert (result.rejected, result.deleted, result.unconfirmed) == (1, 0, 0)
    assert asked == []
    assert deleted(rows) == set()


def test_an_emptied_collection_is_read_twice_and_then_believed(sync: Sync, rows: Rows) -> None:
    with simulate(Estate.from_items(items(*range(5))), version="v8.1") as appliance:
        sync(appliance)
        appliance.estate.delete(*(id_of(number) for number in range(5)))
        result = sync(appliance)
    assert (result.status, result.deleted, result.extracted) == ("succeeded", 5, 0)
    assert result.collections[0]["crawls"] == 2
    assert len(deleted(rows)) == 5


def test_a_collection_that_is_empty_once_only_loses_nothing(sync: Sync, rows: Rows) -> None:
    emptied: list[int] = []

    def empty_once(request: Any) -> Response | None:
        if request.url.path == LIST and not emptied:
            emptied.append(1)
            return JSONResponse({"offset": 0, "limit": 500, "totalCount": 0, "results": []})
        return None

    with simulate(Estate.from_items(items(*range(5))), version="v8.1") as appliance:
        sync(appliance)
        appliance.before_request(empty_once)
        result = sync(appliance)
    assert (result.status, result.unchanged, result.deleted, result.unconfirmed) == ("succeeded", 5, 0, 0)
    assert deleted(rows) == set()


def test_the_guard_withholds_deletions_merges_the_rest_and_can_be_told_otherwise(sync: Sync, rows: Rows) -> None:
    with simulate(Estate.from_items(items(*range(60))), version="v8.1") as appliance:
        sync(appliance)
        appliance.estate.delete(*(id_of(number) for number in range(31)))
        appliance.estate.change(id_of(50), state="Corrupted")
        appliance.estate.add_item(items(99)[0])
        withheld = sync(appliance)
        asked = [request for request in appliance.requests if request.path.startswith(f"{LIST}/")]
        assert asked == []
        assert deleted(rows) == set()
        accepted = sync(appliance, accepted=Accepted(mass_deletion=True))
    assert (withheld.status, withheld.deleted, withheld.unconfirmed) == ("partial", 0, 31)
    assert (withheld.inserted, withheld.updated) == (1, 1)
    assert "31 of 60 restore points of vm vanished at once" in str(withheld.error)
    assert "--accept-mass-deletion" in str(withheld.error)
    assert (accepted.status, accepted.deleted, accepted.error) == ("succeeded", 31, None)
    assert len(deleted(rows)) == 31
    runs = rows("select status, error, accepted_mass_deletion from sync_runs order by run_number")
    assert [(run["status"], bool(run["accepted_mass_deletion"])) for run in runs] == [
        ("succeeded", False),
        ("partial", False),
        ("succeeded", True),
    ]
    assert runs[1]["error"] == withheld.error
    assert rows("select status from sync_run_collections where run_number = 2 and collection = 'vm'") == [
        {"status": "partial"}
    ]


@pytest.mark.parametrize(
    ("points", "gone", "status"), [(60, 30, "succeeded"), (25, 20, "succeeded"), (25, 21, "partial")]
)
def test_where_the_guard_begins(sync: Sync, points: int, gone: int, status: str) -> None:
    with simulate(Estate.from_items(items(*range(points))), version="v8.1") as appliance:
        sync(appliance)
        appliance.estate.delete(*(id_of(number) for number in range(gone)))
        assert sync(appliance).status == status


def test_a_thousand_deletions_of_one_night_are_asked_side_by_side(sync: Sync) -> None:
    async def wait(_request: Any) -> None:
        await asyncio.sleep(0.02)

    with simulate(Estate.from_items(items(*range(2_400))), version="v8.1") as appliance:
        sync(appliance)
        appliance.estate.delete(*(id_of(number) for number in range(1_000)))
        appliance.before_request(wait)
        result = sync(appliance)
    assert result.deleted == 1_000
    assert result.seconds < 1_000 * 0.02


def test_a_point_of_an_unproven_crawl_is_asked_for_too(sync: Sync, rows: Rows) -> None:
    def churn(request: Any) -> None:
        if request.url.path == LIST:
            appliance.estate.add_item(items(10_000 + len(appliance.requests))[0])

    with simulate(Estate.from_items(items(*range(1_200))), version="v8.1", tells_total=False) as appliance:
        sync(appliance)
        appliance.estate.delete(id_of(7))
        appliance.before_request(churn)
        result = sync(appliance)
    assert (result.error, result.deleted) == (None, 1)
    assert deleted(rows) == {id_of(7)}


def test_deletions_wait_for_a_proof_nobody_had(sync: Sync, rows: Rows) -> None:
    """Without any proof before, the interval begins with the point's own last change."""
    with simulate(Estate.from_items(items(*range(10))), version="v8.1") as appliance:
        sync(appliance, now=at(1))

        appliance.estate.change(id_of(3), state="Corrupted")
        sync(appliance, now=at(2))
        appliance.estate.delete(id_of(3))
        sync(appliance, now=at(5))
    (point,) = rows("select * from restore_points where deleted_at is not null")
    assert point["last_confirmed_at"] == point["last_changed_at"]


def test_a_proof_that_missed_a_point_does_not_confirm_it(sync: Sync, rows: Rows) -> None:
    """It was not listed that night, and nobody could say whether it was gone: it may have gone before."""
    with simulate(Estate.from_items(items(*range(10))), version="v8.1") as appliance:
        sync(appliance, now=at(1))
        appliance.estate.delete(id_of(3))
        with appliance.before_request(by_id(DOUBTS["HTML 404 of a proxy"])):
            doubtful = sync(appliance, now=at(2))
        result = sync(appliance, now=at(3))
    assert (doubtful.snapshot_proven, doubtful.deleted, doubtful.unconfirmed) == (True, 0, 1)
    assert (result.deleted, result.unconfirmed) == (1, 0)
    (point,) = rows("select * from restore_points where deleted_at is not null")
    assert point["last_confirmed_at"] == point["last_changed_at"]
    assert str(point["last_confirmed_at"]).startswith("2026-03-01")


class TestIdentity:
    """Another appliance under a known name is told apart from one that moved."""

    def test_another_appliance_writes_nothing(self, sync: Sync, rows: Rows) -> None:
        with (
            simulate(Estate.from_seed(1, machines=3, days=3), version="v8.1") as first,
            simulate(Estate.from_seed(2, machines=3, days=3), version="v8.1") as other,
        ):
            sync(first)
            before = rows("select * from restore_points order by restore_point_id")
            refused = sync(other)
            appliances = rows("select * from appliances")
            assert rows("select * from restore_points order by restore_point_id") == before
            accepted = sync(other, accepted=Accepted(new_identity=True, mass_deletion=True))
        assert (refused.status, refused.run_number) == ("failed", 2)
        assert "another appliance answers" in str(refused.error)
        assert "--accept-new-identity" in str(refused.error)
        assert appliances[0]["base_url"] == first.url
        assert accepted.status == "succeeded"
        assert accepted.deleted == len(before)
        assert rows("select base_url from appliances") == [{"base_url": other.url}]

    def test_points_that_are_all_gone_still_tell_it(self, sync: Sync, rows: Rows) -> None:
        with simulate(Estate.from_items(items(1, 2)), version="v8.1") as first:
            sync(first)
            first.estate.delete(id_of(1), id_of(2))
            assert sync(first).deleted == 2
        with simulate(Estate.from_items(items(3, 4)), version="v8.1") as other:
            other.estate.identity = replace(other.estate.identity, database_id="another", azure_vm_id="other")
            refused = sync(other)
        assert refused.status == "failed"
        assert len(rows("select * from restore_points")) == 2

    def test_an_appliance_that_moved_goes_on(self, sync: Sync, rows: Rows) -> None:
        estate = Estate.from_seed(1, machines=3, days=3)
        with simulate(estate, version="v8.1") as here:
            first = sync(here)
        with simulate(estate, version="v8.1") as there:
            moved = sync(there)
        assert here.url != there.url
        assert (moved.status, moved.unchanged) == ("succeeded", first.inserted)
        assert rows("select base_url from appliances") == [{"base_url": there.url}]

    def test_points_that_are_known_vouch_for_a_new_identity(self, sync: Sync) -> None:
        one, same_points = items(*range(10)), items(*range(9))
        with simulate(Estate.from_items(one), version="v8.1") as first:
            sync(first)
        with simulate(Estate.from_items(same_points), version="v8.1") as restored:
            restored.estate.identity = replace(restored.estate.identity, database_id="another", azure_vm_id="other")
            assert sync(restored).status == "succeeded"


def test_time_between_runs(sync: Sync, rows: Rows) -> None:
    with simulate(Estate.from_items(items(*range(10))), version="v8.1") as appliance:
        sync(appliance, now=at(5))
        appliance.estate.delete(id_of(3))
        sync(appliance, now=at(2))  # the machine's clock went back
    (point,) = rows("select * from restore_points where deleted_at is not null")
    assert point["last_confirmed_at"] <= point["deleted_at"]
    runs = rows("select * from sync_runs order by run_number")
    # not at the same instant either: what lived only within the second run was not there as of the first
    assert runs[0]["observed_at"] < runs[1]["started_at"] < runs[1]["observed_at"]
