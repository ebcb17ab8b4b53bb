"""A run that dies at any moment leaves the data as they were, or as they were to be; the next one repairs the ledger.

`RESTOREPOINTS_SOAK_KILLS` is how often a process is killed on each database, 6 by default.
"""

from __future__ import annotations

import asyncio
import base64
import os
import random
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import postgres
import psycopg
import pytest
from commands import COMMAND, PASSWORD
from cutting import Cut, cutting_proxy
from sqlalchemy import event, text

from etl.extract.endpoint import Endpoint
from etl.load import schema
from etl.load.warehouse import Warehouse
from etl.simulator import Estate, SimulatedAppliance, simulate
from etl.sync import RunResult, Source, sync_appliance

KILLS = int(os.environ.get("RESTOREPOINTS_SOAK_KILLS", "6"))
POINTS = 2_000

#: Each point with all that a merge writes of it, and whether it is gone.
State = dict[str, tuple[str | None, bool]]


class Nightly:
    """An appliance whose points change a great deal from one night to the next, and the truth about them."""

    def __init__(self, points: int = POINTS) -> None:
        self.chance = random.Random(1)
        self.living: dict[str, str] = {}
        self.made = 0
        self.logged_out = threading.Event()
        self.estate = Estate.from_items([])
        self.create(points)

    def create(self, count: int) -> None:
        for number in range(self.made, self.made + count):
            one = f"{number:08x}-0000-4000-8000-000000000000"
            self.living[one] = "Ok"
            self.estate.add_item(
                {"id": one, "pointInTime": "2026-02-28T23:00:11Z", "backupSizeBytes": number, "state": "Ok"}
            )
        self.made += count

    def pass_a_day(self) -> None:
        """A third changes, some go, as many come."""
        for one in self.chance.sample(sorted(self.living), len(self.living) // 3):
            self.living[one] = f"state {self.chance.random()}"
            self.estate.change(one, state=self.living[one])
        for one in self.chance.sample(sorted(self.living), 20):
            del self.living[one]
            self.estate.delete(one)
        self.create(20)

    def hook(self, request: Any) -> None:
        """The log-out is the last that a run says to its appliance: then it writes."""
        if request.method == "DELETE" or "logout" in request.url.path.lower():
            self.logged_out.set()

    def left_by_a_sync(self, before: State) -> State:
        """What a sync makes of what was kept before: a point that came and went unseen is not in it."""
        gone: State = {one: (None, True) for one in before if one not in self.living}
        return gone | {one: (state, False) for one, state in self.living.items()}


def kept(warehouse: Warehouse) -> State:
    """What the warehouse holds; its own rules are checked on the way."""
    with warehouse.connect() as connection:
        points = connection.execute(
            text("select restore_point_id, state, deleted_at is not null as is_gone from restore_points")
        ).all()
        versions = connection.execute(
            text(
                "select restore_point_id, state, valid_from, valid_to, change, closed_by "
                "from restore_point_versions order by restore_point_id, run_number"
            )
        ).all()
        runs = connection.execute(
            text("select status, extracted, inserted + updated + unchanged + reappeared + rejected from sync_runs")
        ).all()
    by_point: dict[str, list[Any]] = {}
    for version in versions:
        by_point.setdefault(version.restore_point_id, []).append(version)
    assert by_point.keys() == {point.restore_point_id for point in points}
    for point in points:
        of_point = by_point[point.restore_point_id]
        ends = [version.valid_to for version in of_point]
        assert [version.valid_from for version in of_point[1:]] == ends[:-1]
        assert (ends[-1] is None) is not bool(point.is_gone)
        assert of_point[-1].state == point.state
    assert all(extracted == counted for _, extracted, counted in runs)
    return {point.restore_point_id: (None if point.is_gone else point.state, bool(point.is_gone)) for point in points}


def statuses(warehouse: Warehouse) -> list[str]:
    with warehouse.connect() as connection:
        return list(connection.scalars(text("select status from sync_runs order by run_number")))


def sync(appliance: SimulatedAppliance, warehouse: Warehouse) -> RunResult:
    source = Source(Endpoint("north", appliance.url, "reporter", PASSWORD, retry_for=5))
    return asyncio.run(sync_appliance(source, warehouse))


@pytest.fixture
def nightly() -> Nightly:
    return Nightly()


@pytest.fixture
def appliance(nightly: Nightly) -> Iterator[SimulatedAppliance]:
    with simulate(nightly.estate, version="v8.1") as appliance, appliance.before_request(nightly.hook):
        yield appliance


def test_kill_9_at_any_moment_of_the_merge(
    warehouse: Warehouse, nightly: Nightly, appliance: SimulatedAppliance, tmp_path: Path
) -> None:
    assert sync(appliance, warehouse).status == "succeeded"
    environ = {name: value for name, value in os.environ.items() if not name.startswith("RESTOREPOINTS_")}
    environ |= {"RESTOREPOINTS_PASSWORD": PASSWORD}
    url = warehouse.url.render_as_string(hide_password=False)
    arguments = ["sync", "--appliance", f"north={appliance.url}", "--username", "reporter", "--warehouse", url]

    def writing() -> subprocess.Popen[bytes]:
        """A process that has read everything and begins to write."""
        nightly.pass_a_day()
        nightly.logged_out.clear()
        run = subprocess.Popen(
            [COMMAND, *arguments], cwd=tmp_path, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        assert nightly.logged_out.wait(60)
        return run

    with writing():
        began = time.monotonic()
        while statuses(warehouse)[-1] == "running":
            time.sleep(0.005)
        lasts = 1.2 * (time.monotonic() - began)
    before = kept(warehouse)
    assert before == nightly.left_by_a_sync(before)
    killed_in_it = 0
    for kill in range(KILLS):
        with writing() as run:
            time.sleep(lasts * (kill + nightly.chance.random()) / KILLS)
            run.send_signal(signal.SIGKILL)
        after = kept(warehouse)
        assert after in (before, nightly.left_by_a_sync(before)), f"kill {kill}: neither the old state nor the new one"
        killed_in_it += after == before
        assert statuses(warehouse)[-1] == ("running" if after == before else "succeeded")
        before = after
    assert killed_in_it > KILLS / 4
    assert sync(appliance, warehouse).status == "succeeded"
    assert kept(warehouse) == nightly.left_by_a_sync(before)
    assert statuses(warehouse).count("abandoned") == killed_in_it
    assert "running" not in statuses(warehouse)


CUTS: dict[str, Callable[[], Cut]] = {
    "while it copies": lambda: Cut(b"copy staged_restore_points"),
    "before it updates": lambda: Cut(b"UPDATE restore_points"),
    "while it updates": lambda: Cut(b"UPDATE restore_points", server_still_gets_it=True),
    "before it writes versions": lambda: Cut(b"INSERT INTO restore_point_versions"),
    "before it marks what is gone": lambda: Cut(b"closed_by", armed_by=b"INSERT INTO restore_point_versions"),
    "before it closes the run": lambda: Cut(b"INSERT INTO sync_run_collections"),
    "before it commits": lambda: Cut(b"COMMIT", armed_by=b"INSERT INTO sync_run_collections"),
    "after it committed": lambda: Cut(
        b"COMMIT", armed_by=b"INSERT INTO sync_run_collections", server_still_gets_it=True
    ),
}


@pytest.mark.parametrize("make", CUTS.values(), ids=CUTS)
def test_the_connection_is_cut(
    postgres_url: str, nightly: Nightly, appliance: SimulatedAppliance, make: Callable[[], Cut]
) -> None:
    warehouse = Warehouse(postgres_url)
    schema.upgrade(warehouse)
    assert sync(appliance, warehouse).status == "succeeded"
    before = kept(warehouse)
    nightly.pass_a_day()
    cut = make()
    with cutting_proxy(postgres_url, cut) as url:
        result = sync(appliance, Warehouse(url))
    assert cut.done.is_set()
    assert result.status == "failed"
    assert str(result.error).startswith("the warehouse postgresql")
    assert len(str(result.error).splitlines()) == 1
    committed = make is CUTS["after it committed"]
    assert kept(warehouse) == (nightly.left_by_a_sync(before) if committed else before)
    assert statuses(warehouse) == ["succeeded", "succeeded" if committed else "failed"]
    assert sync(appliance, warehouse).status == "succeeded"
    assert kept(warehouse) == nightly.left_by_a_sync(before)


@contextmanager
def at_statement(warehouse: Warehouse, start: str, act: Callable[[int], None]) -> Iterator[None]:
    """Calls `act` once, with the number of the connection's server process, as a statement that starts so is sent."""
    done: list[int] = []

    def note(connection: Any, _cursor: Any, statement: str, *_: object) -> None:
        if statement.startswith(start) and not done:
            done.append(connection.connection.dbapi_connection.info.backend_pid)
            act(done[0])

    event.listen(warehouse.engine, "before_cursor_execute", note)
    yield
    event.remove(warehouse.engine, "before_cursor_execute", note)
    assert done


class TestAServerInTrouble:
    """A PostgreSQL of this test's own, on this machine, since it does not survive what is done to it."""

    @pytest.fixture
    def largest_file(self) -> int:
        """Bytes of the largest file that the server can write, as on a disk that is full."""
        return resource.RLIM_INFINITY

    @pytest.fixture
    def warehouse(self, largest_file: int) -> Iterator[Warehouse]:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, before[1]))
        try:
            server = postgres.embedded_server()
            url = server.__enter__()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        with ExitStack() as started:
            started.push(server)
            warehouse = Warehouse(url.render_as_string(hide_password=False))
            schema.upgrade(warehouse)
            yield warehouse

    def test_it_restarts_in_mid_run(
        self, warehouse: Warehouse, nightly: Nightly, appliance: SimulatedAppliance
    ) -> None:
        assert sync(appliance, warehouse).status == "succeeded"
        before = kept(warehouse)
        nightly.pass_a_day()

        def crash(_pid: int) -> None:
            # one killed process of a server makes it throw out everybody, and recover from its log
            other = postgres.connect(warehouse.url)
            os.kill(other.info.backend_pid, signal.SIGKILL)
            with pytest.raises(psycopg.OperationalError):
                other.execute("select 1")
            other.close()

        with at_statement(warehouse, "INSERT INTO restore_point_versions", crash):
            result = sync(appliance, warehouse)
        assert result.status == "failed"
        assert str(result.error).startswith("the warehouse postgresql")
        postgres.wait_until_ready(warehouse.url, Path(str(warehouse.url.query["host"])) / "log")
        assert kept(warehouse) == before
        assert sync(appliance, warehouse).status == "succeeded"
        assert kept(warehouse) == nightly.left_by_a_sync(before)
        assert statuses(warehouse)[1] in ("failed", "abandoned")

    @pytest.mark.parametrize("largest_file", [17 * 2**20], ids=["17 MiB"])
    def test_its_disk_is_full(self, warehouse: Warehouse, nightly: Nightly, appliance: SimulatedAppliance) -> None:
        assert sync(appliance, warehouse).status == "succeeded"
        before = kept(warehouse)
        large = [f"ffffffff-0000-4000-8000-{number:012d}" for number in range(2_500)]
        for one in large:
            note = base64.b64encode(nightly.chance.randbytes(9_000)).decode()
            nightly.estate.add_item({"id": one, "pointInTime": "2026-02-28T23:00:11Z", "note": note})
        result = sync(appliance, warehouse)
        assert result.status == "failed"
        assert "File too large" in str(result.error)
        assert kept(warehouse) == before
        assert statuses(warehouse) == ["succeeded", "failed"]
        nightly.estate.delete(*large)
        nightly.pass_a_day()
        assert sync(appliance, warehouse).status == "succeeded"
        assert kept(warehouse) == nightly.left_by_a_sync(before)


class TestAFileInTrouble:
    """SQLite, by the command, as a user of its own where the file's mode is to count."""

    @pytest.fixture
    def warehouse(self, tmp_path: Path) -> Warehouse:
        warehouse = Warehouse(f"sqlite:///{tmp_path}/restorepoints.db")
        schema.upgrade(warehouse)
        return warehouse

    def run(self, appliance: SimulatedAppliance, tmp_path: Path, *, shell: str = "", **account: Any) -> Any:
        arguments = f"sync --appliance north={appliance.url} --username reporter"
        return subprocess.run(
            ["bash", "-c", f"{shell} exec '{COMMAND}' {arguments}"],
            cwd=tmp_path,
            # a limit on files would cut bytecode, too
            env={"PATH": os.environ["PATH"], "RESTOREPOINTS_PASSWORD": PASSWORD, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            timeout=60,
            **account,
        )

    def test_its_disk_is_full(
        self, warehouse: Warehouse, nightly: Nightly, appliance: SimulatedAppliance, tmp_path: Path
    ) -> None:
        assert sync(appliance, warehouse).status == "succeeded"
        before = kept(warehouse)
        nightly.pass_a_day()
        full = self.run(appliance, tmp_path, shell="ulimit -f 256;")  # kilobytes: the log reaches them, in the merge
        assert full.returncode == 1
        assert "Traceback" not in full.stderr
        assert f"the warehouse sqlite:///{tmp_path}/restorepoints.db failed: " in full.stdout
        assert kept(warehouse) == before
        assert statuses(warehouse)[1] in ("failed", "running")
        assert self.run(appliance, tmp_path).returncode == 0
        assert kept(warehouse) == nightly.left_by_a_sync(before)
