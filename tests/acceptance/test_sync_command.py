"""`restorepoints sync` and what scripts rely on: output, exit status, the ledger."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from commands import COMMAND, PASSWORD, Command
from sqlalchemy import make_url

from etl.load.warehouse import Warehouse
from etl.simulator import Estate, SimulatedAppliance, simulate

#: The fields of `--output json`, in their order.
FIELDS = [
    "appliance",
    "status",
    "run_number",
    "snapshot_proven",
    "evidence",
    "extracted",
    "inserted",
    "updated",
    "unchanged",
    "deleted",
    "reappeared",
    "unconfirmed",
    "rejected",
    "field_errors",
    "seconds",
    "error",
    "explained",
    "unexplained",
    "collections",
    "inventory",
]


def one(appliance: SimulatedAppliance, name: str = "north") -> list[str]:
    return ["--appliance", f"{name}={appliance.url}", "--username", "reporter"]


def rows(database: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(sql).fetchall()


def test_sync_twice(restorepoints: Command, appliance: SimulatedAppliance, tmp_path: Path) -> None:
    count = len(appliance.estate.points)
    first = restorepoints("sync", *one(appliance), "--output", "json")
    second = restorepoints("sync", *one(appliance), "--output", "json")
    assert (first.status, second.status) == (0, 0)
    (result,), (again,) = first.objects, second.objects
    assert list(result) == FIELDS
    assert (result["appliance"], result["status"], result["run_number"]) == ("north", "succeeded", 1)
    assert (result["inserted"], result["extracted"]) == (count, count)
    assert (again["inserted"], again["updated"], again["unchanged"], again["run_number"]) == (0, 0, count, 2)
    assert again["collections"][0]["collection"] == "vm"
    assert result["error"] is None
    database = tmp_path / "restorepoints.db"
    assert first.stderr.splitlines() == [f"warehouse: {database}"]
    assert rows(database, "select count(*), count(distinct restore_point_id) from restore_points") == [(count, count)]


def test_words_for_people(restorepoints: Command, appliance: SimulatedAppliance) -> None:
    count = len(appliance.estate.points)
    outcome = restorepoints("sync", *one(appliance))
    assert outcome.stdout.startswith(f"north: succeeded, run 1: {count} restore points: {count} new, 0 changed")


def test_into_postgresql(restorepoints: Command, appliance: SimulatedAppliance, postgres_url: str) -> None:
    where = ["--warehouse", postgres_url]
    shown = make_url(postgres_url).render_as_string(hide_password=True)
    before = restorepoints("sync", *one(appliance), *where)
    assert before.status == 1
    assert "`restorepoints db upgrade`" in before.sentence
    assert restorepoints("db", "upgrade", *where).status == 0
    assert restorepoints("db", "current", *where).stdout.strip() == "0002"
    first = restorepoints("sync", *one(appliance), *where, "--output", "json")
    second = restorepoints("sync", *one(appliance), *where, "--output", "json")
    count = len(appliance.estate.points)
    assert (first.objects[0]["inserted"], second.objects[0]["unchanged"]) == (count, count)
    assert first.stderr.splitlines() == [f"warehouse: {shown}"]
    password = make_url(postgres_url).password
    assert not password or password not in before.sentence + first.stderr


def test_migrate_creates_a_servers_schema(
    restorepoints: Command, appliance: SimulatedAppliance, postgres_url: str
) -> None:
    outcome = restorepoints("sync", *one(appliance), "--migrate", env={"RESTOREPOINTS_WAREHOUSE": postgres_url})
    assert outcome.status == 0


def test_an_identical_sync_writes_next_to_nothing(restorepoints: Command, postgres_url: str) -> None:
    with simulate(Estate.from_seed(4, machines=40, days=30), version="v8.1") as appliance:
        sync = ["sync", *one(appliance), "--warehouse", postgres_url, "--migrate", "--output", "json"]
        restorepoints(*sync)
        with Warehouse(postgres_url).connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("vacuum")
        restorepoints(*sync)  # pages that are touched for the first time since a checkpoint are logged whole, once
        written_by = []
        for _ in range(3):
            before = written(postgres_url)
            again = restorepoints(*sync)
            after = written(postgres_url)
            assert again.objects[0]["unchanged"] > 1_000
            assert after["rows"] == before["rows"]
            written_by.append(after["wal"] - before["wal"])
    # the ledger and the catalogue's rows of temporary tables; the server's own housekeeping may come between once
    assert min(written_by) < 128 * 1024


def written(url: str) -> dict[str, int]:
    """Rows of restore points and versions ever written, and bytes of write-ahead log, by the server's own counters."""
    with Warehouse(url).connect() as connection:
        rows = connection.exec_driver_sql(
            "select sum(n_tup_ins + n_tup_upd + n_tup_del) from pg_stat_user_tables "
            "where relname in ('restore_points', 'restore_point_versions')"
        )
        log = connection.exec_driver_sql("select pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')")
        return {"rows": int(rows.scalar() or 0), "wal": int(log.scalar() or 0)}


def test_from_a_configuration_file(restorepoints: Command, tmp_path: Path) -> None:
    with (
        simulate(Estate.from_seed(3, machines=3, days=4), version="v1") as north,
        simulate(Estate.from_seed(4, machines=3, days=4), version="v8.1", password="other") as south,
    ):
        (tmp_path / "south.txt").write_text("other\n")
        (tmp_path / "etc").mkdir()
        (tmp_path / "etc" / "restorepoints.toml").write_text(
            f"""
            warehouse = "sqlite:///history.db"
            [appliances.north]
            url = "{north.url}/"
            username = "reporter"
            tenant = "acme"
            time_zone = "Asia/Tokyo"
            [appliances.south]
            url = "{south.url}"
            username = "reporter"
            password_file = "../south.txt"
            """
        )
        config = {"RESTOREPOINTS_CONFIG": "etc/restorepoints.toml"}
        outcome = restorepoints("sync", "--output", "json", env=config)
        only = restorepoints("sync", "south", "--output", "json", env=config)
    assert outcome.status == 0
    assert [result["appliance"] for result in outcome.objects] == ["north", "south"]
    assert [(result["appliance"], result["run_number"]) for result in only.objects] == [("south", 2)]
    database = tmp_path / "etc" / "history.db"
    assert rows(database, "select name, tenant, api_version, time_zone from appliances order by 1") == [
        ("north", "acme", "v1", "Asia/Tokyo"),
        ("south", None, "v8.1", "Europe/Berlin"),
    ]


def test_one_failing_appliance_does_not_keep_the_others_from_being_committed(
    restorepoints: Command, appliance: SimulatedAppliance, tmp_path: Path
) -> None:
    (tmp_path / "restorepoints.toml").write_text(
        f"""
        [appliances.broken]
        url = "{appliance.url}"
        username = "nobody"
        [appliances.sound]
        url = "{appliance.url}"
        username = "reporter"
        """
    )
    outcome = restorepoints("sync", "--output", "json")
    assert outcome.status == 1
    assert [(result["appliance"], result["status"]) for result in outcome.objects] == [
        ("broken", "failed"),
        ("sound", "succeeded"),
    ]
    assert "broken" in outcome.objects[0]["error"]
    assert rows(tmp_path / "restorepoints.db", "select count(*) from restore_points") == [
        (len(appliance.estate.points),)
    ]


def test_a_log_that_lacks_a_letter(restorepoints: Command, tmp_path: Path) -> None:
    estate = Estate.from_items(
        [{"id": "a", "pointInTime": "2026-01-01T00:00:00Z", "vmName": "Zürich-★"}], version="v8.1"
    )
    with simulate(estate, version="v8.1") as appliance:
        ascii_only = {"PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
        as_json = restorepoints("sync", *one(appliance, "Zürich-★"), "--output", "json", env=ascii_only)
        as_text = restorepoints("sync", *one(appliance, "Zürich-★"), env=ascii_only)
        status = restorepoints("status", env=ascii_only)
        checked = restorepoints("check", *one(appliance, "Zürich-★"), env=ascii_only)
    assert (as_json.status, as_text.status, status.status, checked.status) == (0, 0, 0, 0)
    assert as_json.objects[0]["appliance"] == "Zürich-★"
    assert as_text.stdout.startswith(r"Z\xfcrich-\u2605: succeeded")
    assert r"Z\xfcrich-\u2605" in status.stdout
    assert rows(tmp_path / "restorepoints.db", "select resource_name from restore_points") == [("Zürich-★",)]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_the_run_in_order(
    restorepoints: Command,
    appliance: SimulatedAppliance,
    tmp_path: Path,
    environ: dict[str, str],
    number: int,
    status: int,
) -> None:
    restorepoints("sync", *one(appliance))
    asked = []

    async def hold(request: Any) -> None:
        if "restorePoints" in request.url.path:
            asked.append(request)
            import asyncio

            await asyncio.sleep(30)

    appliance.before_request(hold)
    with subprocess.Popen([COMMAND, "sync", *one(appliance)], cwd=tmp_path, env=environ, stderr=subprocess.PIPE) as run:
        deadline = time.monotonic() + 30
        while not asked and time.monotonic() < deadline:
            time.sleep(0.02)
        run.send_signal(number)
        _, said = run.communicate(timeout=20)
    assert run.returncode == status
    assert b"Traceback" not in said
    assert b"the warehouse is as the last finished run left it" in said
    assert rows(tmp_path / "restorepoints.db", "select run_number, status, error from sync_runs")[1:] == [
        (2, "failed", "the run was stopped before it was over")
    ]


def test_a_second_run_of_the_same_appliance_is_told_who_holds_it(
    restorepoints: Command, appliance: SimulatedAppliance, tmp_path: Path, environ: dict[str, str]
) -> None:
    asked = []

    async def hold(request: Any) -> None:
        if "restorePoints" in request.url.path and not asked:
            asked.append(request)
            import asyncio

            await asyncio.sleep(3)

    appliance.before_request(hold)
    with subprocess.Popen(
        [COMMAND, "sync", *one(appliance)], cwd=tmp_path, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as first:
        deadline = time.monotonic() + 30
        while not asked and time.monotonic() < deadline:
            time.sleep(0.02)
        second = restorepoints("sync", *one(appliance), "--output", "json")
        first.communicate(timeout=30)
    assert (first.returncode, second.status) == (0, 1)
    error = second.objects[0]["error"]
    assert "another run of north is under way" in error
    assert f"(pid {first.pid})" in error
    assert rows(tmp_path / "restorepoints.db", "select run_number, status from sync_runs") == [(1, "succeeded")]


def test_the_simulator_from_the_shell(restorepoints: Command, tmp_path: Path, environ: dict[str, str]) -> None:
    with subprocess.Popen(
        [COMMAND, "simulate", "--port", "0", "--machines", "3", "--days", "3"],
        cwd=tmp_path,
        env=environ,
        stderr=subprocess.PIPE,
        text=True,
    ) as simulator:
        assert simulator.stderr is not None
        url = simulator.stderr.readline().split(" on ")[1].split(";")[0]
        arguments = ["sync", "--appliance", f"demo={url}", "--username", "reporter", "--output", "json"]
        first = restorepoints(*arguments).objects[0]
        moved = httpx.post(f"{url}/simulator/clock", json={"days": 1})
        second = restorepoints(*arguments).objects[0]
        simulator.send_signal(signal.SIGTERM)
        simulator.wait(timeout=10)
    assert simulator.returncode == 0
    assert moved.status_code == 200
    assert first["inserted"] > 10
    assert second["inserted"] > 0


def test_no_secret_is_said_or_written(restorepoints: Command, tmp_path: Path) -> None:
    with simulate(Estate.from_seed(3, machines=3, days=4), version="v8.1", expires_in=2) as appliance:
        outputs = [
            restorepoints("sync", *one(appliance), "--output", "json"),
            restorepoints("sync", *one(appliance), "--debug"),
            restorepoints("sync", *one(appliance), env={"RESTOREPOINTS_PASSWORD": "a-wrong-password"}),
            restorepoints("check", *one(appliance)),
            restorepoints("status"),
        ]
        secrets = [PASSWORD, "a-wrong-password", *appliance.tokens_issued]
    said = "".join(outcome.stdout + outcome.stderr for outcome in outputs)
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    assert len(secrets) >= 5
    assert len(written) > 10_000
    assert [secret for secret in secrets if secret in said or secret.encode() in written] == []
