"""The item of a restore point as each API version writes it.

v1 to v3, v8 and v8.1 follow the vendor's tables and examples. v4 to v7 are inferred: each takes over what the
version before wrote and adds some of what v8 is known to have.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from etl.simulator.points import RestorePoint
from etl.simulator.versions import CONVENTIONS

Item = dict[str, Any]

_zone = cache(ZoneInfo)
_encode = msgspec.json.Encoder().encode


def render(point: RestorePoint, version: str, host: str) -> bytes:
    """Return the JSON text of `point` as `version` writes it, its links pointing at `host`."""
    return _encode(_SHAPES[version](point, version, host))


def instant(moment: datetime) -> str:
    """Write a UTC instant as .NET does: up to six fraction digits, trailing zeros dropped."""
    return f"{_local(moment.astimezone(UTC))}Z"


def _local(moment: datetime) -> str:
    text = moment.replace(tzinfo=None).isoformat()
    return text.rstrip("0") if moment.microsecond else text


def _machine_time(point: RestorePoint) -> str:
    moment = point.point_in_time.astimezone(_zone(point.machine.region.time_zone))
    offset = moment.strftime("%z")
    return f"{_local(moment)}{offset[:3]}:{offset[3:]}"


def _links(point: RestorePoint, version: str, host: str, session: str) -> Item:
    base = f"https://{host}/api/{version}"
    return {
        "self": {"href": f"{base}{CONVENTIONS[version].collection}/{point.id}"},
        "BackupJob": {"href": f"{base}/jobSessions/{session}"},
    }


def _v1(point: RestorePoint, version: str, host: str) -> Item:
    return {
        "id": point.id,
        "pointInTime": instant(point.point_in_time),
        "backupSizeBytes": point.backup_size_bytes,
        "backupDestination": point.backup_destination,
        "_embeddedResources": {},
        "_links": _links(point, version, host, str(point.session.number)),
    }


def _v2(point: RestorePoint, version: str, host: str) -> Item:
    return {
        "id": point.id,
        "vbrId": point.vbr_id,
        "pointInTime": instant(point.point_in_time),
        "backupSizeBytes": point.backup_size_bytes,
        "gfsFlags": point.gfs_flags,
        "jobSessionId": point.session.id,
        "backupDestination": point.backup_destination,
        "_embeddedResources": {},
        "_links": _links(point, version, host, point.session.id),
    }


def _retrieval(point: RestorePoint) -> Item:
    expires = point.retrieved_data_expires_at
    return {
        "dataRetrievalStatus": point.data_retrieval_status,
        "retrievedDataExpirationDate": None if expires is None else instant(expires),
        "notifyBeforeRetrievedDataExpirationHours": point.notify_before_expiry_hours,
    }


def _v3(point: RestorePoint, version: str, host: str) -> Item:
    item = _v2(point, version, host) | {"usn": point.usn}
    if point.backup_destination == "AzureBlob":
        item = {"type": point.restore_point_type} | item | _retrieval(point)
    return item


def _v4(point: RestorePoint, version: str, host: str) -> Item:
    machine = point.machine
    return _v3(point, version, host) | {"vmName": machine.name, "resourceHashId": machine.resource_id}


def _v5(point: RestorePoint, version: str, host: str) -> Item:
    return _v4(point, version, host) | _storage(point)


def _v6(point: RestorePoint, version: str, host: str) -> Item:
    region = point.machine.region
    return _v5(point, version, host) | {"regionId": region.id, "regionName": region.name}


def _v7(point: RestorePoint, version: str, host: str) -> Item:
    return _v6(point, version, host) | {"state": point.state, "isCorrupted": point.is_corrupted}


def _storage(point: RestorePoint) -> Item:
    until = point.immutable_until
    item: Item = {"immutableTill": None if until is None else instant(until)}
    if point.access_tier is not None:
        item["accessTier"] = point.access_tier
    return item


def _v8(point: RestorePoint, version: str, host: str) -> Item:
    machine = point.machine
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
        "jobSessionId": point.session.id,
        **_retrieval(point),
        **_storage(point),
        "latestChainSizeBytes": point.latest_chain_size_bytes,
        "_links": None,
    }


_SHAPES: dict[str, Callable[[RestorePoint, str, str], Item]] = {
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
