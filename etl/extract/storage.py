"""Reads how many restore points the appliance says that it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from etl.errors import ApplianceError
from etl.extract.versions import rank

if TYPE_CHECKING:
    from etl.extract.client import ApplianceClient


async def read_storage_usage(client: ApplianceClient, api_version: str) -> dict[str, float] | None:
    """Give the figures among the appliance's own statistics, as it calls them; None where it tells none.

    At v7 and v8.1 they hold `snapshotsCount`, `backupCount`, `archivesCount`; nobody documents v1's to v3's.
    """
    path = "/overview/storageUsage" if rank(api_version) >= rank("v4") else "/statistics/summary"
    try:
        answer = await client.get(f"/api/{api_version}{path}")
    except ApplianceError:
        return None
    if answer.status != 200:
        return None
    try:
        told = msgspec.json.decode(answer.body)
    except (msgspec.DecodeError, RecursionError):
        return None
    if not isinstance(told, dict):
        return None
    return {name: value for name, value in told.items() if type(value) in (int, float) and name.isascii()}
