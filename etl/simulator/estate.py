"""The truth behind a simulated appliance: what it protects, what it holds and what it remembers right now."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import fields, replace
from datetime import datetime, timedelta
from threading import RLock
from typing import Any

import msgspec

from etl.simulator import catalogue, removals
from etl.simulator.chance import Chance
from etl.simulator.clock import DEFAULT_NOW, Clock
from etl.simulator.errors import SimulatorError
from etl.simulator.fleet import Identity, Policy, make_fleet, make_ground, make_identity
from etl.simulator.fleet_others import OtherFleet
from etl.simulator.history.all import Histories
from etl.simulator.listing import GivenItem
from etl.simulator.paging import Query
from etl.simulator.points import Resource, RestorePoint
from etl.simulator.routes import Found
from etl.simulator.sessions import JobSession
from etl.simulator.state import State
from etl.simulator.versions import CONVENTIONS
from etl.simulator.workloads import WORKLOADS, making_type


class Estate:
    """An appliance's resources, restore points, sessions and rules, with its clock and identity.

    Made by `from_seed` (a believable history that goes on when the clock is moved) or `from_items` (exactly these
    items). May be changed from any thread while it is being served. `version` is the API version that given items
    were written for, None for an estate that every version can render.
    """

    def __init__(self, state: State, version: str | None = None) -> None:
        self.identity: Identity = state.identity
        self.clock: Clock = state.clock
        self.version = version
        self._state = state
        self._histories: Histories | None = None
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
        databases: int = 0,
        file_shares: int = 0,
        networks: int = 0,
        cosmos_accounts: int = 0,
        sla_policies: int = 0,
        session_days: int | None = 90,
    ) -> Estate:
        """Make an estate with `days` days of history up to `now`; the same arguments give the same estate.

        `time_zone` is the appliance's own (IANA name): schedules and retention follow it. The machines are the same
        whatever else there is. Job sessions are kept for `session_days`, None for ever.
        """
        if min(machines, days, databases, file_shares, networks, cosmos_accounts, sla_policies) < 0:
            raise SimulatorError("An estate has no negative number of anything.")
        if session_days is not None and session_days < 1:
            raise SimulatorError("Sessions are kept for at least one day.")
        draw = random.Random(seed)  # noqa: S311 - repeatable on purpose, no secret
        clock = Clock(now, time_zone)
        identity, ground = make_identity(draw), make_ground(draw)
        other = OtherFleet(Chance(seed), ground)
        fleets = {
            "vm": make_fleet(draw, ground, machines, days),
            "sql": other.databases(databases),
            "file_share": other.file_shares(file_shares),
            "vnet": other.networks(networks),
            "cosmos_db": other.cosmos_accounts(cosmos_accounts),
        }
        start = clock.now - timedelta(days=days)
        policies: list[Policy] = [protected.policy for fleet in fleets.values() for protected in fleet]
        state = State(
            identity,
            clock,
            Chance(seed),
            policies=list(dict.fromkeys(policies)),
            sla_policies=sla_policies,
            session_days=session_days,
            first_day=start.astimezone(clock.zone).date(),
        )
        estate = cls(state)
        estate._histories = Histories(state, fleets)
        estate._histories.advance(start, clock.now)
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

        They are the restore points of machines; every other collection is empty. Filters do not apply to given items,
        and moving the clock changes none.
        """
        identity = make_identity(random.Random(0))  # noqa: S311 - no secret
        estate = cls(State(identity, Clock(now, time_zone), Chance(0), policies=[]), version)
        for item in items:
            estate.add_item(item)
        return estate

    def __len__(self) -> int:
        return sum(len(listing) for listing in self._state.points.values())

    @property
    def machines(self) -> list[Resource]:
        """Every machine, those that join later or are retired among them."""
        return self.resources("vm")

    def resources(self, workload: str) -> list[Resource]:
        """Return every resource of a workload, in the order in which they were made."""
        with self._lock:
            held = self._state.held
            return [one.protected.resource for one in held if one.protected.policy.workload == workload]

    @property
    def points(self) -> list[RestorePoint]:
        """Every restore point that exists, hidden ones too, workload by workload in the order of ids."""
        with self._lock:
            return list(self._state.all_points())

    @property
    def items(self) -> list[object]:
        """Every given item that exists, in the order given."""
        with self._lock:
            return [entry.value for entry in self._state.points["vm"] if isinstance(entry, GivenItem)]

    @property
    def sessions(self) -> list[JobSession]:
        """Every job session that is remembered, the earliest first."""
        with self._lock:
            return sorted(self._state.sessions.listing.rows(), key=lambda session: (session.started, session.number))

    def point(self, point_id: str) -> RestorePoint:
        """Return one restore point; raises `KeyError` if there is none of this id."""
        with self._lock:
            return self._state.point(point_id)

    def session(self, session_id: str) -> JobSession:
        """Return one job session by its UUID; raises `KeyError` if it is not remembered."""
        with self._lock:
            return self._session(session_id)

    # what happens to points

    def create(self, resource: Resource | None = None, **fields: Any) -> RestorePoint:
        """Make a restore point by hand: a manual snapshot of this moment, unless `fields` say otherwise."""
        with self._lock:
            self._must_live("use add_item()")
            resource = fields.get("resource") or resource or self._state.first_machine()
            key = self._state.sessions.by_hand()
            made: dict[str, Any] = {
                "id": self._state.chance.uuid("by hand", key.number),
                "resource": resource,
                "session": key,
                "point_in_time": self.clock.now,
                "backup_size_bytes": resource.disk_bytes,
                "backup_destination": "ManualSnapshot",
                "usn": self._state.next_usn(fields.get("workload", "vm")),
            }
            point = RestorePoint(**(made | fields))
            self._state.put(point)
            if "session" not in fields:
                now = self.clock.now
                self._state.sessions.put(JobSession(key, making_type(point), now, now, resources=(resource,)))
            return point

    def add_item(self, item: object) -> None:
        """Serve one more given item, behind those that are there."""
        with self._lock:
            self._state.points["vm"].give(item)

    def change(self, point_id: str, **fields: Any) -> None:
        """Change fields: those of `RestorePoint`, or the JSON fields of a given item."""
        with self._lock:
            listing, key = self._state.find(point_id)
            entry = listing.entry(key)
            if not isinstance(entry, GivenItem):
                listing.put(key, replace(entry, **{"usn": self._state.next_usn(entry.workload), **fields}))
            elif isinstance(entry.value, dict):
                listing.put(key, GivenItem({**entry.value, **fields}))

    def delete(self, *point_ids: str) -> None:
        """Delete points for good, without a word: no longer listed, 404 by id, and no session tells of it.

        Raises `KeyError` for an unknown id.
        """
        with self._lock:
            for point_id in point_ids:
                listing, key = self._state.find(point_id)
                listing.remove(key)

    def delete_by_hand(self, *point_ids: str, lists_items: bool = True) -> list[JobSession]:
        """Delete points as somebody at the console does, and return the sessions that tell of it, one of each kind.

        Without `lists_items` their `/deletedItems` are empty and only their logs name the resources.
        """
        with self._lock:
            return removals.delete_by_hand(self._state, point_ids, lists_items=lists_items)

    def orphan(self, *snapshot_ids: str) -> JobSession:
        """Let the appliance remove snapshots now as orphaned, and return the session that lists them."""
        with self._lock:
            return removals.orphan(self._state, snapshot_ids)

    def hide(self, *point_ids: str) -> None:
        """Leave points out of the listing while they still answer by id."""
        with self._lock:
            for point_id in point_ids:
                listing, key = self._state.find(point_id)
                listing.hide(key)

    def show(self, *point_ids: str) -> None:
        """List hidden points again."""
        with self._lock:
            for point_id in point_ids:
                listing, key = self._state.find(point_id)
                listing.show(key)

    # what happens to rules and resources

    def remove_policy(self, name: str, delete_after_days: int = 2) -> None:
        """Remove a policy: it makes no more points, and its snapshots go at the midnight so many days later.

        Its backups go on by their own retention. Raises `KeyError` for an unknown name.
        """
        with self._lock:
            removals.remove_policy(self._state, name, delete_after_days)

    def change_policy(self, name: str, /, **json_fields: Any) -> None:
        """Serve JSON fields of a policy, SLA-based ones too, in place of the true ones. Raises `KeyError`."""
        with self._lock:
            rules = self._state.rules
            if name not in {one["name"] for one in rules.sla}:
                rules.named(name)
            rules.overrides[name] = rules.overrides.get(name, {}) | json_fields

    def rename_machine(self, resource_id: str, name: str) -> None:
        """Give a machine (or any resource) another name, which its points tell at once. Raises `KeyError`."""
        self._replace_resource(resource_id, name=name)

    def move_machine(self, resource_id: str, subscription_id: str, subscription_name: str) -> None:
        """Move a machine (or any resource) to another subscription. Raises `KeyError`."""
        self._replace_resource(resource_id, subscription_id=subscription_id, subscription_name=subscription_name)

    def retire_machine(self, resource_id: str) -> None:
        """Delete a machine in Azure: its points stay, no new ones are made. Raises `KeyError`."""
        with self._lock:
            self._state.retire(resource_id)

    # what happens to sessions

    def run_session(self, **fields: Any) -> JobSession:
        """Add a session, running since this moment unless `fields` say otherwise.

        Fields are those of `JobSession`, its policy given by name; any other is a JSON field that is served as it is,
        such as `executionStopTime="1900-01-01T00:00:00Z"`.
        """
        with self._lock:
            own = {name: value for name, value in fields.items() if name in _SESSION_FIELDS}
            if isinstance(own.get("policy"), str):
                rules = self._state.rules
                own["policy"] = rules.told(rules.named(own["policy"]))
            made: dict[str, Any] = {
                "key": own.get("key") or self._state.sessions.by_hand(),
                "type": "PolicyBackup",
                "started": self.clock.now,
                "stopped": None,
                "status": "Success" if own.get("stopped") else "Running",
                "overrides": {name: value for name, value in fields.items() if name not in own},
            }
            return self._state.sessions.put(JobSession(**(made | own)))

    def change_session(self, session_id: str, /, **json_fields: Any) -> None:
        """Serve JSON fields of a session in place of the true ones. Raises `KeyError` for an unknown UUID."""
        with self._lock:
            session = self._session(session_id)
            self._state.sessions.put(replace(session, overrides={**session.overrides, **json_fields}))

    def purge_sessions(self, before: datetime) -> None:
        """Forget the sessions that started before a moment."""
        with self._lock:
            self._state.sessions.purge(before)

    # what is listed

    def list_in(self, order: str, seed: int = 1, moves: float = 1.0) -> None:
        """List in another order from now on; see `Behaviour` for what there is."""
        with self._lock:
            self._state.list_in(order, seed, moves)

    def serve_items(self, path: str, items: Iterable[object]) -> None:
        """Serve exactly these items at a page's path, whatever JSON values they are, and their ids one by one.

        A path of any version means that collection at every version that has it; a list below one session is named by
        its whole path. Filters do not apply to them. Raises `SimulatorError` if no version has such a page.
        """
        with self._lock:
            key = catalogue.key_of_given(path)
            if key is None:
                raise SimulatorError(f"No version has a page at {path}.")
            self._state.give(key, list(items))

    def items_of(self, path: str, version: str = "v8.1") -> list[Any]:
        """Return what a page lists in all, as JSON values. Raises `SimulatorError` if the version has no such page."""
        found = self.look_up(version, path)
        if found is None or found.cut is None:
            raise SimulatorError(f"No page at {path} of {version}.")
        texts, _ = self.listed(found, Query(CONVENTIONS[version], []), 0, None)
        return [msgspec.json.decode(text) for text in texts]

    def page(self, version: str, offset: int, limit: int | None, workload: str = "vm") -> tuple[list[bytes], int]:
        """Return the JSON of a page's points as `version` writes them, and how many the whole listing has.

        `limit` None means everything from `offset` on.
        """
        with self._lock:
            return self._state.points[workload].slice(version, offset, limit)

    def item(self, version: str, point_id: str) -> bytes | None:
        """Return the JSON of one restore point by its id (in any case), or None if there is none."""
        with self._lock:
            found = (catalogue.text_of(self._state.points[name], point_id, version) for name in WORKLOADS)
            return next((text for text in found if text is not None), None)

    def look_up(self, version: str, path: str) -> Found | None:
        """Return what is at a path below a version, None if that version has no such path."""
        with self._lock:
            return catalogue.find(self._state, version, path)

    def listed(self, found: Found, query: Query, offset: int, limit: int | None) -> tuple[list[bytes], int]:
        """Return the JSON of the items of a page that was looked up, and how many there are in all."""
        with self._lock:
            return ([], 0) if found.cut is None else found.cut(found.asked(self._state, query), offset, limit)

    def told(self, found: Found, query: Query) -> bytes | None:
        """Return the JSON of an item or object that was looked up, None if there is none."""
        with self._lock:
            return None if found.tell is None else found.tell(found.asked(self._state, query))

    def _must_live(self, instead: str) -> None:
        if self._histories is None:
            raise SimulatorError(f"This estate serves given items: {instead}.")

    def _session(self, session_id: str) -> JobSession:
        session = self._state.sessions.listing.row(session_id.lower())
        if session is None:
            raise KeyError(session_id)
        return session

    def _replace_resource(self, resource_id: str, **changes: Any) -> None:
        with self._lock:
            old = self._state.resource(resource_id)
            self._state.replace_resource(replace(old, **changes))

    def _pass_time(self, before: datetime, after: datetime) -> None:
        with self._lock:
            if self._histories is not None:
                self._histories.advance(before, after)


_SESSION_FIELDS = {field.name for field in fields(JobSession)}
