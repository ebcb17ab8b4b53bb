"""Restore points: one table, and a collection for each workload.

Sources: the vendor's API references, v1 to v8.1. Fields are v8.1's; older versions have fewer.
"""

from __future__ import annotations

from etl.catalogue.description import Collection, Column, Entity, fields

RESTORE_POINTS = Entity(
    table="restore_points",
    versions="restore_point_versions",
    one="restore point",
    many="restore points",
    key=("restore_point_id",),
    required=("point_in_time",),
    columns=(
        Column("workload", "fixed"),
        Column("resource_id", "identifier"),
        Column("resource_name", "name"),
        Column("region_id", "identifier"),
        Column("region_name", "name"),
        Column("point_in_time", "instant"),
        Column("backup_size_bytes", "whole"),
        Column("backup_destination", "enumeration"),
        Column("restore_point_type", "enumeration"),
        Column("state", "enumeration"),
        Column("is_corrupted", "flag"),
        Column("gfs_flags", "enumeration"),
        Column("job_session_id", "job_session"),
        Column("vbr_id", "identifier"),
        Column("access_tier", "enumeration"),
        Column("immutable_until", "instant"),
        Column("latest_chain_size_bytes", "whole", tracked=False),
        Column("data_retrieval_status", "enumeration", tracked=False),
        Column("retrieved_data_expires_at", "instant", tracked=False),
        Column("point_in_time_offset_minutes", "offset", tracked=False),
    ),
)

_COMMON = fields(
    "restore_point_id:id point_in_time:pointInTime backup_destination:backupDestination "
    "restore_point_type:type state:state is_corrupted:isCorrupted gfs_flags:gfsFlags job_session_id:jobSessionId "
    "vbr_id:vbrId access_tier:accessTier immutable_until:immutableTill latest_chain_size_bytes:latestChainSizeBytes "
    "data_retrieval_status:dataRetrievalStatus retrieved_data_expires_at:retrievedDataExpirationDate "
    "point_in_time_offset_minutes:pointInTimeLocalTime"
)

# v8.1's name for it where no machine is backed up; items of v4 to v7 are not documented
_OTHER_SIZE = ("sizeInBytes", "backupSizeBytes")


def _points(
    workload: str,
    *paths: tuple[str, str],
    resource: str,
    size: tuple[str, ...] = ("backupSizeBytes",),
    moving: tuple[str, ...] = (),
) -> Collection:
    return Collection(
        name=workload,
        entity=RESTORE_POINTS,
        paths=paths,
        fields=_COMMON | fields(resource, backup_size_bytes=size),
        workload=workload,
        fixed={"workload": workload},
        asked_by_id=True,
        moving=moving,
    )


POINT_COLLECTIONS = (
    _points(
        "vm",
        ("v1", "/restorePoints"),
        ("v4", "/restorePoints/virtualMachines"),
        resource="resource_id:resourceHashId resource_name:vmName region_id:regionId region_name:regionName",
    ),
    _points("sql", ("v3", "/restorePoints/sql"), resource="resource_id:databaseId resource_name:databaseName"),
    _points(
        "file_share",
        ("v4", "/restorePoints/fileShares"),
        resource="resource_id:fileShareId resource_name:fileShareName region_id:regionId region_name:regionName",
        size=_OTHER_SIZE,
    ),
    # what is backed up is the network configuration of a subscription in a region; no network is named
    _points(
        "vnet",
        ("v6", "/restorePoints/vnets"),
        resource="resource_id:subscriptionId resource_name:subscriptionName region_id:regionId region_name:regionName",
        size=_OTHER_SIZE,
    ),
    # Cosmos DB came with v7, whose path no page tells: where it is another one, a 404 says so
    _points(
        "cosmos_db",
        ("v7", "/restorePoints/cosmosDb/repository"),
        resource="resource_id:accountId resource_name:accountName region_name:regionName",
    ),
    # the appliance refreshes these records every ten minutes
    _points(
        "cosmos_db_continuous",
        ("v7", "/restorePoints/cosmosDb/continuous"),
        resource="resource_id:accountId resource_name:accountName",
        moving=("point_in_time", "backup_size_bytes", "job_session_id"),
    ),
)
