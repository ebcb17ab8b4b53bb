"""`init`, `check`, `status`, `db` and `--help`."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from commands import Command

from etl.catalogue import WORKLOADS
from etl.simulator import Estate, SimulatedAppliance, simulate

COMMANDS = [
    ["sync"],
    ["plan"],
    ["check"],
    ["status"],
    ["history"],
    ["explain"],
    ["as-of"],
    ["rejects"],
    ["rejects", "list"],
    ["rejects", "replay"],
    ["appliances"],
    ["appliances", "list"],
    ["appliances", "rename"],
    ["init"],
    ["simulate"],
    ["db"],
    ["db", "upgrade"],
    ["db", "current"],
]


def test_help_imports_nothing_heavy() -> None:
    heavy = (
        "pandas",
        "numpy",
        "sqlalchemy",
        "httpx",
        "psycopg",
        "alembic",
        "starlette",
        "uvicorn",
        "msgspec",
        "rich",
        "asyncio",
    )
    program = (
        "import sys; sys.argv = ['restorepoints', '--help']\n"
        "from etl.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        f"print([name for name in {heavy!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    assert "sync" in done.stdout


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(restorepoints: Command, command: list[str]) -> None:
    outcome = restorepoints(*command, "--help")
    assert outcome.status == 0
    assert "Usage: restorepoints" in outcome.stdout
    assert len(outcome.stdout.splitlines()) > 5


def test_version(restorepoints: Command) -> None:
    assert restorepoints("--version").stdout == "restorepoints 0.1.0\n"


def test_init_writes_a_file_that_check_and_sync_can_use(
    restorepoints: Command, appliance: SimulatedAppliance, tmp_path: Path
) -> None:
    made = restorepoints("init")
    assert made.status == 0
    path = tmp_path / "restorepoints.toml"
    assert str(path) in made.stderr
    again = restorepoints("init")
    assert again.status == 2
    assert "left alone" in again.stderr
    text = path.read_text()
    assert "https://vba.example.net" in text
    path.write_text(
        text.replace("https://vba.example.net", appliance.url).replace("\npassword_file", "\n#password_file")
    )
    checked = restorepoints("check")
    assert checked.status == 0, checked.stderr
    assert "ready to sync" in checked.stdout
    assert restorepoints("sync").status == 0


def test_check_says_what_it_found_and_writes_nothing(
    restorepoints: Command, appliance: SimulatedAppliance, tmp_path: Path
) -> None:
    outcome = restorepoints(
        "check", "--appliance", f"north={appliance.url}", "--username", "reporter", "--output", "json"
    )
    assert outcome.status == 0
    (finding,) = outcome.objects
    assert finding["api_version"] == "v8.1"
    assert finding["time_zone"] == "Europe/Berlin"
    assert finding["role"] is not None
    assert finding["identity"]["databaseId"]
    assert [(one["collection"], one["status"], one["total"]) for one in finding["collections"]] == [
        (workload, "readable", sum(point.workload == workload for point in appliance.estate.points))
        for workload in WORKLOADS
    ]
    assert list(tmp_path.iterdir()) == []
    assert len([request for request in appliance.requests if "estorePoints" in request.path]) == len(WORKLOADS)


def test_check_looks_at_the_configured_workloads_alone(
    restorepoints: Command, appliance: SimulatedAppliance, tmp_path: Path
) -> None:
    (tmp_path / "restorepoints.toml").write_text(
        f"""
        [appliances.north]
        url = "{appliance.url}"
        username = "reporter"
        workloads = ["sql", "vnet"]
        """
    )
    (finding,) = restorepoints("check", "--output", "json").objects
    assert [one["collection"] for one in finding["collections"]] == ["sql", "vnet"]
    assert [one["collection"] for one in finding["inventory"]] == [
        "repositories",
        "sql_resources",
        "vnet_resources",
        "sql_policies",
        "vnet_policy",
        "sql_policy_resources",
        "job_sessions",
    ]


def test_check_says_what_it_may_not_read(restorepoints: Command) -> None:
    estate = Estate.from_seed(3, machines=3, days=4)
    one_list = "/restorePoints/virtualMachines"
    north = ["--username", "reporter"]
    with simulate(estate, version="v8.1", forbidden=(one_list,)) as appliance:
        some = restorepoints("check", "--appliance", f"north={appliance.url}", *north)
    with simulate(estate, version="v1", forbidden=("/restorePoints",)) as appliance:
        none = restorepoints("check", "--appliance", f"north={appliance.url}", *north)
    assert (some.status, none.status) == (0, 1)
    lines = [line.split(maxsplit=1) for line in some.stdout.splitlines()]
    assert ["vm", "forbidden"] in lines
    assert ["cosmos_db_continuous", "2 restore points, pages of 100"][0] in [line[0] for line in lines]
    assert "ready to sync" in some.stdout
    assert "the account may read none of the collections" in none.stdout


def test_status_tells_how_fresh_each_appliance_is(restorepoints: Command, appliance: SimulatedAppliance) -> None:
    empty = restorepoints("status")
    assert empty.status == 1
    assert "has no schema yet" in empty.stderr
    north = ["--appliance", f"north={appliance.url}"]
    restorepoints("sync", *north, "--username", "reporter")
    restorepoints("sync", *north, "--username", "nobody")
    outcome = restorepoints("status", "--output", "json")
    (row,) = outcome.objects
    assert (row["appliance"], row["api_version"], row["last_run"], row["last_status"]) == ("north", "v8.1", 2, "failed")
    assert (row["restore_points"], row["deleted"]) == (len(appliance.estate.points), 0)
    assert 0 <= row["hours_behind"] < 0.1
    assert "north" in row["error"]
    assert [one["collection"] for one in row["collections"]] == list(WORKLOADS)
    assert {one["status"] for one in row["inventory"]} <= {"complete", "not_served"}
    assert sum(one["present"] for one in row["collections"]) == row["restore_points"]
    assert row["storage_counts"]["snapshots_told"] == row["storage_counts"]["snapshots_held"] > 0
    assert (row["unexplained"], row["storage_counts"]["not_read"]) == (0, [])
    table = restorepoints("status")
    assert "2 failed" in table.stdout
    assert "hours behind" in table.stdout
    assert re.search(r"^north +cosmos_db_continuous +complete ", table.stdout, re.MULTILINE)
    assert "the appliance counts" not in table.stderr


def test_looking_at_a_warehouse_does_not_make_one(restorepoints: Command, tmp_path: Path) -> None:
    for command in (["status"], ["db", "current"]):
        assert restorepoints(*command).status == 1
    assert list(tmp_path.iterdir()) == []
    assert restorepoints("db", "upgrade").status == 0
    assert (tmp_path / "restorepoints.db").exists()
    assert restorepoints("db", "current").stdout == "0002\n"
