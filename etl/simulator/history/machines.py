"""How machines' points come about: jobs make restore points, retention at local midnight takes them away.

Backups of a machine form one forever-forward chain: retention folds the oldest increment into the full, so the
full's point goes and the increment's point turns from `Incremental` to `Full` with another size. Inferred from
the vendor's description of the chain, as are generations of immutability and the sizes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from etl.simulator.fleet import Policy, Protected
from etl.simulator.points import RestorePoint, Session
from etl.simulator.schedule import (
    JOB_TAKES,
    Job,
    Retention,
    archive_expiry,
    archive_flags,
    events,
    local_instant,
    months_later,
)
from etl.simulator.sessions import JobSession, resources_of
from etl.simulator.state import Held, State

SNAPSHOTS_ALWAYS_KEPT = 2
GENERATION_DAYS = 10
MISSED = 0.01
MANUAL = 0.01
GROWING_SINCE = datetime(2020, 1, 1, tzinfo=UTC)


class MachineHistory:
    """Makes time pass for machines; the same seed and the same span give the same points, in any steps."""

    def __init__(self, state: State, fleet: Iterable[Protected]) -> None:
        self._state = state
        self._zone = state.clock.zone
        self._chance = state.chance
        self._held = [Held(protected, number) for number, protected in enumerate(fleet)]
        self._policies = list(dict.fromkeys(held.protected.policy for held in self._held))
        self._points = state.points["vm"]
        self._vbr_id = state.chance.uuid("vbr")
        state.held.extend(self._held)
        self._make_earlier_archives()

    def advance(self, after: datetime, until: datetime) -> None:
        """Let everything happen that falls due after `after` up to `until`."""
        self._points.expect_many_changes()
        for event in events(self._policies, self._zone, after, until):
            if isinstance(event, Retention):
                self._retain(event)
            else:
                self._run(event)
        self._settle_chains()

    def _run(self, job: Job) -> None:
        day = (job.day - self._state.first_day).days
        members = [held for held in self._held if held.is_member(job.policy, day)]
        if not members or job.policy in self._state.rules.removed:
            return
        slot = self._policies.index(job.policy) * 3
        session = self._state.sessions.of_hour(job.started, slot + (job.makes == "AzureBlob"))
        archive_session = self._state.sessions.of_hour(job.started, slot + 2)
        made: list[RestorePoint] = []
        archived: list[RestorePoint] = []
        for held in members:
            if self._chance.share("missed", job.makes, held.number, job.started) < MISSED:
                continue
            if job.makes == "Snapshot":
                made.append(self._snapshot(held, job.started, session, "Snapshot"))
                held.snapshots.append(made[-1].id)
                if self._chance.share("manual", held.number, job.started) < MANUAL:
                    self._snapshot_by_hand(held, job.started)
            else:
                made.append(self._back_up(held, job, session))
                if job.flags:
                    archived.append(self._archive(held, job.day, job.started, archive_session, job.flags))
        self._tell("PolicySnapshot" if job.makes == "Snapshot" else "PolicyBackup", job.policy, job.started, made)
        self._tell("PolicyArchive", job.policy, job.started, archived)

    def _tell(self, kind: str, policy: Policy | None, started: datetime, made: list[RestorePoint]) -> None:
        """Let the session that made points tell of them."""
        if made and made[0].session is not None:
            self._state.sessions.add(
                JobSession(
                    key=made[0].session,
                    type=kind,
                    started=started,
                    stopped=started + JOB_TAKES * self._chance.between(0.6, 1, "takes", made[0].session.id),
                    policy=None if policy is None else self._state.rules.told(policy),
                    resources=resources_of(made),
                )
            )

    def _snapshot_by_hand(self, held: Held, started: datetime) -> None:
        asked_for = self._state.sessions.of_hour(started, 10 + held.number % 90)
        made = self._snapshot(held, started + JOB_TAKES / 3, asked_for, "ManualSnapshot")
        self._tell("ManualSnapshot", None, started + JOB_TAKES / 3, [made])

    def _snapshot(self, held: Held, started: datetime, session: Session, destination: str) -> RestorePoint:
        point = RestorePoint(
            id=self._chance.uuid(destination, held.number, started),
            resource=held.protected.resource,
            session=session,
            point_in_time=self._moment(held, started),
            backup_size_bytes=held.protected.resource.disk_bytes,
            backup_destination=destination,
            usn=self._state.next_usn("vm"),
        )
        self._state.put(point)
        return point

    def _back_up(self, held: Held, job: Job, session: Session) -> RestorePoint:
        goes_on = any(self._points.row(point_id) is not None for point_id in held.chain)
        size = self._full_bytes(held, job.started)
        if goes_on:
            size = int(size * self._chance.between(0.008, 0.05, "increment", held.number, job.started))
        point = RestorePoint(
            id=self._chance.uuid("AzureBlob", held.number, job.started),
            resource=held.protected.resource,
            session=session,
            point_in_time=self._moment(held, job.started),
            backup_size_bytes=size,
            backup_destination="AzureBlob",
            restore_point_type="Incremental" if goes_on else "Full",
            gfs_flags="Daily",
            state="Ok",
            is_corrupted=False,
            vbr_id=self._vbr_id,
            access_tier=job.policy.access_tier,
            immutable_until=self._immutable_until(job.policy, job.day),
            usn=self._state.next_usn("vm"),
        )
        held.chain.append(point.id)
        held.chain_changed = True
        self._state.put(point)
        return point

    def _archive(self, held: Held, day: date, started: datetime, session: Session, flags: str) -> RestorePoint:
        size = int(self._full_bytes(held, started) * 0.9)
        point = RestorePoint(
            id=self._chance.uuid("archive", held.number, started),
            resource=held.protected.resource,
            session=session,
            point_in_time=self._moment(held, started),
            backup_size_bytes=size,
            backup_destination="AzureBlob",
            restore_point_type="Full",
            gfs_flags=flags,
            state="Ok",
            is_corrupted=False,
            vbr_id=self._vbr_id,
            access_tier="Archive",
            latest_chain_size_bytes=size,
            usn=self._state.next_usn("vm"),
        )
        held.archives.append((archive_expiry(held.protected.policy, day, flags), point.id))
        self._state.put(point)
        return point

    def _retain(self, midnight: Retention) -> None:
        new_generation = midnight.day.toordinal() % GENERATION_DAYS == 0
        gone: list[RestorePoint] = []
        obsolete: list[RestorePoint] = []
        for held in self._held:
            policy = held.protected.policy
            keep = max(policy.snapshots_to_keep, SNAPSHOTS_ALWAYS_KEPT)
            if policy in self._state.rules.removed:
                if self._state.rules.are_obsolete(policy, midnight.day):
                    obsolete += self._living(held.snapshots)
                    held.snapshots = []
            elif len(held.snapshots) > keep:
                snapshots = self._living(held.snapshots)
                gone += snapshots[:-keep]
                held.snapshots = [point.id for point in snapshots[-keep:]]
            if new_generation and policy.immutable_days:
                self._extend_immutability(held, midnight.day)
            gone += self._fold(held, midnight)
            gone += self._retain_archives(held, midnight.day)
        self._state.retained(gone, midnight.due)
        self._state.obsolete(obsolete, midnight.due)

    def _fold(self, held: Held, midnight: Retention) -> list[RestorePoint]:
        """Fold what is too old into the increment behind it and return the points that go."""
        backup_days = held.protected.policy.backup_days
        oldest_kept = local_instant(midnight.day - timedelta(days=backup_days), 0, self._zone)
        first = self._living(held.chain[:1])
        if first and first[0].point_in_time >= oldest_kept:
            return []
        listed = self._living(held.chain)
        chain = list(listed)
        folded = 0
        while folded + 1 < len(chain) and chain[folded].point_in_time < oldest_kept:
            full, increment = chain[folded], chain[folded + 1]
            if full.immutable_until is not None and full.immutable_until > midnight.due:
                break
            chain[folded + 1] = replace(
                increment,
                restore_point_type="Full",
                backup_size_bytes=self._full_bytes(held, increment.point_in_time),
                usn=self._state.next_usn("vm"),
            )
            folded += 1
        if folded:
            self._state.put(chain[folded])
            held.chain_changed = True
        held.chain = [point.id for point in chain[folded:]]
        return listed[:folded]

    def _retain_archives(self, held: Held, day: date) -> list[RestorePoint]:
        expired = [archive for expiry, archive in held.archives if expiry <= day]
        if expired:
            held.archives = [(expiry, archive) for expiry, archive in held.archives if expiry > day]
        return self._living(expired)

    def _extend_immutability(self, held: Held, day: date) -> None:
        """Move the whole generation ahead, but no point past the night in which retention wants it."""
        policy = held.protected.policy
        until = self._immutable_until(policy, day)
        for point in self._living(held.chain):
            expiry = point.point_in_time + timedelta(days=policy.backup_days)
            if until is not None and point.immutable_until != until and until <= expiry:
                self._state.put(replace(point, immutable_until=until, usn=self._state.next_usn("vm")))

    def _settle_chains(self) -> None:
        """Tell every point of a changed chain the chain's size; it moves by itself, so `usn` stays."""
        for held in self._held:
            if held.chain_changed:
                chain = self._living(held.chain)
                size = sum(point.backup_size_bytes or 0 for point in chain)
                for point in chain:
                    self._state.put(replace(point, latest_chain_size_bytes=size))
                held.chain_changed = False

    def _make_earlier_archives(self) -> None:
        """Make the archives that an appliance in long use would still hold when the history begins."""
        years = max((policy.archive_years for policy in self._policies), default=0)
        day = months_later(self._state.first_day, -12 * years)
        day += timedelta(days=7 - day.isoweekday())
        while day < self._state.first_day:
            for policy in self._policies:
                flags = archive_flags(policy, day)
                if flags:
                    self._make_earlier_archive(policy, day, flags)
            day += timedelta(days=7)

    def _make_earlier_archive(self, policy: Policy, day: date, flags: str) -> None:
        if policy.backup_hour is None or archive_expiry(policy, day, flags) <= self._state.first_day:
            return
        started = local_instant(day, policy.backup_hour, self._zone)
        session = self._state.sessions.of_hour(started, self._policies.index(policy) * 3 + 2)
        made = [
            self._archive(held, day, started, session, flags)
            for held in self._held
            if held.protected.policy is policy and held.protected.since == 0
        ]
        self._tell("PolicyArchive", policy, started, made)

    def _living(self, ids: list[str]) -> list[RestorePoint]:
        """Return the points that are still there: some may have been deleted by hand."""
        found = (self._points.row(point_id) for point_id in ids)
        return [point for point in found if point is not None]

    def _immutable_until(self, policy: Policy, day: date) -> datetime | None:
        if not policy.immutable_days:
            return None
        generation_ends = day.toordinal() // GENERATION_DAYS * GENERATION_DAYS + GENERATION_DAYS
        return local_instant(date.fromordinal(generation_ends + policy.immutable_days), 0, self._zone)

    def _full_bytes(self, held: Held, moment: datetime) -> int:
        """Return what a full backup of a moment takes: compressed, growing from day to day."""
        days = (moment - GROWING_SINCE) / timedelta(days=1)
        used = held.protected.used_share * (1 + held.protected.growth_per_day * days)
        return int(held.protected.resource.disk_bytes * min(used, 0.95) * 0.6)

    def _moment(self, held: Held, started: datetime) -> datetime:
        """Return when the machine's turn comes in a job: the same for snapshot, backup and archive of one hour."""
        return started + JOB_TAKES * self._chance.between(0, 0.6, "turn", held.number, started)
