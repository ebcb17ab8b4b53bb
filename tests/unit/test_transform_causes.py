"""Why points vanished: which evidence explains what, and what stays unexplained."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from etl.transform.causes import DeletedItem, Explanation, Gone, Removal, explain
from etl.transform.removing import REMOVING, removes

MADE = datetime(2026, 3, 1, 2, 0, 11, 482_326, UTC)
BEFORE = datetime(2026, 3, 8, 5, 0, tzinfo=UTC)
"""The last run that saw the point."""
AFTER = datetime(2026, 3, 9, 5, 0, tzinfo=UTC)
"""The run that found it gone."""
AT = datetime(2026, 3, 9, 0, 0, tzinfo=UTC)
"""When a session began that lies in between; it takes a minute."""
MS = timedelta(milliseconds=1)
TOLERANCE = timedelta(minutes=5)
MICROSECOND = timedelta(microseconds=1)
NOBODY = "no session of a removing kind in between"


def gone(**changes: Any) -> Gone:
    """A backup of a machine that vanished between two nights."""
    point: dict[str, Any] = {
        "restore_point_id": "e0b4",
        "workload": "vm",
        "resource_id": "9zx",
        "resource_name": "web-01",
        "point_in_time": MADE,
        "backup_size_bytes": 1000,
        "backup_destination": "AzureBlob",
        "access_tier": "Hot",
        "last_confirmed_at": BEFORE,
        "observed_at": AFTER,
        "policy_gone": False,
    }
    return Gone(**point | changes)


def snapshot(**changes: Any) -> Gone:
    return gone(**{"backup_destination": "Snapshot", "access_tier": None} | changes)


def row(**changes: Any) -> DeletedItem:
    """The row that a session leaves of that backup, at v8.1."""
    item: dict[str, Any] = {
        "item_id": None,
        "resource_id": "9zx",
        "resource_name": "web-01",
        "snapshot_time": MADE,
        "backup_size_bytes": 1000,
        "repository_id": "r-1",
        "storage_tier": "Hot",
    }
    return DeletedItem(**item | changes)


def outside(**changes: Any) -> DeletedItem:
    """The row of a point that is in no repository."""
    return row(**{"repository_id": None, "storage_tier": None} | changes)


def session(kind: str = "BackupRetention", *items: DeletedItem, name: str = "s-1", **changes: Any) -> Removal:
    removal: dict[str, Any] = {
        "session_id": name,
        "session_type": kind,
        "started_at": AT,
        "stopped_at": AT + timedelta(minutes=1),
        "deleted_count": len(items) if "Retention" in kind else None,
        "items": items,
        "resources": frozenset(),
        "fault": None,
    }
    return Removal(**removal | changes)


def named(*resources: str) -> dict[str, Any]:
    return {"resources": frozenset(resources)}


EXPLAINED = {
    "a row that is the point in every respect": (gone(), [session("BackupRetention", row())], ("retention", "item")),
    "a row among those of others": (
        gone(),
        [session("BackupRetention", row(resource_id="other"), row(), row(snapshot_time=MADE + timedelta(days=1)))],
        ("retention", "item"),
    ),
    "a resource id in capitals": (
        gone(resource_id="9ZX"),
        [session("BackupRetention", row(resource_id="9zx"))],
        ("retention", "item"),
    ),
    "a row's resource id in capitals": (
        gone(),
        [session("BackupRetention", row(resource_id="9ZX"))],
        ("retention", "item"),
    ),
    "a renamed resource": (gone(resource_name="old"), [session("BackupRetention", row())], ("retention", "item")),
    "a row without a resource id": (
        gone(),
        [session("BackupRetention", row(resource_id=None))],
        ("retention", "item"),
    ),
    "a point without a resource id": (
        gone(resource_id=None),
        [session("BackupRetention", row())],
        ("retention", "item"),
    ),
    "neither has a resource id": (
        gone(resource_id=None),
        [session("BackupRetention", row(resource_id=None))],
        ("retention", "item"),
    ),
    "a row that is a millisecond late": (
        gone(),
        [session("BackupRetention", row(snapshot_time=MADE + MS))],
        ("retention", "item"),
    ),
    "a row that is a millisecond early": (
        gone(),
        [session("BackupRetention", row(snapshot_time=MADE - MS))],
        ("retention", "item"),
    ),
    "a row with the milliseconds cut": (
        gone(point_in_time=MADE.replace(microsecond=482_999)),
        [session("BackupRetention", row(snapshot_time=MADE.replace(microsecond=482_000)))],
        ("retention", "item"),
    ),
    "another size": (
        gone(),
        [session("BackupRetention", row(backup_size_bytes=1001))],
        ("retention", "resource_and_time"),
    ),
    "a row without a size": (
        gone(),
        [session("BackupRetention", row(backup_size_bytes=None))],
        ("retention", "resource_and_time"),
    ),
    "a point without a size": (
        gone(backup_size_bytes=None),
        [session("BackupRetention", row())],
        ("retention", "resource_and_time"),
    ),
    "neither has a size": (
        gone(backup_size_bytes=None),
        [session("BackupRetention", row(backup_size_bytes=None))],
        ("retention", "resource_and_time"),
    ),
    "both are of size 0": (
        snapshot(backup_size_bytes=0),
        [session("VmSnapshotRetention", outside(backup_size_bytes=0))],
        ("retention", "item"),
    ),
    "a repository whose tier is not known": (
        gone(),
        [session("BackupRetention", row(storage_tier=None))],
        ("retention", "resource_and_time"),
    ),
    "a repository of a tier that is new": (
        gone(),
        [session("BackupRetention", row(storage_tier="Glacier"))],
        ("retention", "resource_and_time"),
    ),
    "a point whose tier is not known": (
        gone(access_tier=None),
        [session("BackupRetention", row())],
        ("retention", "resource_and_time"),
    ),
    "a point without a destination": (
        gone(backup_destination=None, access_tier=None),
        [session("BackupRetention", row())],
        ("retention", "resource_and_time"),
    ),
    "a point without a destination or tier, and the row of a snapshot": (
        gone(backup_destination="Unknown", access_tier="Platinum"),
        [session("VmSnapshotRetention", outside())],
        ("retention", "resource_and_time"),
    ),
    "a point without a destination, but with a tier": (
        gone(backup_destination=None),
        [session("BackupRetention", row())],
        ("retention", "item"),
    ),
    "a tier that is inferred": (
        gone(access_tier="Cool"),
        [session("BackupRetention", row(storage_tier="Inferred"))],
        ("retention", "item"),
    ),
    "an archived copy": (
        gone(access_tier="Archive"),
        [session("BackupRetention", row(storage_tier="Archive"))],
        ("retention", "item"),
    ),
    "an archived copy, its repository unknown": (
        gone(access_tier="Archive"),
        [session("BackupRetention", row(storage_tier=None))],
        ("retention", "resource_and_time"),
    ),
    "a snapshot": (snapshot(), [session("VmSnapshotRetention", outside())], ("retention", "item")),
    "a snapshot taken by hand": (
        snapshot(backup_destination="ManualSnapshot"),
        [session("ManualSnapshotDeletion", outside())],
        ("manual", "item"),
    ),
    "the point's own id": (
        gone(restore_point_id="E0B4"),
        [session("BackupRetention", row(item_id="e0b4", resource_id="x", snapshot_time=None))],
        ("retention", "item"),
    ),
    "the point's own id in capitals": (
        gone(),
        [session("BackupRetention", row(item_id="E0B4", resource_id="x", backup_size_bytes=7))],
        ("retention", "item"),
    ),
    "the best of two rows of one session": (
        gone(),
        [session("BackupRetention", row(backup_size_bytes=7), row())],
        ("retention", "item"),
    ),
    "a session that began long before and still runs": (
        gone(),
        [session("BackupRetention", row(), started_at=BEFORE - timedelta(days=50), stopped_at=None)],
        ("retention", "item"),
    ),
    "a session that ended a little before the point was confirmed": (
        gone(),
        [session("BackupRetention", row(), started_at=MADE, stopped_at=BEFORE - TOLERANCE + MICROSECOND)],
        ("retention", "item"),
    ),
    "a session that began a little after it was found gone": (
        gone(),
        [session("BackupRetention", row(), started_at=AFTER + TOLERANCE, stopped_at=AFTER + timedelta(hours=1))],
        ("retention", "item"),
    ),
    "orphaned": (snapshot(), [session("OrphanedSnapshotRetention", outside())], ("orphaned", "item")),
    "invalid": (snapshot(), [session("InvalidSnapshotRetention", outside())], ("orphaned", "item")),
    "orphaned, whatever became of the policy": (
        snapshot(policy_gone=True),
        [session("OrphanedSnapshotRetention", outside())],
        ("orphaned", "item"),
    ),
    "obsolete, its policy still there": (
        snapshot(),
        [session("ObsoleteSnapshotRetention", outside())],
        ("retention", "item"),
    ),
    "obsolete, its policy gone": (
        snapshot(policy_gone=True),
        [session("ObsoleteSnapshotRetention", outside())],
        ("policy_removed", "item"),
    ),
    "what another rule removes, it removes with or without its policy": (
        gone(policy_gone=True),
        [session("BackupRetention", row())],
        ("retention", "item"),
    ),
    "by hand, whatever became of the policy": (
        gone(policy_gone=True),
        [session("BackupDeletion", row())],
        ("manual", "item"),
    ),
    "a row of the moment, where no machine is told": (
        gone(resource_id=None, resource_name=None),
        [session("BackupRetention", row())],
        ("retention", "session_only"),
    ),
    "a network, whose resources no log names as its points do": (
        gone(workload="vnet", backup_destination="Database", access_tier=None),
        [session("VnetBackupDeletion", **named("another"))],
        ("manual", "session_only"),
    ),
    "by hand, listing nothing": (gone(), [session("BackupDeletion")], ("manual", "session_only")),
    "by hand, listing nothing and counting one": (
        gone(),
        [session("BackupDeletion", deleted_count=1)],
        ("manual", "session_only"),
    ),
    "by hand, listing nothing, its log naming the resource": (
        gone(resource_id="9ZX"),
        [session("BackupDeletion", **named("other", "9zX"))],
        ("manual", "session_only"),
    ),
    "retention that counts and lists nothing": (
        gone(),
        [session("BackupRetention", deleted_count=3)],
        ("retention", "session_only"),
    ),
    "by hand, of a point without a resource": (
        gone(resource_id=None, resource_name=None),
        [session("BackupDeletion")],
        ("manual", "session_only"),
    ),
    "a snapshot taken by hand, listing nothing": (
        snapshot(backup_destination="ManualSnapshot"),
        [session("ManualSnapshotDeletion")],
        ("manual", "session_only"),
    ),
    "a later version's way of removing by hand, its log naming the resource": (
        gone(),
        [session("VmMassDeletion", **named("9zx"))],
        ("manual", "session_only"),
    ),
    "a later version's retention": (gone(), [session("VmBackupRetention", row())], ("retention", "item")),
    "a later version's retention of all kinds": (gone(), [session("GlobalRetention", row())], ("retention", "item")),
    "sql": (
        gone(workload="sql"),
        [session("BackupRetention", row())],
        ("retention", "item"),
    ),
    "sql by hand": (
        gone(workload="sql", backup_destination="ManualBackup"),
        [session("SqlBackupDeletion", row())],
        ("manual", "item"),
    ),
    "a file share": (
        snapshot(workload="file_share", backup_destination="ImportedSnapshot"),
        [session("FileShareSnapshotRetention", outside())],
        ("retention", "item"),
    ),
    "a file share whose destination is unknown": (
        snapshot(workload="file_share", backup_destination="Unknown"),
        [session("FileShareSnapshotDeletion", outside())],
        ("manual", "item"),
    ),
    "a network in the appliance's database": (
        snapshot(workload="vnet", backup_destination="Database"),
        [session("VnetRetention", outside())],
        ("retention", "item"),
    ),
    "a network in a repository": (
        gone(workload="vnet", access_tier=None),
        [session("VnetBackupDeletion", row())],
        ("manual", "item"),
    ),
    "a network in both": (
        gone(workload="vnet", backup_destination="All", access_tier=None),
        [session("VnetRetention", outside())],
        ("retention", "resource_and_time"),
    ),
    "a Cosmos DB backup": (
        gone(workload="cosmos_db"),
        [session("CosmosDbBackupDeletion", row())],
        ("manual", "item"),
    ),
    "a continuous record": (
        gone(workload="cosmos_db_continuous", backup_destination=None, access_tier=None),
        [session("CosmosDbContinuousRetention", outside())],
        ("retention", "item"),
    ),
}

UNEXPLAINED = {
    "nothing ran": (gone(), [], NOBODY),
    "a session that removes nothing": (gone(), [session("PolicyBackup", row())], NOBODY),
    "the removal of a repository": (gone(), [session("RepositoryDeletion", row())], NOBODY),
    "the appliance's own backups": (gone(), [session("ConfigurationBackupRetention", row())], NOBODY),
    "a session that ended before": (
        gone(),
        [session("BackupRetention", row(), started_at=MADE, stopped_at=BEFORE - TOLERANCE)],
        NOBODY,
    ),
    "a session that began after": (
        gone(),
        [session("BackupRetention", row(), started_at=AFTER + TOLERANCE + MICROSECOND, stopped_at=None)],
        NOBODY,
    ),
    "a backup, and snapshots were removed": (gone(), [session("VmSnapshotRetention", outside())], NOBODY),
    "a snapshot, and backups were removed": (snapshot(), [session("BackupRetention", row())], NOBODY),
    "a machine, and databases were removed": (gone(), [session("SqlBackupDeletion", row())], NOBODY),
    "a database, and a later version removed machines": (
        gone(workload="sql"),
        [session("VmBackupRetention", row())],
        NOBODY,
    ),
    "a continuous record, and backups were removed": (
        gone(workload="cosmos_db_continuous", backup_destination=None, access_tier=None),
        [session("CosmosDbBackupDeletion")],
        NOBODY,
    ),
    "the row of another resource": (gone(), [session("BackupRetention", row(resource_id="other"))], None),
    "the same name of another resource": (
        gone(),
        [session("BackupRetention", row(resource_id="other", resource_name="web-01"))],
        None,
    ),
    "a name of another case": (
        gone(resource_id=None),
        [session("BackupRetention", row(resource_name="WEB-01"))],
        None,
    ),
    "nothing that names a resource, and another size": (
        gone(resource_id=None, resource_name=None),
        [session("BackupRetention", row(resource_id=None, resource_name=None, backup_size_bytes=999))],
        None,
    ),
    "empty names": (
        gone(resource_id="", resource_name=""),
        [session("BackupRetention", row(resource_id="", resource_name="", snapshot_time=MADE + timedelta(seconds=1)))],
        None,
    ),
    "a row more than a millisecond late": (
        gone(),
        [session("BackupRetention", row(snapshot_time=MADE + MS + MICROSECOND))],
        None,
    ),
    "a row more than a millisecond early": (
        gone(),
        [session("BackupRetention", row(snapshot_time=MADE - MS - MICROSECOND))],
        None,
    ),
    "a row without a time": (gone(), [session("BackupRetention", row(snapshot_time=None))], None),
    "the snapshot's row of the same moment": (
        gone(),
        [session("GlobalRetention", outside())],
        None,
    ),
    "the snapshot's row of the same moment as a backup of unknown tier": (
        gone(access_tier=None),
        [session("GlobalRetention", outside())],
        None,
    ),
    "the snapshot's row of the same moment as a backup by hand": (
        gone(workload="sql", backup_destination="ManualBackup", access_tier=None),
        [session("GlobalRetention", outside())],
        None,
    ),
    "the backup's row of the same moment": (
        snapshot(),
        [session("GlobalRetention", row(storage_tier=None))],
        None,
    ),
    "the archived copy's row": (gone(), [session("BackupRetention", row(storage_tier="Archive"))], None),
    "the backup's row, and the archived copy went": (
        gone(access_tier="Archive"),
        [session("BackupRetention", row(storage_tier="Cold"))],
        None,
    ),
    "a continuous record and a row of a repository": (
        gone(workload="cosmos_db_continuous", backup_destination=None, access_tier=None),
        [session("CosmosDbContinuousRetention", row())],
        None,
    ),
    "retention that lists and counts nothing": (gone(), [session("BackupRetention", deleted_count=None)], None),
    "retention that counts none": (gone(), [session("BackupRetention", deleted_count=0)], None),
    "by hand, counting none": (gone(), [session("BackupDeletion", deleted_count=0)], None),
    "by hand, listing others": (gone(), [session("BackupDeletion", row(resource_id="other"))], None),
    "by hand, its log naming others": (gone(), [session("BackupDeletion", **named("other"))], None),
    "by hand, its log naming some, and no resource is known": (
        gone(resource_id=None),
        [session("BackupDeletion", **named("9zx", ""))],
        None,
    ),
    "snapshots taken by hand were removed, not this one": (snapshot(), [session("ManualSnapshotDeletion")], None),
    "no retention removes a snapshot taken by hand": (
        snapshot(backup_destination="ManualSnapshot"),
        [session("VmSnapshotRetention", deleted_count=2)],
        None,
    ),
    "what a later version removes by hand without saying so": (gone(), [session("WorkerDeletion")], None),
    "what could not be read": (
        gone(),
        [session("BackupRetention", items=None, fault="answered 500", deleted_count=1)],
        "what session s-1 deleted could not be read: answered 500",
    ),
    "what could not be read, nobody knows why": (
        gone(),
        [session("BackupRetention", items=None)],
        "what session s-1 deleted could not be read",
    ),
    "what could not be read of five": (
        gone(),
        [session("BackupRetention", name=f"s-{number}", items=None, fault="500") for number in range(5)],
        "what session s-0 deleted could not be read: 500; what session s-1 deleted could not be read: 500; "
        "what session s-2 deleted could not be read: 500; nor what 2 more deleted",
    ),
    "a session that had not ended": (
        gone(),
        [session("BackupDeletion", stopped_at=None), session("BackupRetention", name="s-2")],
        "session s-1 had not ended",
    ),
    "one not ended, one not read": (
        gone(),
        [
            session("BackupRetention", stopped_at=None, deleted_count=1),
            session("BackupRetention", name="s-2", items=None, fault="500"),
        ],
        "what session s-2 deleted could not be read: 500; session s-1 had not ended",
    ),
    "one neither ended nor read": (
        gone(),
        [session("BackupRetention", stopped_at=None, items=None, fault="500")],
        "what session s-1 deleted could not be read: 500",
    ),
    "two that had not ended": (
        gone(),
        [session("BackupDeletion", name=name, stopped_at=None) for name in ("b", "a")],
        "sessions a and b had not ended",
    ),
    "four that list others": (
        gone(),
        [session("BackupRetention", name=name) for name in ("d", "c", "b", "a")],
        "of the sessions of a removing kind in between none lists it: sessions a, b, c and 1 more",
    ),
    "two that fit equally, one by hand": (
        gone(),
        [session("BackupRetention", row()), session("BackupDeletion", row(), name="s-2")],
        "sessions s-1 and s-2 fit equally and tell different causes: manual, retention",
    ),
    "four that fit equally, of three causes": (
        snapshot(),
        [
            session(kind, outside(), name=kind)
            for kind in (
                "VmSnapshotRetention",
                "OrphanedSnapshotRetention",
                "ManualSnapshotDeletion",
                "InvalidSnapshotRetention",
            )
        ],
        "sessions InvalidSnapshotRetention, ManualSnapshotDeletion, OrphanedSnapshotRetention and 1 more fit equally "
        "and tell different causes: manual, orphaned, retention",
    ),
    "two that could have, one by hand": (
        gone(),
        [session("BackupRetention", deleted_count=1), session("BackupDeletion", name="s-2")],
        "sessions s-1 and s-2 fit equally and tell different causes: manual, retention",
    ),
    "two that could have, one of which names the resource": (
        gone(),
        [session("BackupRetention", deleted_count=1, **named("9zx")), session("BackupDeletion", name="s-2")],
        "sessions s-1 and s-2 fit equally and tell different causes: manual, retention",
    ),
}


@pytest.mark.parametrize(("point", "removals", "expected"), EXPLAINED.values(), ids=EXPLAINED)
def test_a_deletion_is_explained_by(point: Gone, removals: list[Removal], expected: tuple[str, str]) -> None:
    cause, match = expected
    assert explain([point], removals) == [Explanation(cause, "s-1", match, None)]


@pytest.mark.parametrize(("point", "removals", "note"), UNEXPLAINED.values(), ids=UNEXPLAINED)
def test_a_deletion_stays_unexplained_by(point: Gone, removals: list[Removal], note: str | None) -> None:
    note = note or "of the sessions of a removing kind in between none lists it: session s-1"
    assert explain([point], removals) == [Explanation("unexplained", None, None, note)]


WORSE = {
    "item before resource and time": (
        [session("BackupDeletion", row(backup_size_bytes=7)), session("BackupRetention", row(), name="best")],
        "item",
    ),
    "resource and time before the session alone": (
        [session("BackupDeletion"), session("BackupRetention", row(backup_size_bytes=7), name="best")],
        "resource_and_time",
    ),
    "the session alone before what could not be read": (
        [
            session("BackupDeletion", items=None, fault="500"),
            session("BackupRetention", deleted_count=1, name="best"),
        ],
        "session_only",
    ),
    "one that fits before one that had not ended": (
        [session("BackupDeletion", stopped_at=None), session("BackupRetention", row(), name="best")],
        "item",
    ),
    "one inside before one outside the interval": (
        [
            session("BackupDeletion", row(), started_at=MADE, stopped_at=MADE),
            session("BackupRetention", row(), name="best"),
        ],
        "item",
    ),
}


@pytest.mark.parametrize(("removals", "match"), WORSE.values(), ids=WORSE)
@pytest.mark.parametrize("turned", [False, True])
def test_the_best_kind_of_match_wins(removals: list[Removal], match: str, turned: bool) -> None:
    found = explain([gone()], removals[::-1] if turned else removals)
    assert found == [Explanation("retention", "best", match, None)]


@pytest.mark.parametrize(
    ("removals", "match"),
    [
        ([session("BackupRetention", row(), name=name) for name in ("b", "a")], "item"),
        ([session("BackupDeletion", name=name) for name in ("b", "a")], "session_only"),
        ([session("BackupDeletion", name="b", **named("9zx")), session("BackupDeletion", name="a")], "session_only"),
    ],
)
def test_two_that_fit_equally_and_agree_give_the_cause_and_no_session(removals: list[Removal], match: str) -> None:
    cause = "retention" if match == "item" else "manual"
    assert explain([gone()], removals) == [Explanation(cause, None, match, "sessions a and b fit equally")]


def test_many_that_fit_equally_are_counted_and_told_in_order_of_their_start() -> None:
    removals = [
        session("BackupDeletion", name=name, started_at=AT - timedelta(minutes=minute))
        for minute, name in enumerate("abcde")
    ]
    assert explain([gone()], removals)[0].note == "sessions e, d, c and 2 more fit equally"


def test_one_session_read_twice_is_one() -> None:
    assert explain([gone()], [session("BackupRetention", row())] * 2)[0].session_id == "s-1"


def test_causes_may_differ_by_the_point_that_is_asked_for() -> None:
    removals = [session("ObsoleteSnapshotRetention", outside())]
    points = [snapshot(), snapshot(policy_gone=True)]
    assert [one.cause for one in explain(points, removals)] == ["retention", "policy_removed"]


def test_of_points_that_differ_in_one_respect_each_is_judged_by_its_own() -> None:
    points = [
        gone(),
        gone(last_confirmed_at=AFTER - timedelta(hours=1)),
        gone(observed_at=BEFORE + timedelta(hours=1)),
        gone(workload="vnet"),
        gone(backup_destination="Snapshot"),
        gone(backup_destination=None, access_tier=None),
        gone(backup_destination=None),
        gone(resource_id="other"),
    ]
    found = explain(points, [session("SnapshotDeletion"), session("BackupDeletion", name="s-2", **named("9zx"))])
    assert [one.session_id for one in found] == ["s-2", None, None, None, "s-1", None, "s-2", None]
    assert [one.match for one in found] == [
        *("session_only", None, None, None, "session_only", "session_only", "session_only", None)
    ]


def test_each_deletion_is_explained_in_its_place() -> None:
    points = [
        gone(),
        gone(resource_id="other"),
        snapshot(),
        gone(last_confirmed_at=AFTER, observed_at=AFTER + timedelta(days=1)),
        gone(access_tier="Archive"),
        gone(workload="sql"),
        gone(),
    ]
    removals = [
        session("BackupRetention", row(), row(storage_tier="Archive", backup_size_bytes=None)),
        session("VmSnapshotRetention", outside(backup_size_bytes=None), name="s-2"),
    ]
    found = [(one.cause, one.session_id, one.match) for one in explain(points, removals)]
    assert found == [
        ("retention", "s-1", "item"),
        ("unexplained", None, None),
        ("retention", "s-2", "resource_and_time"),
        ("unexplained", None, None),
        ("retention", "s-1", "resource_and_time"),
        ("retention", "s-1", "item"),
        ("retention", "s-1", "item"),
    ]
    assert explain([], removals) == []


POINTS = {
    "vm snapshot": snapshot(),
    "vm manual": snapshot(backup_destination="ManualSnapshot"),
    "vm backup": gone(),
    "vm archive": gone(access_tier="Archive"),
    "sql backup": gone(workload="sql"),
    "file_share snapshot": snapshot(workload="file_share"),
    "file_share manual": snapshot(workload="file_share", backup_destination="ManualSnapshot"),
    "vnet snapshot": snapshot(workload="vnet", backup_destination="Database"),
    "vnet backup": gone(workload="vnet", access_tier=None),
    "cosmos_db archive": gone(workload="cosmos_db", access_tier="Archive"),
    "cosmos_db_continuous": gone(workload="cosmos_db_continuous", backup_destination=None, access_tier=None),
}
DOCUMENTED = {
    "BackupRetention": ["vm backup", "vm archive", "sql backup", "cosmos_db archive"],
    "VmSnapshotRetention": ["vm snapshot", "vm manual"],
    "ObsoleteSnapshotRetention": ["vm snapshot", "vm manual", "file_share snapshot", "file_share manual"],
    "InvalidSnapshotRetention": ["vm snapshot", "vm manual", "file_share snapshot", "file_share manual"],
    "OrphanedSnapshotRetention": ["vm snapshot", "vm manual", "file_share snapshot", "file_share manual"],
    "FileShareSnapshotRetention": ["file_share snapshot", "file_share manual"],
    "VnetRetention": ["vnet snapshot", "vnet backup"],
    "CosmosDbContinuousRetention": ["cosmos_db_continuous"],
    "BackupDeletion": ["vm backup", "vm archive"],
    "SnapshotDeletion": ["vm snapshot", "vm manual"],
    "ManualSnapshotDeletion": ["vm snapshot", "vm manual"],
    "SqlBackupDeletion": ["sql backup"],
    "FileShareSnapshotDeletion": ["file_share snapshot", "file_share manual"],
    "FileShareManualSnapshotDeletion": ["file_share snapshot", "file_share manual"],
    "VnetBackupDeletion": ["vnet snapshot", "vnet backup"],
    "CosmosDbBackupDeletion": ["cosmos_db archive"],
    "CosmosDbContinuousBackupDeletion": ["cosmos_db_continuous"],
}
LATER = {
    "VmRetention": ["vm snapshot", "vm manual", "vm backup", "vm archive"],
    "SqlManualDeletion": ["sql backup"],
    "FileShareBackupRetention": ["file_share snapshot", "file_share manual"],
    "VnetDeletion": ["vnet snapshot", "vnet backup"],
    "CosmosDbBackupRetention": ["cosmos_db archive", "cosmos_db_continuous"],
    "PostgresDbBackupDeletion": ["cosmos_db archive", "cosmos_db_continuous"],
    "MongoDbRetention": ["cosmos_db archive", "cosmos_db_continuous"],
    "NewRetention": list(POINTS),
}


REMOVED_BY = DOCUMENTED | LATER
#: Of snapshots, a session that lists nothing speaks for those only that its type says.
TAKEN_BY_HAND_ONLY = {"ManualSnapshotDeletion", "FileShareManualSnapshotDeletion"}
TAKEN_BY_POLICY_ONLY = {"VmSnapshotRetention", "ObsoleteSnapshotRetention", "FileShareSnapshotRetention"}


@pytest.mark.parametrize("kind", REMOVED_BY)
def test_a_session_removes_points_of_its_kinds_only(kind: str) -> None:
    removal = session(kind, items=None)
    found = [name for name, point in POINTS.items() if explain([point], [removal])[0].note != NOBODY]
    assert found == REMOVED_BY[kind]
    by = "manual" if kind.endswith("Deletion") else "orphaned" if kind[:2] in ("Or", "In") else "retention"
    row_of_it = row(item_id="e0b4")
    assert {explain([POINTS[name]], [session(kind, row_of_it)])[0].cause for name in found} == {by}


@pytest.mark.parametrize("kind", REMOVED_BY)
def test_a_session_that_lists_nothing_speaks_for_what_its_type_is_known_to_remove(kind: str) -> None:
    removal = session(kind, deleted_count=1)
    found = [name for name, point in POINTS.items() if explain([point], [removal])[0].match == "session_only"]
    expected = DOCUMENTED.get(kind, [])
    if kind in TAKEN_BY_HAND_ONLY:
        expected = [name for name in expected if name.endswith("manual")]
    if kind in TAKEN_BY_POLICY_ONLY:
        expected = [name for name in expected if not name.endswith("manual")]
    assert found == expected


@pytest.mark.parametrize("kind", REMOVING)
def test_every_removing_type_removes(kind: str) -> None:
    assert removes(kind)
    assert kind in DOCUMENTED


@pytest.mark.parametrize("kind", ["SqlNewRetention", "EverythingDeletion"])
def test_a_later_versions_type_removes_if_its_name_says_so(kind: str) -> None:
    assert removes(kind)


@pytest.mark.parametrize(
    "kind",
    [
        *("PolicyBackup", "HealthCheck", "Unknown", "", "RepositoryDeletion", "RepositoryEdit", "Restore", "Deletions"),
        *("ConfigurationBackupRetention", "CosmosDbConfigurationDeletion", "RetentionCheck", "SnapshotRescan"),
    ],
)
def test_other_types_remove_nothing(kind: str) -> None:
    assert not removes(kind)


def test_many_deletions_are_explained_without_looking_at_every_session_for_each() -> None:
    """The bound is wide, for a machine that has more to do; every point against every row is far beyond it."""
    points = [
        snapshot(
            restore_point_id=str(number),
            resource_id=f"vm-{number % 100}",
            point_in_time=MADE + timedelta(minutes=number),
            last_confirmed_at=BEFORE + timedelta(microseconds=number),
        )
        for number in range(10_000)
    ]
    items = [outside(resource_id=one.resource_id, snapshot_time=one.point_in_time) for one in points]
    removals = [session("SnapshotDeletion", *items[at * 20 : (at + 1) * 20], name=f"s-{at}") for at in range(500)]
    points += [gone(restore_point_id=str(number), backup_destination="Snapshot") for number in range(20_000)]
    removals += [session("SnapshotDeletion", name="unlisted")]
    begun = time.process_time()
    found = explain(points, removals)
    assert time.process_time() - begun < 2
    assert [one.session_id for one in found] == [f"s-{at // 20}" for at in range(10_000)] + ["unlisted"] * 20_000


@pytest.mark.parametrize("kind", ["BackupDeletion", "BackupRetention"])
def test_a_session_that_did_not_go_well_explains_nothing_that_it_does_not_list(kind: str) -> None:
    unlisted = session(kind, deleted_count=1, went_well=False)
    assert explain([gone()], [unlisted])[0].cause == "unexplained"
    listing = session(kind, row(), went_well=False)
    assert explain([gone()], [listing])[0].match == "item"


def test_a_session_that_lists_nothing_explains_no_more_points_than_it_counts() -> None:
    points = [gone(restore_point_id=name) for name in "abc"]
    removal = session("BackupRetention", deleted_count=2)
    assert [one.cause for one in explain(points[:2], [removal])] == ["retention"] * 2
    found = explain(points, [removal])
    assert [one.cause for one in found] == ["unexplained"] * 3
    assert found[0].note == "session s-1 counts 2, and 3 would fit"


def test_a_session_that_lists_nothing_and_names_nobody_explains_points_of_one_resource_only() -> None:
    points = [gone(), gone(resource_id="other", resource_name="web-02")]
    removal = session("BackupDeletion")
    assert [one.cause for one in explain(points[:1] * 2, [removal])] == ["manual"] * 2
    found = explain(points, [removal])
    assert [one.cause for one in found] == ["unexplained"] * 2
    assert found[1].note == "session s-1 names no resource, and those of several would fit"
    with_names = session("BackupDeletion", **named("9zx"))
    assert [one.cause for one in explain(points, [with_names])] == ["manual", "unexplained"]


def test_a_session_that_lists_nothing_has_little_slack() -> None:
    before = session(
        "BackupDeletion", started_at=BEFORE - timedelta(minutes=3), stopped_at=BEFORE - timedelta(minutes=2)
    )
    assert explain([gone()], [before])[0].cause == "unexplained"
