"""Reads what a removing session says that it deleted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from etl.transform.decode import decode
from etl.transform.instants import instants
from etl.transform.members import members
from etl.transform.sizes import sizes
from etl.transform.text import identifiers, names

#: Column → fields: v8.1's, then those of v2 and v3.
_TEXTS = {
    "item_id": (("id",), identifiers),
    "resource_id": (("resource.id", "virtualMachine.id", "sqlDatabase.id", "fileShare.id"), identifiers),
    "resource_name": (("resource.name", "virtualMachine.name", "sqlDatabase.name", "fileShare.name"), names),
    "repository_id": (("repositoryId", "repository.id"), identifiers),
    "repository_name": (("repositoryName", "repository.name"), names),
}


def deleted_items(items: Sequence[bytes]) -> list[dict[str, Any]]:
    """Give a row for each item, columns as in the table `deleted_items`, sizes in bytes, instants aware and in UTC.

    It is evidence, read as far as it can be: a field that is not readable is null, an item that is none is left out.
    """
    things: list[Mapping[str, Any]] = [item for item in decode(items).values if item is not None]
    columns: dict[str, Sequence[Any]] = {
        column: read(members(things, paths).values).values for column, (paths, read) in _TEXTS.items()
    }
    columns["backup_size_bytes"] = sizes(members(things, ("backupSizeBytes",)).values).values
    _name_networks_by_subscription(things, columns)
    times = instants(members(things, ("snapshotTime",)).values)
    columns["snapshot_time"] = times.aware()
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _name_networks_by_subscription(things: Sequence[Mapping[str, Any]], columns: dict[str, Sequence[Any]]) -> None:
    """A restore point of a network configuration names its subscription and no network, so that is what can be met."""
    kinds = members(things, ("resource.resourceType",)).values
    for column, path, read in (
        ("resource_id", "resource.subscriptionId", identifiers),
        ("resource_name", "resource.subscriptionName", names),
    ):
        subscriptions = read(members(things, (path,)).values).values
        columns[column] = [
            subscription if kind == "VirtualNetwork" and subscription else own
            for kind, subscription, own in zip(kinds, subscriptions, columns[column], strict=True)
        ]


def named_resources(log: bytes) -> list[str] | None:
    """Give the ids of the resources that a session's log names, each once; None for what is no log."""
    (answer,) = decode([log]).values
    if answer is None or "log" not in answer:
        return None
    entries = answer["log"] or []
    if not isinstance(entries, list):
        return None
    ids = identifiers([entry.get("resourceHashId") for entry in entries if isinstance(entry, dict)])
    return sorted({one for one in ids.values if one})
