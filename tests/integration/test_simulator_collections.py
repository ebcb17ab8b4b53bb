"""What a simulated appliance serves beside the points of machines: paths by version, shapes, rules and counts."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from simulated import by_id, client_of, everything

from etl.simulator import VERSIONS, Estate, SimulatorError, simulate

BERLIN = ZoneInfo("Europe/Berlin")

#: Path → the first and the last version that has it.
PATHS = {
    "/restorePoints": ("v1", "v3"),
    "/restorePoints/virtualMachines": ("v4", "v8.1"),
    "/restorePoints/sql": ("v3", "v8.1"),
    "/restorePoints/fileShares": ("v4", "v8.1"),
    "/restorePoints/vnets": ("v6", "v8.1"),
    "/restorePoints/cosmosDb/repository": ("v8", "v8.1"),
    "/restorePoints/cosmosDb/continuous": ("v8", "v8.1"),
    "/jobSessions": ("v1", "v8.1"),
    "/virtualMachines": ("v1", "v8.1"),
    "/databases": ("v3", "v8.1"),
    "/fileShares": ("v4", "v8.1"),
    "/cosmosDb": ("v7", "v8.1"),
    "/protectedItem/vm": ("v3", "v3"),
    "/protectedItem/virtualMachines": ("v4", "v8.1"),
    "/protectedItem/sql": ("v3", "v8.1"),
    "/protectedItem/fileShares": ("v4", "v8.1"),
    "/protectedItem/vnet": ("v6", "v8.1"),
    "/protectedItem/cosmosDb": ("v8", "v8.1"),
    "/policies": ("v1", "v3"),
    "/policies/virtualMachines": ("v4", "v8.1"),
    "/policies/sql": ("v3", "v8.1"),
    "/policies/fileShares": ("v4", "v8.1"),
    "/policies/cosmosDb": ("v7", "v8.1"),
    "/policy/slaBased/virtualMachines": ("v8", "v8.1"),
    "/policyTemplates/slaTemplate": ("v8", "v8.1"),
    "/repositories": ("v1", "v8.1"),
}
PROTECTING = {
    "/policies/virtualMachines/protectedItems": ("v4", "v8.1"),
    "/policies/sql/protectedItems": ("v4", "v8.1"),
    "/policies/fileShares/protectedItems": ("v4", "v8.1"),
    "/policies/cosmosDb/protectedItems": ("v7", "v8.1"),
}
OBJECTS = {
    "/policy/vnet": ("v6", "v8.1"),
    "/overview/storageUsage": ("v4", "v8.1"),
    "/statistics/summary": ("v1", "v3"),
    "/settings/retention": ("v1", "v8.1"),
}
POINT_FIELDS = {
    "/restorePoints/sql": {
        *("id", "backupDestination", "type", "vbrId", "pointInTime", "backupSizeBytes", "isCorrupted", "state"),
        *("gfsFlags", "jobSessionId", "dataRetrievalStatus", "retrievedDataExpirationDate", "immutableTill"),
        *("notifyBeforeRetrievedDataExpirationHours", "accessTier", "latestChainSizeBytes", "_links"),
        *("databaseId", "databaseName", "sqlServerId", "sqlServerName"),
    },
    "/restorePoints/fileShares": {
        *("id", "type", "indexed", "fileShareId", "fileShareName", "regionId", "regionName", "pointInTime"),
        *("gfsFlags", "state", "jobSessionId", "backupDestination", "sizeInBytes", "isCorrupted", "_links"),
    },
    "/restorePoints/vnets": {
        *("id", "type", "vbrId", "azureAccountId", "subscriptionId", "subscriptionName", "regionId", "regionName"),
        *("pointInTime", "gfsFlags", "jobSessionId", "backupDestination", "state", "sizeInBytes", "isCorrupted"),
        *("latestChainSizeBytes", "changes", "immutableTill", "_links"),
    },
    "/restorePoints/cosmosDb/repository": {
        *("id", "backupDestination", "type", "vbrId", "pointInTime", "backupSizeBytes", "isCorrupted", "state"),
        *("gfsFlags", "jobSessionId", "dataRetrievalStatus", "retrievedDataExpirationDate", "immutableTill"),
        *("notifyBeforeRetrievedDataExpirationHours", "accessTier", "latestChainSizeBytes", "_links"),
        *("accountId", "accountName", "subscriptionId", "subscriptionName", "tenantId", "tenantName", "regionName"),
        "resourceGroupName",
    },
    "/restorePoints/cosmosDb/continuous": {
        *("id", "type", "accountId", "accountName", "pointInTime", "backupSizeBytes", "isCorrupted", "gfsFlags"),
        *("jobSessionId", "dataRetrievalStatus", "retrievedDataExpirationDate", "latestChainSizeBytes", "_links"),
        "notifyBeforeRetrievedDataExpirationHours",
    },
}


def at(version: str, paths: dict[str, tuple[str, str]]) -> list[str]:
    """The paths that a version has."""
    number = VERSIONS.index(version)
    return [path for path, (first, last) in paths.items() if VERSIONS.index(first) <= number <= VERSIONS.index(last)]


class TestPaths:
    @pytest.mark.parametrize("version", VERSIONS)
    def test_a_version_has_its_paths_and_no_other(self, version: str) -> None:
        with simulate(everything(sla_policies=2), version=version) as appliance, client_of(appliance) as client:
            served = at(version, PATHS | PROTECTING | OBJECTS)
            for path in PATHS | PROTECTING | OBJECTS:
                answer = client.get(f"/api/{version}{path}")
                if path in served:
                    assert answer.status_code == 200, path
                    assert path in OBJECTS or answer.json()["totalCount"] > 0, path
                else:
                    assert (answer.status_code, answer.content) == (404, b""), path

    @pytest.mark.parametrize("version", ["v3", "v8.1"])
    def test_each_item_can_be_asked_for_by_its_id(self, version: str) -> None:
        with simulate(everything(sla_policies=2), version=version) as appliance, client_of(appliance) as client:
            for path in at(version, PATHS):
                listed = client.get(f"/api/{version}{path}").json()["results"][-1]
                assert client.get(f"/api/{version}{path}/{listed['id']}").json() == listed
                nobody = client.get(f"/api/{version}{path}/00000000-0000-4000-8000-000000000000")
                assert (nobody.status_code, nobody.headers["content-type"]) == (404, "application/problem+json")
                assert nobody.json()["detail"].endswith("was not found.")
                below = client.get(f"/api/{version}{path}/{listed['id']}/nothing")
                assert (below.status_code, below.content) == (404, b""), path

    @pytest.mark.parametrize("version", ["v1", "v3", "v8.1"])
    def test_every_collection_is_paged_alike(self, version: str) -> None:
        estate = everything(sla_policies=9, days=4)
        offset, limit = ("offset", "limit") if version == "v1" else ("Offset", "Limit")
        with simulate(estate, version=version, page_cap=7) as appliance, client_of(appliance) as client:
            for path in at(version, PATHS | PROTECTING):
                whole = estate.items_of(path, version)
                read: list[Any] = []
                while len(read) < min(len(whole), 40):
                    page = client.get(f"/api/{version}{path}", params={offset: len(read), limit: "-1"}).json()
                    assert (page["offset"], page["limit"], page["totalCount"]) == (len(read), 7, len(whole)), path
                    port = ":443" if version == "v1" else ""
                    below = f"https://{estate.identity.host}{port}/api/{version}{path}?"
                    assert page["_links"]["self"]["href"].startswith(below)
                    read += page["results"]
                assert read == whole[: len(read)], path
                assert client.get(f"/api/{version}{path}", params={offset: "-1"}).status_code == 400, path

    @pytest.mark.parametrize("version", ["v3", "v8.1"])
    def test_a_role_may_be_kept_from_each(self, version: str) -> None:
        paths = at(version, PATHS | PROTECTING | OBJECTS)
        barred = tuple(path for path in paths if path != "/jobSessions")
        with simulate(everything(), version=version, forbidden=barred) as appliance, client_of(appliance) as client:
            status = {path: client.get(f"/api/{version}{path}").status_code for path in paths}
        assert status == {path: 200 if path == "/jobSessions" else 403 for path in paths}

    @pytest.mark.parametrize("version", ["v3", "v8.1"])
    def test_an_order_holds_for_each(self, version: str) -> None:
        estate = everything(sla_policies=9, file_shares=9, databases=9, networks=9, cosmos_accounts=9)
        paths = [path for path in at(version, PATHS) if path != "/policyTemplates/slaTemplate"]
        at_first = {path: [item["id"] for item in estate.items_of(path, version)] for path in paths}
        estate.list_in("none", 7)
        again = {path: [item["id"] for item in estate.items_of(path, version)] for path in paths}
        for path in paths:
            assert at_first[path] == sorted(at_first[path]) == sorted(again[path]), path
            assert len(at_first[path]) < 4 or again[path] != at_first[path], path

    def test_an_estate_of_given_items_has_nothing_else(self) -> None:
        items = [
            {"id": "a", "backupDestination": "AzureBlob", "accessTier": "Hot", "backupSizeBytes": 5},
            {"id": "b", "backupDestination": "Snapshot", "backupSizeBytes": 7},
            {"id": "c", "backupDestination": ["?"], "accessTier": {}},
            None,
        ]
        estate = Estate.from_items(items)
        with simulate(estate) as appliance, client_of(appliance) as client:
            for path, (_, last) in PATHS.items():
                if last == "v8.1":
                    expected = items if path == "/restorePoints/virtualMachines" else []
                    assert client.get(f"/api/v8.1{path}").json()["results"] == expected, path
            usage = client.get("/api/v8.1/overview/storageUsage").json()
        assert [usage[name] for name in ("snapshotsCount", "backupCount", "archivesCount", "totalUsage")] == [
            1,
            1,
            0,
            5,
        ]


class TestGivenItems:
    BAD = (None, 7, {"id": None}, {"id": "A", "name": 3}, {"id": "b"}, {"no": "id"})

    @pytest.mark.parametrize("version", ["v3", "v8.1"])
    def test_any_page_can_serve_any_items(self, version: str) -> None:
        estate = everything()
        with simulate(estate, version=version) as appliance, client_of(appliance) as client:
            for path in [*at(version, PATHS | PROTECTING), "/jobSessions/abc/deletedItems"]:
                estate.serve_items(path, self.BAD)
                page = client.get(f"/api/{version}{path}", params={"Offset": 1, "Limit": 3}).json()
                assert (page["results"], page["totalCount"]) == (list(self.BAD[1:4]), len(self.BAD)), path
                if path in PATHS:
                    assert client.get(f"/api/{version}{path}/a").json() == self.BAD[3], path
                    assert client.get(f"/api/{version}{path}/c").status_code == 404, path
                estate.serve_items(path, [])
                assert client.get(f"/api/{version}{path}").json()["results"] == [], path

    def test_a_path_of_one_version_means_the_collection_at_all(self) -> None:
        estate = everything()
        estate.serve_items("/policies", [{"id": "a"}])
        assert estate.items_of("/policies", "v2") == estate.items_of("/policies/virtualMachines") == [{"id": "a"}]
        assert len(estate.items_of("/policies/sql", "v3")) == 1

    def test_given_pages_below_one_session_leave_the_others_alone(self) -> None:
        estate = everything()
        one, other, *_ = (session for session in estate.sessions if session.removed)
        estate.serve_items(f"/jobSessions/{one.id}/deletedItems", [{"snapshotTime": "soon"}])
        assert estate.items_of(f"/jobSessions/{one.id}/deletedItems") == [{"snapshotTime": "soon"}]
        assert len(estate.items_of(f"/jobSessions/{other.id}/deletedItems")) == len(other.removed)

    @pytest.mark.parametrize("path", ["/nothing", "/policy/vnet", "/restorePoints/virtualMachines/a"])
    def test_what_is_no_page_is_refused(self, path: str) -> None:
        with pytest.raises(SimulatorError):
            everything().serve_items(path, [])


class TestPoints:
    @pytest.mark.parametrize("path", POINT_FIELDS)
    def test_v8_1_items_have_the_documented_fields(self, path: str) -> None:
        items = everything().items_of(path)
        assert items
        for item in items:
            missing = POINT_FIELDS[path] ^ set(item)
            assert missing <= {"accessTier"}

    def test_v3_sql_items_are_as_the_vendor_shows_them(self) -> None:
        estate = everything()
        item = estate.items_of("/restorePoints/sql", "v3")[0]
        assert set(item) == {
            *("id", "type", "databaseId", "databaseName", "vbrId", "pointInTime", "backupSizeBytes", "gfsFlags"),
            *("jobSessionId", "backupDestination", "usn", "dataRetrievalStatus", "retrievedDataExpirationDate"),
            *("notifyBeforeRetrievedDataExpirationHours", "_embeddedResources", "_links"),
        }
        host = estate.identity.host
        assert item["_links"] == {
            "self": {"href": f"https://{host}/api/v3/restorePoints/sql/{item['id']}?expand=None"},
            "BackupJob": {"href": f"https://{host}/api/v3/jobSessions/{item['jobSessionId']}"},
        }

    @pytest.mark.parametrize(
        ("path", "earliest"),
        [("/restorePoints/sql", 3), ("/restorePoints/fileShares", 4), ("/restorePoints/vnets", 6)],
    )
    def test_versions_in_between_only_add_fields(self, path: str, earliest: int) -> None:
        estate = everything()
        fields = [set(estate.items_of(path, version)[0]) for version in VERSIONS[earliest - 1 : 7]]
        assert all(one <= later for one, later in pairwise(fields))
        assert fields[-1] - {"usn", "_embeddedResources"} <= POINT_FIELDS[path]

    def test_machines_are_the_same_whatever_else_there_is(self) -> None:
        alone, among = Estate.from_seed(5, days=9), Estate.from_seed(5, days=9, databases=3, cosmos_accounts=1)
        assert alone.items_of("/restorePoints/virtualMachines") == among.items_of("/restorePoints/virtualMachines")
        assert alone.machines == among.machines

    def test_no_file_share_snapshot_has_a_size_and_some_say_null(self) -> None:
        sizes = Counter(
            item["sizeInBytes"] for item in everything(file_shares=12).items_of("/restorePoints/fileShares")
        )
        assert set(sizes) == {0, None}
        assert 0.03 < sizes[None] / sizes.total() < 0.25

    def test_continuous_records_move_every_ten_minutes(self) -> None:
        estate = everything()
        path = "/restorePoints/cosmosDb/continuous"
        before = estate.items_of(path)
        estate.clock.advance(minutes=9)
        assert estate.items_of(path) == before
        estate.clock.advance(minutes=1)
        after = estate.items_of(path)
        assert len(after) == 2
        for old, new in zip(before, after, strict=True):
            moved = {name for name in old if old[name] != new[name]}
            assert moved == {"pointInTime", "backupSizeBytes", "latestChainSizeBytes"}
            assert datetime.fromisoformat(new["pointInTime"]) == estate.clock.now

    @pytest.mark.parametrize(
        ("path", "parameter", "field"),
        [
            ("/restorePoints/sql", "DatabaseId", "databaseId"),
            ("/restorePoints/fileShares", "FileShareId", "fileShareId"),
            ("/restorePoints/vnets", "SubscriptionId", "subscriptionId"),
            ("/restorePoints/vnets", "RegionId", "regionId"),
            ("/restorePoints/cosmosDb/repository", "CosmosDbAccountId", "accountId"),
            ("/restorePoints/cosmosDb/continuous", "CosmosDbAccountId", "accountId"),
        ],
    )
    def test_points_of_one_resource_and_only_the_latest(self, path: str, parameter: str, field: str) -> None:
        estate = everything(networks=5)
        everyone = estate.items_of(path)
        wanted = everyone[0][field]
        with simulate(estate) as appliance, client_of(appliance) as client:
            ask = {"Limit": "-1", parameter: wanted}
            its = client.get(f"/api/v8.1{path}", params=ask).json()["results"]
            latest = client.get(f"/api/v8.1{path}", params={"Limit": "-1", "OnlyLatest": "true"}).json()["results"]
        assert its == [item for item in everyone if item[field] == wanted]
        assert 0 < len(its) < len(everyone)
        newest: defaultdict[Any, list[str]] = defaultdict(list)
        for item in everyone:
            newest[item[field] if "vnets" not in path else (item["subscriptionId"], item["regionId"])].append(
                item["pointInTime"]
            )
        assert sorted(item["pointInTime"] for item in latest) == sorted(map(max, newest.values()))


class TestRules:
    @pytest.mark.parametrize(
        "path", ["/policies/virtualMachines", "/policies/sql", "/policies/fileShares", "/policies/cosmosDb"]
    )
    def test_schedules_are_those_by_which_points_are_made_and_kept(self, path: str) -> None:
        estate = everything(machines=9, days=60)
        for policy in estate.items_of(path):
            members = {one["resourceId"] for one in estate.items_of(f"{path}/{policy['id']}/protectedItems")}
            assert members
            mine = [p for p in estate.points if p.resource.resource_id in members and p.session is not None]
            # the clocks changed on the 30th: that night's two o'clock never was
            mine = [p for p in mine if "Manual" not in p.backup_destination and f"{p.point_in_time:%d}" != "30"]
            daily = policy["dailySchedule"]
            for destination, schedule in (("Snapshot", "snapshotSchedule"), ("AzureBlob", "backupSchedule")):
                made = [p for p in mine if p.backup_destination == destination and p.access_tier != "Archive"]
                hours = {p.point_in_time.astimezone(BERLIN).hour for p in made}
                assert hours == set(daily[schedule]["hours"] if daily[schedule] else [])
            if daily["snapshotSchedule"]:
                kept = Counter(p.resource.resource_id for p in mine if p.backup_destination == "Snapshot")
                most = daily["snapshotSchedule"]["snapshotsToKeep"] + len(daily["snapshotSchedule"]["hours"])
                assert set(kept) == members
                assert max(kept.values()) <= most
            if daily["backupSchedule"]:
                assert daily["backupSchedule"]["retention"]["retentionDurationType"] == "Days"
                days = daily["backupSchedule"]["retention"]["timeRetentionDuration"]
                oldest = min(p.point_in_time for p in mine if "Daily" in p.gfs_flags)
                assert timedelta(days=days - 2) < estate.clock.now - oldest < timedelta(days=days + 2)
            flags = {flag for p in mine for flag in p.gfs_flags.split(", ")} - {"None", "Daily"}
            assert flags == {
                name.capitalize() for name in ("weekly", "monthly", "yearly") if policy[f"{name}Schedule"] is not None
            }

    def test_the_next_run_is_the_next_point(self) -> None:
        estate = everything(machines=9)
        for policy in estate.items_of("/policies/virtualMachines"):
            due = datetime.fromisoformat(policy["nextExecutionTime"])
            later = everything(machines=9)
            known = by_id(later).keys()
            members = {
                one["resourceId"] for one in later.items_of(f"/policies/virtualMachines/{policy['id']}/protectedItems")
            }
            later.clock.advance(hours=(due - later.clock.now) / timedelta(hours=1))
            assert not {p.id for p in later.points if p.resource.resource_id in members} - known
            later.clock.advance(minutes=15)
            assert {p.id for p in later.points if p.resource.resource_id in members} - known

    def test_a_policy_can_be_changed_by_json_fields(self) -> None:
        estate = everything(sla_policies=1)
        estate.change_policy("Production", isEnabled=False, dailySchedule=None)
        estate.change_policy("Production", priority=9)
        estate.change_policy("SLA 1", name="Renamed")
        estate.change_policy("Network configuration", isEnabled="maybe")
        (found,) = (item for item in estate.items_of("/policies/virtualMachines") if item["name"] == "Production")
        assert (found["isEnabled"], found["dailySchedule"], found["priority"]) == (False, None, 9)
        assert [item["name"] for item in estate.items_of("/policy/slaBased/virtualMachines")] == ["Renamed"]
        with simulate(estate) as appliance, client_of(appliance) as client:
            assert client.get("/api/v8.1/policy/vnet").json()["isEnabled"] == "maybe"
        with pytest.raises(KeyError):
            estate.change_policy("Nobody's", priority=1)

    def test_there_are_no_sla_policies_unless_wished(self) -> None:
        assert everything().items_of("/policy/slaBased/virtualMachines") == []
        assert everything().items_of("/policyTemplates/slaTemplate") == []
        estate = everything(sla_policies=3)
        used = [item["slaPolicyTemplateId"] for item in estate.items_of("/policy/slaBased/virtualMachines")]
        assigned = {item["id"]: item["assignedPolicies"] for item in estate.items_of("/policyTemplates/slaTemplate")}
        assert assigned == Counter(used)
        assert len(used) == 3
        assert not any("dailySchedule" in item for item in estate.items_of("/policy/slaBased/virtualMachines"))

    def test_there_is_a_repository_for_each_tier_in_use(self) -> None:
        estate = everything(machines=9)
        found = {item["id"]: item["storageTier"] for item in estate.items_of("/repositories")}
        assert sorted(found.values()) == ["Archive", "Cool", "Hot"]
        for policy in estate.items_of("/policies/virtualMachines"):
            backups, weekly = policy["dailySchedule"]["backupSchedule"], policy["weeklySchedule"]
            assert found[backups["targetRepositoryId"]] in ("Hot", "Cool")
            assert weekly is None or found[weekly["backupSchedule"]["targetRepositoryId"]] == "Archive"
        session = [one for one in estate.sessions if one.type == "BackupRetention"][-1]
        listed = estate.items_of(f"/jobSessions/{session.id}/deletedItems")
        assert [found[item["repositoryId"]] for item in listed] == [p.access_tier for p in session.removed]
        estate.create(backup_destination="AzureBlob", access_tier="Cold")
        assert "Cold" in {item["storageTier"] for item in estate.items_of("/repositories")}


class TestResources:
    @pytest.mark.parametrize(
        ("inventory", "protected", "points", "field"),
        [
            ("/virtualMachines", "/protectedItem/virtualMachines", "/restorePoints/virtualMachines", "resourceHashId"),
            ("/databases", "/protectedItem/sql", "/restorePoints/sql", "databaseId"),
            ("/fileShares", "/protectedItem/fileShares", "/restorePoints/fileShares", "fileShareId"),
            ("/cosmosDb", "/protectedItem/cosmosDb", "/restorePoints/cosmosDb/repository", "accountId"),
        ],
    )
    def test_what_is_protected_is_what_has_points(
        self, inventory: str, protected: str, points: str, field: str
    ) -> None:
        estate = everything()
        newest: dict[str, str] = {}
        for item in estate.items_of(points):
            newest[item[field]] = max(newest.get(item[field], ""), item["pointInTime"])
        told = {item["id"]: item.get("lastBackup") or item["latestBackup"] for item in estate.items_of(protected)}
        assert told == newest
        assert {item["id"] for item in estate.items_of(inventory)} == set(newest)

    def test_a_resource_without_points_is_not_protected(self) -> None:
        estate = everything()
        database = estate.resources("sql")[0]
        estate.delete(*(p.id for p in estate.points if p.resource == database))
        assert database.resource_id not in {item["id"] for item in estate.items_of("/protectedItem/sql")}
        assert database.resource_id in {item["id"] for item in estate.items_of("/databases")}

    def test_networks_are_told_by_region_and_subscription(self) -> None:
        estate = everything(networks=9)
        found = {(item["subscriptionId"], item["regionId"]) for item in estate.items_of("/restorePoints/vnets")}
        assert len(found) == len(estate.items_of("/protectedItem/vnet")) == 9


class TestCounts:
    @pytest.mark.parametrize(("version", "path"), [("v3", "/statistics/summary"), ("v8.1", "/overview/storageUsage")])
    def test_counts_are_true_to_the_living_points(self, version: str, path: str) -> None:
        estate = everything(days=40)
        estate.create(estate.resources("file_share")[0], workload="file_share", backup_destination="ImportedSnapshot")
        estate.clock.advance(days=1)
        estate.delete(estate.points[0].id)
        shown = [p for p in estate.points if version == "v8.1" or p.workload in ("vm", "sql")]
        kinds = Counter(
            "snapshotsCount"
            if p.backup_destination in ("Snapshot", "ManualSnapshot", "ImportedSnapshot")
            else "archivesCount"
            if p.access_tier == "Archive"
            else "backupCount"
            for p in shown
            if p.workload not in ("vnet", "cosmos_db_continuous")
        )
        sizes = Counter[str]()
        for p in shown:
            if p.backup_destination in ("AzureBlob", "ManualBackup"):
                sizes[p.access_tier or ""] += p.backup_size_bytes or 0
        with simulate(estate, version=version) as appliance, client_of(appliance) as client:
            usage = client.get(f"/api/{version}{path}").json()
        assert usage == {
            **kinds,
            "totalUsage": sizes.total(),
            "hotUsage": sizes["Hot"],
            "coolUsage": sizes["Cool"],
            "archiveUsage": sizes["Archive"],
        }
        assert len(kinds) == 3

    def test_an_estate_counts_the_points_of_every_workload(self) -> None:
        estate = everything()
        per_workload = Counter(point.workload for point in estate.points)
        assert len(estate) == len(estate.points) == per_workload.total()
        assert len(per_workload) == 6
        for point in {point.workload: point for point in estate.points}.values():
            estate.change(point.id, is_corrupted=True)
            assert estate.point(point.id.upper()).is_corrupted
            assert json.loads(estate.item("v8.1", point.id) or b"")["isCorrupted"] is True
            estate.hide(point.id)
            estate.show(point.id)
            estate.delete(point.id)
            assert estate.item("v8.1", point.id) is None
        assert len(estate) == per_workload.total() - 6
