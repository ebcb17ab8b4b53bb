"""One run of an appliance at a time, no run beside a migration, and no lock that outlives its process."""

from __future__ import annotations

import asyncio
import platform
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text

from etl.errors import AlreadyRunning
from etl.load import ledger, schema
from etl.load.locks import migration_lock, run_lock
from etl.load.warehouse import Warehouse, write
from etl.simulator import Estate, SimulatedAppliance, simulate
from etl.sync import RunResult

Sync = Callable[..., RunResult]
Rows = Callable[..., list[dict[str, Any]]]

#: A run of its own process that stands still while it reads.
RUN = """
import asyncio, sys
from etl.extract.endpoint import Endpoint
from etl.load.warehouse import Warehouse
from etl.sync import Source, sync_appliance
url, warehouse = sys.argv[1:]
asyncio.run(sync_appliance(Source(Endpoint("north", url, "reporter", "simulated-password")), Warehouse(warehouse)))
"""


@pytest.fixture
def appliance() -> Iterator[SimulatedAppliance]:
    with simulate(Estate.from_seed(3, machines=2, days=3), version="v8.1") as appliance:
        yield appliance


@contextmanager
def held(appliance: SimulatedAppliance) -> Iterator[threading.Event]:
    """The next request for a page waits, and says so, until the block is left."""
    waiting, over = threading.Event(), threading.Event()

    async def hold(request: Any) -> None:
        if "restorePoints" in request.url.path and not waiting.is_set():
            waiting.set()
            await asyncio.to_thread(over.wait, 30)

    hook = appliance.before_request(hold)
    try:
        yield waiting
    finally:
        over.set()
        hook.remove()


@contextmanager
def running(appliance: SimulatedAppliance, warehouse: Warehouse) -> Iterator[subprocess.Popen[bytes]]:
    """A run in a process of its own that has its lock, and is gone at the end."""
    url = warehouse.url.render_as_string(hide_password=False)
    with (
        held(appliance) as waiting,
        subprocess.Popen([sys.executable, "-c", RUN, appliance.url, url], stdout=subprocess.DEVNULL) as process,
    ):
        try:
            assert waiting.wait(30)
            yield process
        finally:
            process.kill()


def test_the_second_run_is_told_who_holds_the_lock_and_since_when(
    sync: Sync, rows: Rows, appliance: SimulatedAppliance, warehouse: Warehouse
) -> None:
    with running(appliance, warehouse) as process:
        second = sync(appliance)
        other = sync(appliance, name="south")
    assert (second.status, second.run_number) == ("failed", None)
    told = re.fullmatch(
        rf"another run of north is under way, on {re.escape(platform.node())} \(pid {process.pid}\) "
        r"since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC; try again when it is over",
        str(second.error),
    )
    assert told, second.error
    assert (other.status, other.error) == ("succeeded", None)


def test_a_lock_does_not_survive_its_process(
    sync: Sync, rows: Rows, appliance: SimulatedAppliance, warehouse: Warehouse
) -> None:
    with running(appliance, warehouse) as process:
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    # a server needs a moment to notice: a fifth of a second, by the session's own setting
    deadline = time.monotonic() + 5
    while (result := sync(appliance)).status == "failed" and time.monotonic() < deadline:
        time.sleep(0.1)
    assert (result.status, result.run_number) == ("succeeded", 2)
    runs = rows("select status, error, finished_at from sync_runs order by run_number")
    assert [run["status"] for run in runs] == ["abandoned", "succeeded"]
    assert "died" in runs[0]["error"]
    assert runs[0]["finished_at"] is not None


def test_a_run_whose_lock_did_not_hold_writes_nothing(
    sync: Sync, rows: Rows, appliance: SimulatedAppliance, warehouse: Warehouse
) -> None:
    results: list[RunResult] = []
    with held(appliance) as waiting:
        first = threading.Thread(target=lambda: results.append(sync(appliance)))
        first.start()
        assert waiting.wait(30)
        with warehouse.begin() as connection:  # as a second run would, for which the lock was free
            known = ledger.register(connection, name="north", base_url=appliance.url, tenant=None)
            usurper = ledger.start(connection, known.appliance_id, base_url=appliance.url, now=datetime.now(UTC))
    first.join(30)
    (result,) = results
    assert result.status == "failed"
    assert "its lock did not hold" in str(result.error)
    assert rows("select count(*) as n from restore_points") == [{"n": 0}]
    assert rows("select count(*) as n from sync_run_collections") == [{"n": 0}]
    runs = rows("select run_number, status from sync_runs order by run_number")
    assert runs == [{"run_number": 1, "status": "abandoned"}, {"run_number": usurper.run_number, "status": "running"}]


def test_no_run_begins_while_the_schema_is_migrated(
    sync: Sync, rows: Rows, appliance: SimulatedAppliance, warehouse: Warehouse
) -> None:
    assert sync(appliance).status == "succeeded"
    with warehouse.connect() as connection, migration_lock(warehouse, connection):
        known, new = sync(appliance), sync(appliance, name="never seen before")
    for result in (known, new):
        assert (result.status, result.run_number) == ("failed", None)
        assert "schema is being migrated" in str(result.error)
    assert rows("select count(*) as n from sync_runs") == [{"n": 1}]
    assert sync(appliance).status == "succeeded"


def test_a_run_that_began_before_a_migration_looks_at_the_schema_again(
    sync: Sync, rows: Rows, appliance: SimulatedAppliance, warehouse: Warehouse
) -> None:
    """The command has looked at the schema; then a newer program migrates it; then the run takes its lock."""
    with warehouse.begin() as connection:
        connection.execute(text("update alembic_version set version_num = '9999'"))
    result = sync(appliance)
    assert (result.status, result.run_number) == ("failed", None)
    assert "newer than this program" in str(result.error)
    assert rows("select count(*) as n from sync_runs") == [{"n": 0}]


def test_no_migration_while_an_appliance_runs_that_has_just_come(
    appliance: SimulatedAppliance, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(appliance, warehouse):
        with warehouse.begin() as connection:
            connection.execute(text("update alembic_version set version_num = 'older'"))
        monkeypatch.setattr(schema, "revisions", lambda: {"older", schema.HEAD})
        with pytest.raises(AlreadyRunning, match=r"another run of north is under way, on .* \(pid "):
            schema.upgrade(warehouse)
    assert schema.current(warehouse) == "older"


def test_migrations_at_once_wait_for_each_other(postgres_server: Any, tmp_path: Any) -> None:
    on_server = postgres_server.create_database()
    for url in (f"sqlite:///{tmp_path / 'new.db'}", on_server.render_as_string(hide_password=False)):
        made: list[tuple[str | None, str]] = []
        threads = [
            threading.Thread(target=lambda url=url, made=made: made.append(schema.upgrade(Warehouse(url))))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert sorted(made, key=str) == [(schema.HEAD, schema.HEAD)] * 3 + [(None, schema.HEAD)]
    postgres_server.drop_database(on_server)


def test_appliances_run_side_by_side(
    sync: Sync, rows: Rows, appliance: SimulatedAppliance, warehouse: Warehouse
) -> None:
    names = [f"appliance-{number}" for number in range(4)]
    results: dict[str, RunResult] = {}
    threads = [
        threading.Thread(target=lambda name=name: results.__setitem__(name, sync(appliance, name=name)))
        for name in names
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert {name: (result.status, result.error) for name, result in results.items()} == dict.fromkeys(
        names, ("succeeded", None)
    )
    assert rows("select count(distinct appliance_id) as n from restore_points") == [{"n": 4}]


def test_a_lock_is_held_by_one_connection_only(warehouse: Warehouse) -> None:
    with warehouse.begin() as connection:
        known = ledger.register(connection, name="north", base_url="https://north", tenant=None)
    with warehouse.connect() as one, warehouse.connect() as two:
        with run_lock(warehouse, one, known.appliance_id):
            with write(one):
                pass
            with pytest.raises(AlreadyRunning), run_lock(warehouse, two, known.appliance_id):
                pass
        with run_lock(warehouse, two, known.appliance_id):
            pass
