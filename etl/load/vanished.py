"""Which points a run misses: present in the warehouse until now, absent from the snapshot; and which of them are gone.

A point that only an early crawl of the run saw is missed as well, be it known to the warehouse or new.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Connection,
    MetaData,
    Table,
    Text,
    and_,
    case,
    delete,
    false,
    func,
    insert,
    literal,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.schema import CreateTable, DropTable

from etl.load.known import KnownItems
from etl.load.ledger import FINISHED, Run
from etl.load.models import POINTS, VERSIONS, RestorePoint, SyncRun, SyncRunCollection
from etl.load.staging import STAGED_POINTS, STAGED_REJECTS, Staging

_temporary = MetaData()

#: What was not met by its hash in the last crawl; `met_early` if an earlier crawl of the run met it.
_NOT_MET: Final = Table(
    "hashes_not_met",
    _temporary,
    Column("source_hash", BigInteger, primary_key=True, autoincrement=False),
    Column("met_early", Boolean),
    prefixes=["temporary"],
)
#: The points that the run misses, to be asked for by id.
VANISHED: Final = Table(
    "vanished_points",
    _temporary,
    Column("collection", Text),
    Column("restore_point_id", Text),
    Column("is_new", Boolean),
    Column("seen_early", Boolean),
    prefixes=["temporary"],
)
#: Those of them that the appliance says are gone.
GONE: Final = Table(
    "gone_points",
    _temporary,
    Column("collection", Text),
    Column("restore_point_id", Text),
    prefixes=["temporary"],
)


def prepare(connection: Connection) -> None:
    """Fresh, empty tables on this connection."""
    for table in (_NOT_MET, VANISHED, GONE):
        connection.execute(DropTable(table, if_exists=True))
        connection.execute(CreateTable(table))


def find_vanished(staging: Staging, run: Run, collection: str, known: KnownItems, last_crawl: int) -> int:
    """Writes the points that the collection's last crawl misses into `VANISHED`; returns how many were present.

    The staging tables are sealed. A rejected item of a known id does not count as vanished.
    """
    hashes, met_early = known.not_met(last_crawl)
    if not len(hashes) and not known.unhashed and last_crawl == 1:
        return 0
    connection = staging.connection
    connection.execute(delete(_NOT_MET))
    staging.copy(_NOT_MET, list(zip(hashes.tolist(), met_early.tolist(), strict=True)))
    read_last = and_(STAGED_POINTS.c.restore_point_id == POINTS.c.restore_point_id, STAGED_POINTS.c.crawl == last_crawl)
    read_early = STAGED_POINTS.alias("read_early")
    rejected = (
        select(STAGED_REJECTS.c.restore_point_id)
        .where(STAGED_REJECTS.c.field.is_(None), STAGED_REJECTS.c.restore_point_id.is_not(None))
        .distinct()
        .subquery()
    )
    missed = (
        select(
            literal(collection, Text),
            POINTS.c.restore_point_id,
            false(),
            or_(func.coalesce(_NOT_MET.c.met_early, false()), read_early.c.restore_point_id.is_not(None)),
        )
        .select_from(
            POINTS.outerjoin(_NOT_MET, _NOT_MET.c.source_hash == POINTS.c.source_hash)
            .outerjoin(STAGED_POINTS, read_last)
            .outerjoin(read_early, read_early.c.restore_point_id == POINTS.c.restore_point_id)
            .outerjoin(rejected, rejected.c.restore_point_id == POINTS.c.restore_point_id)
        )
        .where(
            POINTS.c.appliance_id == run.appliance_id,
            POINTS.c.collection == collection,
            POINTS.c.deleted_at.is_(None),
            or_(POINTS.c.source_hash.is_(None), _NOT_MET.c.source_hash.is_not(None)),
            STAGED_POINTS.c.restore_point_id.is_(None),
            rejected.c.restore_point_id.is_(None),
        )
    )
    connection.execute(insert(VANISHED).from_select(VANISHED.c.keys(), missed))
    born_early = (
        select(literal(collection, Text), STAGED_POINTS.c.restore_point_id, true(), true())
        .select_from(
            STAGED_POINTS.outerjoin(
                POINTS,
                and_(
                    POINTS.c.appliance_id == run.appliance_id,
                    POINTS.c.restore_point_id == STAGED_POINTS.c.restore_point_id,
                    POINTS.c.deleted_at.is_(None),
                ),
            )
        )
        .where(
            STAGED_POINTS.c.collection == collection,
            STAGED_POINTS.c.crawl < last_crawl,
            POINTS.c.restore_point_id.is_(None),
        )
    )
    connection.execute(insert(VANISHED).from_select(VANISHED.c.keys(), born_early))
    count = select(func.count()).where(VANISHED.c.collection == collection, ~VANISHED.c.is_new)
    return connection.scalar(count) or 0


def vanished_ids(connection: Connection, collection: str) -> list[str]:
    """The ids to ask for."""
    return list(
        connection.scalars(
            select(VANISHED.c.restore_point_id)
            .where(VANISHED.c.collection == collection)
            .order_by(VANISHED.c.restore_point_id)
        )
    )


def mark_gone(connection: Connection, collection: str, ids: Sequence[str]) -> None:
    """Notes those that the appliance says are gone."""
    if ids:
        rows = [{"collection": collection, "restore_point_id": one} for one in ids]
        connection.execute(insert(GONE), rows)


def count_present(connection: Connection, appliance_id: int) -> int:
    """The appliance's points that are not deleted, over all collections."""
    present = select(func.count()).where(RestorePoint.appliance_id == appliance_id, RestorePoint.deleted_at.is_(None))
    return connection.scalar(present) or 0


def knows_any(connection: Connection, appliance_id: int) -> bool:
    """Whether the warehouse has ever seen a point of this appliance, present or deleted."""
    one = select(RestorePoint.appliance_id).where(RestorePoint.appliance_id == appliance_id).limit(1)
    return connection.scalar(one) is not None


def unstage_gone(connection: Connection, run: Run, collection: str) -> None:
    """Before the merge: what an early crawl read of a known point that is gone now makes no version any more."""
    known = select(POINTS.c.restore_point_id).where(
        POINTS.c.appliance_id == run.appliance_id, POINTS.c.deleted_at.is_(None)
    )
    gone = select(GONE.c.restore_point_id).where(GONE.c.collection == collection)
    connection.execute(
        delete(STAGED_POINTS).where(
            STAGED_POINTS.c.restore_point_id.in_(gone), STAGED_POINTS.c.restore_point_id.in_(known)
        )
    )


def write_deletions(connection: Connection, run: Run, collection: str) -> int:
    """After the merge: closes what is gone; returns how many points that is.

    A deletion is an interval: from the later of the collection's last proof that left nothing unconfirmed and the
    point's own last change (the start of this run, if an early crawl of it still saw the point) to this run's
    `observed_at`.
    """
    observed_at = literal(run.observed_at, POINTS.c.deleted_at.type)
    started_at = literal(run.started_at, POINTS.c.deleted_at.type)
    proof = connection.scalar(
        select(func.max(SyncRun.started_at))
        .join(
            SyncRunCollection,
            and_(
                SyncRunCollection.appliance_id == SyncRun.appliance_id,
                SyncRunCollection.run_number == SyncRun.run_number,
            ),
        )
        .where(
            SyncRun.appliance_id == run.appliance_id,
            SyncRun.status.in_(FINISHED),
            SyncRunCollection.collection == collection,
            SyncRunCollection.proven,
            # one that left something unconfirmed may have missed this very point
            SyncRunCollection.unconfirmed == 0,
        )
    )
    confirmed: ColumnElement[Any] = POINTS.c.last_changed_at
    if proof is not None:
        last_proof = literal(proof, POINTS.c.deleted_at.type)
        confirmed = case((last_proof > confirmed, last_proof), else_=confirmed)
    gone = and_(VANISHED.c.collection == collection, VANISHED.c.restore_point_id == GONE.c.restore_point_id)
    is_new = and_(gone, VANISHED.c.is_new)
    deleted = {"deleted_at": observed_at, "deleted_run": run.run_number}
    of_point = and_(POINTS.c.appliance_id == run.appliance_id, POINTS.c.restore_point_id == VANISHED.c.restore_point_id)
    connection.execute(
        update(POINTS)
        .where(of_point, gone, ~VANISHED.c.is_new)
        .values(last_confirmed_at=case((VANISHED.c.seen_early, started_at), else_=confirmed), **deleted)
    )
    # come (or come back) and gone within one run: it lived from the run's start on, as far as anybody knows
    connection.execute(
        update(POINTS)
        .where(of_point, is_new)
        .values(
            first_seen_at=case((POINTS.c.first_run == run.run_number, started_at), else_=POINTS.c.first_seen_at),
            last_changed_at=started_at,
            last_confirmed_at=started_at,
            **deleted,
        )
    )
    of_version = and_(
        VERSIONS.c.appliance_id == run.appliance_id,
        VERSIONS.c.restore_point_id == VANISHED.c.restore_point_id,
        VERSIONS.c.valid_to.is_(None),
    )
    closed = {"valid_to": observed_at, "closed_run": run.run_number, "closed_by": "deleted"}
    connection.execute(update(VERSIONS).where(of_version, is_new).values(valid_from=started_at, **closed))
    connection.execute(update(VERSIONS).where(of_version, gone, ~VANISHED.c.is_new).values(**closed))
    count = select(func.count()).select_from(GONE).where(GONE.c.collection == collection)
    return connection.scalar(count) or 0
