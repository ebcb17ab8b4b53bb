"""What an estate is made of: machines, job sessions and restore points, free of any API version."""

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
class Machine:
    """A protected virtual machine; `resource_id` is opaque, 52 lower-case letters and digits."""

    resource_id: str
    name: str
    region: Region
    subscription_id: str
    subscription_name: str
    disk_bytes: int


@dataclass(frozen=True, slots=True)
class Session:
    """A job session: v1 knows it by its number, every later version by its UUID."""

    number: int
    id: str


@dataclass(frozen=True, slots=True)
class RestorePoint:
    """One restore point as it truly is; sizes in bytes, times in UTC.

    `backup_destination` is `Snapshot`, `ManualSnapshot` or `AzureBlob`; `restore_point_type` is `Full`,
    `Incremental` or, for snapshots, `Unknown`; `access_tier` is None for snapshots. `usn` counts changes.
    """

    id: str
    machine: Machine
    session: Session
    point_in_time: datetime
    backup_size_bytes: int
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
