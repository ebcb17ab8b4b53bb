"""What the appliances count, beside what the warehouse held after the same run."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from sqlalchemy import Connection, and_, func, select

from etl.catalogue import WORKLOADS
from etl.load.models import StorageCount, SyncRunCollection

#: The collections that an appliance counts; networks and continuous backups are in none of its counts.
COUNTED = tuple(workload for workload in WORKLOADS if workload not in ("vnet", "cosmos_db_continuous"))


@dataclass(frozen=True, slots=True)
class StorageCounts:
    """Restore points by class: `told` by the appliance (null: not told), `held` by the warehouse after that run."""

    run_number: int
    snapshots_told: int | None
    snapshots_held: int
    backups_told: int | None
    backups_held: int
    archives_told: int | None
    archives_held: int
    not_read: list[str]
    """Collections that the appliance counts and that this run did not read, which may explain a difference."""

    @property
    def differences(self) -> list[tuple[str, int, int]]:
        """Class, told, held, of each class in which they differ."""
        return [
            (name, told, held)
            for name, told, held in (
                ("snapshots", self.snapshots_told, self.snapshots_held),
                ("backups", self.backups_told, self.backups_held),
                ("archives", self.archives_told, self.archives_held),
            )
            if told is not None and told != held
        ]


def newest_counts(connection: Connection) -> dict[int, StorageCounts]:
    """Appliance → the counts of the newest run that was told any."""
    newest = (
        select(StorageCount.appliance_id, func.max(StorageCount.run_number).label("run_number"))
        .group_by(StorageCount.appliance_id)
        .subquery()
    )
    of_newest = and_(StorageCount.appliance_id == newest.c.appliance_id, StorageCount.run_number == newest.c.run_number)
    answered: dict[int, set[str]] = defaultdict(set)
    for row in connection.execute(
        select(SyncRunCollection.appliance_id, SyncRunCollection.collection).join(
            newest,
            and_(
                SyncRunCollection.appliance_id == newest.c.appliance_id,
                SyncRunCollection.run_number == newest.c.run_number,
                SyncRunCollection.status.in_(("complete", "partial", "not_served")),
            ),
        )
    ):
        answered[row.appliance_id].add(row.collection)
    return {
        row.appliance_id: StorageCounts(
            run_number=row.run_number,
            snapshots_told=row.snapshots_told,
            snapshots_held=row.snapshots_held,
            backups_told=row.backups_told,
            backups_held=row.backups_held,
            archives_told=row.archives_told,
            archives_held=row.archives_held,
            not_read=[name for name in COUNTED if name not in answered[row.appliance_id]],
        )
        for row in connection.execute(select(StorageCount.__table__).join(newest, of_newest))
    }
