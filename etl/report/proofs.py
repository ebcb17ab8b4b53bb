"""Proofs: which runs saw a collection whole, and what each says about presence and absence.

A *proof* is a collection's row of a finished run (`succeeded` or `partial`) that is `proven`; its time is the run's
`started_at`. A point that lived from there to the run's end is on its list, so

- a point that a proof did not list and a later run did was not there yet, or could not be seen or read, at the proof;
- a point that is not deleted was there at the newest proof, **unless** that proof left vanished points unconfirmed:
  which ones is not written down, so such a proof *confirms* none.

An unproven run adds sightings, never absences.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, ScalarSelect, Select, Subquery, and_, case, func, select

from etl.load.ledger import FINISHED
from etl.load.models import SyncRun, SyncRunCollection

_OF_RUN = and_(
    SyncRunCollection.appliance_id == SyncRun.appliance_id,
    SyncRunCollection.run_number == SyncRun.run_number,
)
_IS_PROOF = and_(SyncRunCollection.proven, SyncRun.status.in_(FINISHED))
_CONFIRMS = and_(_IS_PROOF, SyncRunCollection.unconfirmed == 0)


def later_of(one: ColumnElement[Any], other: ColumnElement[Any]) -> ColumnElement[Any]:
    """The later of two instants; `one` may be null."""
    return case((one > other, one), else_=other)


def newest_proofs(appliance_id: int) -> Subquery:
    """A row per collection that was ever read of one appliance.

    Columns: `collection`; `first_proof_at` and `data_as_of`, its oldest and newest proof; `confirmed_at`, the newest
    one that confirms what is not deleted. Each is null where there is none.
    """
    return (
        select(
            SyncRunCollection.collection,
            func.min(SyncRun.started_at).filter(_IS_PROOF).label("first_proof_at"),
            func.max(SyncRun.started_at).filter(_IS_PROOF).label("data_as_of"),
            func.max(SyncRun.started_at).filter(_CONFIRMS).label("confirmed_at"),
        )
        .join(SyncRun, _OF_RUN)
        .where(
            SyncRunCollection.appliance_id == appliance_id,
            SyncRunCollection.status.in_(("complete", "partial")),
        )
        .group_by(SyncRunCollection.collection)
        .subquery("newest_proofs")
    )


def proofs_before(appliance_id: int, collection: ColumnElement[Any], run_number: ColumnElement[Any]) -> Select[Any]:
    """The instants of a collection's proofs in the runs before `run_number`; correlated to the caller's row.

    To be asked for few rows only, inside a `case`. A join would be right for many, but both databases take a point's
    keys for so rare that they scan a joined list of runs once for every point.
    """
    return (
        select(SyncRun.started_at)
        .join(SyncRunCollection, _OF_RUN)
        .where(
            SyncRunCollection.appliance_id == appliance_id,
            SyncRunCollection.collection == collection,
            SyncRunCollection.run_number < run_number,
            _IS_PROOF,
        )
        .correlate_except(SyncRun, SyncRunCollection)
    )


def confirmed_before(
    appliance_id: int, collection: ColumnElement[Any], run_number: ColumnElement[Any]
) -> ScalarSelect[Any]:
    """The newest of these proofs that confirms what was not deleted then; null where there is none."""
    return (
        proofs_before(appliance_id, collection, run_number)
        .where(_CONFIRMS)
        .with_only_columns(func.max(SyncRun.started_at))
        .scalar_subquery()
    )
