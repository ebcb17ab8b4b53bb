"""What people see: progress and words on stderr, results on stdout; both survive any encoding."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from etl.catalogue import COLLECTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from etl.check import Finding
    from etl.plan import Plan
    from etl.report.appliances import NamedAppliance
    from etl.report.status import ApplianceStatus, CollectionStatus
    from etl.report.storage import StorageCounts
    from etl.sync import RunResult
    from etl.trips.trip import Progress


def prepare_streams() -> None:
    """Lets both streams write what their encoding lacks as escapes: a letter must never end a run under cron."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def say(words: str) -> None:
    """A sentence for a person."""
    print(words, file=sys.stderr, flush=True)


def print_json(value: dict[str, Any]) -> None:
    """One JSON object on one line, in ASCII, so that every log and pipe can hold it."""
    print(json.dumps(value, ensure_ascii=True, default=str), flush=True)


def print_result(result: RunResult, *, as_json: bool) -> None:
    """What one run did; on stderr, what of it a person should know besides."""
    if as_json:
        print_json({name: value for name, value in asdict(result).items() if name != "warnings"})
    else:
        print(_sentence(result), flush=True)
    for one in (*result.collections, *result.inventory):
        if one["status"] == "failed":
            error = _without_name(result.appliance, one["error"])
            say(
                f"{result.appliance}: {one['collection']} could not be read, what is known of it is left alone: {error}"
            )
        elif one["status"] == "partial":
            say(one["error"])
    for warning in result.warnings:
        say(warning)


def _without_name(appliance: str, error: str | None) -> str:
    return (error or "").removeprefix(f"{appliance}: ")  # most sentences of errors begin with it


def _sentence(result: RunResult) -> str:
    if result.status == "failed":
        return f"{result.appliance}: failed: {_without_name(result.appliance, result.error)}"
    counts = [f"{result.inserted:,} new", f"{result.updated:,} changed", f"{result.unchanged:,} unchanged"]
    for count, word in (
        (result.reappeared, "back again"),
        (result.deleted, "deleted"),
        (result.unconfirmed, "vanished but unconfirmed"),
        (result.rejected, "rejected"),
        (result.field_errors, "unreadable fields"),
    ):
        if count:
            counts.append(f"{count:,} {word}")
    causes = ""
    if result.deleted or result.explained:
        deletions = "deletion" if result.explained == 1 else "deletions"
        causes = f"; {result.explained:,} {deletions} explained, {result.unexplained:,} unexplained"
    return (
        f"{result.appliance}: {result.status}, run {result.run_number}: {result.extracted:,} restore points: "
        f"{', '.join(counts)}{causes}; {'proven' if result.snapshot_proven else 'not proven'} complete "
        f"({result.seconds:.1f} s)"
    )


def print_plan(plan: Plan, *, as_json: bool) -> None:
    """What a sync would find."""
    if as_json:
        print_json(asdict(plan))
        return
    counts = ", ".join(
        f"{getattr(plan, name):,} {name.replace('_', ' ')}"
        for name in ("new", "changed", "reappeared", "unchanged", "vanished", "rejected", "field_errors")
    )
    proven = "proven" if plan.snapshot_proven else "not proven"
    words = (
        f"{plan.extracted:,} restore points: {counts}; {proven} complete" if plan.extracted or not plan.error else ""
    )
    error = _without_name(plan.appliance, plan.error)
    print(f"{plan.appliance}: {'; but '.join(filter(None, (words, error)))}", flush=True)


def print_finding(finding: Finding) -> None:
    """What a look at one appliance found, a fact a line."""
    print(f"{finding.appliance}: {finding.url}")
    facts: list[tuple[str, object]] = [
        ("API version", finding.api_version),
        ("product", finding.product_version),
        ("role", finding.role),
        ("time zone", finding.time_zone),
        ("clock", None if finding.clock_skew_seconds is None else f"{finding.clock_skew_seconds:+.1f} s from ours"),
        *finding.identity.items(),
    ]
    for one in finding.collections + finding.inventory:
        count = "an untold number of" if one.total is None else f"{one.total:,}"
        kept = COLLECTIONS[one.collection].entity
        read = f"{count} {kept.many}, pages of {one.page_size}" if one.status == "readable" else one.status
        facts.append((one.collection, read))
    verdict = "ready to sync" if finding.error is None else _without_name(finding.appliance, finding.error)
    facts.append(("verdict", verdict))
    width = max(len(name) for name, _ in facts)
    for name, fact in facts:
        if fact is not None:
            print(f"  {name:<{width}} {fact}", flush=True)


def print_status(rows: Sequence[ApplianceStatus]) -> None:
    """One line for each appliance, then one for each collection that its newest run asked for, and what differs."""
    if not rows:
        say("no appliance has been synced into this warehouse yet; start with `restorepoints sync`")
        return
    print_table(
        (
            "appliance",
            "API",
            "restore points",
            "deleted",
            "unexplained",
            "data as of (UTC)",
            "hours behind",
            "last run",
            "error",
        ),
        [
            (
                row.appliance,
                row.api_version,
                row.restore_points,
                row.deleted,
                row.unexplained,
                row.data_as_of,
                row.hours_behind,
                row.last_run and f"{row.last_run} {row.last_status}",
                row.error,
            )
            for row in rows
        ],
    )
    collections = [
        (row.appliance, one)
        for row in rows
        for one in (*row.collections, *row.inventory)
        if one.status != "not_served" or one.present
    ]
    if collections:
        print(flush=True)
        print_table(
            ("appliance", "collection", "status", "present", "deleted", "evidence", "data as of (UTC)", "error"),
            [
                (
                    name,
                    one.collection,
                    one.status,
                    one.present,
                    one.deleted,
                    _evidence(one),
                    one.data_as_of,
                    one.error,
                )
                for name, one in collections
            ],
        )
    for row in rows:
        if row.storage_counts is not None:
            for sentence in _differences(row.appliance, row.storage_counts):
                say(sentence)


def _evidence(one: CollectionStatus) -> str | None:
    if one.status not in ("complete", "partial"):
        return None
    return one.evidence if one.proven else "not proven"


def _differences(appliance: str, counts: StorageCounts) -> list[str]:
    unread = f", which did not read {', '.join(counts.not_read)}" if counts.not_read else ""
    run = f"run {counts.run_number}{unread}"
    return [
        f"{appliance}: the appliance counts {told:,} {name}, the warehouse holds {held:,} ({run})"
        for name, told, held in counts.differences
    ]


def print_appliances(rows: Sequence[NamedAppliance]) -> None:
    """One line for each appliance."""
    if not rows:
        say("no appliance has been synced into this warehouse yet; start with `restorepoints sync`")
        return
    print_table(
        ("appliance", "tenant", "URL", "API", "server", "first synced (UTC)"),
        [
            (
                row.appliance,
                row.tenant,
                row.base_url,
                row.api_version,
                (row.identity or {}).get("serverName"),
                row.first_synced_at,
            )
            for row in rows
        ],
    )


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table as wide as the terminal; as wide as its content where there is none, a row a line."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for number, column in enumerate(columns):
        is_number = bool(rows) and all(isinstance(row[number], int | float | None) for row in rows)
        table.add_column(column, justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    out = Console(highlight=False, markup=False)
    if not out.is_terminal:
        out = Console(highlight=False, markup=False, width=Console(width=100_000).measure(table).maximum)
    out.print(table)


def _cell(value: object) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    return "" if value is None else f"{value:,}" if isinstance(value, int | float) else str(value)


@contextmanager
def progress_bars() -> Iterator[Callable[[Progress], None]]:
    """A bar for each collection that is read: points, pages, rate, time left. Only on a terminal, else silence."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    bars = Bars(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TextColumn("{task.fields[pages]}  {task.fields[rate]}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    tasks: dict[tuple[str, str, str], TaskID] = {}

    def show(progress: Progress) -> None:
        key = (progress.appliance, progress.collection, progress.doing)
        if key not in tasks:
            tasks[key] = bars.add_task(
                f"{progress.appliance}: {progress.doing} {progress.collection}", pages="", rate=""
            )
        task = bars.tasks[bars.task_ids.index(tasks[key])]
        pages = f"{progress.pages} pages" if progress.pages else ""
        rate = f"{task.speed:,.0f}/s" if task.speed else ""
        bars.update(tasks[key], completed=progress.done, total=progress.total, pages=pages, rate=rate)

    with bars:
        yield show
