"""Rejected records: kept with reason and raw text until they are read well; the same one every night is one row."""

from __future__ import annotations

from sqlalchemy import Connection, Text, func, insert, literal, select, update

from etl.load.ledger import Run
from etl.load.models import REJECTED
from etl.load.staging import REJECTED_COLUMNS, STAGED_REJECTS


def count_rejected(connection: Connection, collection: str) -> tuple[int, int]:
    """How many whole items, and how many single fields, of one collection are staged as rejected."""
    staged = STAGED_REJECTS
    items, fields = connection.execute(
        select(func.count().filter(staged.c.field.is_(None)), func.count(staged.c.field)).where(
            staged.c.collection == collection
        )
    ).one()
    return items, fields


def merge_rejected(connection: Connection, run: Run, collection: str) -> tuple[int, int]:
    """Writes the staged rejected records of one collection, in the caller's transaction.

    A record that was open and did not come again is resolved by this run.

    Returns:
        how many whole items, and how many single fields, were rejected in this run.
    """
    staged = STAGED_REJECTS
    of_collection = staged.c.collection == collection
    items, fields = count_rejected(connection, collection)
    same_record = (REJECTED.c.appliance_id == run.appliance_id) & (REJECTED.c.record_hash == staged.c.record_hash)
    if items or fields:
        connection.execute(
            update(REJECTED).where(same_record, of_collection).values(last_run=run.run_number, resolved_run=None)
        )
        connection.execute(
            insert(REJECTED).from_select(
                ["appliance_id", "collection", "first_run", "last_run", *REJECTED_COLUMNS],
                select(
                    literal(run.appliance_id),
                    literal(collection, Text),
                    literal(run.run_number),
                    literal(run.run_number),
                    *(staged.c[name] for name in REJECTED_COLUMNS),
                )
                .select_from(staged.outerjoin(REJECTED, same_record))
                .where(of_collection, REJECTED.c.record_hash.is_(None)),
            )
        )
    connection.execute(
        update(REJECTED)
        .where(
            REJECTED.c.appliance_id == run.appliance_id,
            REJECTED.c.collection == collection,
            REJECTED.c.resolved_run.is_(None),
            REJECTED.c.last_run < run.run_number,
        )
        .values(resolved_run=run.run_number)
    )
    return items, fields
