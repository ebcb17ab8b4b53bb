"""SQLite's write-ahead log: a reader keeps it from being folded in; it must shrink when the reader is gone."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from reader import reader

from etl import sync as sync_module
from etl.extract.endpoint import Endpoint
from etl.load import schema, sqlite
from etl.load.warehouse import Warehouse
from etl.simulator import Estate, SimulatedAppliance, simulate
from etl.sync import RunResult, Source, sync_appliance

POINTS = 2_000
SIZES = "select count(*), min(backup_size_bytes), max(backup_size_bytes) from restore_points"


def an_id(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


@pytest.fixture
def appliance() -> Iterator[SimulatedAppliance]:
    items = [
        {"id": an_id(number), "pointInTime": "2026-02-28T23:00:00Z", "backupSizeBytes": 1} for number in range(POINTS)
    ]
    with simulate(Estate.from_items(items), version="v1") as appliance:
        yield appliance


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "restorepoints.db"
    schema.upgrade(Warehouse(f"sqlite:///{path}"))
    return path


@pytest.fixture
def change_all_and_sync(appliance: SimulatedAppliance, path: Path) -> Callable[[int], RunResult]:
    """One run after every point of the appliance took this size."""

    def run(size: int) -> RunResult:
        for number in range(POINTS):
            appliance.estate.change(an_id(number), backupSizeBytes=size)
        source = Source(Endpoint("north", appliance.url, "reporter", "simulated-password"))
        result = asyncio.run(sync_appliance(source, Warehouse(f"sqlite:///{path}")))
        assert (result.status, result.error) == ("succeeded", None)
        return result

    return run


def test_a_long_reader_costs_no_run_and_the_log_shrinks_when_it_is_gone(
    change_all_and_sync: Callable[[int], RunResult], path: Path
) -> None:
    change_all_and_sync(1)
    with reader(path) as dashboard:
        dashboard.ask("begin")
        seen = dashboard.ask(SIZES)
        logs = []
        for size in range(2, 7):
            assert change_all_and_sync(size).updated == POINTS
            logs.append(sqlite.log_bytes(path))
            assert dashboard.ask(SIZES) == seen == f"[({POINTS}, 1, 1)]"
        assert logs == sorted(logs)
        assert logs[-1] > sqlite.SMALL_LOG
        dashboard.ask("rollback")
        change_all_and_sync(7)
        # the program is still there, so that the log is not removed with its last reader
        assert sqlite.log_bytes(path) == 0
        assert dashboard.ask(SIZES) == f"[({POINTS}, 7, 7)]"
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("pragma integrity_check").fetchall() == [("ok",)]


def test_readers_that_relieve_each_other_do_not_keep_the_log(
    change_all_and_sync: Callable[[int], RunResult], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change_all_and_sync(1)
    monkeypatch.setattr(sqlite, "SMALL_LOG", 0)
    over = threading.Event()

    def relieve() -> None:
        """At every moment one of the two is in a transaction, and none of these lasts long."""
        while not over.is_set():
            for coming, going in ((first, second), (second, first)):
                coming.ask("begin")
                coming.ask(SIZES)
                going.ask("rollback")
                time.sleep(0.1)

    with reader(path) as first, reader(path) as second:
        second.ask("begin")
        readers = threading.Thread(target=relieve)
        readers.start()
        try:
            change_all_and_sync(2)
            left = sqlite.log_bytes(path)
        finally:
            over.set()
            readers.join()
    assert left == 0


def test_a_log_that_has_grown_large_is_told(
    change_all_and_sync: Callable[[int], RunResult], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync_module, "LARGE_LOG", sqlite.SMALL_LOG)
    assert change_all_and_sync(1).warnings == []
    with reader(path) as dashboard:
        dashboard.ask("begin")
        dashboard.ask(SIZES)
        said: list[str] = []
        for size in range(2, 7):
            said += change_all_and_sync(size).warnings
        assert said
        assert "keeps a transaction open" in said[-1]
        dashboard.ask("rollback")
        assert change_all_and_sync(7).warnings == []
