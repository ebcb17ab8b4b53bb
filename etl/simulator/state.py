"""The whole truth of an estate in one place; what changes it and what tells it both start from here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any

from etl.simulator.chance import Chance
from etl.simulator.clock import Clock
from etl.simulator.fleet import Identity, Policy, Protected
from etl.simulator.listing import Listing, Shelf
from etl.simulator.points import Resource, RestorePoint, Session
from etl.simulator.rules import Rules
from etl.simulator.sessions import JobSession, SessionBook, resources_of
from etl.simulator.shapes import render
from etl.simulator.shapes.sessions import render_session
from etl.simulator.workloads import WORKLOADS, by_kind

Points = Listing[RestorePoint]

RETENTION_KINDS = (
    "BackupRetention",
    "VmSnapshotRetention",
    "ObsoleteSnapshotRetention",
    "FileShareSnapshotRetention",
    "VnetRetention",
    "CosmosDbContinuousRetention",
)
"""The sessions that a night may have, each with its place in the numbering."""


@dataclass(slots=True)
class Held:
    """The ids of what one resource has, oldest first; archives with the day of their end."""

    protected: Protected
    number: int
    snapshots: list[str] = field(default_factory=list)
    chain: list[str] = field(default_factory=list)
    archives: list[tuple[date, str]] = field(default_factory=list)
    chain_changed: bool = False

    def is_member(self, policy: Policy, day: int) -> bool:
        """Whether `policy` protects it on a day of the history."""
        under = self.protected
        return under.policy is policy and under.since <= day and (under.until is None or day < under.until)


class State:
    """What an estate is at this moment: points by workload, sessions, rules, and what protects what.

    `held` has every resource that is or was protected. `obsolete_days` is how long the snapshots of a removed policy
    stay. `given` has the items that are served at a path in place of the true ones.
    """

    def __init__(
        self,
        identity: Identity,
        clock: Clock,
        chance: Chance,
        *,
        policies: list[Policy],
        sla_policies: int = 0,
        session_days: int | None = None,
        first_day: date | None = None,
    ) -> None:
        self.identity = identity
        self.clock = clock
        self.chance = chance
        self.first_day = first_day or clock.today
        self.rules = Rules(policies, chance, sla_policies)
        self.points: dict[str, Points] = {name: Listing(self._render) for name in WORKLOADS}
        self.sessions = SessionBook(self._render_session, chance, session_days)
        self.held: list[Held] = []
        self.obsolete_days = 15
        self.given: dict[str, Listing[object]] = {}
        self._order = ("id", 1, 1.0)
        self._shelves: dict[str, Shelf] = {}
        self._usn: Counter[str] = Counter()

    def next_usn(self, workload: str) -> int:
        """Return the next number of the appliance's count of changes; each workload's points have a count of their own.

        So it does not matter which workload's history is made first.
        """
        self._usn[workload] += 1
        return self._usn[workload]

    def all_points(self) -> Iterator[RestorePoint]:
        """Yield every restore point that exists, workload by workload, in the order of ids."""
        for listing in self.points.values():
            yield from listing.rows()

    def put(self, point: RestorePoint) -> None:
        """Add a point or put it in its older self's place."""
        self.points[point.workload].put(point.id.lower(), point)

    def find(self, point_id: str) -> tuple[Points, str]:
        """Return where a point or given item of an id (in any case) is, and its key there; raises `KeyError`."""
        for listing in self.points.values():
            key = listing.key_of(point_id)
            if key is not None:
                return listing, key
        raise KeyError(point_id)

    def point(self, point_id: str) -> RestorePoint:
        """Return one restore point; raises `KeyError`, for a given item too."""
        listing, key = self.find(point_id)
        point = listing.row(key)
        if point is None:
            raise KeyError(point_id)
        return point

    def retained(self, points: list[RestorePoint], midnight: datetime) -> None:
        """Take points away by rule, and let the night's session of each kind tell it."""
        for kind, gone in by_kind(points).items():
            self._removed_by_rule(kind, gone, midnight)

    def obsolete(self, points: list[RestorePoint], midnight: datetime) -> None:
        """Take the snapshots of removed policies away."""
        if points:
            self._removed_by_rule("ObsoleteSnapshotRetention", points, midnight)

    def _removed_by_rule(self, kind: str, points: list[RestorePoint], midnight: datetime) -> None:
        key = self.sessions.of_hour(midnight, RETENTION_KINDS.index(kind), other=True)
        took = timedelta(minutes=self.chance.between(2, 9, "retention", kind, midnight))
        self._removed(key, kind, points, midnight, midnight + took)

    def removed_at_once(self, kind: str, points: list[RestorePoint], *, lists_items: bool = True) -> JobSession:
        """Take points away now, in a session of their own that has begun and ended at this moment."""
        now = self.clock.now
        return self._removed(self.sessions.by_hand(), kind, points, now, now, lists_items=lists_items)

    def _removed(
        self,
        key: Session,
        kind: str,
        points: list[RestorePoint],
        started: datetime,
        stopped: datetime,
        *,
        lists_items: bool = True,
    ) -> JobSession:
        for point in points:
            self.points[point.workload].remove(point.id.lower())
        return self.sessions.add(
            JobSession(
                key,
                kind,
                started,
                stopped,
                resources=resources_of(points),
                removed=tuple(points),
                lists_items=lists_items,
            ),
            self.clock.now,
        )

    def resource(self, resource_id: str) -> Resource:
        """Return a resource by its id; raises `KeyError`."""
        return self._holding(resource_id).protected.resource

    def first_machine(self) -> Resource:
        """Return the machine that was made first; raises `LookupError` if there is none."""
        for held in self.held:
            if held.protected.policy.workload == "vm":
                return held.protected.resource
        raise LookupError("This estate has no machine.")

    def replace_resource(self, new: Resource) -> None:
        """Let a resource be another of the same id: its points say so at once, what is told of the past stays."""
        for point in list(self.all_points()):
            if point.resource.resource_id == new.resource_id:
                self.put(replace(point, resource=new, usn=self.next_usn(point.workload)))
        held = self._holding(new.resource_id)
        held.protected = replace(held.protected, resource=new)

    def retire(self, resource_id: str) -> None:
        """Delete a resource in Azure: nobody makes points of it from today on. Raises `KeyError`."""
        held = self._holding(resource_id)
        held.protected = replace(held.protected, until=(self.clock.today - self.first_day).days)

    def protecting(self, held: Held) -> Policy | None:
        """Return the policy that protects a resource today, if one does."""
        policy = held.protected.policy
        day = (self.clock.today - self.first_day).days
        return policy if policy not in self.rules.removed and held.is_member(policy, day) else None

    def list_in(self, order: str, seed: int, moves: float) -> None:
        """List every collection in another order from now on."""
        self._order = (order, seed, moves)
        self._shelves.clear()
        listings: list[Listing[Any]] = [*self.points.values(), self.sessions.listing, *self.given.values()]
        for listing in listings:
            listing.list_in(order, seed, moves)

    def give(self, path: str, items: list[object]) -> None:
        """Serve exactly these items at a path from now on."""
        listing: Listing[object] = Listing(lambda row, version: b"null")
        for item in items:
            listing.give(item)
        listing.list_in(*self._order)
        self.given[path] = listing

    def shelf(self, path: str) -> Shelf:
        """Return the order in which a path lists items that are worked out anew for each page."""
        return self._shelves.setdefault(path, Shelf(*self._order))

    def _holding(self, resource_id: str) -> Held:
        for held in self.held:
            if held.protected.resource.resource_id == resource_id:
                return held
        raise KeyError(resource_id)

    def _render(self, point: RestorePoint, version: str) -> bytes:
        return render(point, version, self.identity.host)

    def _render_session(self, session: JobSession, version: str) -> bytes:
        return render_session(session, version, self.identity.host)
