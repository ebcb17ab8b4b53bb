"""What a run misses: present in the warehouse until now, absent from the snapshot; and what of it is gone.

What only an early crawl of the run saw is missed as well, be it known to the warehouse or new.
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

from etl.catalogue import Collection
from etl.load.kept import KEPT, Kept, make_temporary
from etl.load.known import KnownItems
from etl.load.ledger import FINISHED, Run, ledger_of
from etl.load.models import RestorePoint, SyncRun
from etl.load.staging import STAGED_REJECTS, Staging

#: What was not met by its hash in the last crawl; `met_early` if an earlier crawl of the run met it.
_NOT_MET: Final = Table(
    "hashes_not_met",
    MetaData(),
    Column("source_hash", BigInteger, primary_key=True, autoincrement=False),
    Column("met_early", Boolean),
    prefixes=["temporary"],
)


def find_vanished(staging: Staging, run: Run, collection: Collection, known: KnownItems, last_crawl: int) -> int:
    """Writes what the collection's last crawl misses into the entity's table `vanished`; returns how much was present.

    The staging tables are sealed. A rejected item of a known id does not count as vanished.
    """
    hashes, met_early = known.not_met(last_crawl)
    if not len(hashes) and not known.unhashed and last_crawl == 1:
        return 0
    connection = staging.connection
    kept = KEPT[collection.entity.table]
    facts, staged, vanished = kept.facts, kept.staged, kept.vanished
    staging.make(staged, *kept.key)
    staging.make(vanished)
    make_temporary(connection, _NOT_MET)
    staging.copy(_NOT_MET, list(zip(hashes.tolist(), met_early.tolist(), strict=True)))
    read_early = staged.alias("read_early")
    missed = (
        select(
            literal(collection.name, Text),
            *kept.keys(facts),
            false(),
            or_(func.coalesce(_NOT_MET.c.met_early, false()), read_early.c[kept.key[0]].is_not(None)),
        )
        .select_from(
            facts.outerjoin(_NOT_MET, _NOT_MET.c.source_hash == facts.c.source_hash)
            # what another listing holds is there, whichever crawl of that one read it
            .outerjoin(
                staged,
                and_(
                    kept.same(staged, facts),
                    or_(staged.c.crawl == last_crawl, staged.c.collection != collection.name),
                ),
            )
            .outerjoin(read_early, kept.same(read_early, facts))
        )
        .where(
            facts.c.appliance_id == run.appliance_id,
            facts.c.collection == collection.name,
            facts.c.deleted_at.is_(None),
            or_(facts.c.source_hash.is_(None), _NOT_MET.c.source_hash.is_not(None)),
            staged.c[kept.key[0]].is_(None),
        )
    )
    if staging.holds(STAGED_REJECTS) and len(kept.key) == 1:
        rejected = select(STAGED_REJECTS.c.item_id).where(
            STAGED_REJECTS.c.collection == collection.name,
            STAGED_REJECTS.c.field.is_(None),
            STAGED_REJECTS.c.item_id.is_not(None),
        )
        missed = missed.where(facts.c[kept.key[0]].not_in(rejected))
    connection.execute(insert(vanished).from_select(vanished.c.keys(), missed))
    if last_crawl > 1:
        born_early = (
            select(literal(collection.name, Text), *kept.keys(staged), true(), true())
            .select_from(staged.outerjoin(facts, and_(kept.of(run.appliance_id, staged), facts.c.deleted_at.is_(None))))
            .where(
                staged.c.collection == collection.name,
                staged.c.crawl < last_crawl,
                facts.c[kept.key[0]].is_(None),
            )
        )
        connection.execute(insert(vanished).from_select(vanished.c.keys(), born_early))
    count = select(func.count()).where(vanished.c.collection == collection.name, ~vanished.c.is_new)
    return connection.scalar(count) or 0


def vanished_ids(staging: Staging, collection: Collection) -> list[str]:
    """The ids to ask for."""
    kept = KEPT[collection.entity.table]
    if not staging.holds(kept.vanished):
        return []
    (key,) = kept.keys(kept.vanished)
    wanted = select(key).where(kept.vanished.c.collection == collection.name).order_by(key)
    return list(staging.connection.scalars(wanted))


def mark_gone(staging: Staging, collection: Collection, ids: Sequence[str]) -> None:
    """Notes those that the appliance says are gone."""
    if ids:
        gone = KEPT[collection.entity.table].gone
        staging.make(gone)
        staging.copy(gone, [(collection.name, one) for one in ids])


def mark_all_gone(staging: Staging, collection: Collection) -> None:
    """Notes everything that a proven snapshot does not list."""
    kept = KEPT[collection.entity.table]
    staging.make(kept.gone)
    missed = select(kept.vanished.c.collection, *kept.keys(kept.vanished)).where(
        kept.vanished.c.collection == collection.name
    )
    staging.connection.execute(insert(kept.gone).from_select(kept.gone.c.keys(), missed))


def lists_nothing(staging: Staging, collection: Collection, known: KnownItems) -> bool:
    """Whether this run has read nothing of a collection that can be told from anything else."""
    staged = KEPT[collection.entity.table].staged
    if known.count_met():
        return False
    if not staging.holds(staged):
        return True
    one = select(staged.c.collection).where(staged.c.collection == collection.name).limit(1)
    return staging.connection.scalar(one) is None


def listed_nothing_before(connection: Connection, run: Run, collection: Collection) -> bool:
    """Whether the last run that read the collection found nothing on its list either."""
    ledger = ledger_of(collection)
    last = connection.scalar(
        select(ledger.extracted)
        .where(
            ledger.appliance_id == run.appliance_id,
            ledger.collection == collection.name,
            ledger.status == "complete",
            ledger.crawls > 0,
        )
        .order_by(ledger.run_number.desc())
        .limit(1)
    )
    return last == 0


def count_present(connection: Connection, appliance_id: int, collection: Collection) -> int:
    """What is not deleted of one collection."""
    facts = KEPT[collection.entity.table].facts
    present = select(func.count()).where(
        facts.c.appliance_id == appliance_id, facts.c.collection == collection.name, facts.c.deleted_at.is_(None)
    )
    return connection.scalar(present) or 0


def knows_any(connection: Connection, appliance_id: int) -> bool:
    """Whether the warehouse has ever seen a restore point of this appliance, present or deleted."""
    one = select(RestorePoint.appliance_id).where(RestorePoint.appliance_id == appliance_id).limit(1)
    return connection.scalar(one) is not None


def unstage_gone(staging: Staging, run: Run, collection: Collection) -> None:
    """Before the merge: what an early crawl read of a known thing that is gone now makes no version any more."""
    kept = KEPT[collection.entity.table]
    if not staging.holds(kept.gone) or not staging.holds(kept.staged):
        return
    facts, staged, gone = kept.facts, kept.staged, kept.gone
    known = and_(kept.of(run.appliance_id, staged), facts.c.deleted_at.is_(None))
    is_gone = and_(kept.same(gone, staged), gone.c.collection == collection.name)
    staging.connection.execute(
        delete(staged).where(select(facts.c.appliance_id).where(known).exists(), select(gone).where(is_gone).exists())
    )


def last_proof(connection: Connection, run: Run, collection: Collection) -> Any:
    """When the newest finished run began that saw the collection whole and left nothing unconfirmed; null if none."""
    ledger = ledger_of(collection)
    return connection.scalar(
        select(func.max(SyncRun.started_at))
        .join(ledger, and_(ledger.appliance_id == SyncRun.appliance_id, ledger.run_number == SyncRun.run_number))
        .where(
            SyncRun.appliance_id == run.appliance_id,
            SyncRun.status.in_(FINISHED),
            ledger.collection == collection.name,
            ledger.proven,
            # one that left something unconfirmed may have missed this very thing
            ledger.unconfirmed == 0,
        )
    )


def write_deletions(staging: Staging, run: Run, collection: Collection) -> int:
    """After the merge: closes what is gone; returns how much that is.

    A deletion is an interval: from the later of the collection's last proof that left nothing unconfirmed and the
    thing's own last change (the start of this run, if an early crawl of it still saw the thing) to this run's
    `observed_at`.
    """
    kept = KEPT[collection.entity.table]
    if not staging.holds(kept.gone):
        return 0
    connection = staging.connection
    facts, vanished, gone = kept.facts, kept.vanished, kept.gone
    observed_at = literal(run.observed_at, facts.c.deleted_at.type)
    started_at = literal(run.started_at, facts.c.deleted_at.type)
    proof = last_proof(connection, run, collection)
    confirmed: ColumnElement[Any] = facts.c.last_changed_at
    if proof is not None:
        proven_at = literal(proof, facts.c.deleted_at.type)
        confirmed = case((proven_at > confirmed, proven_at), else_=confirmed)
    is_gone = and_(
        vanished.c.collection == collection.name, gone.c.collection == collection.name, kept.same(vanished, gone)
    )
    is_new = and_(is_gone, vanished.c.is_new)
    deleted = {"deleted_at": observed_at, "deleted_run": run.run_number}
    of_fact = kept.of(run.appliance_id, vanished)
    connection.execute(
        update(facts)
        .where(of_fact, is_gone, ~vanished.c.is_new)
        .values(last_confirmed_at=case((vanished.c.seen_early, started_at), else_=confirmed), **deleted)
    )
    # come (or come back) and gone within one run: it lived from the run's start on, as far as anybody knows
    connection.execute(
        update(facts)
        .where(of_fact, is_new)
        .values(
            first_seen_at=case((facts.c.first_run == run.run_number, started_at), else_=facts.c.first_seen_at),
            last_changed_at=started_at,
            last_confirmed_at=started_at,
            **deleted,
        )
    )
    _close_versions(staging, run, kept, is_gone, is_new)
    count = select(func.count()).select_from(gone).where(gone.c.collection == collection.name)
    return connection.scalar(count) or 0


def _close_versions(
    staging: Staging, run: Run, kept: Kept, is_gone: ColumnElement[bool], is_new: ColumnElement[bool]
) -> None:
    versions = kept.versions
    if versions is None:
        return
    of_version = and_(
        versions.c.appliance_id == run.appliance_id,
        kept.same(versions, kept.vanished),
        versions.c.valid_to.is_(None),
    )
    instant = versions.c.valid_to.type
    closed = {
        "valid_to": literal(run.observed_at, instant),
        "closed_run": run.run_number,
        "closed_by": "deleted",
    }
    born = literal(run.started_at, instant)
    staging.connection.execute(update(versions).where(of_version, is_new).values(valid_from=born, **closed))
    staging.connection.execute(update(versions).where(of_version, is_gone, ~kept.vanished.c.is_new).values(**closed))
