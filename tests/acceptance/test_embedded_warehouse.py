"""A warehouse in a file: where it may only be read, where it is not, and what its URL may say."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from commands import COMMAND, Command

from etl.errors import ConfigError
from etl.load.warehouse import Warehouse
from etl.simulator import SimulatedAppliance

#: root may write everywhere, unless it gives that up.
UNPRIVILEGED = ["setpriv", "--bounding-set=-dac_override"] if os.geteuid() == 0 else []


@pytest.fixture
def kept(restorepoints: Command, appliance: SimulatedAppliance, tmp_path: Path) -> Path:
    """A warehouse that was synced once."""
    (tmp_path / "kept").mkdir()
    path = tmp_path / "kept" / "restorepoints.db"
    arguments = ["--appliance", f"north={appliance.url}", "--username", "reporter", "--warehouse", f"sqlite:///{path}"]
    assert restorepoints("sync", *arguments).status == 0
    return path


@contextmanager
def only_to_read(path: Path) -> Iterator[None]:
    """The file and its directory may not be written meanwhile."""
    path.chmod(0o444)
    path.parent.chmod(0o555)
    try:
        yield
    finally:
        path.parent.chmod(0o755)
        path.chmod(0o644)


def read(path: Path, environ: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*UNPRIVILEGED, COMMAND, *arguments, "--warehouse", f"sqlite:///{path}"]
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("log", ["no log", "a log at hand", "a copy that never had one"])
def test_a_file_that_may_only_be_read_is_read(kept: Path, environ: dict[str, str], log: str) -> None:
    with closing(sqlite3.connect(kept)) as writer:
        if log == "a log at hand":
            writer.execute("update sync_runs set tool_version = 'newest'")
            writer.commit()
        else:
            if log == "a copy that never had one":
                writer.execute("pragma journal_mode = delete")
            writer.close()
        before = sorted(path.name for path in kept.parent.iterdir())
        with only_to_read(kept):
            status = read(kept, environ, "status", "--output", "json")
            current = read(kept, environ, "db", "current")
            refused = subprocess.run(
                [*UNPRIVILEGED, sys.executable, "-c", "import sys; open(sys.argv[1], 'a')", kept],
                capture_output=True,
                check=False,
            )
        assert sorted(path.name for path in kept.parent.iterdir()) == before
    assert b"PermissionError" in refused.stderr  # else this test proves nothing
    assert (status.returncode, current.returncode) == (0, 0), status.stderr + current.stderr
    assert '"last_status": "succeeded"' in status.stdout


def test_a_sync_into_a_file_that_may_only_be_read_is_one_sentence(
    kept: Path, environ: dict[str, str], appliance: SimulatedAppliance
) -> None:
    north = ["--appliance", f"north={appliance.url}", "--username", "reporter"]
    with only_to_read(kept):
        done = read(kept, environ, "sync", *north)
    assert done.returncode == 1
    said = [line for line in (done.stdout + done.stderr).splitlines() if not line.startswith("warehouse: ")]
    assert len(said) == 1
    assert "readonly" in said[0]


def test_a_file_that_was_written_while_it_was_read_as_if_it_stood_still_is_told(kept: Path, tmp_path: Path) -> None:
    program = (
        "import sqlite3, subprocess, sys\n"
        "from etl.load.warehouse import Warehouse\n"
        "from etl.errors import WarehouseError\n"
        "try:\n"
        "    with Warehouse(f'sqlite:///{sys.argv[1]}').connect() as connection:\n"
        "        connection.exec_driver_sql('select * from appliances').all()\n"
        "        print('reading', flush=True)\n"
        "        sys.stdin.readline()\n"
        "except WarehouseError as error:\n"
        "    print(error)\n"
    )
    command = [*UNPRIVILEGED, sys.executable, "-c", program, kept]
    with (
        only_to_read(kept),
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process,
    ):
        assert process.stdout is not None
        assert process.stdout.readline() == "reading\n"
        kept.parent.chmod(0o755)
        kept.chmod(0o644)
        with closing(sqlite3.connect(kept)) as writer:
            writer.execute("update sync_runs set tool_version = 'newest'")
            writer.commit()
        said, _ = process.communicate("go on\n", timeout=30)
    assert "was written while it was read; ask again" in said


def test_a_directory_that_is_not_there_is_named(
    restorepoints: Command, appliance: SimulatedAppliance, tmp_path: Path
) -> None:
    nowhere = ["--warehouse", "sqlite:///no/dir/x.db"]
    north = ["--appliance", f"north={appliance.url}", "--username", "reporter"]
    for command in (["status"], ["sync", *north], ["db", "upgrade"]):
        outcome = restorepoints(*command, *nowhere)
        assert outcome.status == 1
        assert outcome.sentence.endswith(f"there is no directory {tmp_path / 'no' / 'dir'}")
        assert len(outcome.sentence.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_not_there_is_made_by_the_first_sync(restorepoints: Command, tmp_path: Path) -> None:
    outcome = restorepoints("status")
    assert outcome.status == 1
    assert "the first `restorepoints sync` makes it" in outcome.sentence
    assert "db upgrade" not in outcome.sentence


def test_a_question_mark_makes_no_other_file(restorepoints: Command, tmp_path: Path) -> None:
    outcome = restorepoints("db", "upgrade", "--warehouse", "sqlite:///b?x.db")
    assert outcome.status == 2
    assert "question mark" in outcome.sentence
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ConfigError, match="without parameters"):
        Warehouse("sqlite:///b?x.db")
