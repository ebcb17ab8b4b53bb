"""stub"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Schedule:
    text: str | None = None
    snapshots_per_day: float | None = None
    backups_per_day: float | None = None
    snapshots_to_keep: int | None = None
    snapshot_retention_days: int | None = None
    backup_retention_days: int | None = None
    archive_retention_days: int | None = None


def read_schedule(item, workload):
    return Schedule()
