"""SIGTERM and Ctrl-C, whenever they come: an orderly end within seconds, and a ledger that says so."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from commands import COMMAND, Command
from sqlalchemy import text

from etl.load import schema
from etl.load.warehouse import Warehouse
from etl.simulator import SimulatedAppliance

SAID = b"the warehouse is as the last finished run left it"
STOPPED = "the run was stopped before it was over"

#: An insert into the points that does not come to its end.
ENDLESS = {
    "sqlite": [
        "create trigger endless after insert on restore_points begin select "
        "(with recursive n (i) as (select 1 union all select i + 1 from n) select count(*) from n); end"
    ],
    "postgresql": [
        "create function endless() returns trigger language plpgsql as 'begin perform pg_sleep(600); return new; end'",
        "create trigger endless after insert on restore_points for each row execute function endless()",
    ],
}


@contextmanager
def begun(folder: Path, environ: dict[str, str], *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A sync that runs, and is gone at the end."""
    with subprocess.Popen([COMMAND, "sync", *arguments], cwd=folder, env=environ, stderr=subprocess.PIPE) as run:
        try:
            yield run
        finally:
            run.kill()


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def stop(run: subprocess.Popen[bytes], *signals: int) -> tuple[int, bytes, float]:
    """Exit status, what was said and seconds after these signals."""
    began = time.monotonic()
    for number in signals:
        run.send_signal(number)
        time.sleep(0.05)
    _, said = run.communicate(timeout=30)
    return run.returncode, said, time.monotonic() - began


def is_inserting(store: Warehouse) -> bool:
    if store.path is not None:
        with closing(sqlite3.connect(store.path, timeout=0, isolation_level=None)) as other:
            try:
                other.execute("begin immediate")
            except sqlite3.OperationalError:
                time.sleep(0.3)  # from its begin to the statement that does not end
                return True
            return False
    with store.connect() as connection:
        sleeping = "select count(*) from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()"
        return connection.scalar(text(sleeping)) == 1


@pytest.mark.parametrize(
    ("signals", "status"),
    [([signal.SIGTERM], 143), ([signal.SIGTERM, signal.SIGTERM], 143), ([signal.SIGINT, signal.SIGINT], 130)],
    ids=["SIGTERM", "SIGTERM twice", "Ctrl-C twice"],
)
def test_a_statement_that_is_running_is_broken_off(
    appliance: SimulatedAppliance,
    tmp_path: Path,
    environ: dict[str, str],
    warehouse_url: str,
    signals: list[int],
    status: int,
) -> None:
    store = Warehouse(warehouse_url)
    schema.upgrade(store)
    with store.begin() as connection:
        for statement in ENDLESS[store.dialect]:
            connection.execute(text(statement))
    north = ["--appliance", f"north={appliance.url}", "--username", "reporter", "--warehouse", warehouse_url]
    with begun(tmp_path, environ, *north) as run:
        wait_until(lambda: is_inserting(store))
        ended, said, seconds = stop(run, *signals)
    assert (ended, SAID in said, b"Traceback" in said) == (status, True, False)
    assert seconds < 5
    with store.begin() as connection:
        assert connection.execute(text("select status, error from sync_runs")).all() == [("failed", STOPPED)]
        assert connection.scalar(text("select count(*) from restore_points")) == 0


@pytest.mark.parametrize("lets_go", [False, True], ids=["which stays", "which lets go"])
def test_a_wait_for_another_writer_of_the_file_is_broken_off(
    restorepoints: Command, appliance: SimulatedAppliance, tmp_path: Path, environ: dict[str, str], lets_go: bool
) -> None:
    database = tmp_path / "restorepoints.db"
    north = ["--appliance", f"north={appliance.url}", "--username", "reporter"]
    restorepoints("sync", *north)
    asked = []

    async def note(request: Any) -> None:
        if "restorePoints" in request.url.path and not asked:
            asked.append(request)
            await asyncio.sleep(0.5)

    appliance.before_request(note)
    with closing(sqlite3.connect(database, isolation_level=None)) as writer, begun(tmp_path, environ, *north) as run:
        wait_until(lambda: bool(asked))
        writer.execute("begin immediate")
        time.sleep(1)  # it has read everything, and waits to write it
        run.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        if lets_go:  # in time for the ledger, whose writing a second signal does not break off
            run.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            writer.execute("rollback")
        ended, said, seconds = stop(run)
        if not lets_go:
            writer.execute("rollback")
        last = "select status from sync_runs order by run_number"
        assert writer.execute(last).fetchall() == [("succeeded",), ("failed" if lets_go else "running",)]
        assert restorepoints("sync", *north).status == 0
        assert writer.execute(last).fetchall()[1:] == [("failed" if lets_go else "abandoned",), ("succeeded",)]
    assert (ended, SAID in said) == (143, True)
    assert seconds < 8


@pytest.mark.parametrize(("number", "how"), [(signal.SIGTERM, b"terminated"), (signal.SIGINT, b"interrupted")])
def test_a_signal_before_the_run_begins(
    appliance: SimulatedAppliance, tmp_path: Path, environ: dict[str, str], number: int, how: bytes
) -> None:
    # a signal in the middle of an import leaves the file open that was being read, of which only this would tell
    del environ["PYTHONWARNINGS"]
    with begun(tmp_path, environ, "--appliance", f"north={appliance.url}", "--username", "reporter") as run:
        assert run.stderr is not None
        assert run.stderr.readline().startswith(b"warehouse: ")
        ended, said, seconds = stop(run, number)
    assert (ended, said) == (128 + number, b"restorepoints: " + how + b"; " + SAID + b"\n")
    assert seconds < 5


def test_a_signal_ends_the_whole_command_and_not_one_appliance(
    appliance: SimulatedAppliance, tmp_path: Path, environ: dict[str, str]
) -> None:
    account = f'url = "{appliance.url}"\nusername = "reporter"\n'
    (tmp_path / "restorepoints.toml").write_text(f"[appliances.north]\n{account}[appliances.south]\n{account}")
    asked = []

    async def hold(request: Any) -> None:
        if "restorePoints" in request.url.path:
            asked.append(request)
            await asyncio.sleep(30)

    appliance.before_request(hold)
    with begun(tmp_path, environ) as run:
        wait_until(lambda: bool(asked))
        ended, _, seconds = stop(run, signal.SIGTERM)
    assert ended == 143
    assert seconds < 5
    with closing(sqlite3.connect(tmp_path / "restorepoints.db")) as connection:
        runs = connection.execute(
            "select name, status, error from appliances join sync_runs using (appliance_id)"
        ).fetchall()
    assert runs == [("north", "failed", STOPPED)]
