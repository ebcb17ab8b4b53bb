"""What is read of an appliance besides its listings: what a session deleted, whom its log names, a point's machine."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from etl.transform.deleted_items import deleted_items, named_resources
from etl.transform.machines import machine_of

NOTHING: dict[str, Any] = dict.fromkeys(
    (
        "item_id",
        "resource_id",
        "resource_name",
        "repository_id",
        "repository_name",
        "backup_size_bytes",
        "snapshot_time",
    )
)
RESOURCE = {"id": "9AB00000-51A6-4A4E-8F0B-6F4B40A7C9D1", "name": "web-01", "resourceType": "VirtualMachine"}
ROWS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a row of v8.1": (
        {
            "backupSizeBytes": 1024,
            "snapshotTime": "2026-03-01T02:00:11.4823261Z",
            "repositoryId": "4E000000-51A6-4A4E-8F0B-6F4B40A7C9D1",
            "repositoryName": "cold",
            "resource": RESOURCE,
            "_links": None,
        },
        {
            "resource_id": "9ab00000-51a6-4a4e-8f0b-6f4b40a7c9d1",
            "resource_name": "web-01",
            "repository_id": "4e000000-51a6-4a4e-8f0b-6f4b40a7c9d1",
            "repository_name": "cold",
            "backup_size_bytes": 1024,
            "snapshot_time": datetime(2026, 3, 1, 2, 0, 11, 482326, tzinfo=UTC),
        },
    ),
    "a row of v3 tells an id, and objects": (
        {
            "id": "Snapshot/7",
            "backupSizeBytes": "0",
            "snapshotTime": "2026-03-01T02:00:11Z",
            "repository": {"id": "4e", "name": "cold"},
            "virtualMachine": {"id": "9zx4", "name": "web-01"},
        },
        {
            "item_id": "Snapshot/7",
            "resource_id": "9zx4",
            "resource_name": "web-01",
            "repository_id": "4e",
            "repository_name": "cold",
            "backup_size_bytes": 0,
            "snapshot_time": datetime(2026, 3, 1, 2, 0, 11, tzinfo=UTC),
        },
    ),
    "a snapshot in no repository": (
        {"backupSizeBytes": None, "snapshotTime": None, "repositoryId": None, "repository": None, "resource": RESOURCE},
        {"resource_id": "9ab00000-51a6-4a4e-8f0b-6f4b40a7c9d1", "resource_name": "web-01"},
    ),
    "every object of null": ({"resource": None, "virtualMachine": None, "repository": None}, {}),
    "no field at all": ({}, {}),
    "fields that cannot be read are null": (
        {"id": ["a"], "resource": "web-01", "backupSizeBytes": -1, "snapshotTime": "soon", "repositoryName": "cold"},
        {"repository_name": "cold"},
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_what_a_session_says_that_it_deleted(name: str) -> None:
    told, expected = ROWS[name]
    assert deleted_items([json.dumps(told).encode()]) == [NOTHING | expected]


def test_rows_that_are_none_are_left_out_and_the_others_keep_their_order() -> None:
    rows = [b'{"repositoryName":"a"}', b"[]", b"null", b"{", b'{"repositoryName":"b"}']
    assert [row["repository_name"] for row in deleted_items(rows)] == ["a", "b"]
    assert deleted_items([]) == []


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        (
            b'{"log":[{"resourceHashId":"b"},{"resourceHashId":"AB000000-51A6-4A4E-8F0B-6F4B40A7C9D1"},'
            b'{"resourceHashId":"b"},{"resourceHashId":null},{"message":"done"},{"resourceHashId":{}},7,{"resourceHashId":""}]}',
            ["ab000000-51a6-4a4e-8f0b-6f4b40a7c9d1", "b"],
        ),
        (b'{"log":[]}', []),
        (b'{"log":null}', []),
        (b'{"log":5}', None),
        (b'{"jobSessionId":"7"}', None),
        (b"[]", None),
        (b"<html>", None),
    ],
)
def test_whom_a_log_names(log: bytes, expected: list[str] | None) -> None:
    assert named_resources(log) == expected


@pytest.mark.parametrize(
    ("machine", "expected"),
    [
        (
            {"id": "9zx4", "name": "web-01", "regionName": "westeurope", "regionDisplayName": "West Europe"},
            ("9zx4", "web-01", "westeurope", "West Europe"),
        ),
        (
            {"id": "9AB00000-51A6-4A4E-8F0B-6F4B40A7C9D1", "name": None, "regionName": "westeurope"},
            ("9ab00000-51a6-4a4e-8f0b-6f4b40a7c9d1", None, "westeurope", "westeurope"),
        ),
        ({"id": "9zx4", "name": 7, "regionDisplayName": ["a"]}, ("9zx4", None, None, None)),
        ({"id": None, "name": "web-01"}, None),
        ({"name": "web-01"}, None),
        ({"id": ""}, None),
        ([], None),
    ],
)
def test_a_machine_of_the_inventory_as_the_resource_of_a_point(machine: Any, expected: tuple[Any, ...] | None) -> None:
    columns = ("resource_id", "resource_name", "region_id", "region_name")
    found = machine_of(json.dumps(machine).encode())
    assert found == (None if expected is None else dict(zip(columns, expected, strict=True)))
