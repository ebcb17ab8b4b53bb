"""Restore points of databases, file shares, networks and Cosmos accounts as each API version writes them.

SQL at v3 and everything at v8 and v8.1 follow the vendor's tables and examples. What stands between is inferred, as
it is for machines: where a point lies from v5 on, its state from v7 on, v8's shape as v8.1's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from etl.simulator.points import Database, Network, RestorePoint
from etl.simulator.shapes.dotnet import instant
from etl.simulator.shapes.machines import links, retrieval, session_id, storage
from etl.simulator.versions import from_version
from etl.simulator.workloads import WORKLOADS

Item = dict[str, Any]
TENANT = "contoso.example"


def tenant_id() -> str:
    """Return the id of the one Azure tenant that there is."""
    return str(uuid5(NAMESPACE_URL, TENANT))


def _links(point: RestorePoint, version: str, host: str, expand: str = "") -> Item | None:
    if from_version("v8", version):
        return None
    return links(point, version, host, f"{WORKLOADS[point.workload].path}/{point.id}{expand}")


def _health(point: RestorePoint, version: str) -> Item:
    return {"state": point.state, "isCorrupted": point.is_corrupted} if from_version("v7", version) else {}


def _sql(point: RestorePoint, version: str, host: str) -> Item:
    database = point.resource
    item: Item = {
        "id": point.id,
        "type": point.restore_point_type,
        "databaseId": database.resource_id,
        "databaseName": database.name,
        "vbrId": point.vbr_id,
        "pointInTime": instant(point.point_in_time),
        "backupSizeBytes": point.backup_size_bytes,
        "gfsFlags": point.gfs_flags,
        "jobSessionId": session_id(point),
        "backupDestination": point.backup_destination,
        **retrieval(point),
    }
    if from_version("v5", version):
        item |= storage(point)
    item |= _health(point, version)
    if from_version("v8", version):
        if isinstance(database, Database):
            item |= {"sqlServerId": database.server_id, "sqlServerName": database.server_name}
        item["latestChainSizeBytes"] = point.latest_chain_size_bytes
    else:
        item |= {"usn": point.usn, "_embeddedResources": {}}
    return item | {"_links": _links(point, version, host, "?expand=None")}


def _file_share(point: RestorePoint, version: str, host: str) -> Item:
    share = point.resource
    item: Item = {
        "id": point.id,
        "type": point.restore_point_type,
        "fileShareId": share.resource_id,
        "fileShareName": share.name,
        "pointInTime": instant(point.point_in_time),
        "gfsFlags": point.gfs_flags,
        "jobSessionId": session_id(point),
        "backupDestination": point.backup_destination,
        "sizeInBytes": point.backup_size_bytes,
    }
    if from_version("v6", version):
        item |= {"regionId": share.region.id, "regionName": share.region.name}
    item |= _health(point, version)
    if from_version("v8", version):
        item["indexed"] = _draw(point, 2) == 0
    return item | {"_links": _links(point, version, host)}


def _vnet(point: RestorePoint, version: str, host: str) -> Item:
    network = point.resource
    item: Item = {
        "id": point.id,
        "type": point.restore_point_type,
        "vbrId": point.vbr_id,
        "azureAccountId": network.azure_account_id if isinstance(network, Network) else None,
        "subscriptionId": network.subscription_id,
        "subscriptionName": network.subscription_name,
        "regionId": network.region.id,
        "regionName": network.region.name,
        "pointInTime": instant(point.point_in_time),
        "gfsFlags": point.gfs_flags,
        "jobSessionId": session_id(point),
        "backupDestination": point.backup_destination,
        "sizeInBytes": point.backup_size_bytes,
        "changes": changes(point),
        **_health(point, version),
    }
    if from_version("v8", version):
        item |= {"latestChainSizeBytes": point.latest_chain_size_bytes, "immutableTill": None}
    return item | {"_links": _links(point, version, host)}


def _cosmos(point: RestorePoint, version: str, host: str) -> Item:
    account = point.resource
    return {
        "id": point.id,
        "type": point.restore_point_type,
        "accountId": account.resource_id,
        "accountName": account.name,
        "subscriptionId": account.subscription_id,
        "subscriptionName": account.subscription_name,
        "tenantId": tenant_id(),
        "tenantName": TENANT,
        "regionName": account.region.name,
        "resourceGroupName": account.resource_group,
        "vbrId": point.vbr_id,
        "pointInTime": instant(point.point_in_time),
        "backupSizeBytes": point.backup_size_bytes,
        "backupDestination": point.backup_destination,
        "gfsFlags": point.gfs_flags,
        "jobSessionId": session_id(point),
        **retrieval(point),
        **storage(point),
        "state": point.state,
        "isCorrupted": point.is_corrupted,
        "latestChainSizeBytes": point.latest_chain_size_bytes,
        "_links": _links(point, version, host),
    }


def _continuous(point: RestorePoint, version: str, host: str) -> Item:
    return {
        "id": point.id,
        "type": point.restore_point_type,
        "accountId": point.resource.resource_id,
        "accountName": point.resource.name,
        "pointInTime": instant(point.point_in_time),
        "backupSizeBytes": point.backup_size_bytes,
        "isCorrupted": point.is_corrupted,
        "gfsFlags": point.gfs_flags,
        "jobSessionId": session_id(point),
        **retrieval(point),
        "latestChainSizeBytes": point.latest_chain_size_bytes,
        "_links": _links(point, version, host),
    }


def changes(point: RestorePoint) -> str:
    """Return what a network's point says to be new in it."""
    return ("No changes", "1 added", "2 added", "1 removed")[_draw(point, 4)]


def _draw(point: RestorePoint, among: int) -> int:
    """Return a number below `among` that belongs to the point."""
    return int(uuid5(NAMESPACE_URL, point.id)) % among


OTHER_SHAPES: dict[str, Callable[[RestorePoint, str, str], Item]] = {
    "sql": _sql,
    "file_share": _file_share,
    "vnet": _vnet,
    "cosmos_db": _cosmos,
    "cosmos_db_continuous": _continuous,
}
"""By workload."""
