"""A run over everything that an appliance protects: each collection by itself, and why restore points went."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from starlette.responses import JSONResponse, Response

from etl.catalogue import COLLECTIONS, WORKLOADS
from etl.extract.retry import LISTING_BUDGET
from etl.simulator import Estate, SimulatedAppliance, simulate
from etl.sync import RunResult

Sync = Callable[..., RunResult]
Rows = Callable[..., list[dict[str, Any]]]

#: Workload → the first version that serves its restore points, as the vendor's references tell.
SERVED_SINCE = {
    "vm": "v1",
    "sql": "v3",
    "file_share": "v4",
    "vnet": "v6",
    "cosmos_db": "v8",
    "cosmos_db_continuous": "v8",
}


def estate(seed: int = 3, days: int = 8, **settings: Any) -> Estate:
    counts = {"machines": 6, "databases": 3, "file_shares": 2, "networks": 1, "cosmos_accounts": 2}
    return Estate.from_seed(seed, days=days, **counts | settings)


def on_its_clock(sync: Sync, appliance: SimulatedAppliance, **settings: Any) -> RunResult:
    return sync(appliance, now=lambda: appliance.clock.now, **settings)


def statuses(result: RunResult) -> dict[str, str]:
    return {one["collection"]: one["status"] for one in result.collections + result.inventory}


@pytest.mark.parametrize("version", ["v1", "v2", "v3", "v4", "v6", "v8", "v8.1"])
def test_every_collection_that_a_version_serves_lands(sync: Sync, rows: Rows, version: str) -> None:
    with simulate(estate(), version=version) as appliance:
        result = on_its_clock(sync, appliance)
        again = on_its_clock(sync, appliance)
        points = {(point.id, point.workload) for point in appliance.estate.points}
        sessions = len(appliance.estate.sessions)
    versions = ["v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v8.1"]
    served = {one for one, since in SERVED_SINCE.items() if versions.index(since) <= versions.index(version)}
    assert (result.status, result.error, result.rejected, result.field_errors) == ("succeeded", None, 0, 0)
    assert {name for name, status in statuses(result).items() if status == "complete" and name in WORKLOADS} == served
    assert {one["status"] for one in result.collections + result.inventory} <= {"complete", "not_served"}
    found = {(row["restore_point_id"], row["workload"]) for row in rows("select * from restore_points")}
    assert found == {(one, workload) for one, workload in points if workload in served}
    assert rows("select count(*) as n from job_sessions where status is not null") == [{"n": sessions}]
    assert (again.inserted, again.updated, again.deleted) == (0, 0, 0)
    assert all(one["inserted"] + one["updated"] + one["deleted"] == 0 for one in again.inventory)
    assert (again.snapshot_proven, again.unchanged) == (True, result.extracted)


def test_what_each_workload_says_lands_in_its_columns(sync: Sync, rows: Rows) -> None:
    with simulate(estate(), version="v8.1") as appliance:
        on_its_clock(sync, appliance)
        truth = {point.id: point for point in appliance.estate.points}
    for row in rows("select * from restore_points"):
        point = truth[row["restore_point_id"]]
        size = row["backup_size_bytes"]
        assert size == point.backup_size_bytes
        assert row["collection"] == row["workload"] == point.workload
        assert row["resource_name"]
        assert row["resource_id"]
    assert any(row["backup_size_bytes"] is None for row in rows("select * from restore_points"))


def test_resources_and_rules_are_kept_with_their_versions(sync: Sync, rows: Rows) -> None:
    with simulate(estate(), version="v8.1") as appliance:
        on_its_clock(sync, appliance)
        machine = appliance.estate.machines[0]
        counts = {
            table: rows(f"select count(*) as n from {table}")[0]["n"]
            for table in ("protected_resources", "policies", "policy_resources", "repositories")
        }
        assert counts["protected_resources"] == 6 + 3 + 2 + 1 + 2
        assert min(counts.values()) > 1
        appliance.estate.rename_machine(machine.resource_id, "renamed-01")
        appliance.estate.retire_machine(appliance.estate.machines[1].resource_id)
        on_its_clock(sync, appliance)
        on_its_clock(sync, appliance)
    (resource,) = rows("select * from protected_resources where resource_id = :id", id=machine.resource_id)
    assert resource["resource_name"] == "renamed-01"
    versions = rows(
        "select * from protected_resource_versions where resource_id = :id order by run_number", id=machine.resource_id
    )
    assert [(one["change"], one["resource_name"], one["closed_by"]) for one in versions] == [
        ("appeared", machine.name, "changed"),
        ("changed", "renamed-01", None),
    ]
    assert rows("select count(*) as n from protected_resources where not exists_in_azure") == [{"n": 1}]
    policies = rows("select * from policies where workload = 'vm' and schedule is not null")
    assert policies
    assert all(one["expected_backups_per_day"] == 1 for one in policies)
    pairs = rows(
        "select policy_resources.resource_id from policy_resources "
        "inner join protected_resources on policy_resources.appliance_id = protected_resources.appliance_id "
        "and policy_resources.resource_id = protected_resources.resource_id "
        "inner join policies on policy_resources.appliance_id = policies.appliance_id "
        "and policy_resources.policy_id = policies.policy_id"
    )
    assert len(pairs) == counts["policy_resources"]


class TestCauses:
    """A month in which everything happens that makes restore points vanish."""

    @staticmethod
    def month(sync: Sync, appliance: SimulatedAppliance, nights: int = 14) -> dict[str, tuple[str, str | None]]:
        """Restore point → cause and kind of match, for those that did not go by retention."""
        living = appliance.estate
        truth: dict[str, tuple[str, str | None]] = {}

        def some(count: int, **wanted: Any) -> list[str]:
            found = [
                point.id
                for point in living.points
                if point.id not in truth and all(getattr(point, name) == value for name, value in wanted.items())
            ]
            assert len(found) >= count
            return found[:count]

        def happens(ids: Iterable[str], cause: str, match: str | None) -> None:
            truth.update(dict.fromkeys(ids, (cause, match)))

        on_its_clock(sync, appliance)
        for night in range(nights):
            appliance.clock.advance(hours=20)
            if night == 2:
                ids = some(2, workload="vm", backup_destination="AzureBlob", access_tier="Hot")
                living.delete_by_hand(*ids)
                happens(ids, "manual", "item")
            if night == 4:
                ids = some(2, workload="sql")
                living.delete_by_hand(*ids, lists_items=False)
                happens(ids, "manual", "session_only")
                ids = some(1, workload="vm", backup_destination="AzureBlob", access_tier="Hot")
                living.delete(*ids)
                happens(ids, "unexplained", None)
            if night == 6:
                made_by = {one.id for one in living.sessions if one.policy and one.policy.name == "Development"}
                obsolete = [
                    point.id
                    for point in living.points
                    if point.session and point.session.id in made_by and point.backup_destination == "Snapshot"
                ]
                assert obsolete
                living.remove_policy("Development")
                happens(obsolete, "policy_removed", "item")
            if night == 10:
                ids = some(1, workload="vm", backup_destination="Snapshot")
                living.orphan(*ids)
                happens(ids, "orphaned", "item")
            appliance.clock.advance(hours=4)
            assert on_its_clock(sync, appliance).status == "succeeded"
        return truth

    def test_each_has_its_cause_and_retention_the_rest(self, sync: Sync, rows: Rows) -> None:
        with simulate(estate(days=14), version="v8.1") as appliance:
            truth = self.month(sync, appliance)
        found = {row["restore_point_id"]: (row["cause"], row["match_kind"]) for row in rows("select * from deletions")}
        assert {one: found[one] for one in truth} == truth
        assert {cause for one, (cause, _) in found.items() if one not in truth} == {"retention"}
        gone = rows("select * from restore_points where deleted_at is not null")
        assert {(row["restore_point_id"], row["deleted_run"]) for row in gone} == {
            (row["restore_point_id"], row["run_number"]) for row in rows("select * from deletions")
        }
        intervals = {row["restore_point_id"]: (row["last_confirmed_at"], row["deleted_at"]) for row in gone}
        assert intervals == {
            row["restore_point_id"]: (row["last_confirmed_at"], row["observed_gone_at"])
            for row in rows("select * from deletions")
        }
        explained = rows(
            "select deletions.cause, job_sessions.session_type from deletions inner join job_sessions "
            "on deletions.appliance_id = job_sessions.appliance_id "
            "and deletions.job_session_id = job_sessions.job_session_id"
        )
        assert len(explained) == sum(cause != "unexplained" for cause, _ in found.values())
        assert {row["session_type"] for row in explained if row["cause"] == "manual"} == {
            "BackupDeletion",
            "SqlBackupDeletion",
        }

    def test_what_was_forgotten_before_anybody_looked_stays_unexplained(self, sync: Sync, rows: Rows) -> None:
        with simulate(estate(days=14, session_days=1), version="v8.1") as appliance:
            on_its_clock(sync, appliance)
            doomed = next(point.id for point in appliance.estate.points if point.workload == "sql")
            appliance.estate.delete_by_hand(doomed)
            appliance.clock.advance(days=4)
            result = on_its_clock(sync, appliance)
        found = {row["restore_point_id"]: row for row in rows("select * from deletions")}
        assert found[doomed]["cause"] == "unexplained"
        causes = Counter(row["cause"] for row in found.values())
        assert causes.keys() == {"retention", "unexplained"}  # the last night's sessions are still there
        assert result.explained == causes["retention"]
        assert result.deleted == sum(causes.values())
        forgotten = rows("select * from job_sessions where deleted_at is not null")
        assert forgotten
        assert len(forgotten) + len(appliance.estate.sessions) == rows("select count(*) as n from job_sessions")[0]["n"]

    def test_a_list_that_cannot_be_read_leaves_it_open_until_it_can(self, sync: Sync, rows: Rows) -> None:
        def fault(request: Any) -> Response | None:
            return JSONResponse({"title": "Oops"}, 500) if request.url.path.endswith("/deletedItems") else None

        with simulate(estate(), version="v8.1") as appliance:
            on_its_clock(sync, appliance)
            doomed = next(point.id for point in appliance.estate.points if point.workload == "cosmos_db")
            appliance.estate.delete_by_hand(doomed)
            appliance.clock.advance(minutes=30)
            with appliance.before_request(fault):
                blind = on_its_clock(sync, appliance, retry_for=1)
            (before,) = rows("select * from deletions")
            appliance.clock.advance(minutes=30)
            seeing = on_its_clock(sync, appliance)
            (after,) = rows("select * from deletions")
            asked = len(appliance.requests)
            on_its_clock(sync, appliance)
            asked_again = [one for one in appliance.requests[asked:] if one.path.endswith("/deletedItems")]
        assert (blind.status, blind.deleted, blind.explained) == ("succeeded", 1, 0)
        assert (before["cause"], before["explained_run"], before["job_session_id"]) == ("unexplained", None, None)
        assert "HTTP 500" in before["note"]
        assert (seeing.deleted, seeing.explained) == (0, 1)
        assert (after["cause"], after["match_kind"], after["run_number"], after["explained_run"]) == (
            "manual",
            "item",
            2,
            3,
        )
        assert asked_again == []

    def test_sessions_that_the_role_may_not_read_leave_everything_unexplained(self, sync: Sync, rows: Rows) -> None:
        with simulate(estate(), version="v8.1", forbidden=("/jobSessions",)) as appliance:
            on_its_clock(sync, appliance)
            appliance.clock.advance(days=1)
            result = on_its_clock(sync, appliance)
        assert (result.status, result.deleted > 0, result.explained) == ("succeeded", True, 0)
        assert statuses(result)["job_sessions"] == "forbidden"
        found = rows("select distinct cause, note from deletions")
        assert [row["cause"] for row in found] == ["unexplained"]
        assert "HTTP 403" in found[0]["note"]

    @pytest.mark.parametrize("answer", [JSONResponse({}, 500), JSONResponse({}, 403), JSONResponse({"log": 5})])
    def test_a_log_that_cannot_be_read_speaks_for_nothing(self, sync: Sync, rows: Rows, answer: Response) -> None:
        """It may name another resource than the one whose backup vanished."""
        with simulate(estate(), version="v8.1") as appliance:
            on_its_clock(sync, appliance)
            one, other = (
                next(
                    point for point in appliance.estate.points if point.workload == "sql" and point.resource == resource
                )
                for resource in appliance.estate.resources("sql")[:2]
            )
            appliance.estate.delete_by_hand(one.id, lists_items=False)
            appliance.estate.delete(other.id)
            with appliance.before_request(lambda request: answer if request.url.path.endswith("/log") else None):
                on_its_clock(sync, appliance, retry_for=1)
            blind = {row["restore_point_id"]: row for row in rows("select * from deletions")}
            on_its_clock(sync, appliance)
        assert {row["cause"] for row in blind.values()} == {"unexplained"}
        assert all("could not be read" in row["note"] for row in blind.values())
        found = {row["restore_point_id"]: row["cause"] for row in rows("select * from deletions")}
        assert found == {one.id: "manual", other.id: "unexplained"}

    def test_items_that_cannot_be_read_are_no_empty_list(self, sync: Sync, rows: Rows) -> None:
        page = {"offset": 0, "limit": 500, "totalCount": 1, "results": [None]}
        with simulate(estate(), version="v8.1") as appliance:
            on_its_clock(sync, appliance)
            appliance.estate.delete_by_hand(next(one.id for one in appliance.estate.points if one.workload == "sql"))
            with appliance.before_request(
                lambda request: JSONResponse(page) if request.url.path.endswith("/deletedItems") else None
            ):
                on_its_clock(sync, appliance)
        (deletion,) = rows("select * from deletions")
        assert deletion["cause"] == "unexplained"
        assert "none of the items that it lists can be read" in deletion["note"]

    def test_a_clock_that_was_set_between_two_runs_hides_no_session(self, sync: Sync, rows: Rows) -> None:
        """The appliance's clock goes on by a day, ours stands still."""
        ours = datetime(2026, 3, 1, tzinfo=UTC)
        with simulate(estate(), version="v8.1") as appliance:
            sync(appliance, now=lambda: ours)
            appliance.clock.advance(days=1)
            result = sync(appliance, now=lambda: ours + timedelta(seconds=5))
        assert result.deleted > 0
        assert rows("select distinct cause from deletions") == [{"cause": "retention"}]


class TestSessions:
    """Read by window, by id where they are named, and kept when the appliance forgets them."""

    def test_a_quiet_night_reads_the_window_alone(self, sync: Sync, rows: Rows) -> None:
        with simulate(estate(days=20), version="v8.1") as appliance:
            on_its_clock(sync, appliance)
            appliance.clock.advance(hours=3)
            asked = len(appliance.requests)
            on_its_clock(sync, appliance)
            asked_for = [one for one in appliance.requests[asked:] if one.path == "/api/v8.1/jobSessions"]
            sessions = len(appliance.estate.sessions)
        assert rows("select count(*) as n from job_sessions where deleted_at is null") == [{"n": sessions}]
        (window, count) = asked_for
        since = datetime.strptime(window.params["FromUtc"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        assert since <= appliance.clock.now - timedelta(hours=4)
        assert count.params["Limit"] == "1"

    def test_a_session_that_never_ends_has_no_end_until_it_has_one(self, sync: Sync, rows: Rows) -> None:
        with simulate(estate(), version="v8.1") as appliance:
            began = appliance.clock.now
            never, *_ = [
                appliance.estate.run_session(executionStopTime=stop, executionDuration=duration)
                for stop, duration in (
                    ("1900-01-01T00:00:00Z", "-45000.00:00:00"),
                    ("2020-01-01T00:00:00Z", "00:00:00"),
                    (None, None),
                )
            ]
            first = on_its_clock(sync, appliance)
            running = rows("select * from job_sessions where status = 'Running'")
            appliance.clock.advance(days=2)
            appliance.estate.change_session(
                never.id,
                status="Success",
                executionStopTime=(began + timedelta(days=1, hours=2)).strftime("%Y-%m-%dT%H:%M:%SZ"),
                executionDuration="1.02:00:00.5",
            )
            on_its_clock(sync, appliance)
        assert (first.status, first.rejected, first.field_errors) == ("succeeded", 0, 0)
        assert len(running) == 3
        assert {(row["stopped_at"], row["duration_seconds"]) for row in running} == {(None, None)}
        (ended,) = rows("select * from job_sessions where job_session_id = :id", id=never.id)
        assert ended["status"] == "Success"
        assert ended["stopped_at"] is not None
        assert ended["duration_seconds"] == 26 * 3600 + 0.5
        assert rows("select count(*) as n from job_sessions where status = 'Running'") == [{"n": 2}]
        assert rows("select * from rejected_records") == []

    def test_named_sessions_are_asked_for_once(self, sync: Sync, rows: Rows) -> None:
        with simulate(estate(days=14, session_days=3), version="v8.1") as appliance:
            on_its_clock(sync, appliance)
            by_id = [one for one in appliance.requests if one.path.startswith("/api/v8.1/jobSessions/")]
            asked = len(appliance.requests)
            on_its_clock(sync, appliance)
            again = [one for one in appliance.requests[asked:] if one.path.startswith("/api/v8.1/jobSessions/")]
            known = {one.id for one in appliance.estate.sessions}
            named = {point.session.id for point in appliance.estate.points if point.session} - known
        assert named
        assert {one.path.rpartition("/")[2] for one in by_id} >= named
        assert again == []
        stubs = rows("select * from job_sessions where status is null")
        assert {row["job_session_id"] for row in stubs} == named
        assert all(row["deleted_at"] is not None for row in stubs)

    def test_at_v1_ids_are_digits(self, sync: Sync, rows: Rows) -> None:
        with simulate(estate(), version="v1") as appliance:
            on_its_clock(sync, appliance)
        sessions = {row["job_session_id"] for row in rows("select * from job_sessions")}
        named = {row["job_session_id"] for row in rows("select * from restore_points")}
        assert all(one.isdigit() for one in sessions)
        assert named <= sessions


class TestOneCollectionOfMany:
    """What cannot be read harms no other, and nothing of it is called deleted."""

    def test_forbidden(self, sync: Sync, rows: Rows) -> None:
        living = estate()
        with simulate(living, version="v8.1") as appliance:
            on_its_clock(sync, appliance)
            before = rows("select * from restore_points where collection = 'sql' order by restore_point_id")
            living.delete(*(row["restore_point_id"] for row in before))
        with simulate(living, version="v8.1", forbidden=("/restorePoints/sql",)) as appliance:
            appliance.clock.advance(days=1)
            result = on_its_clock(sync, appliance, url=appliance.url)
        assert (result.status, result.error, result.snapshot_proven) == ("succeeded", None, True)
        assert statuses(result)["sql"] == "forbidden"
        assert {name for name, status in statuses(result).items() if status == "complete"} >= set(WORKLOADS) - {"sql"}
        assert any("/restorePoints/sql" in warning and "left alone" in warning for warning in result.warnings)
        assert rows("select * from restore_points where collection = 'sql' order by restore_point_id") == before
        assert rows("select status, proven from sync_run_collections where collection = 'sql' and run_number = 2")[0][
            "status"
        ] == ("forbidden")

    def test_one_that_always_fails(self, sync: Sync, rows: Rows) -> None:
        """Its retries do not eat those of the others."""

        def fault(request: Any) -> Response | None:
            if request.url.path != "/api/v8.1/restorePoints/sql":
                return None
            return JSONResponse({"title": "Une erreur s'est produite lors du traitement de votre demande."}, 500)

        with simulate(estate(), version="v8.1") as appliance, appliance.before_request(fault):
            result = on_its_clock(sync, appliance, retry_for=2)
            points = [point for point in appliance.estate.points if point.workload != "sql"]
        assert (result.status, result.inserted) == ("partial", len(points))
        assert "/restorePoints/sql" in str(result.error)
        assert "HTTP 500" in str(result.error)
        assert {name for name, status in statuses(result).items() if status == "failed"} == {"sql"}
        vm, sql = (
            rows("select * from sync_run_collections where collection = :name", name=name)[0] for name in ("vm", "sql")
        )
        assert (vm["status"], bool(vm["proven"]), vm["error"]) == ("complete", True, None)
        assert (sql["status"], bool(sql["proven"])) == ("failed", False)
        assert sql["error"] in str(result.error)

    def test_many_that_fail_leave_their_time_for_retries_to_the_others(self, sync: Sync) -> None:
        """All resources and rules fail until their time is over; one fault of the sessions, read later, is got over."""
        faults = iter([JSONResponse({}, 503)])

        def fault(request: Any) -> Response | None:
            path = request.url.path
            if path.endswith("/jobSessions"):
                return next(faults, None)
            is_rule = any(part in path for part in ("/protectedItem", "/polic", "/repositories"))
            return JSONResponse({}, 500) if is_rule else None

        with simulate(estate(), version="v8.1") as appliance, appliance.before_request(fault):
            result = on_its_clock(sync, appliance, retry_for=1)
        failed = {name for name, status in statuses(result).items() if status == "failed"}
        assert len(failed) > LISTING_BUDGET
        assert failed == {one["collection"] for one in result.inventory} - {"job_sessions"}
        assert statuses(result)["job_sessions"] == "complete"

    def test_each_is_guarded_by_itself(self, sync: Sync, rows: Rows) -> None:
        with simulate(estate(days=30, databases=4), version="v8.1") as appliance:
            on_its_clock(sync, appliance)
            databases = [point.id for point in appliance.estate.points if point.workload == "sql"]
            (machine, *_) = [point.id for point in appliance.estate.points if point.workload == "vm"]
            assert len(databases) > 20
            assert len(databases) < len(appliance.estate.points) / 2
            appliance.estate.delete(*databases, machine)
            result = on_its_clock(sync, appliance)
        assert (result.status, result.deleted) == ("partial", 1)
        assert "--accept-mass-deletion" in str(result.error)
        gone = rows("select restore_point_id from restore_points where deleted_at is not null")
        assert gone == [{"restore_point_id": machine}]
        assert statuses(result)["sql"] == "partial"
        assert statuses(result)["vm"] == "complete"

    def test_only_the_workloads_asked_for(self, sync: Sync, rows: Rows) -> None:
        with simulate(estate(), version="v8.1") as appliance:
            on_its_clock(sync, appliance)
            before = rows("select count(*) as n from restore_points where deleted_at is null")
            asked = len(appliance.requests)
            result = on_its_clock(sync, appliance, workloads=("sql",))
            paths = {one.path for one in appliance.requests[asked:]}
        assert set(statuses(result)) == {
            "sql",
            "repositories",
            "sql_resources",
            "sql_policies",
            "sql_policy_resources",
            "job_sessions",
        }
        assert not any("virtualMachines" in path or "cosmosDb" in path for path in paths)
        assert rows("select count(*) as n from restore_points where deleted_at is null") == before


@pytest.mark.parametrize("version", ["v1", "v3"])
def test_machines_are_found_out_where_items_name_none(sync: Sync, rows: Rows, version: str) -> None:
    with simulate(estate(), version=version) as appliance:
        result = on_its_clock(sync, appliance, resolve_machines=True)
        truth = {point.id: (point.resource.resource_id, point.resource.name) for point in appliance.estate.points}
        found = rows("select * from restore_points where workload = 'vm'")
        assert result.warnings == []
        assert found
        assert all((row["resource_id"], row["resource_name"]) == truth[row["restore_point_id"]] for row in found)
        asked = len(appliance.requests)
        quiet = on_its_clock(sync, appliance, resolve_machines=True)
        assert not any("irtualMachineId" in one.query for one in appliance.requests[asked:])
        appliance.clock.advance(days=1)
        night = on_its_clock(sync, appliance, resolve_machines=True)
    assert (quiet.inserted, quiet.updated) == (0, 0)
    assert night.inserted > 0
    assert rows("select count(*) as n from restore_points where workload = 'vm' and resource_id is null") == [{"n": 0}]


@pytest.mark.parametrize(
    "answer", [Response(status_code=204), JSONResponse(None), JSONResponse({})], ids=["204", "null", "{}"]
)
def test_an_object_that_is_not_there_is_none(sync: Sync, rows: Rows, answer: Response) -> None:
    """An appliance without a policy for its networks may say so in either way."""
    with simulate(estate(), version="v8.1") as appliance:
        on_its_clock(sync, appliance)
        with appliance.before_request(lambda request: answer if request.url.path.endswith("/policy/vnet") else None):
            result = on_its_clock(sync, appliance)
            (policy,) = rows("select * from policies where workload = 'vnet'")
            on_its_clock(sync, appliance)
    assert (result.status, statuses(result)["vnet_policy"]) == ("succeeded", "complete")
    assert any("policies of vnet_policy" in warning and "next run" in warning for warning in result.warnings)
    assert policy["deleted_run"] is None
    assert rows("select count(*) as n from rejected_records") == [{"n": 0}]
    (policy,) = rows("select * from policies where workload = 'vnet'")
    assert policy["deleted_run"] == 3


@pytest.mark.parametrize("results", [[], [None, {}]], ids=["empty", "unreadable"])
def test_a_list_without_anything_readable_on_it_takes_nothing_away(sync: Sync, rows: Rows, results: list[Any]) -> None:
    """Where no question by id can tell; an empty one is believed when it comes again."""
    page = {"offset": 0, "limit": 500, "totalCount": len(results), "results": results}
    lists = ("/protectedItem/virtualMachines", "/policies/virtualMachines", "/api/v8.1/jobSessions")
    with simulate(estate(), version="v8.1") as appliance:
        on_its_clock(sync, appliance)
        with appliance.before_request(lambda request: JSONResponse(page) if request.url.path.endswith(lists) else None):
            result = on_its_clock(sync, appliance)
        for table in ("protected_resources", "policies", "job_sessions"):
            gone = rows(f"select * from {table} where deleted_run = 2 and last_confirmed_at is not null")
            assert gone == []
        on_its_clock(sync, appliance)
    assert result.status == "succeeded"
    for table in ("protected_resource_versions", "policy_versions"):
        assert {row["change"] for row in rows(f"select * from {table}")} == {"appeared"}


@pytest.mark.parametrize("status", [400, 403, 404])
def test_a_template_that_cannot_be_read_changes_no_policy(sync: Sync, rows: Rows, status: int) -> None:
    with simulate(estate(sla_policies=2), version="v8.1") as appliance:
        on_its_clock(sync, appliance)
        before = rows("select * from policy_versions")
        with appliance.before_request(
            lambda request: JSONResponse({}, status) if request.url.path.endswith("/slaTemplate") else None
        ):
            on_its_clock(sync, appliance)
        on_its_clock(sync, appliance)
    assert len([row for row in before if row["sla_template_id"]]) == 2
    assert rows("select * from policy_versions") == before


def test_a_collection_that_was_read_and_is_not_served_any_more_is_told(sync: Sync) -> None:
    with simulate(estate(), version="v8.1") as appliance:
        on_its_clock(sync, appliance)
        with appliance.before_request(
            lambda request: Response(status_code=404) if request.url.path.endswith("/restorePoints/sql") else None
        ):
            result = on_its_clock(sync, appliance)
    assert statuses(result)["sql"] == "not_served"
    assert any("Earlier runs read sql" in warning for warning in result.warnings)


def test_the_appliances_own_counts_are_kept_beside_ours(sync: Sync, rows: Rows) -> None:
    with simulate(estate(), version="v8.1") as appliance:
        on_its_clock(sync, appliance)
        (counts,) = rows("select * from storage_counts")
    for kind in ("snapshots", "backups", "archives"):
        assert counts[f"{kind}_told"] == counts[f"{kind}_held"] > 0


def test_a_collection_is_described_in_one_place() -> None:
    """Adding one is adding a description: nothing else lists the names of collections."""
    assert list(COLLECTIONS)[: len(WORKLOADS)] == list(WORKLOADS)
    assert all(name == collection.name for name, collection in COLLECTIONS.items())


def test_no_more_requests_than_pages_new_sessions_and_what_vanished(sync: Sync) -> None:
    """And a few for each collection: a first page, the controls, what the appliance tells of itself."""
    with simulate(estate(days=20, session_days=5), version="v8.1", page_cap=50) as appliance:
        for hours in (0, 24, 24, 0):
            appliance.clock.advance(hours=hours)
            asked = len(appliance.requests)
            result = on_its_clock(sync, appliance)
            paths = [one.path for one in appliance.requests[asked:]]
            outcomes = result.collections + result.inventory
            pages = sum(one["pages"] for one in outcomes)
            named = sum(path.startswith("/api/v8.1/jobSessions/") and path.count("/") == 4 for path in paths)
            removing = sum(path.endswith("/deletedItems") for path in paths)
            vanished = sum(one["deleted"] + one["unconfirmed"] for one in result.collections)
            controls = 6 * sum(one["deleted"] > 0 for one in result.collections) + 6 * (named > 0)
            assert len(paths) <= pages + named + removing + vanished + controls + 12
    assert named == removing == vanished == 0
