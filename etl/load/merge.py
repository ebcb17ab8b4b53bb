"""The merge: what was staged against what is known, set by set; only rows that differ are ever written.

The difference is computed first, into a temporary table. An `on conflict … do update … where … is distinct from …`
over 100,000 unchanged rows moves no row counter and still wrote 14.9 MB of write-ahead log; joining first, 11 kB.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import compress
from typing import Any, Final

import numpy as np
from sqlalchemy import (
    ColumnElement,
    Connection,
    Insert,
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

from etl.catalogue import Collection
from etl.load.kept import KEPT, Kept, make_temporary
from etl.load.known import KnownItems
from etl.load.ledger import CollectionOutcome, Run
from etl.load.rejects import merge_rejected
from etl.load.staging import Staging

#: Above this share of changed rows the planner's statistics no longer fit: without fresh ones, closing the versions
#: of 1 % took 9 s after a first load (a nested loop), with them 28 ms.
ANALYZE_ABOVE: Final = 0.1

#: Collection → what a run has met of it unchanged.
KnownByCollection = Mapping[str, KnownItems]


def merge(
    staging: Staging,
    run: Run,
    collection: Collection,
    known: KnownByCollection,
    *,
    other_api_version: bool,
    restamp: bool,
    replayed: Sequence[str] | None = None,
) -> CollectionOutcome:
    """Writes one staged collection into facts, versions and rejected records, in the caller's transaction.

    Args:
        staging: sealed, on the run's own connection.
        run: its `observed_at` is the time of everything written here.
        collection: what to merge.
        known: the hashes that were met in this run, of every collection of the same entity that was read.
        other_api_version: the appliance was last read at another API version, so that a column filled for the
            first time, or a job session under its new id, is `restated` and not `changed`.
        restamp: rewrite hashes that are out of date although nothing else differs (after an upgrade of the program).
        replayed: the rejected records whose items are staged, where the collection was not read whole.

    Returns:
        the outcome with inserted, updated, unchanged, reappeared, rejected, field_errors and extracted filled in.
    """
    outcome = CollectionOutcome(collection.name)
    kept = KEPT[collection.entity.table]
    connection = staging.connection
    kinds = find_changes(staging, run, collection, known, other_api_version=other_api_version, restamp=restamp)
    outcome.inserted = kinds.get("appeared", 0)
    outcome.reappeared = kinds.get("reappeared", 0)
    outcome.updated = sum(kinds.get(kind, 0) for kind in ("changed", "restated", "refreshed"))
    written = sum(kinds.values()) - kinds.get("restamped", 0)
    outcome.unchanged = known[collection.name].count_met() + _count_staged(staging, collection) - written
    outcome.rejected, outcome.field_errors = merge_rejected(staging, run, collection, replayed)
    outcome.extracted = outcome.inserted + outcome.updated + outcome.unchanged + outcome.reappeared + outcome.rejected
    # updates before inserts: they are planned by statistics that do not know of rows inserted a moment ago, and joined
    # 100,000 new points to as many changes row by row, for minutes
    if kinds.keys() - {"appeared"}:
        _update_facts(connection, run, collection, kept)
        _close_versions(connection, run, kept)
    if kinds:
        _insert_facts(connection, run, collection, kept)
        _insert_versions(connection, run, kept)
    if sum(kinds.values()) > ANALYZE_ABOVE * outcome.extracted and connection.dialect.name == "postgresql":
        _analyze(connection, kept)
    return outcome


def find_changes(
    staging: Staging,
    run: Run,
    collection: Collection,
    known: KnownByCollection,
    *,
    other_api_version: bool,
    restamp: bool,
) -> dict[str, int]:
    """Computes what differs into the entity's table `changes`; returns how much there is of each kind of change."""
    kept = KEPT[collection.entity.table]
    if not staging.holds(kept.staged):
        return {}
    connection, changes = staging.connection, kept.changes
    _settle_two_forms(connection, run, collection, known, kept)
    make_temporary(connection, changes)
    connection.execute(_select_changes(run, collection, kept, other_api_version=other_api_version, restamp=restamp))
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"analyze {changes.name}"))
    counted = connection.execute(select(changes.c.kind, func.count().label("things")).group_by(changes.c.kind))
    return {row.kind: row.things for row in counted}


def _select_changes(run: Run, collection: Collection, kept: Kept, *, other_api_version: bool, restamp: bool) -> Insert:
    facts, staged, changes = kept.facts, kept.staged, kept.changes
    bits = {name: 1 << at for at, name in enumerate(collection.entity.batch)}

    def effective(name: str) -> ColumnElement[Any]:
        """The value that a column will have: the item's, or the one it had where the item lacks the field."""
        if name == "source_hash":
            return staged.c.source_hash
        return case((staged.c.absent.bitwise_and(bits[name]) != 0, facts.c[name]), else_=staged.c[name])

    def differs(name: str) -> ColumnElement[bool]:
        return effective(name).is_distinct_from(facts.c[name])

    is_new = facts.c[kept.key[0]].is_(None)
    was_deleted = facts.c.deleted_at.is_not(None)
    tracked_differs = or_(*map(differs, collection.tracked))
    untracked_differs = or_(*map(differs, collection.untracked), facts.c.collection != collection.name)
    changed: ColumnElement[str] = literal_column("'changed'")
    if other_api_version:
        more_than_the_version = or_(
            *(
                and_(differs(name), facts.c[name].is_not(None))
                for name in collection.tracked
                if name != "job_session_id"
            )
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
        worth_writing.append(staged.c.source_hash.is_distinct_from(facts.c.source_hash))
    found = (
        select(kind, *kept.keys(staged), *map(effective, kept.written))
        .select_from(staged.outerjoin(facts, kept.of(run.appliance_id, staged)))
        .where(staged.c.collection == collection.name, or_(*worth_writing))
    )
    return insert(changes).from_select(changes.c.keys(), found)


def _settle_two_forms(
    connection: Connection, run: Run, collection: Collection, known: KnownByCollection, kept: Kept
) -> None:
    """Decides for things that were met as they are known and are staged in another form, too: the later crawl counts.

    Within one crawl the known form does. An appliance that lists one id twice with different content would else
    change it to and fro every night; where the thing really changed meanwhile, the next run meets the new form alone.
    """
    if not any(one.count_met() for one in known.values()):
        return
    facts, staged = kept.facts, kept.staged
    rows = connection.execute(
        select(*kept.keys(staged), staged.c.crawl, facts.c.source_hash, facts.c.collection)
        .join(facts, kept.of(run.appliance_id, staged))
        .where(
            staged.c.collection == collection.name,
            facts.c.deleted_at.is_(None),
            facts.c.source_hash.is_not(None),
        )
    ).all()
    taken_back = []
    for name, met in known.items():
        of_collection = [row for row in rows if row.collection == name]
        hashes = np.fromiter((row.source_hash for row in of_collection), dtype=np.int64)
        crawls = np.fromiter((row.crawl for row in of_collection), dtype=np.uint8)
        known_form_counts = met.last_crawls(hashes) >= crawls
        met.forget(hashes[~known_form_counts])
        taken_back += [
            {f"taken_back_{key}": row._mapping[key] for key in kept.key}
            for row in compress(of_collection, known_form_counts)
        ]
    if taken_back:
        same = and_(*(staged.c[key] == bindparam(f"taken_back_{key}") for key in kept.key))
        connection.execute(delete(staged).where(same), taken_back)


def _count_staged(staging: Staging, collection: Collection) -> int:
    table = KEPT[collection.entity.table].staged
    if not staging.holds(table):
        return 0
    staged = select(func.count()).select_from(table).where(table.c.collection == collection.name)
    return staging.connection.scalar(staged) or 0


def _update_facts(connection: Connection, run: Run, collection: Collection, kept: Kept) -> None:
    facts, changes = kept.facts, kept.changes
    observed_at = literal(run.observed_at, facts.c.last_changed_at.type)
    makes_version = changes.c.kind.in_(("changed", "restated", "reappeared"))
    connection.execute(
        update(facts)
        .where(kept.of(run.appliance_id, changes), changes.c.kind != "appeared")
        .values(
            {name: changes.c[name] for name in kept.written}
            | {
                "collection": collection.name,
                "last_changed_at": case((makes_version, observed_at), else_=facts.c.last_changed_at),
                "last_changed_run": case((makes_version, run.run_number), else_=facts.c.last_changed_run),
                "last_confirmed_at": null(),
                "deleted_at": null(),
                "deleted_run": null(),
            }
        )
    )


def _close_versions(connection: Connection, run: Run, kept: Kept) -> None:
    versions, changes = kept.versions, kept.changes
    if versions is None:
        return
    connection.execute(
        update(versions)
        .where(
            versions.c.appliance_id == run.appliance_id,
            kept.same(versions, changes),
            versions.c.valid_to.is_(None),
            changes.c.kind.in_(("changed", "restated")),
        )
        .values(valid_to=run.observed_at, closed_run=run.run_number, closed_by="changed")
    )


def _insert_facts(connection: Connection, run: Run, collection: Collection, kept: Kept) -> None:
    facts, changes = kept.facts, kept.changes
    observed_at = literal(run.observed_at, facts.c.first_seen_at.type)
    life: dict[str, ColumnElement[Any]] = {
        "appliance_id": literal(run.appliance_id),
        "collection": literal(collection.name, Text),
        "first_seen_at": observed_at,
        "last_changed_at": observed_at,
        "first_run": literal(run.run_number),
        "last_changed_run": literal(run.run_number),
    }
    connection.execute(
        insert(facts).from_select(
            [*life, *kept.key, *kept.written],
            select(*life.values(), *kept.keys(changes), *(changes.c[name] for name in kept.written))
            .where(changes.c.kind == "appeared")
            .order_by(*kept.keys(changes)),
        )
    )


def _insert_versions(connection: Connection, run: Run, kept: Kept) -> None:
    versions, changes = kept.versions, kept.changes
    if versions is None:
        return
    connection.execute(
        insert(versions).from_select(
            ["appliance_id", "run_number", "valid_from", "change", *kept.key, *kept.entity.tracked],
            select(
                literal(run.appliance_id),
                literal(run.run_number),
                literal(run.observed_at, versions.c.valid_from.type),
                changes.c.kind,
                *kept.keys(changes),
                *(changes.c[name] for name in kept.entity.tracked),
            )
            .where(changes.c.kind.in_(("appeared", "changed", "restated", "reappeared")))
            .order_by(*kept.keys(changes)),
        )
    )


def _analyze(connection: Connection, kept: Kept) -> None:
    """Brings the statistics up to date that decide how later runs are planned.

    Without those of the facts' last three columns, a night of 1 % compared every point with every changed one: 5 s at
    30,000 points.
    """
    key = ("appliance_id", *kept.key)
    columns = {kept.facts: (*key, "collection", "deleted_at", "source_hash")}
    if kept.versions is not None:
        columns[kept.versions] = (*key, "valid_to")
    for table, names in columns.items():
        connection.execute(text(f"analyze {table.name} ({', '.join(names)})"))
