"""How the points of databases, file shares, networks and Cosmos accounts come and go: each stands by itself.

Backups are always full, so retention takes whole points and changes none that stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from etl.simulator.fleet import Protected
from etl.simulator.points import CosmosAccount, Resource, RestorePoint, Session
from etl.simulator.schedule import JOB_TAKES, Job, Retention, archive_expiry, events, local_instant
from etl.simulator.sessions import JobSession, resources_of
from etl.simulator.state import Held, State
from etl.simulator.workloads import making_type

MADE_BY_HAND = 0.02
BY_HAND = ("ManualBackup", "ManualSnapshot")
UNSIZED_SHARE = 0.1
REFRESHED_EVERY = timedelta(minutes=10)
FIRST_JOB_SLOT = 10
"""Behind the retention sessions' own."""
FIRST_SLOT_BY_HAND = 100


class OtherHistory:
    """Makes time pass for the resources of one workload; the same span gives the same points, in any steps."""

    def __init__(self, state: State, workload: str, fleet: Iterable[Protected], slot: int) -> None:
        self._state = state
        self._workload = workload
        self._zone = state.clock.zone
        self._chance = state.chance
        self._slot = slot
        self._points = state.points[workload]
        self._held = [Held(protected, number) for number, protected in enumerate(fleet)]
        self._policies = list(dict.fromkeys(held.protected.policy for held in self._held))
        state.held.extend(self._held)

    def advance(self, after: datetime, until: datetime) -> None:
        """Let everything happen that falls due after `after` up to `until`."""
        if not self._held:
            return
        self._points.expect_many_changes()
        for event in events(self._policies, self._zone, after, until):
            if isinstance(event, Retention):
                self._retain(event)
            else:
                self._run(event)

    def _run(self, job: Job) -> None:
        day = (job.day - self._state.first_day).days
        if job.policy in self._state.rules.removed:
            return
        sessions: dict[Session, list[RestorePoint]] = {}
        for held in self._held:
            if held.is_member(job.policy, day):
                for session, made in self._make(held, job):
                    sessions.setdefault(session, []).append(made)
        for session, points in sessions.items():
            self._tell(session, points, job)

    def _make(self, held: Held, job: Job) -> Iterator[tuple[Session, RestorePoint]]:
        """Make what a job makes of one resource, and now and then something by hand; yield it with its session."""
        resource = held.protected.resource
        destination = "Database" if self._workload == "vnet" else job.makes
        session = self._session(job, resource, 0)
        made = self._point(held, job, session, destination)
        (held.snapshots if job.makes == "Snapshot" else held.chain).append(made.id)
        yield session, made
        if job.flags:
            session = self._session(job, resource, 1)
            archive = self._point(held, job, session, destination, "Archive", job.flags)
            held.archives.append((archive_expiry(job.policy, job.day, job.flags), archive.id))
            yield session, archive
        chance = self._chance.share("manual", self._workload, held.number, job.started)
        if self._workload != "vnet" and chance < MADE_BY_HAND:
            slot = FIRST_SLOT_BY_HAND + self._slot * 1_000 + held.number % 1_000
            session = self._state.sessions.of_hour(job.started, slot, other=True)
            by_hand = "ManualSnapshot" if job.makes == "Snapshot" else "ManualBackup"
            yield session, self._point(held, job, session, by_hand)

    def _point(
        self, held: Held, job: Job, session: Session, destination: str, tier: str | None = None, flags: str = "None"
    ) -> RestorePoint:
        about = (self._workload, destination, tier, held.number, job.started)
        size = self._size(held.protected.resource, job.started)
        stored = self._workload not in ("file_share", "vnet")
        snapshot = job.makes == "Snapshot"
        by_hand = destination in BY_HAND
        if tier is None and stored:
            tier = job.policy.access_tier
            flags = "None" if by_hand else "Daily"
        point = RestorePoint(
            id=self._chance.uuid(*about),
            resource=held.protected.resource,
            session=session,
            # one moment for a backup and its archive; what is made by hand is made in between
            point_in_time=job.started
            + JOB_TAKES * self._chance.between(0, 0.6, "turn", self._workload, held.number, job.started, by_hand),
            backup_size_bytes=size,
            backup_destination=destination,
            restore_point_type="Unknown" if snapshot else "Full",
            gfs_flags=flags,
            state="NotApplicable" if snapshot else "Ok",
            is_corrupted=None if snapshot else False,
            vbr_id=self._chance.uuid("vbr") if stored else None,
            access_tier=tier,
            latest_chain_size_bytes=None if snapshot else size,
            usn=self._state.next_usn(self._workload),
            workload=self._workload,
        )
        self._state.put(point)
        return point

    def _size(self, resource: Resource, moment: datetime) -> int | None:
        """Return bytes: of a file share none or, one time in ten, null; of a network's settings some kilobytes."""
        if self._workload == "file_share":
            unsized = self._chance.share("unsized", resource.resource_id, moment) < UNSIZED_SHARE
            return None if unsized else 0
        share = 1.0 if self._workload == "vnet" else 0.5
        return int(resource.disk_bytes * share * self._chance.between(0.9, 1, "size", resource.resource_id, moment))

    def _tell(self, session: Session, made: list[RestorePoint], job: Job) -> None:
        """Let the session that made points tell of them."""
        by_hand = made[0].backup_destination in BY_HAND
        self._state.sessions.add(
            JobSession(
                key=session,
                type=making_type(made[0]),
                started=job.started,
                stopped=job.started + JOB_TAKES * self._chance.between(0.7, 1, "takes", session.id),
                policy=None if by_hand else self._state.rules.told(job.policy),
                resources=resources_of(made),
            )
        )

    def _session(self, job: Job, resource: Resource, place: int) -> Session:
        """Name the session of a job; Cosmos accounts of another kind have sessions of another type."""
        mongo = isinstance(resource, CosmosAccount) and resource.account_type != "PostgresSql"
        slot = FIRST_JOB_SLOT + self._slot * 4 + mongo * 2 + place
        return self._state.sessions.of_hour(job.started, slot, other=True)

    def _retain(self, midnight: Retention) -> None:
        gone: list[RestorePoint] = []
        obsolete: list[RestorePoint] = []
        for held in self._held:
            policy = held.protected.policy
            oldest_kept = local_instant(midnight.day - timedelta(days=policy.backup_days), 0, self._zone)
            if policy not in self._state.rules.removed:
                if len(held.snapshots) > policy.snapshots_to_keep:
                    snapshots = self._living(held.snapshots)
                    gone += snapshots[: -policy.snapshots_to_keep]
                    held.snapshots = [point.id for point in snapshots[-policy.snapshots_to_keep :]]
            elif self._state.rules.are_obsolete(policy, midnight.day):
                obsolete += self._living(held.snapshots)
                held.snapshots = []
            chain = self._living(held.chain)
            gone += [point for point in chain if point.point_in_time < oldest_kept]
            held.chain = [point.id for point in chain if point.point_in_time >= oldest_kept]
            gone += self._living([archive for expiry, archive in held.archives if expiry <= midnight.day])
            held.archives = [(expiry, archive) for expiry, archive in held.archives if expiry > midnight.day]
        self._state.retained(gone, midnight.due)
        self._state.obsolete(obsolete, midnight.due)

    def _living(self, ids: list[str]) -> list[RestorePoint]:
        """Return the points that are still there: some may have been deleted by hand."""
        found = (self._points.row(point_id) for point_id in ids)
        return [point for point in found if point is not None]
