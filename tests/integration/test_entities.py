"""Resources, policies, repositories and job sessions from one night to the next, on both databases."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from collection_cases import CASES
from nights import ALL_TABLES, Nights, counting_writes

from etl.catalogue import COLLECTIONS
from etl.simulator import Estate, simulate
from etl.sync import RunResult

Rows = Callable[..., list[dict[str, Any]]]

SESSION = "b2e70000-0000-4000-8000-000000000001"


def machine(number: int, **fields: Any) -> dict[str, Any]:
    """A protected machine of v8.1."""
    return {
        "id": f"machine-{number}",
        "azureId": f"/subscriptions/prod/web-{number}",
        "name": f"web-{number}",
        "vmSize": "Standard_D2s_v5",
        "lastBackup": "2026-03-01T01:00:00Z",
        "subscription": {"id": "sub-prod", "name": "prod"},
        "region": {"id": "westeurope", "name": "West Europe"},
        "resourceGroup": {"name": "rg-web"},
        "inventory": {"id": f"machine-{number}", "isDeleted": False},
        **fields,
    }


def policy(number: int, **fields: Any) -> dict[str, Any]:
    """A policy of v8.1."""
    return {
        "id": f"policy-{number}",
        "name": f"gold-{number}",
        "priority": number,
        "isEnabled": True,
        "nextExecutionTime": "2026-03-02T00:00:00Z",
        "backupStatus": "Success",
        **fields,
    }


def repository(number: int, **fields: Any) -> dict[str, Any]:
    """A repository of v8.1."""
    return {"id": f"repository-{number}", "name": f"store-{number}", "status": "Ready", "concurrencyLimit": 4, **fields}


def pair(policy_number: int, machine_number: int, **fields: Any) -> dict[str, Any]:
    """A machine under a policy."""
    return {
        "policyId": f"policy-{policy_number}",
        "resourceId": f"machine-{machine_number}",
        "subscriptionId": "sub-prod",
        **fields,
    }


def record(**fields: Any) -> dict[str, Any]:
    """A continuous backup of a Cosmos DB account."""
    return {
        "id": "00000000-0000-4000-8000-0000000000cc",
        "type": "Continuous",
        "accountId": "account-1",
        "accountName": "orders",
        "pointInTime": "2026-03-01T01:50:00Z",
        "backupSizeBytes": 1000,
        "latestChainSizeBytes": 1000,
        "isCorrupted": False,
        "jobSessionId": SESSION,
        **fields,
    }


def session(**fields: Any) -> dict[str, Any]:
    """A job session that is under way."""
    return {
        "id": SESSION,
        "type": "PolicyBackup",
        "executionStartTime": "2026-03-01T01:59:00.5Z",
        "executionStopTime": None,
        "executionDuration": None,
        "status": "Running",
        "backupJobInfo": {"policyId": "policy-1", "policyName": "gold-1"},
        **fields,
    }


def without(items: Sequence[dict[str, Any]], *names: str) -> list[dict[str, Any]]:
    """The rows without some of their columns."""
    return [{name: value for name, value in item.items() if name not in names} for item in items]


def test_a_resource_that_is_renamed_or_moved_keeps_its_id_and_gets_one_version(nights: Nights, rows: Rows) -> None:
    nights.load([machine(number) for number in (1, 2, 3, 4)], collection="vm_resources")
    renamed = machine(1, name="shop")
    moved = machine(2, subscription={"id": "sub-test", "name": "prod"})
    moved_far = machine(3, region={"id": "northeurope", "name": "West Europe"})
    outcome = nights.load([renamed, moved, moved_far, machine(4)], collection="vm_resources")
    assert (outcome.inserted, outcome.updated, outcome.unchanged) == (0, 3, 1)
    before = {
        number: {"resource_name": f"web-{number}", "subscription_id": "sub-prod", "region_id": "westeurope"}
        for number in (1, 2, 3, 4)
    }
    after = {
        1: before[1] | {"resource_name": "shop"},
        2: before[2] | {"subscription_id": "sub-test"},
        3: before[3] | {"region_id": "northeurope"},
    }
    columns = "resource_id, resource_name, subscription_id, region_id"
    assert rows(f"select {columns} from protected_resources order by resource_id") == [
        {"resource_id": f"machine-{number}", **told} for number, told in (before | after).items()
    ]
    for number in before:
        versions = [{"run_number": 1, "change": "appeared", "closed_run": None, "closed_by": None, **before[number]}]
        if number in after:
            versions[0] |= {"closed_run": 2, "closed_by": "changed"}
            versions += [{"run_number": 2, "change": "changed", "closed_run": None, "closed_by": None, **after[number]}]
        found = rows(
            f"""select run_number, change, closed_run, closed_by, {columns}
                from protected_resource_versions where resource_id = :id order by run_number""",
            id=f"machine-{number}",
        )
        assert without(found, "resource_id") == versions


def test_a_resource_made_anew_under_the_same_name_stands_beside_the_old_one(nights: Nights, rows: Rows) -> None:
    nights.load([machine(1)], collection="vm_resources", evidence="single_page")
    anew = machine(1, id="machine-9")
    outcome = nights.load([anew], collection="vm_resources", evidence="single_page")
    assert (outcome.inserted, outcome.updated, outcome.deleted) == (1, 0, 1)
    assert rows("select resource_id, resource_name, first_run, deleted_run from protected_resources order by 1") == [
        {"resource_id": "machine-1", "resource_name": "web-1", "first_run": 1, "deleted_run": 2},
        {"resource_id": "machine-9", "resource_name": "web-1", "first_run": 2, "deleted_run": None},
    ]
    assert rows("select resource_id, change, closed_run, closed_by from protected_resource_versions order by 1") == [
        {"resource_id": "machine-1", "change": "appeared", "closed_run": 2, "closed_by": "deleted"},
        {"resource_id": "machine-9", "change": "appeared", "closed_run": None, "closed_by": None},
    ]


def test_what_an_unproven_run_does_not_list_stays(nights: Nights, rows: Rows) -> None:
    nights.load([machine(1), machine(2)], collection="vm_resources", evidence="single_page")
    outcome = nights.load([machine(1)], collection="vm_resources")
    assert outcome.deleted == 0
    assert rows("select count(*) as there from protected_resources where deleted_at is null") == [{"there": 2}]


def test_what_moves_by_itself_is_updated_in_place_and_makes_no_version(nights: Nights, rows: Rows) -> None:
    moves = [
        ("vm_resources", machine(1), machine(1, lastBackup="2026-03-02T01:00:00Z"), "last_backup_at"),
        ("vm_resources", machine(2), machine(2, vmSize="Standard_D4s_v5"), "extra"),
        ("vm_policies", policy(1), policy(1, nextExecutionTime="2026-03-03T00:00:00Z"), "next_run_at"),
        ("vm_policies", policy(2), policy(2, backupStatus="Warning"), "extra"),
        ("vm_policy_resources", pair(1, 1), pair(1, 1, region="westeurope"), "extra"),
        ("repositories", repository(1), repository(1, concurrencyLimit=8), "extra"),
    ]
    collections = list(dict.fromkeys(name for name, *_ in moves))

    def look() -> list[dict[str, Any]]:
        entities = [COLLECTIONS[name].entity for name in collections]
        return [row for one in entities for row in rows(f"select * from {one.table} order by {one.key[0]}")]

    nights.run({name: [before for one, before, _, _ in moves if one == name] for name in collections})
    first = look()
    outcomes = nights.run({name: [after for one, _, after, _ in moves if one == name] for name in collections})
    assert sum(outcome.updated for outcome in outcomes.values()) == len(moves)
    for old, new, (_, _, _, column) in zip(first, look(), moves, strict=True):
        assert old[column] != new[column]
        assert without([old], column, "source_hash") == without([new], column, "source_hash")
    for name in collections:
        versions = rows(f"select change, closed_run from {COLLECTIONS[name].entity.versions}")
        assert versions
        assert all(version == {"change": "appeared", "closed_run": None} for version in versions)


def test_a_rule_or_a_repository_that_is_changed_gets_one_version(nights: Nights, rows: Rows) -> None:
    template = {"slaTemplate": {"name": "nightly"}}
    changes = [
        ("vm_policies", policy(1), policy(1, priority=7), "priority", 7),
        ("sql_policies", policy(2), policy(2, isEnabled=None), "is_enabled", None),
        ("vnet_policy", policy(3, id=None), policy(3, id=None, name="networks"), "policy_name", "networks"),
        ("vm_sla_policies", policy(4, **template), policy(4, slaTemplate={"name": "o"}), "sla_template_name", "o"),
        ("vm_policy_resources", pair(1, 1), pair(1, 1, subscriptionId="sub-test"), "subscription_id", "sub-test"),
        ("repositories", repository(1), repository(1, status="ReadOnly"), "status", "ReadOnly"),
    ]
    nights.run({name: [before] for name, before, *_ in changes})
    outcomes = nights.run({name: [after] for name, _, after, *_ in changes})
    assert {(outcome.inserted, outcome.updated) for outcome in outcomes.values()} == {(0, 1)}
    for name, _, _, column, now in changes:
        entity = COLLECTIONS[name].entity
        (fact,) = rows(f"select * from {entity.table} where collection = :name", name=name)
        same = " and ".join(f"{key} = :{key}" for key in entity.key)
        key = {one: fact[one] for one in entity.key}
        first, second = rows(f"select * from {entity.versions} where {same} order by run_number", **key)
        assert (first["change"], first["closed_by"], first["valid_to"]) == ("appeared", "changed", second["valid_from"])
        assert (second["change"], second["valid_to"]) == ("changed", None)
        assert (fact[column], second[column], fact["last_changed_run"]) == (now, now, 2)
        assert first[column] not in (now, None)


def test_a_resource_that_leaves_its_policy_and_returns_closes_and_reopens_that_pair_alone(
    nights: Nights, rows: Rows
) -> None:
    """One machine under two policies, and two machines under one policy: only both ids tell a pair."""
    all_three = [pair(1, 1), pair(1, 2), pair(2, 1)]
    for listed in (all_three, [pair(1, 2), pair(2, 1)], all_three):
        outcome = nights.load(listed, collection="vm_policy_resources", evidence="single_page")
    assert (outcome.inserted, outcome.reappeared, outcome.unchanged, outcome.deleted) == (0, 1, 2, 0)
    assert rows(
        """select policy_id, resource_id, run_number, change, closed_run, closed_by
           from policy_resource_versions order by policy_id, resource_id, run_number"""
    ) == [
        {
            "policy_id": f"policy-{policy_number}",
            "resource_id": f"machine-{machine_number}",
            "run_number": run_number,
            "change": change,
            "closed_run": closed_run,
            "closed_by": closed_by,
        }
        for policy_number, machine_number, run_number, change, closed_run, closed_by in (
            (1, 1, 1, "appeared", 2, "deleted"),
            (1, 1, 3, "reappeared", None, None),
            (1, 2, 1, "appeared", None, None),
            (2, 1, 1, "appeared", None, None),
        )
    ]
    assert rows("select count(*) as there from policy_resources where deleted_at is null") == [{"there": 3}]


def test_a_continuous_backup_that_moves_by_itself_shows_its_newest_state_and_makes_no_version(
    nights: Nights, rows: Rows
) -> None:
    collection = "cosmos_db_continuous"
    nights.load([record()], collection=collection)
    later = {
        "pointInTime": "2026-03-02T01:50:00Z",
        "backupSizeBytes": 2000,
        "latestChainSizeBytes": 2000,
        "jobSessionId": "b2e70000-0000-4000-8000-000000000002",
    }
    outcome = nights.load([record(**later)], collection=collection)
    assert (outcome.updated, outcome.unchanged) == (1, 0)
    (row,) = rows("select * from restore_points")
    assert str(row["point_in_time"]).startswith("2026-03-02 01:50:00")
    assert (row["backup_size_bytes"], row["latest_chain_size_bytes"]) == (2000, 2000)
    assert row["job_session_id"] == "b2e70000-0000-4000-8000-000000000002"
    assert row["last_changed_run"] == 1
    assert rows("select change, closed_run from restore_point_versions") == [{"change": "appeared", "closed_run": None}]
    # what does not move by itself does make one, and that holds the newest of everything
    nights.load([record(**later | {"isCorrupted": True, "backupSizeBytes": 3000})], collection=collection)
    assert rows("select run_number, change, backup_size_bytes from restore_point_versions order by run_number") == [
        {"run_number": 1, "change": "appeared", "backup_size_bytes": 1000},
        {"run_number": 3, "change": "changed", "backup_size_bytes": 3000},
    ]


def test_the_same_fields_of_another_workload_are_a_change(nights: Nights, rows: Rows) -> None:
    nights.load([record()], collection="cosmos_db")
    nights.load([record(backupSizeBytes=2000)], collection="cosmos_db")
    assert rows("select change from restore_point_versions order by run_number") == [
        {"change": "appeared"},
        {"change": "changed"},
    ]


def test_a_policy_that_two_listings_hold_does_not_change_to_and_fro(nights: Nights, rows: Rows) -> None:
    plain = {"vm_policies": [policy(1), policy(2)]}
    by_template = {"vm_sla_policies": [policy(1, priority=9, slaTemplate={"name": "nightly"})]}
    nights.run(plain | by_template)
    told = rows("select policy_id, priority, collection, sla_template_name from policies order by 1")
    assert [row["policy_id"] for row in told] == ["policy-1", "policy-2"]
    # read concurrently, either may come first on any night
    for listed in (plain | by_template, by_template | plain, plain | by_template, by_template | plain):
        with counting_writes(nights.warehouse, ALL_TABLES) as writes:
            outcomes = nights.run(listed, evidence="single_page")
        assert writes() == 0
        assert sum(outcome.extracted for outcome in outcomes.values()) == 2
        assert sum(outcome.deleted for outcome in outcomes.values()) == 0
    assert rows("select policy_id, priority, collection, sla_template_name from policies order by 1") == told


def test_a_policy_that_goes_over_to_another_listing_is_the_same_policy(nights: Nights, rows: Rows) -> None:
    nights.run({"vm_policies": [policy(1)], "vm_sla_policies": []}, evidence="single_page")
    changed = policy(1, slaPolicyTemplateId="template-1")
    outcomes = nights.run({"vm_policies": [], "vm_sla_policies": [changed]}, evidence="single_page")
    assert [outcome.deleted for outcome in outcomes.values()] == [0, 0]
    assert rows("select collection, deleted_at, first_run, sla_template_id from policies where priority = 1") == [
        {"collection": "vm_sla_policies", "deleted_at": None, "first_run": 1, "sla_template_id": "template-1"}
    ]
    assert rows("select change from policy_versions where priority = 1 order by run_number") == [
        {"change": "appeared"},
        {"change": "changed"},
    ]


def test_a_session_that_was_running_gets_its_end_with_the_next_run(nights: Nights, rows: Rows) -> None:
    told: dict[str, dict[str, Any]] = {
        "told no end": {},
        "told an end in 1900": {"executionStopTime": "1900-01-01T00:00:00"},
        "told an end before its start": {
            "executionStopTime": "2026-03-01T01:58:00Z",
            "executionDuration": "-00:01:00",
        },
    }
    nights.load([session(id=name, **fields) for name, fields in told.items()], collection="job_sessions")
    columns = "status, stopped_at, duration_seconds, policy_id, first_run"
    running = {"status": "Running", "stopped_at": None, "duration_seconds": None, "policy_id": "policy-1"}
    assert rows(f"select {columns} from job_sessions") == [running | {"first_run": 1}] * len(told)
    assert rows("select count(*) as rejected from rejected_records") == [{"rejected": 0}]
    end = {"status": "Success", "executionStopTime": "2026-03-01T02:00:00Z", "executionDuration": "00:00:59.5000000"}
    outcome = nights.load([session(id=name, **end) for name in told], collection="job_sessions")
    assert (outcome.updated, outcome.unchanged) == (len(told), 0)
    for row in rows(f"select {columns}, extra from job_sessions"):
        assert str(row["stopped_at"]).startswith("2026-03-01 02:00:00")
        assert (row["status"], row["duration_seconds"], row["first_run"]) == ("Success", 59.5, 1)
        extra = json.loads(row["extra"]) if isinstance(row["extra"], str) else row["extra"]
        assert extra == {"backupJobInfo": {"policyId": "policy-1", "policyName": "gold-1"}}


def test_what_cannot_be_read_is_kept_with_its_collection_and_costs_no_more_than_it_must(
    nights: Nights, rows: Rows
) -> None:
    bad = [
        ("job_sessions", session(executionStartTime="soon"), "executionStartTime", SESSION),
        ("job_sessions", session(id=None), None, None),
        ("repositories", repository(1, status=4), "status", "repository-1"),
        ("vm_policies", policy(1, priority="first"), "priority", "policy-1"),
        ("vm_policies", policy(1, id=7), None, None),
        ("vm_policy_resources", pair(1, 1, subscriptionId=True), "subscriptionId", None),
        ("vm_policy_resources", pair(1, 1, policyId=None), None, None),
        ("vm_resources", machine(1, region="westeurope"), "region", "machine-1"),
    ]
    names = list(dict.fromkeys(name for name, *_ in bad))
    listed = {name: [item for one, item, *_ in bad if one == name] for name in names}
    outcomes = nights.run(listed)
    for name, outcome in outcomes.items():
        fields = [field for one, _, field, _ in bad if one == name]
        assert (outcome.rejected, outcome.field_errors) == (fields.count(None), len(fields) - fields.count(None))
        assert rows(f"select count(*) as loaded from {COLLECTIONS[name].entity.table}") == [{"loaded": 1}]

    def records() -> list[dict[str, Any]]:
        return rows(
            """select collection, field, item_id, restore_point_id, first_run, last_run, resolved_run
               from rejected_records order by collection, field is null"""
        )

    def expected(**runs: int | None) -> list[dict[str, Any]]:
        return [
            {"collection": name, "field": field, "item_id": item_id, "restore_point_id": None, **runs}
            for name, _, field, item_id in bad
        ]

    assert records() == expected(first_run=1, last_run=1, resolved_run=None)
    with counting_writes(nights.warehouse, ALL_TABLES) as writes:
        nights.run(listed)
    assert writes() == 0
    assert records() == expected(first_run=1, last_run=2, resolved_run=None)
    nights.run({name: [] for name in names})
    assert records() == expected(first_run=1, last_run=2, resolved_run=3)


def test_what_was_not_read_again_is_not_resolved(nights: Nights, rows: Rows) -> None:
    """Sessions are read by window: most of what could not be read is not in the next one."""
    bad = {"executionStartTime": "soon"}
    first = [session(**bad), session(id="other", **bad), session(id=None)]
    nights.load(first, collection="job_sessions")
    nights.load([session(id="new")], collection="job_sessions", whole=False)
    query = "select item_id, last_run, resolved_run from rejected_records order by item_id is null, item_id"
    still_open = {"last_run": 1, "resolved_run": None}
    told = [{"item_id": item_id, **still_open} for item_id in (SESSION, "other", None)]
    assert rows(query) == told
    nights.load([session()], collection="job_sessions", whole=False)
    told[0]["resolved_run"] = 3
    assert rows(query) == told
    nights.load([session(), session(id="other", **bad)], collection="job_sessions")
    told[1]["last_run"] = told[2]["resolved_run"] = 4
    assert rows(query) == told


def test_a_run_that_reads_newer_sessions_alone_leaves_the_record_of_an_old_one_open(
    sync: Callable[..., RunResult], rows: Rows
) -> None:
    query = "select collection, item_id, field, first_run, last_run, resolved_run from rejected_records"
    with simulate(Estate.from_seed(3, machines=2, days=4), version="v8.1") as appliance:
        oldest = appliance.estate.sessions[0]
        appliance.estate.change_session(oldest.id, localizedType=7)
        for _ in range(2):
            sync(appliance, now=lambda: appliance.clock.now)
            assert rows(query) == [
                {
                    "collection": "job_sessions",
                    "item_id": oldest.id.lower(),
                    "field": "localizedType",
                    "first_run": 1,
                    "last_run": 1,
                    "resolved_run": None,
                }
            ]


def test_identical_nights_write_no_row_of_any_collection(nights: Nights) -> None:
    """Neither what is known by its hash, nor what has to be compared column by column."""
    listed = {name: [case.item for case in CASES if case.collection.name == name] for name in COLLECTIONS}
    count = sum(case.key is not None for case in CASES)
    nights.run(listed)
    with counting_writes(nights.warehouse, ALL_TABLES) as writes:
        outcomes = nights.run(listed)
    assert writes() == 0
    assert sum(outcome.unchanged for outcome in outcomes.values()) == count
    reordered = {name: [dict(reversed(item.items())) for item in items] for name, items in listed.items()}
    with counting_writes(nights.warehouse, ALL_TABLES) as writes:
        outcomes = nights.run(reordered)
    assert writes() == 0
    assert sum(outcome.unchanged for outcome in outcomes.values()) == count
