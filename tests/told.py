"""What appliances tell besides restore points, put into a warehouse as a run would have left it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from nights import FIRST_NIGHT
from sqlalchemy import insert, update

from etl.load.models import (
    Base,
    Deletion,
    JobSession,
    Policy,
    StorageCount,
    SyncRunCollection,
    SyncRunInventory,
)
from etl.load.warehouse import Warehouse

NORTH = 1
"""The number of the first appliance of a warehouse."""


def _add(warehouse: Warehouse, model: type[Base], **row: Any) -> None:
    with warehouse.begin() as connection:
        connection.execute(insert(model), {"appliance_id": NORTH, **row})


def _life(collection: str, at: datetime) -> dict[str, Any]:
    return {
        "extra": {},
        "collection": collection,
        "first_seen_at": at,
        "last_changed_at": at,
        "first_run": 1,
        "last_changed_run": 1,
    }


def session(warehouse: Warehouse, job_session_id: str, session_type: str | None = None, **row: Any) -> None:
    """A job session; without a type, one that was forgotten before it could be read."""
    life = _life("job_sessions", FIRST_NIGHT)
    if session_type is None:
        life |= {"deleted_at": FIRST_NIGHT, "deleted_run": 1}
    _add(warehouse, JobSession, job_session_id=job_session_id, session_type=session_type, **life | row)


def policy(warehouse: Warehouse, policy_id: str, **row: Any) -> None:
    """A policy of virtual machines; with `deleted_at` and `last_confirmed_at`, one that is gone."""
    _add(warehouse, Policy, policy_id=policy_id, workload="vm", **_life("vm_policies", FIRST_NIGHT) | row)


def cause(warehouse: Warehouse, restore_point_id: str, run_number: int, cause: str, **row: Any) -> None:
    """Why a point went that run `run_number` found gone, explained by that run unless it is unexplained."""
    gone = FIRST_NIGHT + timedelta(days=run_number - 1)
    explained_run = None if cause == "unexplained" else run_number
    known = {"explained_run": explained_run, "observed_gone_at": gone, "last_confirmed_at": gone - timedelta(days=1)}
    key = {"restore_point_id": restore_point_id, "run_number": run_number}
    _add(warehouse, Deletion, cause=cause, **key, **known | row)


def counts(warehouse: Warehouse, run_number: int, **row: Any) -> None:
    """What the appliance counts beside what the warehouse holds: nothing, unless it is given."""
    held = {"snapshots_held": 0, "backups_held": 0, "archives_held": 0}
    _add(warehouse, StorageCount, run_number=run_number, told={}, **held | row)


def reading(warehouse: Warehouse, run_number: int, collection: str, status: str, **row: Any) -> None:
    """A collection of restore points as a run read it, or could not."""
    _add(
        warehouse,
        SyncRunCollection,
        run_number=run_number,
        collection=collection,
        status=status,
        **{"proven": False} | row,
    )


def inventory(warehouse: Warehouse, run_number: int, collection: str, status: str, **row: Any) -> None:
    """Another collection as a run read it, or could not."""
    _add(
        warehouse,
        SyncRunInventory,
        run_number=run_number,
        collection=collection,
        status=status,
        **{"proven": False} | row,
    )


def forget(warehouse: Warehouse, job_session_id: str) -> None:
    """The appliance no longer knows a session that had been read."""
    with warehouse.begin() as connection:
        connection.execute(
            update(JobSession)
            .where(JobSession.appliance_id == NORTH, JobSession.job_session_id == job_session_id)
            .values(last_confirmed_at=FIRST_NIGHT, deleted_at=FIRST_NIGHT + timedelta(days=2), deleted_run=3)
        )
