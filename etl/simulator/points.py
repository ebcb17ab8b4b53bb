"""What an estate is made of: resources, restore points and their sessions' names, free of any API version."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Region:
    """An Azure region; `time_zone` is that of the machines in it."""

    id: str
    name: str
    time_zone: str


@dataclass(frozen=True, slots=True)
class Resource:
    """Something that is protected; `resource_id` is opaque, 52 lower-case letters and digits.

    `disk_bytes` is how big it is: a machine's disks, a database, a share, an account.
    """

    resource_id: str
    name: str
    region: Region
    subscription_id: str
    subscription_name: str
    disk_bytes: int

    @property
    def resource_group(self) -> str:
        """The name of its resource group."""
        return f"rg-{self.subscription_name}"

    def azure_path(self, provider: str) -> str:
        """Return an id as Azure writes it, such as of provider `Microsoft.Sql/servers/sql-01`."""
        return f"/subscriptions/{self.subscription_id}/resourceGroups/{self.resource_group}/providers/{provider}"

    @property
    def azure_id(self) -> str:
        """What Azure calls it."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Machine(Resource):
    """A virtual machine."""

    @property
    def azure_id(self) -> str:
        """What Azure calls it."""
        return self.azure_path(f"Microsoft.Compute/virtualMachines/{self.name}")


@dataclass(frozen=True, slots=True)
class Database(Resource):
    """A database of an SQL server."""

    server_name: str = "sql-01"

    @property
    def server_id(self) -> str:
        """What Azure calls its server."""
        return self.azure_path(f"Microsoft.Sql/servers/{self.server_name}")

    @property
    def azure_id(self) -> str:
        """What Azure calls it."""
        return f"{self.server_id}/databases/{self.name}"


@dataclass(frozen=True, slots=True)
class FileShare(Resource):
    """A file share of a storage account."""

    account_name: str = "files01"

    @property
    def account_id(self) -> str:
        """What Azure calls its storage account."""
        return self.azure_path(f"Microsoft.Storage/storageAccounts/{self.account_name}")

    @property
    def azure_id(self) -> str:
        """What Azure calls it."""
        return f"{self.account_id}/fileServices/default/shares/{self.name}"


@dataclass(frozen=True, slots=True)
class Network(Resource):
    """The virtual networks' configuration of one region in one subscription."""

    azure_account_id: str = ""

    @property
    def azure_id(self) -> str:
        """What Azure calls it."""
        return self.azure_path(f"Microsoft.Network/locations/{self.region.id}")


@dataclass(frozen=True, slots=True)
class CosmosAccount(Resource):
    """A Cosmos DB account; `account_type` is `NoSql`, `MongoRU`, `Table`, `Gremlin` or `PostgresSql`."""

    account_type: str = "PostgresSql"

    @property
    def azure_id(self) -> str:
        """What Azure calls it."""
        return self.azure_path(f"Microsoft.DocumentDB/databaseAccounts/{self.name}")


@dataclass(frozen=True, slots=True)
class Session:
    """How a job session is called: v1 knows it by its number, every later version by its UUID."""

    number: int
    id: str


@dataclass(frozen=True, slots=True)
class RestorePoint:
    """One restore point as it truly is; sizes in bytes, times in UTC.

    `workload` is a name of `WORKLOADS`, which also lists the destinations. `restore_point_type` is `Full`,
    `Incremental`, `Continuous` or `Unknown`; `access_tier` is None outside of repositories. `usn` counts changes.
    """

    id: str
    resource: Resource
    session: Session | None
    point_in_time: datetime
    backup_size_bytes: int | None
    backup_destination: str
    restore_point_type: str = "Unknown"
    gfs_flags: str = "None"
    state: str = "NotApplicable"
    is_corrupted: bool | None = None
    vbr_id: str | None = None
    access_tier: str | None = None
    immutable_until: datetime | None = None
    latest_chain_size_bytes: int | None = None
    data_retrieval_status: str = "None"
    retrieved_data_expires_at: datetime | None = None
    notify_before_expiry_hours: int | None = None
    usn: int = 0
    workload: str = "vm"
