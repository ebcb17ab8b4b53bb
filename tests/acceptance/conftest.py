"""The installed command, run as a user runs it: a process of its own, from a directory of its own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import COMMAND, PASSWORD, Command, Outcome

from etl.simulator import Estate, SimulatedAppliance, simulate


@pytest.fixture
def environ() -> dict[str, str]:
    """The environment of a shell, without what would steer the command, but with the simulated appliance's password."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RESTOREPOINTS_")}
    # two of three seconds of a start go into compiling what an environment that keeps no bytecode has forgotten
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    return {**kept, "RESTOREPOINTS_PASSWORD": PASSWORD, "PYTHONWARNINGS": "error"}


@pytest.fixture
def restorepoints(tmp_path: Path, environ: dict[str, str]) -> Command:
    def run(*arguments: str, env: dict[str, str | None] | None = None, timeout: float = 60) -> Outcome:
        merged = {name: value for name, value in {**environ, **(env or {})}.items() if value is not None}
        done = subprocess.run(
            [COMMAND, *arguments],
            cwd=tmp_path,
            env=merged,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
            check=False,
        )
        encoding = merged.get("PYTHONIOENCODING", "utf-8").split(":")[0]
        outcome = Outcome(done.returncode, done.stdout.decode(encoding), done.stderr.decode(encoding))
        assert "Traceback" not in outcome.stderr
        return outcome

    return run


@pytest.fixture
def appliance() -> Iterator[SimulatedAppliance]:
    """A simulated appliance of some forty restore points at v8.1."""
    with simulate(Estate.from_seed(3, machines=3, days=4), version="v8.1") as appliance:
        yield appliance
