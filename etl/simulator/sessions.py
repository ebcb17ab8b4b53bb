"""Job sessions: what the appliance did and when, kept for some days and then forgotten."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from etl.simulator.chance import Chance
from etl.simulator.listing import Listing
from etl.simulator.points import Resource, RestorePoint, Session

FIRST_SESSION = datetime(2000, 1, 1, tzinfo=UTC)
BY_HAND = 90_000_000
SLOTS = 100
"""Numbers of one hour: machines' jobs have the first ten, snapshots by hand the rest."""
OTHERS = 100_000_000
OTHER_SLOTS = 10_000


@dataclass(frozen=True, slots=True)
class PolicyNamed:
    """The policy that a session worked for, as the session tells it; `type` is such as `VirtualMachines`."""

    id: str
    name: str
    type: str
    is_removed: bool = False


@dataclass(frozen=True, slots=True)
class JobSession:
    """One job session; `stopped` is None while it runs.

    resources: what it worked on, as its log tells. removed: the points that it took away, told at `/deletedItems`
    if it `lists_items`. overrides: JSON fields that are served as they are in place of the true ones.
    """

    key: Session
    type: str
    started: datetime
    stopped: datetime | None
    status: str = "Success"
    policy: PolicyNamed | None = None
    resources: tuple[Resource, ...] = ()
    removed: tuple[RestorePoint, ...] = ()
    lists_items: bool = True
    overrides: Mapping[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """Its UUID, by which every version but v1 calls it."""
        return self.key.id

    @property
    def number(self) -> int:
        """Its number, by which v1 calls it."""
        return self.key.number


class SessionBook:
    """The sessions that are remembered; `keep_days` None means for ever."""

    def __init__(self, render: Callable[[JobSession, str], bytes], chance: Chance, keep_days: int | None) -> None:
        self.listing: Listing[JobSession] = Listing(render)
        self.keep_days = keep_days
        self._chance = chance
        self._ids: dict[str, str] = {}
        self._made_by_hand = 0
        self._under_way: dict[str, JobSession] = {}

    def of_hour(self, started: datetime, slot: int, *, other: bool = False) -> Session:
        """Name the session of a job; numbers grow with time, `slot` tells those of one hour apart.

        Slots of machines' jobs are below 100; those of all `other` jobs below 10,000 are counted apart.
        """
        hours = (started - FIRST_SESSION) // timedelta(hours=1)
        return self._named(OTHERS + hours * OTHER_SLOTS + slot if other else hours * SLOTS + slot)

    def by_hand(self) -> Session:
        """Name the session of something that is done by hand."""
        self._made_by_hand += 1
        return self._named(BY_HAND + self._made_by_hand)

    def put(self, session: JobSession, now: datetime | None = None) -> JobSession:
        """Remember a session; one that stops after `now` runs until `pass_time` says that it has stopped."""
        self._ids[str(session.number)] = session.id.lower()
        shown = session
        if now is not None and session.stopped is not None and session.stopped > now:
            self._under_way[session.id] = session
            shown = replace(session, status="Running", stopped=None)
        else:
            self._under_way.pop(session.id, None)
        self.listing.put(session.id.lower(), shown)
        return shown

    def add(self, session: JobSession, now: datetime | None = None) -> JobSession:
        """Remember a session, or add what it did to the one of the same id that is there."""
        there = self._under_way.get(session.id) or self.listing.row(session.id.lower())
        if there is not None:
            session = replace(
                there,
                resources=tuple(dict.fromkeys((*there.resources, *session.resources))),
                removed=(*there.removed, *session.removed),
            )
        return self.put(session, now)

    def find(self, asked: str, version: str) -> str | None:
        """Return the key of a session by the id that `version` calls it by, None if there is none."""
        return self._ids.get(asked) if version == "v1" else self.listing.key_of(asked)

    def pass_time(self, now: datetime) -> None:
        """Let what has stopped by `now` be seen as stopped."""
        for session in [one for one in self._under_way.values() if one.stopped is not None and one.stopped <= now]:
            self.put(session)

    def policy_removed(self, policy_id: str, now: datetime) -> None:
        """Let every session of a policy say that the policy is no more."""
        for shown in list(self.listing.rows()):
            session = self._under_way.get(shown.id, shown)
            if session.policy is not None and session.policy.id == policy_id:
                self.put(replace(session, policy=replace(session.policy, is_removed=True)), now)

    def purge(self, before: datetime) -> None:
        """Forget the sessions that started before `before`."""
        self.listing.expect_many_changes()
        for session in [one for one in self.listing.rows() if one.started < before]:
            self.listing.remove(session.id.lower())
            self._ids.pop(str(session.number), None)
            self._under_way.pop(session.id, None)

    def _named(self, number: int) -> Session:
        return Session(number, self._chance.uuid("session", number))


def resources_of(points: Iterable[RestorePoint]) -> tuple[Resource, ...]:
    """Return the resources of points, each once, in order."""
    return tuple(dict.fromkeys(point.resource for point in points))
