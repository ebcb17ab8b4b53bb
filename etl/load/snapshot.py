"""What a run has read so far, counted: distinct items, whether they are staged or known unchanged."""

from __future__ import annotations

from typing import Any

import numpy as np
from sqlalchemy import ColumnElement, Connection, Select, and_, func, select

from etl.catalogue import Collection
from etl.load.kept import KEPT
from etl.load.known import Hashes, KnownItems
from etl.load.ledger import Run
from etl.load.staging import STAGED_REJECTS, Staging


def count_distinct(
    staging: Staging, run: Run, collection: Collection, known: KnownItems, crawl: int | None = None
) -> int:
    """The distinct items that this crawl read (any crawl of the run, if none is named), rejected ones included."""
    kept = KEPT[collection.entity.table]
    count = known.count_met(crawl)
    if staging.holds(kept.staged):
        of_crawl = [kept.staged.c.collection == collection.name]
        if crawl is not None:
            of_crawl.append(kept.staged.c.crawl == crawl)
        staged = _count(staging.connection, select(*kept.keys(kept.staged)).where(*of_crawl).distinct())
        if staged and known.count_met():
            # an item met once as it was known and once in another form is one item
            staged -= known.count_met_among(_known_hashes(staging.connection, run, collection, of_crawl), crawl)
        count += staged
    if staging.holds(STAGED_REJECTS):
        rejected = select(STAGED_REJECTS.c.record_hash).where(
            STAGED_REJECTS.c.collection == collection.name, STAGED_REJECTS.c.field.is_(None)
        )
        if crawl is not None:
            rejected = rejected.where(STAGED_REJECTS.c.crawl == crawl)
        count += _count(staging.connection, rejected.distinct())
    return count


def any_staged_is_known(staging: Staging, run: Run) -> bool:
    """Whether the warehouse has ever seen one of the restore points that are staged, present or deleted."""
    kept = KEPT["restore_points"]
    if not staging.holds(kept.staged):
        return False
    one = select(kept.facts.c.appliance_id).join(kept.staged, kept.of(run.appliance_id, kept.staged)).limit(1)
    return staging.connection.scalar(one) is not None


def _count(connection: Connection, distinct: Select[Any]) -> int:
    # of a subquery: `count(distinct …)` would sort the texts where this hashes them
    return connection.scalar(select(func.count()).select_from(distinct.subquery())) or 0


def _known_hashes(
    connection: Connection, run: Run, collection: Collection, of_crawl: list[ColumnElement[bool]]
) -> Hashes:
    """The hashes under which the warehouse knows what is staged in another form now."""
    kept = KEPT[collection.entity.table]
    hashes = connection.scalars(
        select(kept.facts.c.source_hash)
        .join(kept.staged, and_(kept.of(run.appliance_id, kept.staged), *of_crawl))
        .where(kept.facts.c.source_hash.is_not(None))
        .distinct()
    )
    return np.fromiter(hashes, dtype=np.int64)
