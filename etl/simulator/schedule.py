"""When an estate's jobs run: the appliance's local hours and midnights, as instants in UTC."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from etl.simulator.fleet import Policy

JOB_TAKES = timedelta(minutes=15)
"""A job's points can be seen this long after its start; each is made somewhere in between."""


@dataclass(frozen=True, slots=True)
class Retention:
    """Local midnight, when the day `day` begins: what is too old goes."""

    day: date
    due: datetime


@dataclass(frozen=True, slots=True)
class Job:
    """A policy's job; `flags` names the archives due with a backup, such as `Weekly, Monthly`."""

    policy: Policy
    makes: str
    started: datetime
    due: datetime
    day: date
    flags: str


Event = Retention | Job


def local_instant(day: date, hour: int, zone: ZoneInfo) -> datetime:
    """Return the UTC instant of a local hour; an hour that the clocks skip means the moment they jump to."""
    return datetime.combine(day, time(hour), zone).astimezone(UTC)


def archive_flags(policy: Policy, day: date) -> str:
    """Name the archives that `policy` makes on `day`, joined as the appliance joins flags (inferred)."""
    if day.isoweekday() != 7:
        return ""
    first_of_month = day.day <= 7
    flags = (
        ("Weekly", policy.archive_weeks),
        ("Monthly", policy.archive_months and first_of_month),
        ("Yearly", policy.archive_years and first_of_month and day.month == 1),
    )
    return ", ".join(flag for flag, due in flags if due)


def events(policies: Iterable[Policy], zone: ZoneInfo, after: datetime, until: datetime) -> Iterator[Event]:
    """Yield what falls due after `after` up to and including `until`, in order of time."""
    policies = list(policies)
    # A job that starts late in the evening finishes on the next day: begin a day early, end with the last one.
    day = after.astimezone(zone).date() - timedelta(days=1)
    last = until.astimezone(zone).date()
    waiting: list[Event] = []
    while day <= last:
        waiting.extend(_day(policies, zone, day))
        # The next day's midnight must not overtake a job of this evening that is still at work.
        ready_until = local_instant(day + timedelta(days=1), 0, zone)
        waiting.sort(key=lambda event: event.due)
        ready = [event for event in waiting if event.due < ready_until]
        waiting = waiting[len(ready) :]
        yield from (event for event in ready if after < event.due <= until)
        day += timedelta(days=1)
    yield from (event for event in waiting if after < event.due <= until)


def _day(policies: list[Policy], zone: ZoneInfo, day: date) -> Iterator[Event]:
    yield Retention(day, local_instant(day, 0, zone))
    for policy in policies:
        for hour in policy.snapshot_hours:
            started = local_instant(day, hour, zone)
            yield Job(policy, "Snapshot", started, started + JOB_TAKES, day, "")
        if policy.backup_hour is None:
            continue
        started = local_instant(day, policy.backup_hour, zone)
        flags = archive_flags(policy, day)
        yield Job(policy, "AzureBlob", started, started + JOB_TAKES, day, flags)


def archive_expiry(policy: Policy, day: date, flags: str) -> date:
    """Return the day at whose beginning an archive made on `day` goes: the latest that its flags promise."""
    promises = {
        "Weekly": day + timedelta(days=7 * policy.archive_weeks),
        "Monthly": months_later(day, policy.archive_months),
        "Yearly": months_later(day, 12 * policy.archive_years),
    }
    return max(promises[flag] for flag in flags.split(", "))


def months_later(day: date, months: int) -> date:
    """Return the same day `months` months later (or earlier), the 28th where that day is later in its month."""
    index = day.year * 12 + day.month - 1 + months
    return date(index // 12, index % 12 + 1, min(day.day, 28))
