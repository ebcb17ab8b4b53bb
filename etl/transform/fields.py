"""What the frame's columns are called, of which type they are, and which field of an item fills each."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

NORMALISER_VERSION: Final = 1
"""Counted up whenever the same item would come out differently: stored hashes then no longer match."""

FRAME_DTYPES: Final[dict[str, str]] = {
    "restore_point_id": "str",
    "workload": "str",
    "resource_id": "str",
    "resource_name": "str",
    "region_id": "str",
    "region_name": "str",
    "point_in_time": "datetime64[us, UTC]",
    "backup_size_bytes": "Int64",
    "backup_destination": "str",
    "restore_point_type": "str",
    "state": "str",
    "is_corrupted": "boolean",
    "gfs_flags": "str",
    "job_session_id": "str",
    "vbr_id": "str",
    "access_tier": "str",
    "immutable_until": "datetime64[us, UTC]",
    "latest_chain_size_bytes": "Int64",
    "data_retrieval_status": "str",
    "retrieved_data_expires_at": "datetime64[us, UTC]",
    "extra": "str",
    "point_in_time_offset_minutes": "Int64",
    "source_hash": "Int64",
    "absent": "int64",
}
"""Columns of the frame of restore points, in order, with their pandas dtypes."""

REJECTED_COLUMNS: Final = ("record_hash", "field", "restore_point_id", "reason", "raw")
"""Columns of the frame of rejected records, in order; all `str`."""

WORKLOADS: Final[Mapping[str, str]] = MappingProxyType({"vm": "vm"})
"""Collection → the workload its restore points belong to."""

FIELDS: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "vm": MappingProxyType(
            {
                "restore_point_id": "id",
                "resource_id": "resourceHashId",
                "resource_name": "vmName",
                "region_id": "regionId",
                "region_name": "regionName",
                "point_in_time": "pointInTime",
                "backup_size_bytes": "backupSizeBytes",
                "backup_destination": "backupDestination",
                "restore_point_type": "type",
                "state": "state",
                "is_corrupted": "isCorrupted",
                "gfs_flags": "gfsFlags",
                "job_session_id": "jobSessionId",
                "vbr_id": "vbrId",
                "access_tier": "accessTier",
                "immutable_until": "immutableTill",
                "latest_chain_size_bytes": "latestChainSizeBytes",
                "data_retrieval_status": "dataRetrievalStatus",
                "retrieved_data_expires_at": "retrievedDataExpirationDate",
                "point_in_time_offset_minutes": "pointInTimeLocalTime",
            }
        ),
    }
)
"""Collection → column → the item's field that fills it (the vendor's v8.1 reference; older versions have fewer).

Other workloads say some of it in other words: file shares and virtual networks call the size `sizeInBytes`.
"""
