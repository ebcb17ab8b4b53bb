"""The truth behind a simulated appliance: what it protects and which restore points it holds right now."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from threading import RLock
from typing import Any

from etl.simulator.chance import Chance
from etl.simulator.clock import DEFAULT_NOW, Clock
from etl.simulator.errors import SimulatorError
from etl.simulator.fleet import Identity, make_fleet, make_identity
from etl.simulator.history import History
from etl.simulator.listing import Entry, GivenItem, Listing
from etl.simulator.points import Machine, RestorePoint


class Estate:
    """An appliance's machines and restore points, with its clock and identity.

    Made by `from_seed` (a believable history that goes on when the clock is moved) or `from_items` (exactly these
    items). May be changed from any thread while it is being served. `version` is the API version that given items
    were written for, None for an estate that every version can render.
    """

    def __init__(self, identity: Identity, clock: Clock, version: str | None = None) -> None:
        self.identity = identity
        self.clock = clock
        self.version = version
        self.machines: list[Machine] = []
        self._listing = Listing(identity.host)
        self._history: History | None = None
        self._given_keys: dict[str, str] = {}
        self._given = 0
        self._lock = RLock()

    @classmethod
    def from_seed(
        cls,
        seed: int = 1,
        *,
        machines: int = 12,
        days: int = 30,
        time_zone: str = "Europe/Berlin",
        now: datetime = DEFAULT_NOW,
    ) -> Estate:
        """Make an estate with `days` days of history up to `now`; the same arguments give the same estate.

        `time_zone` is the appliance's own (IANA name): schedules and retention follow it.
        """
        if machines < 0 or days < 0:
            raise SimulatorError("An estate has no negative number of machines or days.")
        draw = random.Random(seed)  # noqa: S311 - repeatable on purpose, no secret
        clock = Clock(now, time_zone)
        estate = cls(make_identity(draw), clock)
        fleet = make_fleet(draw, machines, days)
        start = clock.now - timedelta(days=days)
        estate.machines = [protected.machine for protected in fleet]
        history = History(estate._listing, fleet, clock.zone, start, Chance(seed))
        history.advance(start, clock.now)
        estate._history = history
        clock.on_advance = estate._pass_time
        return estate

    @classmethod
    def from_items(
        cls,
        items: Iterable[object],
        version: str | None = None,
        *,
        time_zone: str = "UTC",
        now: datetime = DEFAULT_NOW,
    ) -> Estate:
        """Make an estate that serves exactly `items`, in this order, whatever JSON values they are.

        Filters do not apply to given items, and moving the clock changes none.
        """
        estate = cls(make_identity(random.Random(0)), Clock(now, time_zone), version)  # noqa: S311 - no secret
        for item in items:
            estate.add_item(item)
        return estate

    def __len__(self) -> int:
        return len(self._listing)

    @property
    def points(self) -> list[RestorePoint]:
        """Every restore point that exists, hidden ones too, in listing order."""
        with self._lock:
            return [entry for entry in self._listing if isinstance(entry, RestorePoint)]

    @property
    def items(self) -> list[object]:
        """Every given item that exists, in the order given."""
        with self._lock:
            return [entry.value for entry in self._listing if isinstance(entry, GivenItem)]

    def point(self, point_id: str) -> RestorePoint:
        """Return one restore point; raises `KeyError` if there is none of this id."""
        entry = self._listing.get(point_id.lower())
        if not isinstance(entry, RestorePoint):
            raise KeyError(point_id)
        return entry

    def create(self, machine: Machine | None = None, **fields: Any) -> RestorePoint:
        """Make a restore point by hand: a manual snapshot of this moment, unless `fields` say otherwise."""
        with self._lock:
            if self._history is None:
                raise SimulatorError("This estate serves given items: use add_item().")
            machine = machine or self.machines[0]
            point_id, session = self._history.by_hand()
            made: dict[str, Any] = {
                "id": point_id,
                "machine": machine,
                "session": session,
                "point_in_time": self.clock.now,
                "backup_size_bytes": machine.disk_bytes,
                "backup_destination": "ManualSnapshot",
                "usn": self._history.next_usn(),
            }
            point = RestorePoint(**(made | fields))
            self._listing.put(point.id.lower(), point)
            return point

    def add_item(self, item: object) -> None:
        """Serve one more given item, behind those that are there."""
        with self._lock:
            given, key = GivenItem(item), f"{self._given:09d}"
            self._given += 1
            self._listing.put(key, given)
            if given.id is not None:
                self._given_keys[given.id.lower()] = key

    def change(self, point_id: str, **fields: Any) -> None:
        """Change fields: those of `RestorePoint`, or the JSON fields of a given item."""
        with self._lock:
            key, entry = self._find(point_id)
            if isinstance(entry, RestorePoint):
                usn = entry.usn if self._history is None else self._history.next_usn()
                self._listing.put(key, replace(entry, **{"usn": usn, **fields}))
            elif isinstance(entry.value, dict):
                self._listing.put(key, GivenItem({**entry.value, **fields}))

    def delete(self, *point_ids: str) -> None:
        """Delete points for good: no longer listed, 404 by id. Raises `KeyError` for an unknown id."""
        with self._lock:
            for point_id in point_ids:
                key, _ = self._find(point_id)
                self._listing.remove(key)
                self._given_keys.pop(point_id.lower(), None)

    def hide(self, *point_ids: str) -> None:
        """Leave points out of the listing while they still answer by id."""
        with self._lock:
            for point_id in point_ids:
                self._listing.hide(self._find(point_id)[0])

    def show(self, *point_ids: str) -> None:
        """List hidden points again."""
        with self._lock:
            for point_id in point_ids:
                self._listing.show(self._find(point_id)[0])

    def list_in(self, order: str, seed: int = 1, moves: float = 1.0) -> None:
        """List in another order from now on; see `Behaviour` for what there is."""
        with self._lock:
            self._listing.list_in(order, seed, moves)

    def page(
        self,
        version: str,
        offset: int,
        limit: int | None,
        *,
        resource_id: str | None = None,
        only_latest: bool = False,
    ) -> tuple[list[bytes], int]:
        """Return the JSON of a page's items as `version` writes them, and how many the whole listing has.

        `limit` None means everything from `offset` on.
        """
        with self._lock:
            return self._listing.slice(version, offset, limit, self._filter(resource_id, only_latest))

    def item(self, version: str, point_id: str) -> bytes | None:
        """Return the JSON of one item by its id (in any case), or None if there is none."""
        with self._lock:
            try:
                key, _ = self._find(point_id)
            except KeyError:
                return None
            return self._listing.text(key, version)

    def _find(self, point_id: str) -> tuple[str, Entry]:
        folded = point_id.lower()
        key = self._given_keys.get(folded, folded)
        entry = self._listing.get(key)
        # A key of a given item is no id: only `_given_keys` leads to it.
        if entry is None or (isinstance(entry, GivenItem) and folded not in self._given_keys):
            raise KeyError(point_id)
        return key, entry

    def _filter(self, resource_id: str | None, only_latest: bool) -> Callable[[Entry], bool] | None:
        if resource_id is None and not only_latest:
            return None
        newest: dict[str, RestorePoint] = {}
        for point in self.points:
            known = newest.get(point.machine.resource_id)
            if known is None or point.point_in_time > known.point_in_time:
                newest[point.machine.resource_id] = point

        def wanted(entry: Entry) -> bool:
            if isinstance(entry, GivenItem):
                return True
            machine = entry.machine.resource_id
            return resource_id in (None, machine) and (not only_latest or newest[machine] is entry)

        return wanted

    def _pass_time(self, before: datetime, after: datetime) -> None:
        with self._lock:
            if self._history is not None:
                self._history.advance(before, after)
