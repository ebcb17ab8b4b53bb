"""How an estate comes about: jobs make restore points, retention at local midnight takes them away.

Backups of a machine form one forever-forward chain: retention folds the oldest increment into the full, so the
full's point goes and the increment's point turns from `Incremental` to `Full` with another size. Inferred from
the vendor's description of the chain, as are generations of immutability and the sizes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from etl.simulator.chance import Chance
from etl.simulator.fleet import Policy, Protected
from etl.simulator.listing import Listing
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

SNAPSHOTS_ALWAYS_KEPT = 2
GENERATION_DAYS = 10
MISSED = 0.01
MANUAL = 0.01
GROWING_SINCE = datetime(2020, 1, 1, tzinfo=UTC)
FIRST_SESSION = datetime(2000, 1, 1, tzinfo=UTC)
SESSIONS_BY_HAND = 90_000_000


@dataclass(slots=True)
class _Held:
    """The ids of what one machine has, oldest first; archives with the day of their end."""

    protected: Protected
    number: int
    snapshots: list[str] = field(default_factory=list)
    chain: list[str] = field(default_factory=list)
    archives: list[tuple[date, str]] = field(default_factory=list)
    chain_changed: bool = False


class History:
    """Makes time pass in a listing; the same seed and the same span give the same points, in any steps."""

    def __init__(
        self, listing: Listing, fleet: Iterable[Protected], zone: ZoneInfo, start: datetime, chance: Chance
    ) -> None:
        self._listing = listing
        self._zone = zone
        self._first_day = start.astimezone(zone).date()
        self._chance = chance
        self._held = [_Held(protected, number) for number, protected in enumerate(fleet)]
        self._policies = list(dict.fromkeys(held.protected.policy for held in self._held))
        self._vbr_id = chance.uuid("vbr")
        self._made_by_hand = 0
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

    def by_hand(self) -> tuple[str, Session]:
        """Return an id for a point made by hand and a session of its own."""
        self._made_by_hand += 1
        number = SESSIONS_BY_HAND + self._made_by_hand
        return self._chance.uuid("by hand", number), Session(number, self._chance.uuid("session", number))

    def _session(self, started: datetime, slot: int) -> Session:
        """Return the session of a job; numbers grow with time, `slot` (below 100) tells those of one hour apart."""
        number = (started - FIRST_SESSION) // timedelta(hours=1) * 100 + slot
        return Session(number, self._chance.uuid("session", number))

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
        slot = self._policies.index(job.policy) * 3
        session = self._session(job.started, slot + (job.makes == "AzureBlob"))
        archive_session = self._session(job.started, slot + 2)
        for held in members:
            if self._chance.share("missed", job.makes, held.number, job.started) < MISSED:
                continue
            if job.makes == "Snapshot":
                held.snapshots.append(self._snapshot(held, job.started, session, "Snapshot"))
                if self._chance.share("manual", held.number, job.started) < MANUAL:
                    asked_for = self._session(job.started, 10 + held.number % 90)
                    self._snapshot(held, job.started + JOB_TAKES / 3, asked_for, "ManualSnapshot")
            else:
                self._back_up(held, job, session)
                if job.flags:
                    self._archive(held, job.day, job.started, archive_session, job.flags)

    def _snapshot(self, held: _Held, started: datetime, session: Session, destination: str) -> str:
        point = RestorePoint(
            id=self._chance.uuid(destination, held.number, started),
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
        goes_on = any(self._listing.get(point_id) is not None for point_id in held.chain)
        size = self._full_bytes(held, job.started)
        if goes_on:
            size = int(size * self._chance.between(0.008, 0.05, "increment", held.number, job.started))
        point = RestorePoint(
            id=self._chance.uuid("AzureBlob", held.number, job.started),
            machine=held.protected.machine,
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
            usn=self.next_usn(),
        )
        held.chain.append(point.id)
        held.chain_changed = True
        self._listing.put(point.id, point)

    def _archive(self, held: _Held, day: date, started: datetime, session: Session, flags: str) -> None:
        size = int(self._full_bytes(held, started) * 0.9)
        point = RestorePoint(
            id=self._chance.uuid("archive", held.number, started),
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
        held.archives.append((archive_expiry(held.protected.policy, day, flags), point.id))
        self._listing.put(point.id, point)

    def _retain(self, midnight: Retention) -> None:
        new_generation = midnight.day.toordinal() % GENERATION_DAYS == 0
        for held in self._held:
            policy = held.protected.policy
            keep = max(policy.snapshots_to_keep, SNAPSHOTS_ALWAYS_KEPT)
            if len(held.snapshots) > keep:
                snapshots = self._living(held.snapshots)
                for point in snapshots[:-keep]:
                    self._listing.remove(point.id)
                held.snapshots = [point.id for point in snapshots[-keep:]]
            if new_generation and policy.immutable_days:
                self._extend_immutability(held, midnight.day)
            self._fold(held, midnight)
            self._retain_archives(held, midnight.day)

    def _fold(self, held: _Held, midnight: Retention) -> None:
        backup_days = held.protected.policy.backup_days
        oldest_kept = local_instant(midnight.day - timedelta(days=backup_days), 0, self._zone)
        first = self._living(held.chain[:1])
        if first and first[0].point_in_time >= oldest_kept:
            return
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
                backup_size_bytes=self._full_bytes(held, increment.point_in_time),
                usn=self.next_usn(),
            )
            folded += 1
        if folded:
            self._listing.put(chain[folded].id, chain[folded])
            held.chain_changed = True
        held.chain = [point.id for point in chain[folded:]]

    def _retain_archives(self, held: _Held, day: date) -> None:
        if any(expiry <= day for expiry, _ in held.archives):
            kept = [(expiry, archive) for expiry, archive in held.archives if expiry > day]
            for point in self._living([archive for expiry, archive in held.archives if expiry <= day]):
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
        day = months_later(self._first_day, -12 * years)
        day += timedelta(days=7 - day.isoweekday())
        while day < self._first_day:
            for policy in self._policies:
                flags = archive_flags(policy, day)
                if flags:
                    self._make_earlier_archive(policy, day, flags)
            day += timedelta(days=7)

    def _make_earlier_archive(self, policy: Policy, day: date, flags: str) -> None:
        started = local_instant(day, policy.backup_hour, self._zone)
        if archive_expiry(policy, day, flags) <= self._first_day:
            return
        session = self._session(started, self._policies.index(policy) * 3 + 2)
        for held in self._held:
            if held.protected.policy is policy and held.protected.since == 0:
                self._archive(held, day, started, session, flags)

    def _living(self, ids: list[str]) -> list[RestorePoint]:
        """Return the points that are still there: some may have been deleted by hand."""
        found = (self._listing.get(point_id) for point_id in ids)
        return [point for point in found if isinstance(point, RestorePoint)]

    def _immutable_until(self, policy: Policy, day: date) -> datetime | None:
        if not policy.immutable_days:
            return None
        generation_ends = day.toordinal() // GENERATION_DAYS * GENERATION_DAYS + GENERATION_DAYS
        return local_instant(date.fromordinal(generation_ends + policy.immutable_days), 0, self._zone)

    def _full_bytes(self, held: _Held, moment: datetime) -> int:
        """Return what a full backup of a moment takes: compressed, growing from day to day."""
        days = (moment - GROWING_SINCE) / timedelta(days=1)
        used = held.protected.used_share * (1 + held.protected.growth_per_day * days)
        return int(held.protected.machine.disk_bytes * min(used, 0.95) * 0.6)

    def _moment(self, held: _Held, started: datetime) -> datetime:
        """Return when the machine's turn comes in a job: the same for snapshot, backup and archive of one hour."""
        return started + JOB_TAKES * self._chance.between(0, 0.6, "turn", held.number, started)
