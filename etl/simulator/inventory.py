"""What the appliance tells of resources: which there are in Azure, which are protected, and when last."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

from etl.simulator.fleet import GIB
from etl.simulator.points import CosmosAccount, Database, FileShare, Network, Resource, RestorePoint
from etl.simulator.shapes.dotnet import instant
from etl.simulator.shapes.others import TENANT, changes, tenant_id
from etl.simulator.state import Held, State

Item = dict[str, Any]
_MIB = 1024**2


def resources(state: State, workload: str) -> list[Held]:
    """Return every resource of a workload that is there or was, but none that joins only later."""
    day = (state.clock.today - state.first_day).days
    return [held for held in state.held if held.protected.policy.workload == workload and held.protected.since <= day]


def is_deleted(state: State, held: Held) -> bool:
    """Whether a resource has been retired, and so is gone from Azure."""
    until = held.protected.until
    return until is not None and (state.clock.today - state.first_day).days >= until


def machines(state: State, exists: str, protection: str | None) -> list[Item]:
    """Return `/virtualMachines`.

    exists: `OnlyExists`, `OnlyDeleted` or `All`. protection: `Protected`, `Unprotected` or None for both.
    """
    found = []
    for held in resources(state, "vm"):
        deleted = is_deleted(state, held)
        protected = state.protecting(held) is not None
        if (exists == "All" or deleted == (exists == "OnlyDeleted")) and (
            protection is None or protected == (protection == "Protected")
        ):
            found.append(_machine(state, held.protected.resource, deleted))
    return found


def databases(state: State) -> list[Item]:
    """Return `/databases`."""
    return [_database(held.protected.resource) for held in resources(state, "sql")]


def file_shares(state: State) -> list[Item]:
    """Return `/fileShares`."""
    return [_file_share(held.protected.resource) for held in resources(state, "file_share")]


def cosmos_accounts(state: State) -> list[Item]:
    """Return `/cosmosDb`."""
    return [_cosmos_account(state, held.protected.resource) for held in resources(state, "cosmos_db")]


def protected_items(state: State, workload: str) -> list[Item]:
    """Return the resources of a workload that have restore points, each with the newest of them."""
    newest: dict[str, RestorePoint] = {}
    for point in state.points[workload].rows():
        known = newest.get(point.resource.resource_id)
        if known is None or point.point_in_time > known.point_in_time:
            newest[point.resource.resource_id] = point
    return [
        _PROTECTED[workload](state, held.protected.resource, newest[held.protected.resource.resource_id])
        for held in resources(state, workload)
        if held.protected.resource.resource_id in newest
    ]


def _common(resource: Resource) -> Item:
    return {
        "id": resource.resource_id,
        "azureId": resource.azure_id,
        "name": resource.name,
    }


def _ground(resource: Resource) -> Item:
    """Return subscription, region and resource group as protected items tell them."""
    return {
        "subscription": {
            "id": resource.subscription_id,
            "name": resource.subscription_name,
            "tenantId": tenant_id(),
            "tenantName": TENANT,
            "status": "Active",
        },
        "region": {"id": resource.region.id, "name": resource.region.name, "resourceId": None},
        "resourceGroup": {"id": resource.azure_path("")[: -len("/providers/")], "name": resource.resource_group},
    }


def _os(resource: Resource) -> str:
    return "Windows" if ord(resource.resource_id[0]) % 2 else "Linux"


def _machine(state: State, resource: Resource, deleted: bool) -> Item:
    return _common(resource) | {
        "azureEnvironment": "Global",
        "osType": _os(resource),
        "regionDisplayName": resource.region.name,
        "regionName": resource.region.id,
        "totalSizeInGB": resource.disk_bytes // GIB,
        "vmSize": "Standard_D2s_v5",
        "dnsName": None,
        "virtualNetwork": f"vnet-{resource.region.id}",
        "subnet": "default",
        "publicIP": None,
        "privateIP": None,
        "hasEphemeralOsDisk": False,
        "availabilityZone": None,
        "isController": False,
        "isDeleted": deleted,
        "subscriptionId": resource.subscription_id,
        "subscriptionName": resource.subscription_name,
        "tenantId": tenant_id(),
        "resourceGroupName": resource.resource_group,
    }


def _database(resource: Resource) -> Item:
    server = resource if isinstance(resource, Database) else None
    return {
        "id": resource.resource_id,
        "resourceId": resource.azure_id,
        "name": resource.name,
        "serverName": server and server.server_name,
        "serverId": server and server.server_id,
        "resourceGroupName": resource.resource_group,
        "sizeInMb": resource.disk_bytes // _MIB,
        "subscriptionId": resource.subscription_id,
        "regionId": resource.region.id,
        "regionName": resource.region.name,
        "hasElasticPool": False,
        "status": "Online",
        "databaseType": "Managed",
    }


def _file_share(resource: Resource) -> Item:
    return _common(resource) | {
        "accessTier": "TransactionOptimized",
        "regionId": resource.region.id,
        "regionName": resource.region.name,
        "storageAccountName": resource.account_name if isinstance(resource, FileShare) else None,
        "resourceGroupName": resource.resource_group,
        "size": resource.disk_bytes // _MIB,
        "subscriptionId": resource.subscription_id,
        "tenantId": tenant_id(),
    }


def _cosmos_account(state: State, resource: Resource) -> Item:
    account_type = resource.account_type if isinstance(resource, CosmosAccount) else None
    return _common(resource) | {
        "status": "Online",
        "accountType": account_type,
        "latestRestorableTimestamp": instant(state.clock.now - timedelta(minutes=2)),
        "sourceSizeBytes": resource.disk_bytes,
        "subscriptionId": resource.subscription_id,
        "regionId": resource.region.id,
        "regionName": resource.region.name,
        "resourceGroupName": resource.resource_group,
        "postgresVersion": "16" if account_type == "PostgresSql" else None,
        "mongoDbServerVersion": "7.0" if account_type == "MongoRU" else None,
        "isDeleted": False,
        "capacityMode": "Provisioned",
    }


def _protected_machine(state: State, resource: Resource, newest: RestorePoint) -> Item:
    return _common(resource) | {
        "azureEnvironment": "Global",
        "osType": _os(resource),
        "regionName": resource.region.name,
        "totalSizeInGB": resource.disk_bytes // GIB,
        "vmSize": "Standard_D2s_v5",
        "availabilityZone": None,
        "isController": False,
        "lastBackup": instant(newest.point_in_time),
        **_ground(resource),
    }


def _protected_database(state: State, resource: Resource, newest: RestorePoint) -> Item:
    server = None
    if isinstance(resource, Database):
        server = {"id": resource.server_id, "name": resource.server_name, "serverType": "SqlServer"}
    return _common(resource) | {
        "sqlServer": server,
        "azureEnvironment": "Global",
        "sizeInMb": resource.disk_bytes // _MIB,
        "subscriptionId": resource.subscription_id,
        "sqlElasticPool": None,
        "lastBackup": instant(newest.point_in_time),
        **_ground(resource),
    }


def _protected_file_share(state: State, resource: Resource, newest: RestorePoint) -> Item:
    account = None
    if isinstance(resource, FileShare):
        account = {"id": resource.account_name, "resourceId": resource.account_id, "name": resource.account_name}
    return _common(resource) | {
        "storageAccount": account,
        "azureEnvironment": "Global",
        "regionName": resource.region.name,
        "sizeInMb": resource.disk_bytes // _MIB,
        "subscriptionId": resource.subscription_id,
        "lastBackup": instant(newest.point_in_time),
        **_ground(resource),
    }


def _protected_network(state: State, resource: Resource, newest: RestorePoint) -> Item:
    account = resource.azure_account_id if isinstance(resource, Network) else None
    return {
        "id": resource.resource_id,
        "subscriptionId": resource.subscription_id,
        "subscriptionName": resource.subscription_name,
        "lastBackup": instant(newest.point_in_time),
        "lastChanges": changes(newest),
        "azureAccount": {"id": account, "name": "backup-account"},
    }


def _protected_cosmos(state: State, resource: Resource, newest: RestorePoint) -> Item:
    mine = [point for point in state.points["cosmos_db"].rows() if point.resource.resource_id == resource.resource_id]
    continuous = [
        point
        for point in state.points["cosmos_db_continuous"].rows()
        if point.resource.resource_id == resource.resource_id
    ]
    policy = next(
        (state.protecting(held) for held in state.held if held.protected.resource.resource_id == resource.resource_id),
        None,
    )
    return {
        "id": resource.resource_id,
        "name": resource.name,
        "status": "Online",
        "accountType": resource.account_type if isinstance(resource, CosmosAccount) else None,
        "policyName": policy and policy.name,
        "latestRestorableTimestamp": instant(continuous[0].point_in_time) if continuous else None,
        "earliestRestorableTimestamp": instant(min(point.point_in_time for point in mine)),
        "latestBackup": instant(newest.point_in_time),
        "backupSizeBytes": _bytes(mine, archived=False),
        "archiveSizeBytes": _bytes(mine, archived=True),
        "readRegions": [resource.region.id],
        "writeRegions": [resource.region.id],
        "restorePointTypes": ["Backup", "Continuous"] if continuous else ["Backup"],
        "protectionState": {"restorePointCount": len(mine)},
    }


def _bytes(points: Iterator[RestorePoint] | list[RestorePoint], *, archived: bool) -> int:
    return sum(point.backup_size_bytes or 0 for point in points if (point.access_tier == "Archive") == archived)


_PROTECTED: dict[str, Callable[[State, Resource, RestorePoint], Item]] = {
    "vm": _protected_machine,
    "sql": _protected_database,
    "file_share": _protected_file_share,
    "vnet": _protected_network,
    "cosmos_db": _protected_cosmos,
}
