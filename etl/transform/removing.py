"""Knows which job sessions remove restore points: of which workloads, in which classes, by rule or by hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

SNAPSHOT: Final = frozenset({"snapshot"})
STORED: Final = frozenset({"backup", "archive"})
CONTINUOUS: Final = frozenset({"continuous"})


@dataclass(frozen=True, slots=True)
class Removes:
    """What sessions of a type can remove: of which workloads, in which classes, and `by` whom (`rule` or `hand`).

    `manual`: only snapshots that were taken by hand (true), only those that were not (false), or both (null). It
    counts where a session lists nothing; a row that names a point says more than the type's name.
    """

    workloads: frozenset[str]
    classes: frozenset[str]
    by: str
    manual: bool | None = None


_VM = frozenset({"vm"})
_FILE_SHARE = frozenset({"file_share"})
_COSMOS = frozenset({"cosmos_db", "cosmos_db_continuous"})
_WORKLOADS = frozenset({"vm", "sql", "file_share", "vnet"}) | _COSMOS
_CLASSES = SNAPSHOT | STORED | CONTINUOUS

REMOVING: Final[Mapping[str, Removes]] = {
    "BackupRetention": Removes(frozenset({"vm", "sql", "cosmos_db"}), STORED, "rule"),
    "VmSnapshotRetention": Removes(_VM, SNAPSHOT, "rule", manual=False),
    "ObsoleteSnapshotRetention": Removes(_VM | _FILE_SHARE, SNAPSHOT, "rule", manual=False),
    "InvalidSnapshotRetention": Removes(_VM | _FILE_SHARE, SNAPSHOT, "rule"),
    "OrphanedSnapshotRetention": Removes(_VM | _FILE_SHARE, SNAPSHOT, "rule"),
    "FileShareSnapshotRetention": Removes(_FILE_SHARE, SNAPSHOT, "rule", manual=False),
    "VnetRetention": Removes(frozenset({"vnet"}), SNAPSHOT | STORED, "rule"),
    "CosmosDbContinuousRetention": Removes(frozenset({"cosmos_db_continuous"}), CONTINUOUS, "rule"),
    "BackupDeletion": Removes(_VM, STORED, "hand"),
    "SnapshotDeletion": Removes(_VM, SNAPSHOT, "hand"),
    "ManualSnapshotDeletion": Removes(_VM, SNAPSHOT, "hand", manual=True),
    "SqlBackupDeletion": Removes(frozenset({"sql"}), STORED, "hand"),
    "FileShareSnapshotDeletion": Removes(_FILE_SHARE, SNAPSHOT, "hand"),
    "FileShareManualSnapshotDeletion": Removes(_FILE_SHARE, SNAPSHOT, "hand", manual=True),
    "VnetBackupDeletion": Removes(frozenset({"vnet"}), SNAPSHOT | STORED, "hand"),
    "CosmosDbBackupDeletion": Removes(frozenset({"cosmos_db"}), STORED, "hand"),
    "CosmosDbContinuousBackupDeletion": Removes(frozenset({"cosmos_db_continuous"}), CONTINUOUS, "hand"),
}
"""Session type → what it removes: all that v8.1 documents."""

_ENDINGS = {"Retention": "rule", "Deletion": "hand"}
_PREFIXES = {
    "Vm": _VM,
    "Sql": frozenset({"sql"}),
    "FileShare": _FILE_SHARE,
    "Vnet": frozenset({"vnet"}),
    "CosmosDb": _COSMOS,
    "PostgresDb": _COSMOS,
    "MongoDb": _COSMOS,
}
# RepositoryDeletion takes all points of a repository from the appliance at once and removes none by itself; what
# begins with Configuration is about the appliance's backup of itself.
_OTHER_PREFIXES = ("Repository", "Configuration", "CosmosDbConfiguration")


def removes(session_type: str) -> bool:
    """Whether sessions of this type remove restore points; types that only later versions know are told by name."""
    return removes_of(session_type) is not None


def removes_of(session_type: str) -> Removes | None:
    """Give what sessions of this type remove; None if they remove nothing."""
    if known := REMOVING.get(session_type):
        return known
    if session_type.startswith(_OTHER_PREFIXES):
        return None
    by = next((by for ending, by in _ENDINGS.items() if session_type.endswith(ending)), None)
    workloads = next((those for prefix, those in _PREFIXES.items() if session_type.startswith(prefix)), _WORKLOADS)
    return Removes(workloads, _CLASSES, by) if by else None
