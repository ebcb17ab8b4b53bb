"""The merge: what was staged against what is known, set by set; only rows that differ are ever written.

The difference is computed first, into a temporary table. An `on conflict … do update … where … is distinct from …`
over 100,000 unchanged rows moves no row counter and still wrote 14.9 MB of write-ahead log; joining first, 11 kB.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress
from typing import Any, Final

import numpy as np
from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Insert,
    MetaData,
    Table,
    Text,
    and_,
    bindparam,
    case,
    delete,
    func,
    insert,
    literal,
    literal_column,
    null,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.schema import CreateTable, DropTable

from etl.load.known import KnownItems
from etl.load.ledger import CollectionOutcome, Run
from etl.load.models import POINTS, TRACKED, UNTRACKED, VERSIONS
from etl.load.rejects import merge_rejected
from etl.load.staging import BATCH_COLUMNS, STAGED_POINTS

#: Columns that an item sets, in the order of a batch.
CONTENT: Final = (*TRACKED, *UNTRACKED)
WRITTEN: Final = (*CONTENT, "source_hash")

#: What differs, a row a point. `kind` is the version's `change`, or `refreshed` where only untracked columns moved.
CHANGES: Final = Table(
    "restore_point_changes",
    MetaData(),
    Column("kind", Text, nullable=False),
    Column("restore_point_id", Text, nullable=False),
    *(Column(name, POINTS.c[name].type) for name in WRITTEN),
    prefixes=["temporary"],
)

#: Above this share of changed points the planner's statistics no longer fit: without fresh ones, closing the versions
#: of 1 % took 9 s after a first load (a nested loop), with them 28 ms.
ANALYZE_ABOVE: Final = 0.1
#: The columns whose statistics decide how later runs are planned. Without those of the last three, a night of 1 %
#: compared every point with every changed one: 5 s at 30,000 points.
_JOINED_BY: Final = {
    POINTS: ("appliance_id", "restore_point_id", "collection", "deleted_at", "source_hash"),
    VERSIONS: ("appliance_id", "restore_point_id", "valid_to"),
}


def merge(
    connection: Connection,
    run: Run,
    collection: str,
    known: KnownItems,
    *,
    other_api_version: bool,
    restamp: bool,
    replayed: Sequence[str] | None = None,
) -> CollectionOutcome:
    """Writes one staged collection into points, versions and rejected records, in the caller's transaction.

    Args:
        connection: the run's own, with sealed staging tables on it.
        run: its `observed_at` is the time of everything written here.
        collection: the collection's stable name.
        known: the hashes that were met in this run.
        other_api_version: the appliance was last read at another API version, so that a column filled for the
            first time, or a job session under its new id, is `restated` and not `changed`.
        restamp: rewrite hashes that are out of date although nothing else differs (after an upgrade of the program).
        replayed: the rejected records whose items are staged, where the appliance itself was not read.

    Returns:
        the outcome with inserted, updated, unchanged, reappeared, rejected, field_errors and extracted filled in.
    """
    outcome = CollectionOutcome(collection)
    kinds = find_changes(connection, run, collection, known, other_api_version=other_api_version, restamp=restamp)
    outcome.inserted = kinds.get("appeared", 0)
    outcome.reappeared = kinds.get("reappeared", 0)
    outcome.updated = sum(kinds.get(kind, 0) for kind in ("changed", "restated", "refreshed"))
    written = sum(kinds.values()) - kinds.get("restamped", 0)
    outcome.unchanged = known.count_met() + _count_staged(connection, collection) - written
    outcome.rejected, outcome.field_errors = merge_rejected(connection, run, collection, replayed)
    outcome.extracted = outcome.inserted + outcome.updated + outcome.unchanged + outcome.reappeared + outcome.rejected
    # updates before inserts: they are planned by statistics that do not know of rows inserted a moment ago, and joined
    # 100,000 new points to as many changes row by row, for minutes
    if kinds.keys() - {"appeared"}:
        _update_points(connection, run)
        _close_versions(connection, run)
    if kinds:
        _insert_points(connection, run, collection)
        _insert_versions(connection, run)
    if sum(kinds.values()) > ANALYZE_ABOVE * outcome.extracted and connection.dialect.name == "postgresql":
        for table, columns in _JOINED_BY.items():
            connection.execute(text(f"analyze {table.name} ({', '.join(columns)})"))
    return outcome


def find_changes(
    connection: Connection, run: Run, collection: str, known: KnownItems, *, other_api_version: bool, restamp: bool
) -> dict[str, int]:
    """Computes what differs into a temporary table; returns how many points there are of each kind of change."""
    _settle_two_forms(connection, run, collection, known)
    connection.execute(DropTable(CHANGES, if_exists=True))
    connection.execute(CreateTable(CHANGES))
    connection.execute(_select_changes(run, collection, other_api_version=other_api_version, restamp=restamp))
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"analyze {CHANGES.name}"))
    counted = connection.execute(select(CHANGES.c.kind, func.count().label("points")).group_by(CHANGES.c.kind))
    return {row.kind: row.points for row in counted}


def _effective(name: str) -> ColumnElement[Any]:
    """The value that column `name` will have: the item's, or the one it had where the item lacks the field."""
    bit = 1 << BATCH_COLUMNS.index(name)
    return case((STAGED_POINTS.c.absent.bitwise_and(bit) != 0, POINTS.c[name]), else_=STAGED_POINTS.c[name])


def _differs(name: str) -> ColumnElement[bool]:
    return _effective(name).is_distinct_from(POINTS.c[name])


def _select_changes(run: Run, collection: str, *, other_api_version: bool, restamp: bool) -> Insert:
    is_new = POINTS.c.restore_point_id.is_(None)
    was_deleted = POINTS.c.deleted_at.is_not(None)
    tracked_differs = or_(*map(_differs, TRACKED))
    untracked_differs = or_(*map(_differs, UNTRACKED))
    changed: ColumnElement[str] = literal_column("'changed'")
    if other_api_version:
        more_than_the_version = or_(
            *(and_(_differs(name), POINTS.c[name].is_not(None)) for name in TRACKED if name != "job_session_id")
        )
        changed = case((more_than_the_version, changed), else_=literal_column("'restated'"))
    kind = case(
        (is_new, literal_column("'appeared'")),
        (was_deleted, literal_column("'reappeared'")),
        (tracked_differs, changed),
        (untracked_differs, literal_column("'refreshed'")),
        else_=literal_column("'restamped'"),
    )
    worth_writing = [is_new, was_deleted, tracked_differs, untracked_differs]
    if restamp:
        worth_writing.append(STAGED_POINTS.c.source_hash.is_distinct_from(POINTS.c.source_hash))
    same_point = and_(
        POINTS.c.appliance_id == run.appliance_id,
        POINTS.c.restore_point_id == STAGED_POINTS.c.restore_point_id,
    )
    found = (
        select(kind, STAGED_POINTS.c.restore_point_id, *map(_effective, CONTENT), STAGED_POINTS.c.source_hash)
        .select_from(STAGED_POINTS.outerjoin(POINTS, same_point))
        .where(STAGED_POINTS.c.collection == collection, or_(*worth_writing))
    )
    return insert(CHANGES).from_select(CHANGES.c.keys(), found)


def _settle_two_forms(connection: Connection, run: Run, collection: str, known: KnownItems) -> None:
    """Decides for points that were met as they are known and are staged in another form, too: the later crawl counts.

    Within one crawl the known form does. An appliance that lists one id twice with different content would else
    change it to and fro every night; where the point really changed meanwhile, the next run meets the new form alone.
    """
    if not known.count_met():
        return
    staged = connection.execute(
        select(STAGED_POINTS.c.restore_point_id, STAGED_POINTS.c.crawl, POINTS.c.source_hash)
        .join(POINTS, POINTS.c.restore_point_id == STAGED_POINTS.c.restore_point_id)
        .where(
            POINTS.c.appliance_id == run.appliance_id,
            POINTS.c.collection == collection,
            POINTS.c.deleted_at.is_(None),
            POINTS.c.source_hash.is_not(None),
        )
    ).all()
    hashes = np.fromiter((row.source_hash for row in staged), dtype=np.int64)
    known_form_counts = known.last_crawls(hashes) >= np.fromiter((row.crawl for row in staged), dtype=np.uint8)
    known.forget(hashes[~known_form_counts])
    ids = [{"taken_back": row.restore_point_id} for row in compress(staged, known_form_counts)]
    if ids:
        connection.execute(
            delete(STAGED_POINTS).where(STAGED_POINTS.c.restore_point_id == bindparam("taken_back")), ids
        )


def _count_staged(connection: Connection, collection: str) -> int:
    staged = select(func.count()).select_from(STAGED_POINTS).where(STAGED_POINTS.c.collection == collection)
    return connection.scalar(staged) or 0


def _update_points(connection: Connection, run: Run) -> None:
    observed_at = literal(run.observed_at, POINTS.c.last_changed_at.type)
    makes_version = CHANGES.c.kind.in_(("changed", "restated", "reappeared"))
    connection.execute(
        update(POINTS)
        .where(
            POINTS.c.appliance_id == run.appliance_id,
            POINTS.c.restore_point_id == CHANGES.c.restore_point_id,
            CHANGES.c.kind != "appeared",
        )
        .values(
            {name: CHANGES.c[name] for name in WRITTEN}
            | {
                "last_changed_at": case((makes_version, observed_at), else_=POINTS.c.last_changed_at),
                "last_changed_run": case((makes_version, run.run_number), else_=POINTS.c.last_changed_run),
                "last_confirmed_at": null(),
                "deleted_at": null(),
                "deleted_run": null(),
            }
        )
    )


def _close_versions(connection: Connection, run: Run) -> None:
    connection.execute(
        update(VERSIONS)
        .where(
            VERSIONS.c.appliance_id == run.appliance_id,
            VERSIONS.c.restore_point_id == CHANGES.c.restore_point_id,
            VERSIONS.c.valid_to.is_(None),
            CHANGES.c.kind.in_(("changed", "restated")),
        )
        .values(valid_to=run.observed_at, closed_run=run.run_number, closed_by="changed")
    )


def _insert_points(connection: Connection, run: Run, collection: str) -> None:
    observed_at = literal(run.observed_at, POINTS.c.first_seen_at.type)
    life: dict[str, ColumnElement[Any]] = {
        "appliance_id": literal(run.appliance_id),
        "collection": literal(collection, Text),
        "first_seen_at": observed_at,
        "last_changed_at": observed_at,
        "first_run": literal(run.run_number),
        "last_changed_run": literal(run.run_number),
    }
    connection.execute(
        insert(POINTS).from_select(
            [*life, "restore_point_id", *WRITTEN],
            select(*life.values(), CHANGES.c.restore_point_id, *(CHANGES.c[name] for name in WRITTEN))
            .where(CHANGES.c.kind == "appeared")
            .order_by(CHANGES.c.restore_point_id),
        )
    )


def _insert_versions(connection: Connection, run: Run) -> None:
    connection.execute(
        insert(VERSIONS).from_select(
            ["appliance_id", "run_number", "valid_from", "change", "restore_point_id", *TRACKED],
            select(
                literal(run.appliance_id),
                literal(run.run_number),
                literal(run.observed_at, VERSIONS.c.valid_from.type),
                CHANGES.c.kind,
                CHANGES.c.restore_point_id,
                *(CHANGES.c[name] for name in TRACKED),
            )
            .where(CHANGES.c.kind.in_(("appeared", "changed", "restated", "reappeared")))
            .order_by(CHANGES.c.restore_point_id),
        )
    )
