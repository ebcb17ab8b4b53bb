"""Everything that is read of an appliance, each described in one place: `docs/collections.md` adds one, step by step.

A description imports nothing and does nothing. `etl.extract` takes from it where a collection is, `etl.transform` how
an item becomes a row, `etl.load` which table keeps it and what makes a version.
"""

from __future__ import annotations

from etl.catalogue.description import EXTRA, Collection, Column, Companion, Entity
from etl.catalogue.job_sessions import JOB_SESSIONS, SESSIONS, UNDER_WAY
from etl.catalogue.policies import POLICIES, POLICY_COLLECTIONS, POLICY_RESOURCE_COLLECTIONS, POLICY_RESOURCES
from etl.catalogue.resources import (
    PROTECTED_RESOURCES,
    REPOSITORIES,
    REPOSITORY_COLLECTION,
    RESOURCE_COLLECTIONS,
)
from etl.catalogue.restore_points import POINT_COLLECTIONS, RESTORE_POINTS

__all__ = [
    "COLLECTIONS",
    "ENTITIES",
    "EXTRA",
    "RESTORE_POINTS",
    "SESSIONS",
    "UNDER_WAY",
    "WORKLOADS",
    "Collection",
    "Column",
    "Companion",
    "Entity",
    "inventory_of",
    "points_of",
]

ENTITIES = {
    entity.table: entity
    for entity in (RESTORE_POINTS, JOB_SESSIONS, PROTECTED_RESOURCES, POLICIES, POLICY_RESOURCES, REPOSITORIES)
}
"""Table → what it keeps."""

COLLECTIONS = {
    collection.name: collection
    for collection in (
        *POINT_COLLECTIONS,
        REPOSITORY_COLLECTION,
        *RESOURCE_COLLECTIONS,
        *POLICY_COLLECTIONS,
        *POLICY_RESOURCE_COLLECTIONS,
        SESSIONS,
    )
}
"""Stable name → collection."""

WORKLOADS = tuple(collection.name for collection in POINT_COLLECTIONS)
"""What `workloads` of the configuration may name; a collection of restore points is called as its workload."""


def points_of(workloads: tuple[str, ...]) -> tuple[Collection, ...]:
    """The collections of restore points of these workloads."""
    return tuple(one for one in POINT_COLLECTIONS if one.workload in workloads)


def inventory_of(workloads: tuple[str, ...]) -> tuple[Collection, ...]:
    """What is read besides restore points and job sessions for these workloads, in the order of reading."""
    # continuous backups of Cosmos DB are of the same accounts, under the same policies
    wanted = {workload.removesuffix("_continuous") for workload in workloads}
    known = (REPOSITORY_COLLECTION, *RESOURCE_COLLECTIONS, *POLICY_COLLECTIONS, *POLICY_RESOURCE_COLLECTIONS)
    return tuple(one for one in known if one.workload is None or one.workload in wanted)
