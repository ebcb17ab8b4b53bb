"""How many restore points the appliance counts, beside how many the warehouse holds."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, case, func, insert, or_, select

from etl.load.ledger import Run
from etl.load.models import RestorePoint, StorageCount

SNAPSHOTS = ("Snapshot", "ManualSnapshot", "ImportedSnapshot")
"""Destinations of snapshots."""
REPOSITORIES = ("AzureBlob", "ManualBackup")
"""Destinations of backups and archives that the appliance counts."""

#: What the appliance calls its counts.
_TOLD = {"snapshots": "snapshotsCount", "backups": "backupCount", "archives": "archivesCount"}


def write_counts(connection: Connection, run: Run, told: Mapping[str, float]) -> None:
    """Writes both, in the run's transaction, after its merges and deletions."""
    destination = RestorePoint.backup_destination
    is_archive = RestorePoint.access_tier == "Archive"
    kind = case(
        (destination.in_(SNAPSHOTS), "snapshots"),
        (destination.in_(REPOSITORIES) & func.coalesce(is_archive, False), "archives"),
        (destination.in_(REPOSITORIES), "backups"),
    )
    counted = connection.execute(
        select(kind.label("kind"), func.count().label("held"))
        .where(
            RestorePoint.appliance_id == run.appliance_id,
            RestorePoint.deleted_at.is_(None),
            or_(destination.in_(SNAPSHOTS), destination.in_(REPOSITORIES)),
        )
        .group_by("kind")
    )
    held = {row.kind: row.held for row in counted}
    counts: dict[str, int | None] = {}
    for name, field in _TOLD.items():
        value = told.get(field)
        counts[f"{name}_told"] = int(value) if value is not None and 0 <= value < 2**31 else None
        counts[f"{name}_held"] = held.get(name, 0)
    connection.execute(
        insert(StorageCount).values(appliance_id=run.appliance_id, run_number=run.run_number, told=dict(told), **counts)
    )
