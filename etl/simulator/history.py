"""How an estate comes about: jobs make restore points, retention at local midnight takes them away.

Backups of a machine form one forever-forward chain: retention folds the oldest increment into the full, so the
full's point goes and the increment's point turns from `Incremental` to `Full` with another size. Inferred from
the vendor's description of the chain, as are generations of immutability and the sizes.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from hashlib import blake2b
from zoneinfo import ZoneInfo

from etl.simulator.fleet import Policy, Protected, make_uuid
from etl.simulator.listing import Listing
from etl.simulator.points import RestorePoint, Session
from etl.simulator.schedule import (
    JOB_TAKES,
    Job,
    Retention,
    archive_flags,
    events,
    local_instant,
    month_before,
)

SNAPSHOTS_ALWAYS_KEPT = 2
GENERATION_DAYS = 10
MISSED = 0.01
MANUAL = 0.002


@dataclass(slots=True)
class _Held:
    """The ids of what one machine has, oldest first."""

    protected: Protected
    number: int
    snapshots: list[str] = field(default_factory=list)
    chain: list[str] = field(default_factory=list)
    archives: list[str] = field(default_factory=list)
    chain_changed: bool = False


class History:
    """Makes time pass in a listing; the same seed and the same span give the same points, in any steps."""

    def __init__(
        self, listing: Listing, fleet: Iterable[Protected], zone: ZoneInfo, start: datetime, draw: random.Random
    ) -> None:
        self._listing = listing
        self._zone = zone
        self._first_day = start.astimezone(zone).date()
        self._draw = draw
        self._held = [_Held(protected, number) for number, protected in enumerate(fleet)]
        self._policies = list(dict.fromkeys(held.protected.policy for held in self._held))
        self._vbr_id = make_uuid(draw)
        self._sessions = 0
        self._usn = 0
        self._make_earlier_archives()

    def advance(self, after: datetime, until: datetime) -> None:
        """Let everything happen that falls due after `after` up to `until`."""
        self._listing.expect_many_changes()
        for event in events(self._policies, self._zone, after, until):
            if isinstance(event, Retention):
                self._retain(event)
            else:
                self._run(event)
        self._settle_chains()

    def next_usn(self) -> int:
        """Return the next number of the appliance's count of changes."""
        self._usn += 1
        return self._usn

    def new_session(self) -> Session:
        """Open a job session."""
        self._sessions += 1
        return Session(self._sessions, make_uuid(self._draw))

    def _run(self, job: Job) -> None:
        day = (job.day - self._first_day).days
        members = [
            held
            for held in self._held
            if held.protected.policy is job.policy
            and held.protected.since <= day
            and (held.protected.until is None or day < held.protected.until)
        ]
        if not members:
            return
        session = self.new_session()
        archive_session = self.new_session() if job.flags else session
        for held in members:
            if self._draw.random() < MISSED:
                continue
            if job.makes == "Snapshot":
                held.snapshots.append(self._snapshot(held, job.started, session, "Snapshot"))
                if self._draw.random() < MANUAL:
                    later = job.started + timedelta(minutes=self._draw.randrange(5))
                    self._snapshot(held, later, self.new_session(), "ManualSnapshot")
            else:
                self._back_up(held, job, session)
                if job.flags:
                    self._archive(held, job.started, archive_session, job.flags)

    def _snapshot(self, held: _Held, started: datetime, session: Session, destination: str) -> str:
        point = RestorePoint(
            id=make_uuid(self._draw),
            machine=held.protected.machine,
            session=session,
            point_in_time=self._moment(held, started),
            backup_size_bytes=held.protected.machine.disk_bytes,
            backup_destination=destination,
            usn=self.next_usn(),
        )
        self._listing.put(point.id, point)
        return point.id

    def _back_up(self, held: _Held, job: Job, session: Session) -> None:
        chain = self._living(held.chain)
        used = self._used_bytes(held, job.started)
        share = self._draw.uniform(0.004, 0.03) if chain else self._draw.uniform(0.55, 0.6)
        point = RestorePoint(
            id=make_uuid(self._draw),
            machine=held.protected.machine,
            session=session,
            point_in_time=self._moment(held, job.started),
            backup_size_bytes=int(used * share),
            backup_destination="AzureBlob",
            restore_point_type="Incremental" if chain else "Full",
            gfs_flags="Daily",
            state="Ok",
            is_corrupted=False,
            vbr_id=self._vbr_id,
            access_tier=job.policy.access_tier,
            immutable_until=self._immutable_until(job.policy, job.day),
            usn=self.next_usn(),
        )
        held.chain = [*(member.id for member in chain), point.id]
        held.chain_changed = True
        self._listing.put(point.id, point)

    def _archive(self, held: _Held, started: datetime, session: Session, flags: str) -> None:
        size = int(self._used_bytes(held, started) * self._draw.uniform(0.5, 0.55))
        point = RestorePoint(
            id=make_uuid(self._draw),
            machine=held.protected.machine,
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
            usn=self.next_usn(),
        )
        held.archives.append(point.id)
        self._listing.put(point.id, point)

    def _retain(self, midnight: Retention) -> None:
        new_generation = midnight.day.toordinal() % GENERATION_DAYS == 0
        for held in self._held:
            policy = held.protected.policy
            keep = max(policy.snapshots_to_keep, SNAPSHOTS_ALWAYS_KEPT)
            snapshots = self._living(held.snapshots)
            for point in snapshots[:-keep]:
                self._listing.remove(point.id)
            held.snapshots = [point.id for point in snapshots[-keep:]]
            if new_generation and policy.immutable_days:
                self._extend_immutability(held, midnight.day)
            self._fold(held, midnight)
            self._retain_archives(held, midnight.day)

    def _fold(self, held: _Held, midnight: Retention) -> None:
        oldest_kept = self._days_before(midnight.day, held.protected.policy.backup_days)
        chain = self._living(held.chain)
        folded = 0
        while folded + 1 < len(chain) and chain[folded].point_in_time < oldest_kept:
            full, increment = chain[folded], chain[folded + 1]
            if full.immutable_until is not None and full.immutable_until > midnight.due:
                break
            self._listing.remove(full.id)
            chain[folded + 1] = replace(
                increment,
                restore_point_type="Full",
                backup_size_bytes=full.backup_size_bytes + increment.backup_size_bytes // 7,
                usn=self.next_usn(),
            )
            folded += 1
        if folded:
            self._listing.put(chain[folded].id, chain[folded])
            held.chain_changed = True
        held.chain = [point.id for point in chain[folded:]]

    def _retain_archives(self, held: _Held, day: date) -> None:
        if not held.archives:
            return
        limits = self._archive_limits(held.protected.policy, day)
        kept = []
        for point in self._living(held.archives):
            if any(point.point_in_time >= limits[flag] for flag in point.gfs_flags.split(", ")):
                kept.append(point.id)
            else:
                self._listing.remove(point.id)
        held.archives = kept

    def _extend_immutability(self, held: _Held, day: date) -> None:
        """Move the whole generation ahead, but no point past the night in which retention wants it."""
        policy = held.protected.policy
        until = self._immutable_until(policy, day)
        for point in self._living(held.chain):
            expiry = point.point_in_time + timedelta(days=policy.backup_days)
            if until is not None and point.immutable_until != until and until <= expiry:
                self._listing.put(point.id, replace(point, immutable_until=until, usn=self.next_usn()))

    def _settle_chains(self) -> None:
        """Tell every point of a changed chain the chain's size; it moves by itself, so `usn` stays."""
        for held in self._held:
            if held.chain_changed:
                chain = self._living(held.chain)
                size = sum(point.backup_size_bytes for point in chain)
                for point in chain:
                    self._listing.put(point.id, replace(point, latest_chain_size_bytes=size))
                held.chain_changed = False

    def _make_earlier_archives(self) -> None:
        """Make the archives that an appliance in long use would still hold when the history begins."""
        years = max((policy.archive_years for policy in self._policies), default=0)
        day = month_before(self._first_day, 12 * years)
        day += timedelta(days=7 - day.isoweekday())
        while day < self._first_day:
            for policy in self._policies:
                flags = archive_flags(policy, day)
                if flags:
                    self._make_earlier_archive(policy, day, flags)
            day += timedelta(days=7)

    def _make_earlier_archive(self, policy: Policy, day: date, flags: str) -> None:
        started = local_instant(day, policy.backup_hour, self._zone)
        limits = self._archive_limits(policy, self._first_day)
        if all(started < limits[flag] for flag in flags.split(", ")):
            return
        session = self.new_session()
        for held in self._held:
            if held.protected.policy is policy and held.protected.since == 0:
                self._archive(held, started, session, flags)

    def _archive_limits(self, policy: Policy, day: date) -> dict[str, datetime]:
        """Return for each flag the oldest moment that retention on `day` keeps."""
        return {
            "Weekly": self._days_before(day, 7 * policy.archive_weeks),
            "Monthly": local_instant(month_before(day, policy.archive_months), 0, self._zone),
            "Yearly": local_instant(month_before(day, 12 * policy.archive_years), 0, self._zone),
        }

    def _living(self, ids: list[str]) -> list[RestorePoint]:
        """Return the points that are still there: some may have been deleted by hand."""
        found = (self._listing.get(point_id) for point_id in ids)
        return [point for point in found if isinstance(point, RestorePoint)]

    def _days_before(self, day: date, days: int) -> datetime:
        return local_instant(day - timedelta(days=days), 0, self._zone)

    def _immutable_until(self, policy: Policy, day: date) -> datetime | None:
        if not policy.immutable_days:
            return None
        generation_ends = day.toordinal() // GENERATION_DAYS * GENERATION_DAYS + GENERATION_DAYS
        return local_instant(date.fromordinal(generation_ends + policy.immutable_days), 0, self._zone)

    def _used_bytes(self, held: _Held, moment: datetime) -> float:
        days = (moment.astimezone(self._zone).date() - self._first_day).days
        used = held.protected.used_share * (1 + held.protected.growth_per_day) ** days
        return held.protected.machine.disk_bytes * min(used, 0.95)

    def _moment(self, held: _Held, started: datetime) -> datetime:
        """Return when the machine's turn comes in a job: the same for snapshot, backup and archive of one hour."""
        turn = blake2b(f"{self._vbr_id} {held.number} {started.isoformat()}".encode(), digest_size=4)
        return started + JOB_TAKES * (0.6 * int.from_bytes(turn.digest()) / 2**32)
