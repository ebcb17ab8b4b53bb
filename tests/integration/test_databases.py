"""The test databases themselves: whose they are, and that a whole run without PostgreSQL fails."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import postgres
import pytest

TESTS = Path(postgres.__file__).parent


@pytest.mark.parametrize("test", ["first", "second"])
def test_each_test_has_an_empty_postgresql_of_its_own(postgres_url: str, test: str) -> None:
    with postgres.connect(postgres_url) as connection:
        connection.execute("create table kept (test text)")
        version = connection.info.server_version
        encoding = connection.execute("show server_encoding").fetchone()
    assert version >= 150000
    assert encoding == ("UTF8",)


def test_a_database_from_a_template(postgres_server: postgres.PostgresServer) -> None:
    template = postgres_server.create_database()
    with postgres.connect(template) as connection:
        connection.execute("create table kept as select 7 as seven")
    copy = postgres_server.create_database(template.database)
    with postgres.connect(copy) as connection:
        assert connection.execute("select seven from kept").fetchone() == (7,)
    for database in (copy, template):
        postgres_server.drop_database(database)


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        ([], pytest.ExitCode.TESTS_FAILED),
        (["."], pytest.ExitCode.TESTS_FAILED),
        (["tests/unit"], pytest.ExitCode.OK),
        (["-k", "one"], pytest.ExitCode.OK),
        (["--collect-only"], pytest.ExitCode.OK),
        (["-n", "2"], pytest.ExitCode.TESTS_FAILED),
        (["-n", "2", "-k", "one"], pytest.ExitCode.OK),
    ],
)
def test_a_whole_run_without_postgresql_fails(tmp_path: Path, arguments: list[str], status: pytest.ExitCode) -> None:
    unit = tmp_path / "tests" / "unit"
    unit.mkdir(parents=True)
    for module in ("conftest.py", "postgres.py"):
        shutil.copy(TESTS / module, tmp_path / "tests")
    (unit / "test_any.py").write_text("def test_one(): pass\ndef test_two(): pass\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\ntestpaths = tests\n")

    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"},
        capture_output=True,
        text=True,
    )

    assert run.returncode == status, run.stdout
    assert ("No test used PostgreSQL" in run.stdout) == (status == pytest.ExitCode.TESTS_FAILED)
