"""The wheel, alone in an empty environment and run from another directory, does the same."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from etl.simulator import SimulatedAppliance

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (made,) = folder.glob("*.whl")
    return made


def test_it_carries_migrations_sql_and_types(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert "etl/migrations/env.py" in names
    assert {f"etl/sql/{path.name}" for path in (ROOT / "sql").glob("*.sql")} <= names
    assert {"etl/py.typed", "etl/restorepoints.example.toml"} <= names
    assert not [name for name in names if name.startswith(("tests", "scripts", "benchmarks"))]


def test_it_works_by_itself(
    wheel: Path, appliance: SimulatedAppliance, environ: dict[str, str], tmp_path: Path
) -> None:
    uv, python = Path(sys.executable).parent / "uv", tmp_path / "empty" / "bin" / "python"
    quiet = {"check": True, "capture_output": True}
    subprocess.run([uv, "venv", "--python", sys.executable, tmp_path / "empty"], **quiet)
    # the versions that everything else was tested with; none of the development tools
    pins = ["--constraints", ROOT / "requirements" / "dev.txt"]
    subprocess.run([uv, "pip", "install", "--python", python, *pins, wheel], **quiet)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    where = ["--appliance", f"north={appliance.url}", "--username", "reporter"]
    runs = [
        subprocess.run(
            [python.parent / "restorepoints", *arguments],
            cwd=elsewhere,
            env={**environ, "PATH": os.defpath},
            capture_output=True,
            text=True,
            check=True,
        )
        for arguments in (["sync", *where], ["sync", *where], ["status"], ["init"], ["db", "current"])
    ]
    count = len(appliance.estate.points)
    assert f"{count} new" in runs[0].stdout
    assert f"0 new, 0 changed, {count} unchanged" in runs[1].stdout
    assert runs[4].stdout == "0002\n"
