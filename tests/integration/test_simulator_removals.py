"""How points, policies and machines go from a simulated appliance, and what the appliance admits to."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from simulated import by_id, client_of, everything, rows, told

from etl.simulator import Estate, RestorePoint, SimulatorError, simulate

BERLIN = ZoneInfo("Europe/Berlin")


def one_of(estate: Estate, workload: str, destination: str, **fields: Any) -> RestorePoint:
    """Some point of a workload and destination; made if none is there."""
    for point in estate.points:
        if (point.workload, point.backup_destination) == (workload, destination):
            return point
    resource = estate.resources(workload)[0]
    return estate.create(resource, workload=workload, backup_destination=destination, **fields)


class TestWithoutAWord:
    def test_deleted_is_gone_and_no_session_tells_of_it(self) -> None:
        estate = everything()
        before = estate.sessions
        gone = [one_of(estate, workload, where).id for workload, where in (("vm", "Snapshot"), ("sql", "AzureBlob"))]
        estate.delete(*gone)
        assert estate.sessions == before
        assert not by_id(estate).keys() & set(gone)
        estate.clock.advance(days=1)
        assert not {point.id for session in estate.sessions for point in session.removed} & set(gone)


class TestByHand:
    @pytest.mark.parametrize(
        ("workload", "destination", "kind"),
        [
            ("vm", "Snapshot", "SnapshotDeletion"),
            ("vm", "ManualSnapshot", "ManualSnapshotDeletion"),
            ("vm", "AzureBlob", "BackupDeletion"),
            ("sql", "AzureBlob", "SqlBackupDeletion"),
            ("sql", "ManualBackup", "SqlBackupDeletion"),
            ("file_share", "Snapshot", "FileShareSnapshotDeletion"),
            ("file_share", "ManualSnapshot", "FileShareManualSnapshotDeletion"),
            ("vnet", "Database", "VnetBackupDeletion"),
            ("cosmos_db", "AzureBlob", "CosmosDbBackupDeletion"),
            ("cosmos_db_continuous", "", "CosmosDbContinuousBackupDeletion"),
        ],
    )
    def test_each_kind_of_point_has_its_kind_of_session(self, workload: str, destination: str, kind: str) -> None:
        estate = everything()
        point = one_of(estate, workload, destination)
        (session,) = estate.delete_by_hand(point.id)
        assert (session.type, session.started, session.status) == (kind, estate.clock.now, "Success")
        assert estate.session(session.id) == session
        assert rows(estate, session) == [told(point)]
        assert point.id not in by_id(estate)
        estate.clock.advance(days=2)
        assert point.id not in by_id(estate)

    def test_several_at_once_are_one_session_of_each_kind(self) -> None:
        estate = everything()
        snapshots = [point for point in estate.points if point.backup_destination == "Snapshot"]
        backups = [point for point in estate.points if point.workload == "vm" and point.access_tier == "Hot"][:3]
        vm = [point for point in snapshots if point.workload == "vm"][:2]
        sessions = estate.delete_by_hand(*(point.id for point in (*vm, *backups)))
        assert {session.type: rows(estate, session) for session in sessions} == {
            "SnapshotDeletion": list(map(told, vm)),
            "BackupDeletion": list(map(told, backups)),
        }

    def test_one_that_lists_nothing_still_logs_the_resources(self) -> None:
        estate = everything()
        point = one_of(estate, "vm", "AzureBlob")
        (session,) = estate.delete_by_hand(point.id, lists_items=False)
        with simulate(estate) as appliance, client_of(appliance) as client:
            page = client.get(f"/api/v8.1/jobSessions/{session.id}/deletedItems").json()
            log = client.get(f"/api/v8.1/jobSessions/{session.id}/log").json()["log"]
            assert client.get(f"/api/v8.1/restorePoints/virtualMachines/{point.id}").status_code == 404
        assert (page["totalCount"], page["results"]) == (0, [])
        assert point.resource.resource_id in {line["resourceHashId"] for line in log}

    def test_an_unknown_point_deletes_nothing(self) -> None:
        estate = everything()
        point = one_of(estate, "vm", "Snapshot")
        with pytest.raises(KeyError):
            estate.delete_by_hand(point.id, "nobody")
        assert estate.point(point.id) == point


class TestOrphaned:
    def test_orphans_are_removed_and_listed_at_once(self) -> None:
        estate = everything()
        snapshots = [p for p in estate.points if p.workload == "vm" and p.backup_destination == "Snapshot"][:2]
        session = estate.orphan(*(point.id for point in snapshots))
        assert (session.type, session.started) == ("OrphanedSnapshotRetention", estate.clock.now)
        assert rows(estate, session) == list(map(told, snapshots))
        assert not by_id(estate).keys() & {point.id for point in snapshots}

    def test_backups_are_no_orphans(self) -> None:
        estate = everything()
        with pytest.raises(SimulatorError):
            estate.orphan(one_of(estate, "vm", "AzureBlob").id)


class TestRemovedPolicy:
    @pytest.mark.parametrize(
        ("name", "path", "workload"),
        [
            ("Production", "/policies/virtualMachines", "vm"),
            ("File shares", "/policies/fileShares", "file_share"),
            ("Databases", "/policies/sql", "sql"),
            ("Cosmos accounts", "/policies/cosmosDb", "cosmos_db"),
        ],
    )
    def test_it_is_gone_makes_nothing_more_and_its_sessions_say_so(self, name: str, path: str, workload: str) -> None:
        estate = everything()
        (policy,) = (item for item in estate.items_of(path) if item["name"] == name)
        protects = {one["resourceId"] for one in estate.items_of(f"{path}/{policy['id']}/protectedItems")}
        assert protects
        estate.remove_policy(name)
        known = by_id(estate).keys()
        assert policy["id"] not in {item["id"] for item in estate.items_of(path)}
        assert not protects & {one["resourceId"] for one in estate.items_of(f"{path}/protectedItems")}
        estate.clock.advance(days=3)
        new = [point for point in estate.points if point.id not in known]
        assert new
        assert not protects & {point.resource.resource_id for point in new}
        infos = [item["backupJobInfo"] for item in estate.items_of("/jobSessions") if item["backupJobInfo"]]
        assert {info["policyRemoved"] for info in infos if info["policyId"] == policy["id"]} == {True}
        assert {info["policyRemoved"] for info in infos if info["policyId"] != policy["id"]} == {False}
        assert any(point.workload == workload for point in estate.points)

    @pytest.mark.parametrize("after_days", [0, 2])
    @pytest.mark.parametrize("name", ["Production", "File shares"])
    def test_its_snapshots_go_as_obsolete_at_a_midnight(self, name: str, after_days: int) -> None:
        estate = everything()
        estate.remove_policy(name, delete_after_days=after_days)
        obsolete = {
            point.id: told(point)
            for point in estate.points
            if point.backup_destination == "Snapshot" and policy_of(estate, point) == name
        }
        assert len(obsolete) > 5
        midnight = datetime(2025, 4, 1, tzinfo=BERLIN) + timedelta(days=max(after_days - 1, 0))
        estate.clock.advance(hours=(midnight - estate.clock.now) / timedelta(hours=1) - 0.5)
        assert obsolete.keys() <= by_id(estate).keys()
        estate.clock.advance(hours=1)
        assert not obsolete.keys() & by_id(estate).keys()
        (session,) = (one for one in estate.sessions if one.type == "ObsoleteSnapshotRetention")
        assert session.started == midnight
        assert sorted(rows(estate, session), key=str) == sorted(obsolete.values(), key=str)

    def test_its_backups_go_on_by_their_own_retention(self) -> None:
        estate = everything()
        backups = {p.id for p in estate.points if p.workload == "sql" and p.gfs_flags == "Daily"}
        estate.remove_policy("Databases")
        estate.clock.advance(days=7)
        left = backups & by_id(estate).keys()
        assert 0.3 < len(left) / len(backups) < 0.7
        estate.clock.advance(days=8)
        assert not backups & by_id(estate).keys()
        removed = {p.id for one in estate.sessions if one.type == "BackupRetention" for p in one.removed}
        assert backups <= removed

    def test_a_continuous_record_stands_still_and_goes_after_a_week(self) -> None:
        estate = everything()
        estate.remove_policy("Cosmos accounts")
        before = continuous(estate)
        estate.clock.advance(days=6)
        assert continuous(estate) == before
        estate.clock.advance(days=2)
        assert continuous(estate) == {}
        (session,) = (one for one in estate.sessions if one.type == "CosmosDbContinuousRetention")
        assert {point.id for point in session.removed} == before.keys()

    def test_networks_are_no_longer_protected_without_their_policy(self) -> None:
        estate = everything()
        with simulate(estate) as appliance, client_of(appliance) as client:
            before = client.get("/api/v8.1/policy/vnet").json()
            estate.remove_policy("Network configuration")
            after = client.get("/api/v8.1/policy/vnet").json()
        assert (before["isEnabled"], after["isEnabled"]) == (True, False)
        assert (before["nextExecutionTime"], after["nextExecutionTime"]) == ("2025-04-01T03:00:00Z", None)

    def test_an_unknown_policy_is_a_key_error(self) -> None:
        estate = everything()
        estate.remove_policy("Production")
        for name in ("Production", "Nobody's"):
            with pytest.raises(KeyError):
                estate.remove_policy(name)


class TestMachines:
    def test_a_renamed_machine_is_renamed_everywhere_but_in_the_past(self) -> None:
        estate = everything()
        machine = estate.machines[0]
        session = next(one for one in estate.sessions if machine in [point.resource for point in one.removed])
        estate.rename_machine(machine.resource_id, "renamed-01")
        estate.clock.advance(days=1)
        mine = [item for item in estate.items_of("/restorePoints/virtualMachines") if is_of(item, machine)]
        assert {item["vmName"] for item in mine} == {"renamed-01"}
        named = [item for item in estate.items_of("/virtualMachines") if item["id"] == machine.resource_id]
        assert [(item["name"], item["azureId"].rpartition("/")[2]) for item in named] == [("renamed-01",) * 2]
        deleted = estate.items_of(f"/jobSessions/{session.id}/deletedItems")
        assert machine.name in {item["resource"]["name"] for item in deleted}

    def test_a_moved_machine_has_another_subscription_and_azure_id(self) -> None:
        estate = everything()
        machine = estate.machines[0]
        estate.move_machine(machine.resource_id, "11111111-2222-4333-8444-555555555555", "elsewhere")
        (item,) = (one for one in estate.items_of("/virtualMachines") if one["id"] == machine.resource_id)
        assert item["subscriptionName"] == "elsewhere"
        assert item["azureId"].startswith("/subscriptions/11111111-2222-4333-8444-555555555555/")
        protected = estate.items_of("/policies/virtualMachines/protectedItems")
        assert {one["subscriptionId"] for one in protected if one["resourceId"] == machine.resource_id} == {
            "11111111-2222-4333-8444-555555555555"
        }

    def test_a_retired_machine_exists_no_more_but_its_points_do(self) -> None:
        estate = everything()
        machine = estate.machines[0]
        estate.retire_machine(machine.resource_id)
        with simulate(estate) as appliance, client_of(appliance) as client:

            def asked(**query: str) -> set[str]:
                items = client.get("/api/v8.1/virtualMachines", params={"Limit": "-1", **query}).json()["results"]
                return {item["id"] for item in items}

            everyone = asked(ExistsState="All")
            assert asked(ExistsState="OnlyDeleted") == everyone - asked()
            assert machine.resource_id in asked(ExistsState="OnlyDeleted")
            assert machine.resource_id in asked(ExistsState="All", ProtectionStatus="Unprotected")
            assert asked(ProtectionStatus="Unprotected") == set()
            assert client.get(f"/api/v8.1/virtualMachines/{machine.resource_id}").json()["isDeleted"] is True
            assert client.get("/api/v8.1/virtualMachines", params={"ExistsState": "Some"}).status_code == 400
        known = by_id(estate).keys()
        estate.clock.advance(days=1)
        assert machine.resource_id not in {p.resource.resource_id for p in estate.points if p.id not in known}
        assert machine.resource_id in {point.resource.resource_id for point in estate.points}
        assert machine.resource_id in {item["id"] for item in estate.items_of("/protectedItem/virtualMachines")}

    def test_an_unknown_machine_is_a_key_error(self) -> None:
        for change in ("rename_machine", "retire_machine"):
            with pytest.raises(KeyError):
                getattr(everything(), change)("nobody", *(["x"] if change == "rename_machine" else []))


def is_of(item: dict[str, Any], machine: Any) -> bool:
    return item["resourceHashId"] == machine.resource_id


def continuous(estate: Estate) -> dict[str, RestorePoint]:
    return {point.id: point for point in estate.points if point.workload == "cosmos_db_continuous"}


def policy_of(estate: Estate, point: RestorePoint) -> str | None:
    """The name of the policy for which the session that made a point worked."""
    policy = estate.session(point.session.id).policy if point.session else None
    return policy and policy.name
