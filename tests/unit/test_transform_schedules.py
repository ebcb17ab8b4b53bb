"""What policies promise: schedules of every shape as one line, as runs a day and as days of retention."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.transform.schedules import MAX_DAYS, Schedule, read_schedule

ALL_MONTHS = [
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
]


def keep(duration: Any, unit: Any = "Days") -> dict[str, Any]:
    return {"retention": {"timeRetentionDuration": duration, "retentionDurationType": unit}}


def daily(snapshots: Any = None, backups: Any = None, **changes: Any) -> dict[str, Any]:
    part = {"dailyType": "Everyday", "snapshotSchedule": snapshots, "backupSchedule": backups}
    return {"dailySchedule": part | changes}


def weekly(days: Any, hour: Any = 22, kind: str = "backupSchedule", **part: Any) -> dict[str, Any]:
    return {"weeklySchedule": {"startTime": hour, kind: {"selectedDays": days} | part}}


def snapshots(*hours: Any, count: Any = 14) -> dict[str, Any]:
    return {"hours": list(hours), "snapshotsToKeep": count}


def backups(*hours: Any, days: Any = 30, unit: Any = "Days") -> dict[str, Any]:
    return {"hours": list(hours), **keep(days, unit)}


MONTHLY = {
    "monthlySchedule": {
        "startTime": 5,
        "type": "First",
        "dayOfWeek": "Sunday",
        "backupSchedule": {"selectedMonths": ALL_MONTHS, **keep(12, "Months")},
    }
}
YEARLY = {
    "yearlySchedule": {
        "startTime": 5,
        "month": "December",
        "type": "Last",
        "dayOfWeek": "Friday",
        "retentionYearsCount": 3,
    }
}


def sla(snapshot: Any = None, backup: Any = None) -> dict[str, Any]:
    return {"slaTemplate": {"name": "Gold", "slaConfiguration": {"snapshot": snapshot, "backup": backup}}}


def every(number: Any, unit: Any, store: Any, store_unit: Any, enabled: Any = True) -> dict[str, Any]:
    names = ("scheduleEnabled", "createEvery", "createUnit", "storeFor", "storeForUnit")
    return dict(zip(names, (enabled, number, unit, store, store_unit), strict=True))


def promise(text: str | None, snapshot_rate: float | None, backup_rate: float | None, **more: int) -> Schedule:
    return Schedule(text, snapshot_rate, backup_rate, **more)


CASES: dict[str, tuple[str, dict[str, Any], Schedule]] = {
    "every day, snapshots twice and a backup": (
        "vm",
        daily(snapshots(22, 6), backups(22)),
        promise(
            "Daily at 06:00 and 22:00 (snapshots, 14 kept), at 22:00 (backups, kept 30 days)",
            *(2, 1),
            snapshots_to_keep=14,
            backup_retention_days=30,
        ),
    ),
    "snapshots alone": (
        "file_share",
        daily(snapshots(0, 8, 16, count=1)),
        promise("Daily at 00:00, 08:00 and 16:00 (snapshots, 1 kept)", 3, 0, snapshots_to_keep=1),
    ),
    "backups alone": (
        "sql",
        daily(None, backups(1, days=1, unit="Months")),
        promise("Daily at 01:00 (backups, kept 1 month)", 0, 1, backup_retention_days=30),
    ),
    "several snapshots an hour, of which one becomes a backup": (
        "vm",
        daily(snapshots(*range(24)), backups(3, 15), runsPerHour=4),
        promise(
            "Daily every hour, 4 times an hour (snapshots, 14 kept), at 03:00 and 15:00 (backups, kept 30 days)",
            *(96, 2),
            snapshots_to_keep=14,
            backup_retention_days=30,
        ),
    ),
    "several backups an hour": (
        "sql",
        daily(None, backups(3), runsPerHour=2),
        promise("Daily at 03:00, 2 times an hour (backups, kept 30 days)", 0, 2, backup_retention_days=30),
    ),
    "more runs an hour than there can be": (
        "vm",
        daily(snapshots(3), runsPerHour=61),
        promise("Daily at 03:00 (snapshots, 14 kept)", None, 0, snapshots_to_keep=14),
    ),
    "an hour said twice": (
        "vm",
        daily(snapshots(3, 3)),
        promise("Daily at 03:00 (snapshots, 14 kept)", 1, 0, snapshots_to_keep=14),
    ),
    "on weekdays": (
        "vm",
        daily(None, backups(22), dailyType="WeekDays"),
        promise("On weekdays at 22:00 (backups, kept 30 days)", 0, 5 / 7, backup_retention_days=30),
    ),
    "on selected days": (
        "vm",
        daily(None, backups(4, 22), dailyType="SelectedDays", selectedDays=["Friday", "Monday", "Monday"]),
        promise("On Monday and Friday at 04:00 and 22:00 (backups, kept 30 days)", 0, 4 / 7, backup_retention_days=30),
    ),
    "selected days count only if they are asked for": (
        "vm",
        daily(None, backups(22), selectedDays=["Monday"]),
        promise("Daily at 22:00 (backups, kept 30 days)", 0, 1, backup_retention_days=30),
    ),
    "days of an unknown kind": (
        "vm",
        daily(None, backups(22), dailyType="Workdays", selectedDays=["Monday"]),
        promise("Daily at 22:00 (backups, kept 30 days)", 0, None, backup_retention_days=30),
    ),
    "a day that is none": (
        "vm",
        daily(None, backups(22), dailyType="SelectedDays", selectedDays=["Monday", "Holiday"]),
        promise("Daily at 22:00 (backups, kept 30 days)", 0, None, backup_retention_days=30),
    ),
    "hours that are none": (
        "vm",
        daily(snapshots(24), backups(True, days=5)),
        promise(None, None, None, snapshots_to_keep=14, backup_retention_days=5),
    ),
    "no hours": ("vm", daily(snapshots(count=2)), promise(None, 0, 0, snapshots_to_keep=2)),
    "none to keep": ("vm", daily(snapshots(3, count=0)), promise("Daily at 03:00 (snapshots)", 1, 0)),
    "no schedule": ("vm", {"dailySchedule": None, "weeklySchedule": None}, promise(None, 0, 0)),
    "no field of a schedule": ("vm", {"name": "p"}, Schedule()),
    "a schedule of another type": ("vm", {"dailySchedule": [1]}, Schedule()),
    "once a week": (
        "vm",
        weekly(["Sunday"], **keep(8, "Weeks")),
        promise("Weekly on Sunday at 22:00 (backups, kept 8 weeks)", 0, 1 / 7, backup_retention_days=56),
    ),
    "a week's snapshots": (
        "vm",
        weekly(["Sunday", "Wednesday"], 0, "snapshotSchedule", snapshotsToKeep=4),
        promise("Weekly on Wednesday and Sunday at 00:00 (snapshots, 4 kept)", 2 / 7, 0),
    ),
    "a week's hour that is none": (
        "vm",
        weekly(["Sunday"], None),
        promise("Weekly on Sunday (backups)", 0, None),
    ),
    "a week's run in an hour of the day's": (
        "vm",
        daily(None, backups(22)) | weekly(["Sunday"], **keep(2, "Years")),
        promise(
            "Daily at 22:00 (backups, kept 30 days) · Weekly on Sunday at 22:00 (backups, kept 2 years)",
            *(0, 1),
            backup_retention_days=730,
        ),
    ),
    "a week's run in another hour": (
        "vm",
        daily(None, backups(22)) | weekly(["Sunday"], 21, **keep(1)),
        promise(
            "Daily at 22:00 (backups, kept 30 days) · Weekly on Sunday at 21:00 (backups, kept 1 day)",
            *(0, 8 / 7),
            backup_retention_days=30,
        ),
    ),
    "once a month": (
        "vm",
        MONTHLY,
        promise("Monthly on the first Sunday at 05:00 (backups, kept 12 months)", 0, None, backup_retention_days=360),
    ),
    "once a month's snapshots": (
        "vm",
        {
            "monthlySchedule": {
                "startTime": 5,
                "type": "SelectedDay",
                "dayOfMonth": 15,
                "snapshotSchedule": {"selectedMonths": ["July", "January"], "snapshotsToKeep": 2},
            }
        },
        promise("Monthly on day 15 in January and July at 05:00 (snapshots, 2 kept)", None, 0),
    ),
    "on a month's last day": (
        "vm",
        {"monthlySchedule": {"type": "SelectedDay", "monthlyLastDay": True, "backupSchedule": keep(1, "Years")}},
        promise("Monthly on the last day (backups, kept 1 year)", 0, None, backup_retention_days=365),
    ),
    "once a year": (
        "vm",
        YEARLY,
        promise(
            "Yearly on the last Friday in December at 05:00 (backups, kept 3 years)",
            *(0, None),
            backup_retention_days=1095,
        ),
    ),
    "a year of which little is known": (
        "vm",
        {"yearlySchedule": {"type": "x"}},
        promise("Yearly (backups)", 0, None),
    ),
    "all four": (
        "vm",
        daily(None, backups(5)) | MONTHLY | YEARLY,
        promise(
            "Daily at 05:00 (backups, kept 30 days) · Monthly on the first Sunday at 05:00 (backups, kept 12 months)"
            " · Yearly on the last Friday in December at 05:00 (backups, kept 3 years)",
            *(0, 1),
            backup_retention_days=1095,
        ),
    ),
    "with archives": (
        "vm",
        daily(None, backups(5)) | MONTHLY | {"isArchiveBackupConfigured": True},
        promise(
            "Daily at 05:00 (backups, kept 30 days) · Monthly on the first Sunday at 05:00 (backups, kept 12 months)",
            *(0, 1),
            backup_retention_days=30,
            archive_retention_days=360,
        ),
    ),
    "archives of years": (
        "vm",
        daily(None, backups(5)) | MONTHLY | YEARLY | {"isArchiveBackupConfigured": True},
        promise(
            "Daily at 05:00 (backups, kept 30 days) · Monthly on the first Sunday at 05:00 (backups, kept 12 months)"
            " · Yearly on the last Friday in December at 05:00 (backups, kept 3 years)",
            *(0, 1),
            backup_retention_days=30,
            archive_retention_days=1095,
        ),
    ),
    "a retention of an unknown unit": (
        "vm",
        daily(None, backups(5, unit="Decades")),
        promise("Daily at 05:00 (backups)", 0, 1),
    ),
    "a retention for ever": (
        "vm",
        daily(None, backups(5, days=MAX_DAYS + 1)),
        promise("Daily at 05:00 (backups)", 0, 1),
    ),
    "a retention of too many years": (
        "vm",
        daily(None, backups(5, days=10_001, unit="Years")),
        promise("Daily at 05:00 (backups, kept 10001 years)", 0, 1),
    ),
    "a retention of none": ("vm", daily(None, backups(5, days=0)), promise("Daily at 05:00 (backups)", 0, 1)),
    "a retention that is yes": ("vm", daily(None, backups(5, days=True)), promise("Daily at 05:00 (backups)", 0, 1)),
    "Cosmos DB, continuous": (
        "cosmos_db",
        daily(None, backups(5)) | {"continuousBackupType": "Continuous7Days"},
        promise(
            "Daily at 05:00 (backups, kept 30 days) · Continuous (kept 7 days)",
            *(0, 1),
            backup_retention_days=30,
        ),
    ),
    "Cosmos DB, continuous alone": (
        "cosmos_db",
        {"continuousBackupType": "Continuous30Days"},
        Schedule("Continuous (kept 30 days)"),
    ),
    "Cosmos DB, not continuous": ("cosmos_db", {"continuousBackupType": "None"}, Schedule()),
    "networks every four hours": (
        "vnet",
        {"backupIntervalMinutes": None, "backupIntervalHours": 4, "retentionPeriodDays": 20, "retentionPeriodWeeks": 2},
        promise("Every 4 hours (backups, kept 20 days)", 0, 6, backup_retention_days=20),
    ),
    "networks every half an hour": (
        "vnet",
        {"backupIntervalMinutes": 30, "retentionPeriodDays": 1, "retentionPeriodWeeks": 2},
        promise("Every 30 minutes (backups, kept 14 days)", 0, 48, backup_retention_days=14),
    ),
    "networks every hour and a half": (
        "vnet",
        {"backupIntervalMinutes": 30, "backupIntervalHours": 1, "retentionPeriodMonths": 2},
        promise("Every 90 minutes (backups, kept 60 days)", 0, 16, backup_retention_days=60),
    ),
    "networks, nobody knows how often": (
        "vnet",
        {"backupIntervalHours": 0, "retentionPeriodDays": 3},
        Schedule(backup_retention_days=3),
    ),
    "by a template": (
        "vm",
        sla(
            {"daily": every(4, "Hour", 7, "Day"), "weekly": every(1, "Week", 2, "Month")},
            {"daily": every(1, "Day", 30, "Day"), "archive": every(1, "Month", 1, "Year")},
        ),
        promise(
            "Every 4 hours (snapshots, kept 7 days) · Every week (snapshots, kept 2 months)"
            " · Every day (backups, kept 30 days) · Every month (archives, kept 1 year)",
            *(6, 1),
            snapshot_retention_days=60,
            backup_retention_days=30,
            archive_retention_days=365,
        ),
    ),
    "by a template, in part switched off": (
        "vm",
        sla(
            {"daily": every(4, "Hour", 7, "Day", enabled=False), "weekly": every(2, "Weeks", 4, "Weeks")},
            {"daily": every(1, "Day", 30, "Day", enabled=False), "archive": every(1, "Month", 1, "Year", False)},
        ),
        promise("Every 2 weeks (snapshots, kept 4 weeks)", 1 / 14, 0, snapshot_retention_days=28),
    ),
    "by a template, months alone": (
        "vm",
        sla(None, {"monthly": every(1, "Month", 6, "Month")}),
        promise("Every month (backups, kept 6 months)", 0, None, backup_retention_days=180),
    ),
    "by a template, every minute of an unknown unit": (
        "vm",
        sla({"daily": every(5, "Fortnight", 7, "Day"), "weekly": every(1, "Week", 5, "Day")}, [1]),
        promise("Every week (snapshots, kept 5 days)", None, None, snapshot_retention_days=7),
    ),
    "by a template that keeps for minutes": (
        "vm",
        sla({"daily": every(90, "Minute", 600, "Minute")}),
        promise("Every 90 minutes (snapshots, kept 600 minutes)", 16, 0),
    ),
    "by a template that is not known": (
        "vm",
        {"slaPolicyTemplateId": "t-1", "dailySchedule": None},
        Schedule(),
    ),
    "by a template that says nothing": ("vm", {"slaTemplate": {"name": "Gold"}}, Schedule()),
}


@pytest.mark.parametrize(("workload", "item", "expected"), CASES.values(), ids=CASES)
def test_a_policy_promises(workload: str, item: dict[str, Any], expected: Schedule) -> None:
    assert read_schedule(item, workload) == expected


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-1, 70)
    | st.floats()
    | st.text(max_size=3)
    # words that the readers know, in places where they may be wrong
    | st.sampled_from(["Everyday", "SelectedDays", "Sunday", "First", "December", "Days", "Day", "Continuous7Days"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=6,
)


def disturbed(value: Any) -> st.SearchStrategy[Any]:
    """The value, or anything in its place, or the same of its parts."""
    if isinstance(value, dict):
        parts = st.fixed_dictionaries({}, optional={name: disturbed(part) for name, part in value.items()})
        return st.one_of(parts, parts, parts, anything)
    if isinstance(value, list):
        return st.just(value) | st.lists(st.sampled_from(value) | anything, max_size=4) if value else anything
    return st.just(value) | anything


whole = {
    "vm": daily(snapshots(6, 22), backups(22), runsPerHour=2, selectedDays=["Monday"])
    | weekly(["Sunday"], **keep(1))
    | MONTHLY
    | YEARLY
    | {"isArchiveBackupConfigured": True, "continuousBackupType": "Continuous7Days"},
    "vnet": {
        **dict.fromkeys(["backupIntervalMinutes", "backupIntervalHours"], 30),
        **dict.fromkeys(["retentionPeriodDays", "retentionPeriodWeeks", "retentionPeriodMonths"], 2),
    },
    "sla": sla({"daily": every(4, "Hour", 7, "Day")}, {"archive": every(1, "Month", 1, "Year")}),
}


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([*whole]).flatmap(lambda kind: st.tuples(st.just(kind), disturbed(whole[kind]))))
def test_whatever_a_policy_holds_is_read_without_an_error(drawn: tuple[str, Any]) -> None:
    workload, item = drawn
    schedule = read_schedule(item if isinstance(item, dict) else {"dailySchedule": item}, workload)
    for rate in (schedule.snapshots_per_day, schedule.backups_per_day):
        assert rate is None or 0 <= rate <= 1440
    days = (schedule.snapshot_retention_days, schedule.backup_retention_days, schedule.archive_retention_days)
    assert all(one is None or 0 < one <= MAX_DAYS for one in days)
    assert schedule.text is None or schedule.text.isprintable()
