"""The restore point of a virtual machine as each API version writes it.

v1 to v3, v8 and v8.1 follow the vendor's tables and examples. v4 to v7 are inferred: each takes over what the
version before wrote and adds some of what v8 is known to have.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from etl.simulator.points import RestorePoint
from etl.simulator.shapes.dotnet import instant, local, maybe_instant
from etl.simulator.versions import from_version

Item = dict[str, Any]

_zone = cache(ZoneInfo)


def _machine_time(point: RestorePoint) -> str:
    moment = point.point_in_time.astimezone(_zone(point.resource.region.time_zone))
    offset = moment.strftime("%z")
    return f"{local(moment)}{offset[:3]}:{offset[3:]}"


def session_id(point: RestorePoint) -> str | None:
    """Return the UUID of the session that made a point, if it names one."""
    return None if point.session is None else point.session.id


def links(point: RestorePoint, version: str, host: str, path: str) -> Item:
    """Return a point's links up to v7: itself at `path` and its session, which v1 calls by number."""
    base = f"https://{host}/api/{version}"
    found = {"self": {"href": f"{base}{path}"}}
    if point.session is not None:
        session = str(point.session.number) if version == "v1" else point.session.id
        found["BackupJob"] = {"href": f"{base}/jobSessions/{session}"}
    return found


def _links(point: RestorePoint, version: str, host: str) -> Item:
    below = "" if not from_version("v4", version) else "/virtualMachines"
    return links(point, version, host, f"/restorePoints{below}/{point.id}")


def _v1(point: RestorePoint, version: str, host: str) -> Item:
    return {
        "id": point.id,
        "pointInTime": instant(point.point_in_time),
        "backupSizeBytes": point.backup_size_bytes,
        "backupDestination": point.backup_destination,
        "_embeddedResources": {},
        "_links": _links(point, version, host),
    }


def _v2(point: RestorePoint, version: str, host: str) -> Item:
    return {
        "id": point.id,
        "vbrId": point.vbr_id,
        "pointInTime": instant(point.point_in_time),
        "backupSizeBytes": point.backup_size_bytes,
        "gfsFlags": point.gfs_flags,
        "jobSessionId": session_id(point),
        "backupDestination": point.backup_destination,
        "_embeddedResources": {},
        "_links": _links(point, version, host),
    }


def retrieval(point: RestorePoint) -> Item:
    """Return the fields of a point whose archived data may be fetched back."""
    return {
        "dataRetrievalStatus": point.data_retrieval_status,
        "retrievedDataExpirationDate": maybe_instant(point.retrieved_data_expires_at),
        "notifyBeforeRetrievedDataExpirationHours": point.notify_before_expiry_hours,
    }


def _v3(point: RestorePoint, version: str, host: str) -> Item:
    item = _v2(point, version, host) | {"usn": point.usn}
    if point.backup_destination == "AzureBlob":
        item = {"type": point.restore_point_type} | item | retrieval(point)
    return item


def _v4(point: RestorePoint, version: str, host: str) -> Item:
    machine = point.resource
    return _v3(point, version, host) | {"vmName": machine.name, "resourceHashId": machine.resource_id}


def _v5(point: RestorePoint, version: str, host: str) -> Item:
    return _v4(point, version, host) | storage(point)


def _v6(point: RestorePoint, version: str, host: str) -> Item:
    region = point.resource.region
    return _v5(point, version, host) | {"regionId": region.id, "regionName": region.name}


def _v7(point: RestorePoint, version: str, host: str) -> Item:
    return _v6(point, version, host) | {"state": point.state, "isCorrupted": point.is_corrupted}


def storage(point: RestorePoint) -> Item:
    """Return the fields of where a point lies; one outside of repositories has no tier."""
    item: Item = {"immutableTill": maybe_instant(point.immutable_until)}
    if point.access_tier is not None:
        item["accessTier"] = point.access_tier
    return item


def _v8(point: RestorePoint, version: str, host: str) -> Item:
    machine = point.resource
    return {
        "id": point.id,
        "backupDestination": point.backup_destination,
        "type": point.restore_point_type,
        "vbrId": point.vbr_id,
        "pointInTime": instant(point.point_in_time),
        "pointInTimeLocalTime": _machine_time(point),
        "backupSizeBytes": point.backup_size_bytes,
        "isCorrupted": point.is_corrupted,
        "vmName": machine.name,
        "resourceHashId": machine.resource_id,
        "regionId": machine.region.id,
        "regionName": machine.region.name,
        "state": point.state,
        "gfsFlags": point.gfs_flags,
        "jobSessionId": session_id(point),
        **retrieval(point),
        **storage(point),
        "latestChainSizeBytes": point.latest_chain_size_bytes,
        "_links": None,
    }


MACHINE_SHAPES: dict[str, Callable[[RestorePoint, str, str], Item]] = {
    "v1": _v1,
    "v2": _v2,
    "v3": _v3,
    "v4": _v4,
    "v5": _v5,
    "v6": _v6,
    "v7": _v7,
    "v8": _v8,
    "v8.1": _v8,
}
"""By version."""
