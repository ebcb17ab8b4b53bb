"""What a run has read so far, counted: distinct items, whether they are staged or known unchanged."""

from __future__ import annotations

from typing import Any

import numpy as np
from sqlalchemy import ColumnElement, Connection, Select, func, select

from etl.load.known import Hashes, KnownItems
from etl.load.ledger import Run
from etl.load.models import POINTS
from etl.load.staging import STAGED_POINTS, STAGED_REJECTS


def count_distinct(
    connection: Connection, run: Run, collection: str, known: KnownItems, crawl: int | None = None
) -> int:
    """The distinct items that this crawl read (any crawl of the run, if none is named), rejected ones included."""
    of_crawl = [] if crawl is None else [STAGED_POINTS.c.crawl == crawl]
    staged = (
        select(STAGED_POINTS.c.restore_point_id).where(STAGED_POINTS.c.collection == collection, *of_crawl).distinct()
    )
    rejected = (
        select(STAGED_REJECTS.c.record_hash)
        .where(
            STAGED_REJECTS.c.collection == collection,
            STAGED_REJECTS.c.field.is_(None),
            *([] if crawl is None else [STAGED_REJECTS.c.crawl == crawl]),
        )
        .distinct()
    )
    count = _count(connection, staged)
    if count and known.count_met():
        # an item met once as it was known and once in another form is one item
        hashes = known_hashes_of_staged(connection, run, *of_crawl)
        count -= known.count_met_among(hashes, crawl)
    return count + known.count_met(crawl) + _count(connection, rejected)


def any_staged_is_known(connection: Connection, run: Run) -> bool:
    """Whether the warehouse has ever seen one of the points that are staged, present or deleted."""
    one = (
        select(POINTS.c.restore_point_id)
        .join(STAGED_POINTS, STAGED_POINTS.c.restore_point_id == POINTS.c.restore_point_id)
        .where(POINTS.c.appliance_id == run.appliance_id)
        .limit(1)
    )
    return connection.scalar(one) is not None


def _count(connection: Connection, distinct: Select[Any]) -> int:
    # of a subquery: `count(distinct …)` would sort the texts where this hashes them
    return connection.scalar(select(func.count()).select_from(distinct.subquery())) or 0


def known_hashes_of_staged(connection: Connection, run: Run, *only: ColumnElement[bool]) -> Hashes:
    """The hashes under which the warehouse knows points that are staged in another form now."""
    hashes = connection.scalars(
        select(POINTS.c.source_hash)
        .join(STAGED_POINTS, STAGED_POINTS.c.restore_point_id == POINTS.c.restore_point_id)
        .where(POINTS.c.appliance_id == run.appliance_id, POINTS.c.source_hash.is_not(None), *only)
        .distinct()
    )
    return np.fromiter(hashes, dtype=np.int64)
