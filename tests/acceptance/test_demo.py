"""`make demo`: what it prints and what it leaves."""

from __future__ import annotations

import shlex
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def test_thirty_nights_and_four_answers(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", ROOT / "scripts" / "demo.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout.count("30 of 30 succeeded") == 2
    for question in ("newest_restore_points", "kept", "changed_since_last_run", "gone_and_why"):
        assert f"sql/{question}.sql" in done.stdout
        assert (ROOT / "sql" / f"{question}.sql").exists()
    with closing(sqlite3.connect(tmp_path / "demo" / "restorepoints.db")) as database:
        (runs,) = database.execute("select count(*) from sync_runs where status = 'succeeded'").fetchone()
        machines = database.execute("select distinct resource_name from restore_points").fetchall()
        versions = database.execute("select api_version from appliances order by name").fetchall()
        causes = dict(
            database.execute(
                "select cause, count(*) from deletions join appliances using (appliance_id) "
                "where appliances.name = 'acme-south' group by cause"
            )
        )
    assert runs == 60
    assert causes.pop("retention") > 100
    assert causes.pop("policy_removed") > 0
    assert causes == {"manual": 4, "unexplained": 1}
    assert versions == [("v3",), ("v8.1",)]
    shown = [name for (name,) in machines if name]
    assert len(shown) >= 10
    assert all(name in done.stdout for name in shown)
    commands = [shlex.split(line, comments=True) for line in done.stdout.splitlines() if "--warehouse" in line]
    told = [subprocess.run(command, capture_output=True, text=True, check=True).stdout for command in commands]
    assert [command[1] for command in commands] == ["status", "as-of", "explain", "history"]
    assert "acme-south" in told[0]
    assert "watched from" in told[1]
    assert "Nobody knows why" in told[2]
    assert "deleted after" in told[3]
