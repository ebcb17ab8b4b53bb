"""What the appliance counts and how long it remembers: storage usage, statistics, settings of retention."""

from __future__ import annotations

from collections import Counter
from typing import Any

from etl.simulator.listing import GivenItem
from etl.simulator.state import State
from etl.simulator.versions import from_version
from etl.simulator.workloads import WORKLOADS, kind_of_copy

Item = dict[str, Any]
NOT_COUNTED = ("vnet", "cosmos_db_continuous")


def storage_usage(state: State, version: str) -> Item:
    """Return counts and bytes over the living points of all workloads that the version knows."""
    counts: Counter[str | None] = Counter()
    stored: Counter[str] = Counter()
    for workload in WORKLOADS.values():
        if workload.name in NOT_COUNTED or not from_version(workload.since, version):
            continue
        for entry in state.points[workload.name]:
            if isinstance(entry, GivenItem):
                value = entry.value if isinstance(entry.value, dict) else {}
                destination, tier, size = (
                    value.get(name) for name in ("backupDestination", "accessTier", "backupSizeBytes")
                )
            else:
                destination, tier, size = entry.backup_destination, entry.access_tier, entry.backup_size_bytes
            kind = kind_of_copy(destination, tier)
            counts[kind] += 1
            if kind in ("backup", "archive") and type(size) is int:
                stored[str(tier)] += size
    return {
        "snapshotsCount": counts["snapshot"],
        "backupCount": counts["backup"],
        "archivesCount": counts["archive"],
        "totalUsage": sum(stored.values()),
        "hotUsage": stored["Hot"],
        "coolUsage": stored["Cool"],
        "archiveUsage": stored["Archive"],
    }


def retention_settings(state: State) -> Item:
    """Return `/settings/retention`: how long sessions and the snapshots of removed policies are kept."""
    days = state.sessions.keep_days
    return {
        "sessionsSettings": {"duration": days, "type": "Days", "keepForever": days is None},
        "obsoleteSnapshotsSettings": {"duration": state.obsolete_days, "type": "Days", "keepForever": False},
    }
