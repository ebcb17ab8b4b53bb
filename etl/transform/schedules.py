"""Says what a policy promises: its schedule in one line, how often it runs and how long its points are kept.

Whatever the appliance sends, nothing is raised: what cannot be told is null. The text is made of known words only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

MAX_DAYS: Final = 365 * 10_000
"""A longer promise is none: it is a mistake in the policy, or means for ever."""

_DAYS = {"day": 1, "week": 7, "month": 30, "year": 365}
_MINUTES = {"minute": 1, "hour": 60} | {unit: days * 1440 for unit, days in _DAYS.items()}
_PERIODS = ("daily", "weekly", "monthly", "yearly")
_WEEK = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_YEAR = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_ORDER = ("First", "Second", "Third", "Fourth", "Last")
_CONTINUOUS = re.compile(r"Continuous([1-9][0-9]{0,3})Days")


@dataclass(frozen=True, slots=True)
class Schedule:
    """What a policy promises.

    `text`: one line in English, null if nothing is scheduled or known. Runs a day: of the daily and the weekly
    schedule, averaged over a week; 0 if none is scheduled, null if it cannot be told. `snapshots_to_keep`: the daily
    schedule's count. Retention: the longest promise of each class in days, a month being 30 and a year 365;
    snapshots that are kept by count have none.
    """

    text: str | None = None
    snapshots_per_day: float | None = None
    backups_per_day: float | None = None
    snapshots_to_keep: int | None = None
    snapshot_retention_days: int | None = None
    backup_retention_days: int | None = None
    archive_retention_days: int | None = None


def read_schedule(item: Mapping[str, Any], workload: str) -> Schedule:
    """Read a policy of a workload: its own schedules, or those of the template that stands under `slaTemplate`."""
    if "slaTemplate" in item or "slaPolicyTemplateId" in item:
        return _of_template(_object(_object(item.get("slaTemplate")).get("slaConfiguration")))
    if workload == "vnet":
        return _of_interval(item)
    return _of_periods(item)


def _of_periods(item: Mapping[str, Any]) -> Schedule:
    found = {period: item[f"{period}Schedule"] for period in _PERIODS if f"{period}Schedule" in item}
    continuous = item.get("continuousBackupType")
    days = _CONTINUOUS.fullmatch(continuous) if isinstance(continuous, str) else None
    lines = [f"Continuous (kept {_many(int(days[1]), 'day')})"] if days else []
    if not found:
        return Schedule(text=lines[0] if lines else None)
    daily, weekly, monthly, yearly = (_object(found.get(period)) for period in _PERIODS)
    lines = [*filter(None, (_daily(daily), _weekly(weekly), _monthly(monthly), _yearly(yearly))), *lines]

    kept = {period: _days_kept(_object(found.get(period)).get("backupSchedule")) for period in _PERIODS[:3]}
    kept["yearly"] = _days(yearly.get("retentionYearsCount"), "year")
    # that there are archives is said, not of which schedule: they are made of what is kept longest
    archived = _PERIODS[2:] if item.get("isArchiveBackupConfigured") is True else ()
    rarely = {
        kind: bool(_object(monthly.get(kind))) or (kind == "backupSchedule" and bool(yearly))
        for kind in ("snapshotSchedule", "backupSchedule")
    }
    told = all(value is None or isinstance(value, Mapping) for value in found.values())
    # a machine's backups are made of the hour's last snapshot, so that several runs an hour make one
    snapshots = _runs_a_day(daily, weekly, "snapshotSchedule", several=True)
    backups = _runs_a_day(daily, weekly, "backupSchedule", several=not _object(daily.get("snapshotSchedule")))
    return Schedule(
        text=" · ".join(lines) or None,
        snapshots_per_day=None if not told or (snapshots == 0 and rarely["snapshotSchedule"]) else snapshots,
        backups_per_day=None if not told or (backups == 0 and rarely["backupSchedule"]) else backups,
        snapshots_to_keep=_count(_object(daily.get("snapshotSchedule")).get("snapshotsToKeep")),
        backup_retention_days=_longest(*(days for period, days in kept.items() if period not in archived)),
        archive_retention_days=_longest(*(kept[period] for period in archived)),
    )


def _runs_a_day(daily: Mapping[str, Any], weekly: Mapping[str, Any], kind: str, *, several: bool) -> float | None:
    """Give the runs of a class, averaged over a week. A weekly run in an hour that has a daily one is the same."""
    by_day, by_week = daily.get(kind), weekly.get(kind)
    slots: set[tuple[str, int]] = set()
    weekly_slots: set[tuple[str, int]] = set()
    if by_day is not None:
        days, hours = _days_of(daily), _hours(_object(by_day).get("hours"))
        if days is None or hours is None:
            return None
        slots = {(day, hour) for day in days for hour in hours}
    if by_week is not None:
        days, hours = _names(_object(by_week).get("selectedDays"), _WEEK), _hours([weekly.get("startTime")])
        if days is None or hours is None:
            return None
        weekly_slots = {(day, hour) for day in days for hour in hours}
    an_hour = _runs_an_hour(daily) if several and slots else 1
    return None if an_hour is None else (len(slots) * an_hour + len(weekly_slots - slots)) / len(_WEEK)


def _daily(daily: Mapping[str, Any]) -> str | None:
    days = _days_of(daily)
    when = "Daily" if days is None or len(days) == len(_WEEK) else f"On {_and(days)}"
    if days == list(_WEEK[:5]):
        when = "On weekdays"
    said: list[str] = []
    for kind, word in (("snapshotSchedule", "snapshots"), ("backupSchedule", "backups")):
        part = _object(daily.get(kind))
        if hours := _hours(part.get("hours")):
            at = "every hour" if len(hours) == 24 else f"at {_and([f'{hour:02d}:00' for hour in hours])}"
            an_hour = (_runs_an_hour(daily) or 1) if not said else 1
            often = f", {an_hour} times an hour" if an_hour > 1 else ""
            said.append(f"{at}{often} {_kept(word, part)}")
    return f"{when} {', '.join(said)}" if said else None


def _weekly(weekly: Mapping[str, Any]) -> str | None:
    said = []
    for kind, word in (("snapshotSchedule", "snapshots"), ("backupSchedule", "backups")):
        part = _object(weekly.get(kind))
        if days := _names(part.get("selectedDays"), _WEEK):
            said.append(f"on {_and(days)}{_at(weekly)} {_kept(word, part)}")
    return f"Weekly {', '.join(said)}" if said else None


def _monthly(monthly: Mapping[str, Any]) -> str | None:
    said = []
    for kind, word in (("snapshotSchedule", "snapshots"), ("backupSchedule", "backups")):
        part = _object(monthly.get(kind))
        if part:
            months = _names(part.get("selectedMonths"), _YEAR)
            during = f" in {_and(months)}" if months and len(months) < len(_YEAR) else ""
            said.append(f"{_which_day(monthly)}{during}{_at(monthly)} {_kept(word, part)}".strip())
    return f"Monthly {', '.join(said)}" if said else None


def _yearly(yearly: Mapping[str, Any]) -> str | None:
    if not yearly:
        return None
    month = _name(yearly.get("month"), _YEAR)
    during = f" in {month}" if month else ""
    made = _made("backups", _count(yearly.get("retentionYearsCount")), "year")
    return f"Yearly {f'{_which_day(yearly)}{during}{_at(yearly)}'.strip()} {made}".replace("  ", " ")


def _which_day(part: Mapping[str, Any]) -> str:
    weekday, day = _name(part.get("dayOfWeek"), _WEEK), _count(part.get("dayOfMonth"))
    order = _name(part.get("type"), _ORDER)
    if order and weekday:
        return f"on the {order.lower()} {weekday}"
    if part.get("monthlyLastDay") is True:
        return "on the last day"
    return f"on day {day}" if day and day <= 31 and not order else ""


def _of_interval(item: Mapping[str, Any]) -> Schedule:
    minutes = (_count(item.get("backupIntervalMinutes")) or 0) + 60 * (_count(item.get("backupIntervalHours")) or 0)
    promises = {unit: _count(item.get(f"retentionPeriod{unit.title()}s")) for unit in ("day", "week", "month")}
    kept = _longest(*(_days(number, unit) for unit, number in promises.items()))
    if not minutes:
        return Schedule(backup_retention_days=kept)
    every = _every(minutes // 60, "hour") if minutes % 60 == 0 else _every(minutes, "minute")
    return Schedule(
        text=f"{every} {_made('backups', kept, 'day')}",
        snapshots_per_day=0.0,
        backups_per_day=1440 / minutes,
        backup_retention_days=kept,
    )


def _of_template(configuration: Mapping[str, Any]) -> Schedule:
    if not configuration:
        return Schedule()
    lines: list[str] = []
    rates: dict[str, float | None] = {}
    kept: dict[str, int | None] = {}
    for name in ("snapshot", "backup"):
        part = _object(configuration.get(name))
        periods = [_object(part.get(period)) for period in _PERIODS]
        lines += [line for period in periods if (line := _template_line(period, f"{name}s"))]
        kept[name] = _longest(*(_stored_for(period) for period in periods if _enabled(period)))
        rates[name] = _template_rate(periods)
        told = isinstance(configuration.get(name), Mapping) or configuration.get(name) is None
        rates[name] = rates[name] if told else None
    archive = _object(_object(configuration.get("backup")).get("archive"))
    if line := _template_line(archive, "archives"):
        lines.append(line)
    return Schedule(
        text=" · ".join(lines) or None,
        snapshots_per_day=rates["snapshot"],
        backups_per_day=rates["backup"],
        snapshot_retention_days=kept["snapshot"],
        backup_retention_days=kept["backup"],
        archive_retention_days=_stored_for(archive) if _enabled(archive) else None,
    )


def _template_rate(periods: Sequence[Mapping[str, Any]]) -> float | None:
    """Give the most frequent of the daily and the weekly promise: a week's point may well be one of the days'."""
    enabled = [_enabled(period) for period in periods]
    if not any(enabled):
        return 0.0
    rates = []
    for period in [period for period, on in zip(periods[:2], enabled[:2], strict=True) if on]:
        every, unit = _count(period.get("createEvery")), _unit(period.get("createUnit"), _MINUTES)
        if not every or not unit:
            return None
        rates.append(1440 / (every * _MINUTES[unit]))
    return max(rates, default=None)


def _template_line(period: Mapping[str, Any], word: str) -> str | None:
    every, unit = _count(period.get("createEvery")), _unit(period.get("createUnit"), _MINUTES)
    if not _enabled(period) or not every or not unit:
        return None
    number, stored = _count(period.get("storeFor")), _unit(period.get("storeForUnit"), _MINUTES)
    return f"{_every(every, unit)} {_made(word, number, stored)}"


def _stored_for(period: Mapping[str, Any]) -> int | None:
    return _days(period.get("storeFor"), _unit(period.get("storeForUnit"), _DAYS))


def _enabled(period: Mapping[str, Any]) -> bool:
    return bool(period) and period.get("scheduleEnabled") is not False


def _kept(word: str, part: Mapping[str, Any]) -> str:
    """Say what a schedule makes, and how many of it or how long it is kept."""
    if number := _count(part.get("snapshotsToKeep")):
        return f"({word}, {number} kept)"
    retention = _object(part.get("retention"))
    unit = _unit(retention.get("retentionDurationType"), _DAYS)
    return _made(word, _count(retention.get("timeRetentionDuration")), unit)


def _made(word: str, number: int | None, unit: str | None) -> str:
    return f"({word}, kept {_many(number, unit)})" if number and unit else f"({word})"


def _days_kept(part: Any) -> int | None:
    retention = _object(_object(part).get("retention"))
    return _days(retention.get("timeRetentionDuration"), _unit(retention.get("retentionDurationType"), _DAYS))


def _days_of(daily: Mapping[str, Any]) -> list[str] | None:
    kind = daily.get("dailyType")
    if kind == "Everyday":
        return list(_WEEK)
    if kind == "WeekDays":
        return list(_WEEK[:5])
    return _names(daily.get("selectedDays"), _WEEK) if kind == "SelectedDays" else None


def _runs_an_hour(daily: Mapping[str, Any]) -> int | None:
    said = daily.get("runsPerHour")
    number = 1 if said is None else _count(said)
    return number if number and number <= 60 else None


def _hours(value: Any) -> list[int] | None:
    if not isinstance(value, list) or not all(type(hour) is int and 0 <= hour <= 23 for hour in value):
        return None
    return sorted(set(value))


def _at(part: Mapping[str, Any]) -> str:
    hours = _hours([part.get("startTime")])
    return f" at {hours[0]:02d}:00" if hours else ""


def _names(value: Any, known: Sequence[str]) -> list[str] | None:
    """Give names in the calendar's order, each once; null if one is unknown."""
    if not isinstance(value, list) or not all(_name(one, known) for one in value):
        return None
    return [name for name in known if name in value]


def _name(value: Any, known: Sequence[str]) -> str | None:
    return value if isinstance(value, str) and value in known else None


def _unit(value: Any, known: Mapping[str, int]) -> str | None:
    """Give the unit as one of a kind, in lower case: templates say `Day`, schedules `Days`."""
    unit = value.lower().removesuffix("s") if isinstance(value, str) else None
    return unit if unit in known else None


def _days(number: Any, unit: str | None) -> int | None:
    count = _count(number)
    return count * _DAYS[unit] if count and unit and count * _DAYS[unit] <= MAX_DAYS else None


def _count(value: Any) -> int | None:
    return value if type(value) is int and 0 < value <= MAX_DAYS else None


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _longest(*days: int | None) -> int | None:
    return max((one for one in days if one is not None), default=None)


def _every(number: int, unit: str) -> str:
    return f"Every {unit}" if number == 1 else f"Every {number} {unit}s"


def _many(number: int, unit: str) -> str:
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"


def _and(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))
