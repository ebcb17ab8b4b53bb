"""The six kinds of restore points: where each is listed since when, and what its sessions are called."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from etl.simulator.points import CosmosAccount, RestorePoint

SNAPSHOTS = ("Snapshot", "ManualSnapshot", "ImportedSnapshot")
IN_REPOSITORY = ("AzureBlob", "ManualBackup")


@dataclass(frozen=True, slots=True)
class Workload:
    """One kind of restore points.

    `since` is the first version that lists them at `path`; `resource_parameter` filters by resource. `retention`
    and `deletion` name the session types that remove points by rule and by hand, by destination ("" for any other).
    """

    name: str
    path: str
    since: str
    resource_type: str
    policy_type: str
    resource_parameter: str | None
    retention: dict[str, str]
    deletion: dict[str, str] = field(default_factory=dict)

    def retention_type(self, destination: str) -> str:
        """Return the type of the sessions that remove its points by rule."""
        return self.retention.get(destination, self.retention[""])

    def deletion_type(self, destination: str) -> str:
        """Return the type of the sessions that remove its points by hand."""
        return self.deletion.get(destination, self.deletion[""])


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload(
            name="vm",
            path="/restorePoints/virtualMachines",
            since="v1",
            resource_type="VirtualMachine",
            policy_type="VirtualMachines",
            resource_parameter="VirtualMachineId",
            retention={"": "BackupRetention", "Snapshot": "VmSnapshotRetention"},
            deletion={
                "": "BackupDeletion",
                "Snapshot": "SnapshotDeletion",
                "ManualSnapshot": "ManualSnapshotDeletion",
            },
        ),
        Workload(
            name="sql",
            path="/restorePoints/sql",
            since="v3",
            resource_type="ManagedDatabase",
            policy_type="AzureSql",
            resource_parameter="DatabaseId",
            retention={"": "BackupRetention"},
            deletion={"": "SqlBackupDeletion"},
        ),
        Workload(
            name="file_share",
            path="/restorePoints/fileShares",
            since="v4",
            resource_type="FileShare",
            policy_type="FileShares",
            resource_parameter="FileShareId",
            retention={"": "FileShareSnapshotRetention"},
            deletion={
                "": "FileShareSnapshotDeletion",
                "ManualSnapshot": "FileShareManualSnapshotDeletion",
            },
        ),
        Workload(
            name="vnet",
            path="/restorePoints/vnets",
            since="v6",
            resource_type="VirtualNetwork",
            policy_type="Vnet",
            resource_parameter=None,
            retention={"": "VnetRetention"},
            deletion={"": "VnetBackupDeletion"},
        ),
        Workload(
            name="cosmos_db",
            path="/restorePoints/cosmosDb/repository",
            since="v8",
            resource_type="PostgresCosmosAccount",
            policy_type="CosmosDb",
            resource_parameter="CosmosDbAccountId",
            retention={"": "BackupRetention"},
            deletion={"": "CosmosDbBackupDeletion"},
        ),
        Workload(
            name="cosmos_db_continuous",
            path="/restorePoints/cosmosDb/continuous",
            since="v8",
            resource_type="PostgresCosmosAccount",
            policy_type="CosmosDb",
            resource_parameter="CosmosDbAccountId",
            retention={"": "CosmosDbContinuousRetention"},
            deletion={"": "CosmosDbContinuousBackupDeletion"},
        ),
    )
}
"""Every workload by its name."""


def making_type(point: RestorePoint) -> str:
    """Return the type of the sessions that make points like this one."""
    destination, archived = point.backup_destination, point.access_tier == "Archive"
    match point.workload:
        case "file_share":
            return "FileShareManualSnapshot" if destination == "ManualSnapshot" else "FileSharePolicySnapshot"
        case "vnet":
            return "VnetPolicyBackupToRepository" if destination == "AzureBlob" else "VnetPolicyBackup"
        case "cosmos_db_continuous":
            return "CosmosDbConfiguration"
        case "vm" if destination in SNAPSHOTS:
            return "ManualSnapshot" if destination == "ManualSnapshot" else "PolicySnapshot"
    of = {"sql": "Sql", "vm": ""}.get(point.workload, "PostgresDb")
    if isinstance(point.resource, CosmosAccount) and point.resource.account_type != "PostgresSql":
        of = "MongoDb"
    return f"{of}ManualBackup" if destination == "ManualBackup" else f"{of}Policy{'Archive' if archived else 'Backup'}"


def kind_of_copy(destination: object, access_tier: object) -> str | None:
    """Return `snapshot`, `backup` or `archive` as storage is counted, None for what counts as none of them."""
    if destination in SNAPSHOTS:
        return "snapshot"
    if access_tier == "Archive":
        return "archive"
    return "backup" if destination in IN_REPOSITORY else None


def by_kind(points: Iterable[RestorePoint], *, by_hand: bool = False) -> dict[str, list[RestorePoint]]:
    """Sort points by the type of the session that removes them, by rule or by hand."""
    kinds: dict[str, list[RestorePoint]] = {}
    for point in points:
        workload = WORKLOADS[point.workload]
        told = workload.deletion_type if by_hand else workload.retention_type
        kinds.setdefault(told(point.backup_destination), []).append(point)
    return kinds
