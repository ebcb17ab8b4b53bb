"""Rejected records: kept with reason and raw text until they are read well; the same one every night is one row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Text, bindparam, func, insert, literal, select, update

from etl.catalogue import RESTORE_POINTS, Collection
from etl.load.kept import KEPT
from etl.load.ledger import Run
from etl.load.models import REJECTED
from etl.load.staging import REJECTED_COLUMNS, STAGED_REJECTS, Staging


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """An open rejected record: `raw` is the item as received, escaped, at most 64 kB."""

    record_hash: str
    raw: str


def open_records(connection: Connection, appliance_id: int) -> dict[str, list[StoredRecord]]:
    """Collection → its records that the newest run which read it met."""
    rows = connection.execute(
        select(REJECTED.c.collection, REJECTED.c.record_hash, REJECTED.c.raw)
        .where(REJECTED.c.appliance_id == appliance_id, REJECTED.c.resolved_run.is_(None))
        .order_by(REJECTED.c.collection, REJECTED.c.first_run, REJECTED.c.record_hash)
    )
    found: dict[str, list[StoredRecord]] = {}
    for row in rows:
        found.setdefault(row.collection, []).append(StoredRecord(row.record_hash, row.raw))
    return found


def count_rejected(staging: Staging, collection: Collection) -> tuple[int, int]:
    """How many whole items, and how many single fields, of one collection are staged as rejected."""
    if not staging.holds(STAGED_REJECTS):
        return 0, 0
    staged = STAGED_REJECTS
    items, fields = staging.connection.execute(
        select(func.count().filter(staged.c.field.is_(None)), func.count(staged.c.field)).where(
            staged.c.collection == collection.name
        )
    ).one()
    return items, fields


def read_again(staging: Staging, run: Run, collection: Collection) -> list[str]:
    """The open records of items that are staged: where only a part was read, those alone may be resolved."""
    kept = KEPT[collection.entity.table]
    if not staging.holds(kept.staged) or len(kept.key) > 1:
        return []
    (key,) = kept.keys(kept.staged)
    found = (
        select(REJECTED.c.record_hash)
        .join(kept.staged, REJECTED.c.item_id == key)
        .where(
            REJECTED.c.appliance_id == run.appliance_id,
            REJECTED.c.collection == collection.name,
            REJECTED.c.resolved_run.is_(None),
            kept.staged.c.collection == collection.name,
        )
    )
    return list(staging.connection.scalars(found))


def merge_rejected(
    staging: Staging, run: Run, collection: Collection, replayed: Sequence[str] | None = None
) -> tuple[int, int]:
    """Writes the staged rejected records of one collection, in the caller's transaction.

    A record that was open and did not come again is resolved by this run; where only some were read again, their
    hashes are `replayed`, and the others stay as they are.

    Returns:
        how many whole items, and how many single fields, were rejected in this run.
    """
    staged, connection = STAGED_REJECTS, staging.connection
    of_collection = staged.c.collection == collection.name
    items, fields = count_rejected(staging, collection)
    same_record = (REJECTED.c.appliance_id == run.appliance_id) & (REJECTED.c.record_hash == staged.c.record_hash)
    if items or fields:
        connection.execute(
            update(REJECTED).where(same_record, of_collection).values(last_run=run.run_number, resolved_run=None)
        )
        is_point = collection.entity is RESTORE_POINTS
        connection.execute(
            insert(REJECTED).from_select(
                ["appliance_id", "collection", "first_run", "last_run", "restore_point_id", *REJECTED_COLUMNS],
                select(
                    literal(run.appliance_id),
                    literal(collection.name, Text),
                    literal(run.run_number),
                    literal(run.run_number),
                    staged.c.item_id if is_point else literal(None, Text),
                    *(staged.c[name] for name in REJECTED_COLUMNS),
                )
                .select_from(staged.outerjoin(REJECTED, same_record))
                .where(of_collection, REJECTED.c.record_hash.is_(None)),
            )
        )
    resolve = (
        update(REJECTED)
        .where(
            REJECTED.c.appliance_id == run.appliance_id,
            REJECTED.c.collection == collection.name,
            REJECTED.c.resolved_run.is_(None),
            REJECTED.c.last_run < run.run_number,
        )
        .values(resolved_run=run.run_number)
    )
    if replayed is None:
        connection.execute(resolve)
    elif replayed:
        connection.execute(
            resolve.where(REJECTED.c.record_hash == bindparam("replayed")), [{"replayed": one} for one in replayed]
        )
    return items, fields
