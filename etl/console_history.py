"""What people see of the warehouse's history: one point's life, what existed at an instant, what was rejected."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from etl import console, console_words
from etl.console_words import instant, line, value

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from etl.report.as_of import AsOf, CollectionAsOf, PointAsOf
    from etl.report.history import Deletion, PointHistory, PointVersion
    from etl.report.rejects import Reject

#: The facts about a point that people look for first, by column, in this order.
FACTS = {
    "resource_name": "resource",
    "workload": "workload",
    "region_name": "region",
    "point_in_time": "point in time",
    "backup_size_bytes": "size",
    "latest_chain_size_bytes": "whole chain",
    "backup_destination": "kept in",
    "access_tier": "tier",
    "restore_point_type": "type",
    "state": "state",
    "is_corrupted": "corrupted",
    "gfs_flags": "GFS flags",
    "immutable_until": "immutable until",
}


def print_history(points: Sequence[PointHistory], restore_point_id: str, *, as_json: bool) -> None:
    """One point's life on each appliance; says so if there is none."""
    if not points:
        console.say(f"no appliance in this warehouse ever listed a restore point {restore_point_id}")
    for point in points:
        if as_json:
            console.print_json(asdict(point))
        else:
            _print_point(point)


def print_as_of(answers: AsOf, *, as_json: bool) -> None:
    """How many points existed at the instant, for each appliance; or as JSON each of them, an object a line."""
    if as_json:
        for point in answers.points():
            console.print_json(_point_object(answers.at, point))
        return
    rows = answers.collections()
    if not rows:
        console.say("no appliance has been synced into this warehouse yet; start with `restorepoints sync`")
        return
    console.say(f"as of {instant(answers.at)}, as far as the warehouse knows now; all times are UTC")
    console.print_table(
        ("appliance", "collection", "certain", "unknown", "gone", "watched from", "watched to"),
        [
            (one.appliance, one.collection, one.certain, one.unknown, one.gone, one.first_proof_at, one.data_as_of)
            for one in rows
        ],
    )
    for one in rows:
        if not one.is_watched:
            console.say(_blindness(one, answers.at))


def print_rejects(rejects: Iterable[Reject], *, as_json: bool) -> None:
    """Each rejected record: a few lines for people, without the raw text; an object a line, with it, for programs."""
    count = 0
    for one in rejects:
        count += 1
        if as_json:
            console.print_json(asdict(one))
            continue
        what = f"{one.field} of " if one.field else ""
        end = "open" if one.resolved_run is None else f"resolved by run {one.resolved_run}"
        line(f"{one.appliance} {one.collection}: {what}{one.restore_point_id or 'an item without a readable id'}")
        line(f"  {one.reason}")
        line(
            f"  first met by run {one.first_run}, {instant(one.first_met_at)}; "
            f"last by run {one.last_run}, {instant(one.last_met_at)}; {end}"
        )
    console.say(f"{count:,} rejected {'record' if count == 1 else 'records'}")


def _print_point(point: PointHistory) -> None:
    everything = {**point.attributes, **point.untracked}
    line(f"{point.appliance}: {point.restore_point_id}")
    facts = [(word, value(column, everything[column])) for column, word in FACTS.items()]
    if point.session is not None:
        facts.append(("job session", console_words.session(point.session)))
    if point.policy is not None:
        facts.append(("policy", console_words.policy(point.policy)))
    facts.append(("first seen", f"{instant(point.first_seen_at)}, run {point.first_run}"))
    if point.deletion is None:
        facts.append(("exists", f"certain up to {instant(point.last_confirmed_at)}, and not found gone since"))
    else:
        facts.append(("deleted", _deletion(point.deletion)))
        facts.append(("cause", console_words.cause(point.deletion)))
    for word, fact in facts:
        if fact:
            line(f"  {word:<15} {fact}")
    for version in point.versions:
        _print_version(version)


def _print_version(version: PointVersion) -> None:
    until = "now" if version.valid_to is None else instant(version.valid_to)
    line(f"  run {version.run_number}: {version.change}, valid from {instant(version.valid_from)} to {until}")
    for change in version.changes:
        old, new = (value(change.column, one) or "nothing" for one in (change.old, change.new))
        line(f"    {change.column}: {old} -> {new}")
    if version.deletion is not None:
        line(f"    deleted {_deletion(version.deletion)}")
        if cause := console_words.cause(version.deletion):
            line(f"    cause: {cause}")


def _deletion(deletion: Deletion) -> str:
    return (
        f"after {instant(deletion.last_confirmed_at)}, before {instant(deletion.deleted_at)}, "
        f"when run {deletion.run_number} found it gone"
    )


def _blindness(one: CollectionAsOf, at: datetime) -> str:
    what = f"{one.appliance} {one.collection}" if one.collection else one.appliance
    if one.first_proof_at is None:
        return f"{what}: never read whole for certain: more points may have existed than are known"
    if at < one.first_proof_at:
        return f"{what}: not watched yet then: points that were gone by {instant(one.first_proof_at)} left no trace"
    return f"{what}: not read whole for certain since: points may have come and gone"


def _point_object(at: datetime, point: PointAsOf) -> dict[str, Any]:
    return {
        "at": at,
        "appliance": point.appliance,
        "restore_point_id": point.restore_point_id,
        "collection": point.collection,
        "answer": point.answer,
        "evidence": point.evidence,
        "attributes_are": point.attributes_are,
        "version_run": point.version_run,
        "first_seen_at": point.first_seen_at,
        "confirmed_until": point.confirmed_until,
        "gone_at": point.gone_at,
        **point.attributes,
    }
