"""Thirty nights of two simulated appliances in one warehouse, and four questions to it in plain SQL."""

from __future__ import annotations

import asyncio
import re
import shlex
import shutil
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import select

from etl import console
from etl.extract.endpoint import Endpoint
from etl.load import schema
from etl.load.models import Appliance, Deletion
from etl.load.warehouse import Warehouse
from etl.report.queries import answer
from etl.simulator import Estate, SimulatedAppliance, simulate
from etl.sync import RunResult, Source, sync_appliance

NIGHTS = 30
INSTANT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}")
FOLDER = Path("demo")
QUESTIONS = {
    "newest_restore_points": "The newest restore point of each resource",
    "kept": "What is kept where, and how big it is",
    "changed_since_last_run": "What changed since the night before",
    "gone_and_why": "What went, and why",
}


def backups_of(estate: Estate, workload: str, count: int = 2) -> list[str]:
    """The newest backups of a workload that no rule would take away yet."""
    backups = [
        point
        for point in estate.points
        if point.workload == workload and point.backup_destination in ("AzureBlob", "ManualBackup")
    ]
    return [point.id for point in sorted(backups, key=lambda point: point.point_in_time)[-count:]]


#: Night → what happens before it, besides the appliance's own jobs and retention.
HAPPENS: dict[int, dict[str, Callable[[Estate], object]]] = {
    8: {
        "somebody deletes two backups of machines, and the session lists them": lambda estate: estate.delete_by_hand(
            *backups_of(estate, "vm")
        )
    },
    12: {
        "somebody deletes two backups of databases, and the session lists nothing": lambda estate: (
            estate.delete_by_hand(*backups_of(estate, "sql"), lists_items=False)
        )
    },
    16: {"a policy is removed": lambda estate: estate.remove_policy("Development")},
    21: {"a backup vanishes, and no session tells of it": lambda estate: estate.delete(*backups_of(estate, "vm", 1))},
}


def main() -> None:
    began = time.monotonic()
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    warehouse = Warehouse(f"sqlite:///{FOLDER.absolute()}/restorepoints.db")
    schema.upgrade(warehouse)
    first_night = datetime.now(UTC).replace(hour=3, minute=0, second=0, microsecond=0) - timedelta(days=NIGHTS)
    north = Estate.from_seed(1, machines=8, days=14, time_zone="Europe/Berlin", now=first_night)
    south = Estate.from_seed(
        2,
        machines=10,
        days=14,
        time_zone="America/New_York",
        now=first_night,
        databases=3,
        file_shares=2,
        networks=1,
        cosmos_accounts=1,
    )

    print(f"Two simulated appliances, a sync of each every night for {NIGHTS} nights:\n")
    runs: dict[str, list[RunResult]] = {"acme-north": [], "acme-south": []}
    with simulate(north, version="v3") as first, simulate(south, version="v8.1") as second:
        for night in range(NIGHTS):
            for title, happens in HAPPENS.get(night, {}).items():
                print(f"  before night {night + 1}, at acme-south: {title}")
                happens(south)
            for name, appliance in (("acme-north", first), ("acme-south", second)):
                appliance.clock.advance(days=1)
                runs[name].append(sync(name, appliance, warehouse))
    console.print_table(
        (
            "appliance",
            "API",
            "runs",
            "new in the first",
            "new since",
            "changed since",
            "gone since",
            "unchanged in the last",
            "seconds each",
        ),
        [
            (
                name,
                version,
                f"{sum(one.status == 'succeeded' for one in results)} of {len(results)} succeeded",
                results[0].inserted,
                sum(one.inserted for one in results[1:]),
                sum(one.updated for one in results[1:]),
                sum(one.deleted for one in results[1:]),
                results[-1].unchanged,
                f"{sum(one.seconds for one in results) / len(results):.2f}",
            )
            for (name, results), version in zip(runs.items(), ("v3", "v8.1"), strict=True)
        ],
    )
    for question, title in QUESTIONS.items():
        columns, rows = answer(warehouse, question)
        print(f"\n{title} (sql/{question}.sql):\n")
        console.print_table(columns, [[shown(value) for value in row] for row in rows])

    restorepoints = str(Path(sys.executable).parent / "restorepoints")
    two_weeks_ago = first_night + timedelta(days=NIGHTS - 14)
    commands = (
        ("how fresh each appliance is", "status"),
        (
            "what existed two weeks ago, and how sure that is",
            "as-of",
            f"{two_weeks_ago:%F}",
        ),
        ("the life of a restore point that is gone, and nobody knows why", "explain", gone_without_cause(warehouse)),
        ("every version of it", "history", gone_without_cause(warehouse)),
    )
    print(f"\nAll of it is in {FOLDER}/restorepoints.db, made in {time.monotonic() - began:.0f} s. Try next:")
    for explained, *arguments in commands:
        print(f"\n  {shlex.join([restorepoints, *arguments, '--warehouse', str(warehouse)])}  # {explained}")
    if any(one.status != "succeeded" for results in runs.values() for one in results):
        sys.exit(1)


def sync(name: str, appliance: SimulatedAppliance, warehouse: Warehouse) -> RunResult:
    endpoint = Endpoint(name, appliance.url, appliance.behaviour.username, appliance.behaviour.password)
    return asyncio.run(
        sync_appliance(Source(endpoint, resolve_machines=True), warehouse, now=lambda: appliance.clock.now)
    )


def gone_without_cause(warehouse: Warehouse) -> str:
    """The id of the restore point of acme-south whose end no session explains."""
    unexplained = (
        select(Deletion.restore_point_id)
        .join(Appliance, Appliance.appliance_id == Deletion.appliance_id)
        .where(Appliance.name == "acme-south", Deletion.cause == "unexplained")
    )
    with warehouse.connect() as connection:
        return connection.scalars(unexplained).one()


def shown(value: object) -> object:
    """Instants to the second: on SQLite they come as text."""
    return value[:19] if isinstance(value, str) and INSTANT.fullmatch(value) else value


if __name__ == "__main__":
    main()
