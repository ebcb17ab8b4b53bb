"""Every command, configuration and query that the README shows is run as it stands there."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path

import httpx
import pytest
from commands import COMMAND, Command
from sqlalchemy import text

from etl.load.warehouse import Warehouse
from etl.simulator import SimulatedAppliance

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text("utf-8")
#: Run by a test, or by whoever runs this one, in another way than from a shell here.
ELSEWHERE = {"make demo", "make test", "python3 -m pip install ."}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def test_the_two_commands_come_first() -> None:
    assert blocks("sh")[0] == "make demo\nmake test\n"
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert {"demo", "test", "lint", "format", "bench", "clean"} <= set(targets)


def test_every_command_runs_as_shown(
    appliance: SimulatedAppliance, postgres_url: str, environ: dict[str, str], tmp_path: Path
) -> None:
    there = {
        "https://vba.example.net": appliance.url,
        "postgresql://restorepoints@db.example.net/backups": f"'{postgres_url}'",
        "6f1c0c52-0f0e-4a3e-9d0a-2f8d3c1b7a55": appliance.estate.points[0].id,
    }
    environ["PATH"] = f"{COMMAND.parent}:{environ['PATH']}"
    commands = [line for block in blocks("sh") for line in block.splitlines() if line not in ELSEWHERE]
    assert len(commands) > 10
    script = []
    for command in commands:
        if command.startswith("restorepoints simulate"):
            continue  # runs until it is stopped: below
        for shown, real in there.items():
            command = command.replace(shown, real)
        script.append(command)
        if command == "restorepoints init":
            script.append(f"cp {tmp_path}/filled-in.toml restorepoints.toml")
    (tmp_path / "filled-in.toml").write_text(blocks("toml")[0].replace("https://vba.example.net", appliance.url))
    (tmp_path / "acme-north.password").write_text("simulated-password\n")
    done = subprocess.run(
        ["bash", "-euxc", "\n".join(script)], cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("acme-north: succeeded") == 2
    assert '"appliance": "acme-north"' in done.stdout


def test_the_simulator_as_shown(environ: dict[str, str]) -> None:
    (command,) = [line for block in blocks("sh") for line in block.splitlines() if " simulate " in line]
    arguments = command.replace("8443", "0").split()[1:]
    with subprocess.Popen([COMMAND, *arguments], env=environ, stderr=subprocess.PIPE, text=True) as simulator:
        assert simulator.stderr is not None
        url = simulator.stderr.readline().split(" on ")[1].split(";")[0]
        assert httpx.get(f"{url}/simulator/clock").status_code == 200
        simulator.terminate()
        began = time.monotonic()
        assert simulator.wait(timeout=10) == 0
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("query", blocks("sql"))
def test_every_query_runs_as_shown_on_both_databases(
    query: str, restorepoints: Command, appliance: SimulatedAppliance, warehouse_url: str
) -> None:
    where = ["--appliance", f"acme-north={appliance.url}", "--username", "reporter", "--warehouse", warehouse_url]
    assert restorepoints("sync", *where, "--migrate").status == 0
    with Warehouse(warehouse_url).connect() as connection:
        then = "2026-03-03 06:00:00.000000"
        assert then in query
        assert connection.execute(text(query)).all() == []
        machines = connection.execute(text(query.replace(then, "2100-01-01 00:00:00.000000"))).all()
    assert len(machines) == 3
    assert sum(machine.restore_points for machine in machines) == len(appliance.estate.points)


def test_every_page_that_is_linked_exists() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert len(links) >= 7
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_test_that_the_guarantees_name_exists() -> None:
    named = set(re.findall(r"`(test_\w+\.py)`", (ROOT / "docs" / "guarantees.md").read_text("utf-8")))
    assert len(named) > 15
    assert named <= {path.name for path in (ROOT / "tests").rglob("test_*.py")}
