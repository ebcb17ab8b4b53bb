"""Simulated estates of every workload, a signed-in client, and what points and sessions come to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import httpx

from etl.simulator import Estate, JobSession, RestorePoint, SimulatedAppliance

SHORT = {"machines": 8, "days": 20, "databases": 4, "file_shares": 3, "networks": 2, "cosmos_accounts": 2}


def everything(**more: Any) -> Estate:
    """An estate of every workload."""
    return Estate.from_seed(3, **(SHORT | more))


@contextmanager
def client_of(appliance: SimulatedAppliance) -> Iterator[httpx.Client]:
    # Loading the system's certificates costs more than the whole test, and plain HTTP needs none.
    with httpx.Client(base_url=appliance.url, verify=False) as client:
        right = {"username": "reporter", "password": "simulated-password"}
        token = client.post("/api/oauth2/token", data=right).json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        yield client


def told(point: RestorePoint) -> tuple[object, ...]:
    """What a row of deleted items tells of a point: resource, time, where it was and how big."""
    instant = point.point_in_time.astimezone(UTC)
    in_repository = point.backup_destination in ("AzureBlob", "ManualBackup")
    where = f"backup-{(point.access_tier or 'Hot').lower()}" if in_repository else None
    return (point.resource.resource_id, instant, where, point.backup_size_bytes)


def rows(estate: Estate, session: JobSession) -> list[tuple[object, ...]]:
    """The rows that a session lists as deleted, as `told` has them."""
    return [
        (
            item["resource"]["id"],
            datetime.fromisoformat(item["snapshotTime"]),
            item["repositoryName"],
            item["backupSizeBytes"],
        )
        for item in estate.items_of(f"/jobSessions/{session.id}/deletedItems")
    ]


def by_id(estate: Estate) -> dict[str, RestorePoint]:
    return {point.id: point for point in estate.points}
