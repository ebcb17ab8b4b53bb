"""Says why restore points vanished, from what the appliance's removing sessions say that they deleted.

A cause is never guessed. What speaks for one is, best first: a row of a session's `/deletedItems` that is the point in
every respect (`item`), one that is the point as far as can be told (`resource_and_time`), or a session that
could have removed the point and lists nothing at all, or lists something of its moment and size where nobody knows
whose point it was (`session_only`). Two sessions that fit equally well
give a cause only if both give the same one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from etl.transform.removing import CONTINUOUS, REMOVING, SNAPSHOT, STORED, removes_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

RETENTION: Final = "retention"
MANUAL: Final = "manual"
POLICY_REMOVED: Final = "policy_removed"
ORPHANED: Final = "orphaned"
UNEXPLAINED: Final = "unexplained"

ITEM: Final = "item"
RESOURCE_AND_TIME: Final = "resource_and_time"
SESSION_ONLY: Final = "session_only"

TOLERANCE: Final = timedelta(minutes=5)
"""How far outside a deletion's interval a session may lie: the appliance's clock is known to a request's length,
and what a session removed may stay listed until it has tidied up."""

CLOSE: Final = timedelta(seconds=10)
"""The same where nothing but its time speaks for a session: what two clocks may differ by that were just compared."""

NEAR: Final = timedelta(milliseconds=1)
"""How far a row's time may be from the point's: the two fields are written with different numbers of digits."""

NAMED: Final = 3
"""How many sessions a note names; it counts the others."""


@dataclass(frozen=True, slots=True)
class Gone:
    """A deletion to be explained. All instants are UTC, aware, and of the appliance's clock.

    The point went after `last_confirmed_at` and not after `observed_at`. `policy_gone`: the policy that made it is
    known to be gone.
    """

    restore_point_id: str
    workload: str
    resource_id: str | None
    resource_name: str | None
    point_in_time: datetime
    backup_size_bytes: int | None
    backup_destination: str | None
    access_tier: str | None
    last_confirmed_at: datetime
    observed_at: datetime
    policy_gone: bool


@dataclass(frozen=True, slots=True)
class DeletedItem:
    """A row of a session's `/deletedItems`; `storage_tier` is that of its repository, null if not known."""

    item_id: str | None
    resource_id: str | None
    resource_name: str | None
    snapshot_time: datetime | None
    backup_size_bytes: int | None
    repository_id: str | None
    storage_tier: str | None


@dataclass(frozen=True, slots=True)
class Removal:
    """A session that may have removed points.

    `stopped_at` null: it is still running, as far as known. `items` null: they could not be read, and `fault`
    says why. `resources`: the ids of those that its log names, empty if it names none. `went_well`: it ended, and
    not in an error.
    """

    session_id: str
    session_type: str
    started_at: datetime
    stopped_at: datetime | None
    deleted_count: int | None
    items: tuple[DeletedItem, ...] | None
    resources: frozenset[str]
    fault: str | None
    went_well: bool = True


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a point vanished, the session that explains it (null if more than one does) and how well it fits."""

    cause: str
    session_id: str | None
    match: str | None
    note: str | None


_UNNAMED = frozenset({"vnet"})
"""Workloads whose points name no resource that a session's log could name: a network's names its subscription."""

_ORPHANS = frozenset({"OrphanedSnapshotRetention", "InvalidSnapshotRetention"})
_OBSOLETE = "ObsoleteSnapshotRetention"

# Networks are kept in the appliance's database, which like Azure's own snapshots is no repository.
_OUTSIDE = frozenset({"Snapshot", "ManualSnapshot", "ImportedSnapshot", "Database"})
_IN_REPOSITORY = frozenset({"AzureBlob", "ManualBackup"})
_BY_TIER = {tier: frozenset({"backup"}) for tier in ("hot", "cool", "cold", "inferred")} | {
    "archive": frozenset({"archive"})
}


def explain(gone: Sequence[Gone], removals: Sequence[Removal]) -> list[Explanation]:
    """Say of each deletion, in order, why the point vanished, as far as the removals carry it.

    Removals of a type that removes nothing are left aside. A row explains every point that it fits.
    """
    evidence = _Evidence(removals)
    found = [evidence.explanation(one) for one in gone]
    return _without_too_many(gone, removals, found)


def _without_too_many(gone: Sequence[Gone], removals: Sequence[Removal], found: list[Explanation]) -> list[Explanation]:
    """Take back what sessions that list nothing explain more often than they can: nobody can tell which it was.

    That is more often than a session counts, or points of several resources where it names none.
    """
    by_session: dict[str, list[int]] = {}
    for at, one in enumerate(found):
        if one.match == SESSION_ONLY and one.session_id is not None:
            by_session.setdefault(one.session_id, []).append(at)
    known = {removal.session_id: removal for removal in removals}
    for session_id, places in by_session.items():
        removal = known[session_id]
        if removal.items:
            continue
        note = None
        if removal.deleted_count is not None and len(places) > removal.deleted_count:
            note = f"session {session_id} counts {removal.deleted_count}, and {len(places)} would fit"
        elif not removal.resources and len({gone[at].resource_id or gone[at].resource_name for at in places}) > 1:
            note = f"session {session_id} names no resource, and those of several would fit"
        for at in places if note else ():
            found[at] = Explanation(UNEXPLAINED, None, None, note)
    return found


class _Row(NamedTuple):
    session: int
    at: datetime
    classes: frozenset[str]
    size: int | None


class _Fit(NamedTuple):
    """Sessions that fit equally, in order of their start, and the types among them."""

    types: frozenset[str]
    sessions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Between:
    """The sessions that list nothing and could have removed a point of some kind in some interval.

    They stand by the resource that they name, and in `unnamed` if they name none. `note` is about all sessions in
    between: what stands in the way of an explanation.
    """

    unnamed: _Fit | None
    named: dict[str, _Fit]
    note: str


class _Evidence:
    """The removals, sorted by start, and their rows, found by whatever could tell a point."""

    def __init__(self, removals: Sequence[Removal]) -> None:
        found = [(removal, what) for removal in removals if (what := removes_of(removal.session_type))]
        found.sort(key=lambda one: (one[0].started_at, one[0].session_id))
        self._removals = [removal for removal, _ in found]
        self._removes = [what for _, what in found]
        self._between: dict[tuple[datetime, datetime, str, str | None, str | None], _Between] = {}
        self._by_item_id: dict[str, list[int]] = {}
        self._by_resource: dict[tuple[str, int], list[_Row]] = {}
        self._by_name: dict[tuple[str, int], list[_Row]] = {}
        self._by_name_only: dict[tuple[str, int], list[_Row]] = {}
        self._by_moment: dict[int, list[_Row]] = {}
        for session, removal in enumerate(self._removals):
            for item in removal.items or ():
                self._add(session, item)

    def _add(self, session: int, item: DeletedItem) -> None:
        if item.item_id:
            self._by_item_id.setdefault(item.item_id.lower(), []).append(session)
        if item.snapshot_time is None:
            return
        row = _Row(session, item.snapshot_time, _row_classes(item), item.backup_size_bytes)
        moment = _moment(row.at)
        self._by_moment.setdefault(moment, []).append(row)
        if item.resource_id:
            self._by_resource.setdefault((item.resource_id.lower(), moment), []).append(row)
        elif item.resource_name:
            self._by_name_only.setdefault((item.resource_name, moment), []).append(row)
        if item.resource_name:
            self._by_name.setdefault((item.resource_name, moment), []).append(row)

    def explanation(self, gone: Gone) -> Explanation:
        fitting: dict[str, set[int]] = {ITEM: set(), RESOURCE_AND_TIME: set()}
        fitting[ITEM].update(self._by_item_id.get(gone.restore_point_id.lower(), ()))
        for row in self._rows_of(gone):
            if match := _match(row, gone):
                fitting[match].add(row.session)
        for match, sessions in fitting.items():
            if inside := [session for session in sessions if self._may_have_removed(session, gone)]:
                return _settled(match, self._fit(inside), gone)
        if not (gone.resource_id or gone.resource_name):
            alike = {row.session for row in self._rows_alike(gone)}
            if inside := [session for session in alike if self._may_have_removed(session, gone)]:
                return _settled(SESSION_ONLY, self._fit(inside), gone)
        between = self._sessions_between(gone)
        unlisted = between.named.get(gone.resource_id.lower()) if gone.resource_id else None
        if unlisted := unlisted or between.unnamed:
            return _settled(SESSION_ONLY, unlisted, gone)
        return Explanation(UNEXPLAINED, None, None, between.note)

    def _rows_of(self, gone: Gone) -> Iterator[_Row]:
        """Give the rows of about the point's time and of its resource: by id, or by name if one of them has no id."""
        moment = _moment(gone.point_in_time)
        for near in (moment - 1, moment, moment + 1):
            if gone.resource_id:
                yield from self._by_resource.get((gone.resource_id.lower(), near), ())
            if gone.resource_name:
                by_name = self._by_name_only if gone.resource_id else self._by_name
                yield from by_name.get((gone.resource_name, near), ())

    def _rows_alike(self, gone: Gone) -> Iterator[_Row]:
        """Give the rows of a point's moment, size and class, for a point of which nobody knows whose it is."""
        moment = _moment(gone.point_in_time)
        for near in (moment - 1, moment, moment + 1):
            for row in self._by_moment.get(near, ()):
                if _match(row, gone) and row.size is not None and row.size == gone.backup_size_bytes:
                    yield row

    def _sessions_between(self, gone: Gone) -> _Between:
        key = (gone.last_confirmed_at, gone.observed_at, gone.workload, gone.backup_destination, gone.access_tier)
        known = self._between.get(key)
        if known is None:
            known = self._between[key] = self._look_between(gone)
        return known

    def _look_between(self, gone: Gone) -> _Between:
        inside = [session for session in range(len(self._removals)) if self._may_have_removed(session, gone)]
        unlisted = [session for session in inside if self._may_have_removed_unlisted(session, gone)]
        # a type known by its name alone may remove anything: its log has to name the resource
        unnamed = {
            session
            for session in unlisted
            if (not self._removals[session].resources or gone.workload in _UNNAMED)
            and self._removals[session].session_type in REMOVING
        }
        by_resource: dict[str, set[int]] = {}
        for session in unlisted:
            for resource in self._removals[session].resources:
                by_resource.setdefault(resource.lower(), set()).add(session)
        return _Between(
            self._fit(unnamed) if unnamed else None,
            {resource: self._fit(sessions | unnamed) for resource, sessions in by_resource.items()},
            _note([self._removals[session] for session in inside]),
        )

    def _may_have_removed(self, session: int, gone: Gone) -> bool:
        removal, what = self._removals[session], self._removes[session]
        if removal.started_at > gone.observed_at + TOLERANCE:
            return False
        if removal.stopped_at is not None and removal.stopped_at + TOLERANCE <= gone.last_confirmed_at:
            return False
        return gone.workload in what.workloads and not what.classes.isdisjoint(_point_classes(gone))

    def _may_have_removed_unlisted(self, session: int, gone: Gone) -> bool:
        removal, what = self._removals[session], self._removes[session]
        # the list of a session that still runs may yet be filled
        if removal.items is None or removal.items or removal.stopped_at is None or not removal.went_well:
            return False
        if removal.started_at > gone.observed_at + CLOSE or removal.stopped_at + CLOSE <= gone.last_confirmed_at:
            return False
        by_hand = gone.backup_destination == "ManualSnapshot"
        if what.manual is not None and what.manual != by_hand:
            return False
        # retention is promised to list what it removes: an empty list speaks against it unless its own count does not
        said = 1 if removal.deleted_count is None and what.by == "hand" else removal.deleted_count or 0
        return said > 0

    def _fit(self, sessions: Iterable[int]) -> _Fit:
        those = [self._removals[session] for session in sorted(sessions)]
        return _Fit(
            frozenset(removal.session_type for removal in those),
            tuple(dict.fromkeys(removal.session_id for removal in those)),
        )


def _point_classes(gone: Gone) -> frozenset[str]:
    """Give what the point may be: of one class, or of several if its fields do not tell."""
    if gone.workload == "cosmos_db_continuous":
        return CONTINUOUS
    if gone.workload == "file_share" or gone.backup_destination in _OUTSIDE:
        return SNAPSHOT
    if gone.workload == "vnet":
        return frozenset({"backup"}) if gone.backup_destination in _IN_REPOSITORY else SNAPSHOT | {"backup"}
    stored = _BY_TIER.get((gone.access_tier or "").lower())
    return stored or (STORED if gone.backup_destination in _IN_REPOSITORY else SNAPSHOT | STORED)


def _row_classes(item: DeletedItem) -> frozenset[str]:
    if item.repository_id is None:
        return SNAPSHOT | CONTINUOUS
    return _BY_TIER.get((item.storage_tier or "").lower(), STORED)


def _match(row: _Row, gone: Gone) -> str | None:
    classes = _point_classes(gone)
    if abs(row.at - gone.point_in_time) > NEAR or not classes & row.classes:
        return None
    # a snapshot and a continuous record are told apart by their workloads
    certain = len(classes) == 1 and (classes == row.classes or row.classes == SNAPSHOT | CONTINUOUS)
    same_size = row.size is not None and row.size == gone.backup_size_bytes
    return ITEM if certain and same_size else RESOURCE_AND_TIME


def _settled(match: str, fit: _Fit, gone: Gone) -> Explanation:
    causes = sorted({_cause(session_type, gone) for session_type in fit.types})
    several = f"{_listed(fit.sessions)} fit equally"
    if len(causes) > 1:
        return Explanation(UNEXPLAINED, None, None, f"{several} and tell different causes: {', '.join(causes)}")
    if len(fit.sessions) > 1:
        return Explanation(causes[0], None, match, several)
    return Explanation(causes[0], fit.sessions[0], match, None)


def _cause(session_type: str, gone: Gone) -> str:
    what = removes_of(session_type)
    if what is not None and what.by == "hand":
        return MANUAL
    if session_type in _ORPHANS:
        return ORPHANED
    # what other rules remove, they would have removed all the same
    return POLICY_REMOVED if session_type == _OBSOLETE and gone.policy_gone else RETENTION


def _note(inside: Sequence[Removal]) -> str:
    """Say what stands in the way of an explanation."""
    unread = [removal for removal in inside if removal.items is None]
    running = [removal.session_id for removal in inside if removal.items is not None and removal.stopped_at is None]
    notes = [
        f"what session {removal.session_id} deleted could not be read" + (f": {removal.fault}" if removal.fault else "")
        for removal in unread[:NAMED]
    ]
    if len(unread) > NAMED:
        notes.append(f"nor what {len(unread) - NAMED} more deleted")
    if running:
        notes.append(f"{_listed(running)} had not ended")
    if notes:
        return "; ".join(notes)
    if inside:
        return f"of the sessions of a removing kind in between none lists it: {_listed([r.session_id for r in inside])}"
    return "no session of a removing kind in between"


def _listed(sessions: Sequence[str]) -> str:
    if len(sessions) == 1:
        return f"session {sessions[0]}"
    if len(sessions) <= NAMED:
        return f"sessions {', '.join(sessions[:-1])} and {sessions[-1]}"
    return f"sessions {', '.join(sessions[:NAMED])} and {len(sessions) - NAMED} more"


def _moment(at: datetime) -> int:
    """Give the millisecond that an instant lies in, counted from 1970."""
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // NEAR
