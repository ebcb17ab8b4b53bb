"""The job sessions of a simulated appliance: what made the points, what removed them, and how they are asked for."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from simulated import by_id, client_of, everything, rows, told

from etl.simulator import VERSIONS, Estate, JobSession, SimulatorError, simulate

BERLIN = ZoneInfo("Europe/Berlin")


class TestMaking:
    @pytest.mark.parametrize("version", ["v1", "v2", "v3", "v8.1"])
    def test_each_session_that_a_point_names_is_there(self, version: str) -> None:
        estate = everything(session_days=None)
        ids = {item["id"] for item in estate.items_of("/jobSessions", version)}
        keys = [point.session for point in estate.points if point.session is not None]
        assert len(keys) > 200
        assert {str(key.number) if version == "v1" else key.id for key in keys} <= ids

    def test_the_type_of_a_session_is_that_of_what_it_made(self) -> None:
        estate = everything(session_days=None, days=60)
        sessions = {session.id: session for session in estate.sessions}
        kinds: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for point in estate.points:
            if point.session is not None:
                kind = point.backup_destination, point.access_tier == "Archive"
                kinds[sessions[point.session.id].type][point.workload, *kind] += 1
        assert {kind: set(made) for kind, made in kinds.items()} == {
            "PolicySnapshot": {("vm", "Snapshot", False)},
            "ManualSnapshot": {("vm", "ManualSnapshot", False)},
            "PolicyBackup": {("vm", "AzureBlob", False)},
            "PolicyArchive": {("vm", "AzureBlob", True)},
            "SqlPolicyBackup": {("sql", "AzureBlob", False)},
            "SqlPolicyArchive": {("sql", "AzureBlob", True)},
            "SqlManualBackup": {("sql", "ManualBackup", False)},
            "FileSharePolicySnapshot": {("file_share", "Snapshot", False)},
            "FileShareManualSnapshot": {("file_share", "ManualSnapshot", False)},
            "VnetPolicyBackup": {("vnet", "Database", False)},
            "PostgresDbPolicyBackup": {("cosmos_db", "AzureBlob", False)},
            "PostgresDbPolicyArchive": {("cosmos_db", "AzureBlob", True)},
            "MongoDbPolicyBackup": {("cosmos_db", "AzureBlob", False)},
            "MongoDbPolicyArchive": {("cosmos_db", "AzureBlob", True)},
        } | {kind: {("cosmos_db", "ManualBackup", False)} for kind in kinds if kind.endswith("DbManualBackup")}

    def test_a_session_spans_the_moments_of_its_points_and_logs_their_resources(self) -> None:
        estate = everything(session_days=None)
        sessions = {session.id: session for session in estate.sessions}
        for point in estate.points:
            if point.session is not None:
                session = sessions[point.session.id]
                assert session.stopped is not None
                assert session.started <= point.point_in_time <= session.stopped <= estate.clock.now
                assert point.resource in session.resources

    def test_what_is_made_by_hand_has_a_session_too(self) -> None:
        estate = Estate.from_seed(7, machines=2, days=2)
        point = estate.create()
        session = estate.session(point.session.id)
        assert (session.type, session.started, session.resources) == (
            "ManualSnapshot",
            estate.clock.now,
            (point.resource,),
        )

    def test_sessions_are_the_same_in_whatever_steps_time_passes(self) -> None:
        whole, pieces = everything(), everything()
        whole.clock.advance(days=3)
        for _ in range(3 * 24):
            pieces.clock.advance(hours=1)
        assert whole.points == pieces.points
        assert whole.items_of("/jobSessions") == pieces.items_of("/jobSessions")
        for one, same in zip(whole.sessions, pieces.sessions, strict=True):
            assert (one.key, one.resources) == (same.key, same.resources)
            assert list(map(told, one.removed)) == list(map(told, same.removed))


class TestRetention:
    def test_what_a_night_takes_is_listed_by_exactly_one_session(self) -> None:
        estate = everything(days=40, session_days=None)
        for _ in range(9):
            before, known = by_id(estate), {session.id for session in estate.sessions}
            estate.clock.advance(days=1)
            gone = [point for point_id, point in before.items() if point_id not in by_id(estate)]
            new = [session for session in estate.sessions if session.id not in known and session.removed]
            listed = Counter(row for session in new for row in rows(estate, session))
            # what is refreshed or folded in the day is told as it was when it went, never otherwise
            assert listed == Counter(map(told, gone))
            assert {session.type for session in new} <= {
                "BackupRetention",
                "VmSnapshotRetention",
                "FileShareSnapshotRetention",
                "VnetRetention",
            }
            assert len({session.type for session in new}) == len(new)
            assert {session.started.astimezone(BERLIN).hour for session in new} == {0}
        assert {point.workload for session in estate.sessions for point in session.removed} == {
            "vm",
            "sql",
            "file_share",
            "vnet",
            "cosmos_db",
        }

    @pytest.mark.parametrize(
        ("kind", "workloads"),
        [
            ("VmSnapshotRetention", {"vm"}),
            ("BackupRetention", {"vm", "sql", "cosmos_db"}),
            ("FileShareSnapshotRetention", {"file_share"}),
            ("VnetRetention", {"vnet"}),
        ],
    )
    def test_each_kind_of_retention_takes_its_own(self, kind: str, workloads: set[str]) -> None:
        estate = everything(days=60)
        removed = [point for session in estate.sessions if session.type == kind for point in session.removed]
        assert {point.workload for point in removed} == workloads
        assert {point.backup_destination == "Snapshot" for point in removed if point.workload == "vm"} <= {
            kind == "VmSnapshotRetention"
        }

    def test_v2_names_the_machine_and_an_id_that_is_no_point_s(self) -> None:
        estate = Estate.from_seed(7)
        session = [one for one in estate.sessions if one.type == "BackupRetention"][-1]
        items = estate.items_of(f"/jobSessions/{session.id}/deletedItems", "v2")
        assert items
        for item, point in zip(items, session.removed, strict=True):
            assert set(item) == {"id", "backupSizeBytes", "snapshotTime", "repository", "virtualMachine"}
            assert item["id"] not in (point.id, session.id)
            assert item["virtualMachine"]["name"] == point.resource.name
            assert item["repository"]["name"] == f"backup-{point.access_tier.lower()}"

    def test_retention_runs_for_some_minutes(self) -> None:
        estate = Estate.from_seed(7, now=datetime(2025, 3, 30, 23, 30, tzinfo=BERLIN))
        estate.clock.advance(minutes=31)
        running = [session for session in estate.sessions if session.stopped is None]
        assert {session.status for session in running} == {"Running"}
        assert {"VmSnapshotRetention", "BackupRetention"} == {session.type for session in running}
        item = estate.items_of("/jobSessions")[
            [one["id"] for one in estate.items_of("/jobSessions")].index(running[0].id)
        ]
        assert (item["status"], item["executionStopTime"], item["executionDuration"]) == ("Running", None, None)
        estate.clock.advance(minutes=10)
        after = estate.session(running[0].id)
        assert after.status == "Success"
        assert after.stopped - after.started < timedelta(minutes=10)


class TestForgetting:
    @pytest.mark.parametrize("days", [1, 7])
    def test_old_sessions_go_at_midnight(self, days: int) -> None:
        estate = Estate.from_seed(7, machines=6, days=12, session_days=days)
        midnight = datetime(2025, 3, 31, tzinfo=BERLIN)
        assert min(session.started for session in estate.sessions) >= midnight - timedelta(days=days)
        oldest = estate.sessions[0]
        estate.clock.advance(hours=11)
        assert estate.session(oldest.id) == oldest
        estate.clock.advance(hours=2)
        with pytest.raises(KeyError):
            estate.session(oldest.id)

    def test_what_is_forgotten_is_not_found(self) -> None:
        estate = Estate.from_seed(7, machines=3, days=5, session_days=None)
        old, kept = estate.sessions[0], estate.sessions[-1]
        with simulate(estate) as appliance, client_of(appliance) as client:
            assert client.get(f"/api/v8.1/jobSessions/{old.id}").status_code == 200
            estate.purge_sessions(kept.started)
            gone = client.get(f"/api/v8.1/jobSessions/{old.id}")
            assert gone.status_code == 404
            assert gone.headers["content-type"] == "application/problem+json"
            assert client.get(f"/api/v8.1/jobSessions/{old.id}/log").status_code == 404
            assert client.get(f"/api/v8.1/jobSessions/{old.id}/deletedItems").json()["totalCount"] == 0
            assert client.get(f"/api/v8.1/jobSessions/{kept.id}").status_code == 200
            listed = client.get("/api/v8.1/jobSessions", params={"Limit": "-1"}).json()["results"]
        assert {item["id"] for item in listed} == {session.id for session in estate.sessions}
        assert old.id not in {item["id"] for item in listed}

    def test_settings_say_how_long(self) -> None:
        estate = Estate.from_seed(7, machines=1, days=1, session_days=5)
        with simulate(estate) as appliance, client_of(appliance) as client:
            settings = client.get("/api/v8.1/settings/retention").json()
        assert settings["sessionsSettings"] == {"duration": 5, "type": "Days", "keepForever": False}

    def test_sessions_are_kept_for_a_day_at_least(self) -> None:
        with pytest.raises(SimulatorError):
            Estate.from_seed(7, session_days=0)


class TestShape:
    @pytest.mark.parametrize("version", VERSIONS)
    def test_a_session_has_the_fields_of_the_version(self, version: str) -> None:
        estate = Estate.from_seed(7, machines=3, days=3)
        fields = {
            "id",
            "type",
            "localizedType",
            "executionStartTime",
            "executionStopTime",
            "executionDuration",
            "status",
            "_links",
        }
        if version in ("v1", "v2", "v3"):
            fields |= {"usn"} | ({"_embeddedResources"} if version == "v3" else set())
        else:
            fields |= {"backupJobInfo", "retentionJobInfo"}
        if version in ("v8", "v8.1"):
            fields |= {
                "healthCheckJobInfo",
                "restoreJobInfo",
                "fileLevelRestoreJobInfo",
                "fileShareFileLevelRestoreJobInfo",
                "repositoryJobInfo",
                "restorePointDataRetrievalJobInfo",
            }
        items = estate.items_of("/jobSessions", version)
        assert items
        assert {frozenset(item) for item in items} == {frozenset(fields)}
        assert all(item["id"].isdigit() == (version == "v1") for item in items)

    def test_v8_tells_the_policy_or_how_many_points_went(self) -> None:
        estate = everything()
        for item in estate.items_of("/jobSessions"):
            session = estate.session(item["id"])
            if "Policy" in session.type:
                info = item["backupJobInfo"]
                assert info["policyId"] in {one["id"] for one in all_policies(estate)}
                assert info["protectedInstancesCount"] == len(session.resources)
                assert info["policyRemoved"] is False
            else:
                assert item["backupJobInfo"] is None
            assert (item["retentionJobInfo"] is not None) == session.type.endswith("Retention")
            if session.removed:
                assert item["retentionJobInfo"]["deletedRestorePointsCount"] == len(session.removed)

    @pytest.mark.parametrize(
        ("took", "written"),
        [
            (timedelta(seconds=31, microseconds=837093), "00:00:31.8370930"),
            (timedelta(hours=2, seconds=5), "02:00:05"),
            (timedelta(days=3, hours=4, microseconds=10), "3.04:00:00.0000100"),
        ],
    )
    def test_durations_are_time_spans(self, took: timedelta, written: str) -> None:
        estate = Estate.from_seed(7, machines=0, days=0)
        now = estate.clock.now
        estate.run_session(started=now - took, stopped=now)
        assert estate.items_of("/jobSessions")[0]["executionDuration"] == written

    def test_v7_has_one_name_for_the_sessions_of_all_cosmos_accounts(self) -> None:
        estate = everything()
        kinds = {
            version: {item["type"] for item in estate.items_of("/jobSessions", version) if "Db" in item["type"]}
            for version in ("v7", "v8.1")
        }
        assert kinds["v7"] == {
            kind.replace("MongoDb", "CosmosDb").replace("PostgresDb", "CosmosDb") for kind in kinds["v8.1"]
        }
        assert {"PostgresDbPolicyBackup", "MongoDbPolicyBackup"} <= kinds["v8.1"]

    def test_a_log_names_the_resources_that_were_worked_on(self) -> None:
        estate = everything()
        session = next(one for one in estate.sessions if one.type == "PolicyBackup")
        with simulate(estate, version="v8.1") as appliance, client_of(appliance) as client:
            log = client.get(f"/api/v8.1/jobSessions/{session.id}/log").json()
        assert log["jobSessionId"] == session.id
        assert set(log["log"][0]) == {
            "logTime",
            "status",
            "message",
            "resourceHashId",
            "executionStartTime",
            "executionDuration",
        }
        named = [line["resourceHashId"] for line in log["log"] if line["resourceHashId"] is not None]
        assert named == [resource.resource_id for resource in session.resources]

    def test_v1_calls_a_session_by_digits_only(self) -> None:
        estate = Estate.from_seed(7, machines=2, days=2)
        session = estate.sessions[0]
        with simulate(estate, version="v1") as appliance, client_of(appliance) as client:
            item = client.get(f"/api/v1/jobSessions/{session.number}").json()
            assert item["id"] == str(session.number)
            assert client.get(f"/api/v1/jobSessions/{session.number}/log").json()["jobSessionId"] == item["id"]
            assert client.get(f"/api/v1/jobSessions/{session.id}").status_code == 404
            answer = client.get(f"/api/v1/jobSessions/{session.number}/deletedItems")
        assert (answer.status_code, answer.content) == (404, b"")

    def test_later_versions_know_no_digits(self) -> None:
        estate = Estate.from_seed(7, machines=2, days=2)
        with simulate(estate) as appliance, client_of(appliance) as client:
            assert client.get(f"/api/v8.1/jobSessions/{estate.sessions[0].number}").status_code == 404
            assert client.get(f"/api/v8.1/jobSessions/{estate.sessions[0].id.upper()}").status_code == 200


class TestFilters:
    @pytest.mark.parametrize("version", ["v2", "v8.1"])
    def test_a_window_compares_the_start(self, version: str) -> None:
        estate = Estate.from_seed(7)
        one = estate.sessions[len(estate.sessions) // 2]
        second = one.started.strftime("%Y-%m-%dT%H:%M:%SZ")
        with simulate(estate, version=version) as appliance, client_of(appliance) as client:
            ask = {"Limit": "-1", "FromUtc": second}
            since = client.get(f"/api/{version}/jobSessions", params=ask).json()
            until = client.get(f"/api/{version}/jobSessions", params={"Limit": "-1", "ToUtc": second}).json()
            exactly = client.get(f"/api/{version}/jobSessions", params=ask | {"ToUtc": second}).json()
        starts = [session.started for session in estate.sessions]
        assert since["totalCount"] == sum(start >= one.started for start in starts)
        assert until["totalCount"] == sum(start <= one.started for start in starts)
        assert one.id in {item["id"] for item in exactly["results"]}
        assert exactly["totalCount"] == starts.count(one.started)

    @pytest.mark.parametrize(
        "query",
        [
            {"FromUtc": "2025-03-01"},
            {"FromUtc": "2025-03-01T00:00:00.5Z"},
            {"ToUtc": "2025-03-01T00:00:00+00:00"},
            {"ToUtc": "2025-02-30T00:00:00Z"},
            {"FromUtc": ""},
            {"Status": "Failed"},
            {"Types": "VmSnapshotRetention"},
        ],
    )
    def test_what_no_filter_takes_is_a_bad_request(self, query: dict[str, str]) -> None:
        with simulate(Estate.from_seed(7, machines=1, days=1)) as appliance, client_of(appliance) as client:
            answer = client.get("/api/v8.1/jobSessions", params=query)
        assert answer.status_code == 400
        assert set(answer.json()["errors"]) == set(query)

    def test_types_may_be_repeated_and_the_rest_narrows(self) -> None:
        estate = everything()
        policy = next(one.policy for one in estate.sessions if one.type == "PolicyBackup")
        machine = estate.machines[0].resource_id
        running = estate.run_session(policy=policy.name)

        def asked(**query: Any) -> list[JobSession]:
            answer = client.get("/api/v8.1/jobSessions", params={"Limit": "-1", **query}).json()
            return [estate.session(item["id"]) for item in answer["results"]]

        with simulate(estate) as appliance, client_of(appliance) as client:
            found = asked(Types=["PolicyBackup", "SqlPolicyBackup"])
            assert {session.type for session in found} == {"PolicyBackup", "SqlPolicyBackup"}
            found = asked(PolicyId=policy.id.upper())
            assert {session.policy.name for session in found} == {policy.name}
            assert {session.type for session in found} >= {"PolicyBackup", "PolicySnapshot"}
            assert asked(Status="Running") == [running]
            found = asked(ResourceId=machine)
            assert len(found) > 10
            assert len(found) == sum(
                machine in {resource.resource_id for resource in session.resources} for session in estate.sessions
            )

    def test_no_filter_is_known_before_its_version(self) -> None:
        estate = Estate.from_seed(7, machines=2, days=3)
        count = len(estate.sessions)
        with simulate(estate, version="v1") as appliance, client_of(appliance) as client:
            assert (
                client.get("/api/v1/jobSessions", params={"fromUtc": "2099-01-01T00:00:00Z"}).json()["totalCount"]
                == count
            )
        with simulate(estate, version="v7") as appliance, client_of(appliance) as client:
            assert client.get("/api/v7/jobSessions", params={"ResourceId": "x"}).json()["totalCount"] == count
            assert (
                client.get("/api/v7/jobSessions", params={"FromUtc": "2099-01-01T00:00:00Z"}).json()["totalCount"] == 0
            )


class TestRaw:
    def test_a_running_session_that_says_it_ended_in_1900_and_is_mended_later(self) -> None:
        estate = Estate.from_seed(7, machines=1, days=1)
        session = estate.run_session(type="PolicyBackup", policy="Production", executionStopTime="1900-01-01T00:00:00Z")
        with simulate(estate) as appliance, client_of(appliance) as client:
            item = client.get(f"/api/v8.1/jobSessions/{session.id}").json()
            assert (item["status"], item["executionStopTime"]) == ("Running", "1900-01-01T00:00:00Z")
            assert item["backupJobInfo"]["policyName"] == "Production"
            estate.change_session(session.id, status="Success", executionStopTime="2025-03-31T11:00:00Z")
            mended = client.get(f"/api/v8.1/jobSessions/{session.id}").json()
        assert (mended["status"], mended["executionStopTime"]) == ("Success", "2025-03-31T11:00:00Z")
        assert mended["executionStartTime"] == item["executionStartTime"]

    def test_an_unknown_session_cannot_be_changed(self) -> None:
        with pytest.raises(KeyError):
            Estate.from_seed(7, machines=1, days=1).change_session("nobody", status="Error")


def all_policies(estate: Estate) -> list[dict[str, Any]]:
    paths = ("/policies/virtualMachines", "/policies/sql", "/policies/fileShares", "/policies/cosmosDb")
    network = estate.look_up("v8.1", "/policy/vnet")
    return [item for path in paths for item in estate.items_of(path)] + [json.loads(text_of(estate, network))]


def text_of(estate: Estate, found: Any) -> bytes:
    from etl.simulator.paging import Query
    from etl.simulator.versions import CONVENTIONS

    return estate.told(found, Query(CONVENTIONS["v8.1"], [])) or b""
