"""The warehouse's tables, one module for each kind of fact."""

from __future__ import annotations

from typing import cast

from sqlalchemy import Table

from etl.load.models.base import CHANGES, Base
from etl.load.models.job_sessions import DeletedItem, JobSession, SessionEvidence
from etl.load.models.ledger import (
    COLLECTION_STATUSES,
    EVIDENCE,
    RUN_STATUSES,
    Appliance,
    StorageCount,
    SyncRun,
    SyncRunCollection,
    SyncRunInventory,
)
from etl.load.models.resources import (
    Policy,
    PolicyResource,
    PolicyResourceVersion,
    PolicyVersion,
    ProtectedResource,
    ProtectedResourceVersion,
    Repository,
    RepositoryVersion,
)
from etl.load.models.restore_points import CAUSES, MATCHES, Deletion, RejectedRecord, RestorePoint, RestorePointVersion

__all__ = [
    "CAUSES",
    "CHANGES",
    "COLLECTION_STATUSES",
    "EVIDENCE",
    "MATCHES",
    "POINTS",
    "REJECTED",
    "RUN_STATUSES",
    "VERSIONS",
    "Appliance",
    "Base",
    "DeletedItem",
    "Deletion",
    "JobSession",
    "Policy",
    "PolicyResource",
    "PolicyResourceVersion",
    "PolicyVersion",
    "ProtectedResource",
    "ProtectedResourceVersion",
    "RejectedRecord",
    "Repository",
    "RepositoryVersion",
    "RestorePoint",
    "RestorePointVersion",
    "SessionEvidence",
    "StorageCount",
    "SyncRun",
    "SyncRunCollection",
    "SyncRunInventory",
]

#: The tables for set-based SQL.
POINTS, VERSIONS, REJECTED = (
    cast(Table, model.__table__) for model in (RestorePoint, RestorePointVersion, RejectedRecord)
)
