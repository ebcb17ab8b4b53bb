"""A first and an identical second sync, against a script written by hand, as whole processes in interleaved runs."""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

from etl import console
from etl.simulator import Estate, simulate

HERE = Path(__file__).parent
COMMAND = Path(sys.executable).parent / "restorepoints"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--points", type=int, default=20_000, help="restore points [default: 20,000]")
    arguments.add_argument("--runs", type=int, default=3, help="runs of each [default: 3]")
    arguments.add_argument("--latency", type=float, default=20, help="milliseconds a request [default: 20]")
    wanted = arguments.parse_args()

    seconds: dict[str, list[float]] = {}
    with (
        simulate(Estate.from_items(items(wanted.points)), version="v8.1") as appliance,
        tempfile.TemporaryDirectory() as t,
    ):

        async def wait(_request: Any) -> None:
            await asyncio.sleep(wanted.latency / 1000)

        appliance.before_request(wait)
        for run in range(wanted.runs):
            ours = [COMMAND, "sync", "--appliance", f"bench={appliance.url}", "--username", "reporter"]
            ours += ["--warehouse", f"sqlite:///{t}/ours-{run}.db"]
            script = [sys.executable, HERE / "script.py", appliance.url, f"sqlite:///{t}/script-{run}.db"]
            for night in ("first", "identical second"):
                for name, command in (("restorepoints", ours), ("script by hand", script)):
                    seconds.setdefault(f"{name}, {night} sync", []).append(timed(command))

    print(
        f"{wanted.points:,} restore points, pages of 500, {wanted.latency:g} ms a request, SQLite, {wanted.runs} runs"
    )
    print(f"Python {platform.python_version()}, {platform.system()}, {os.cpu_count()} cores\n")
    console.print_table(
        ("whole process", "median s", "fastest s", "slowest s"),
        [
            (name, *(round(figure, 2) for figure in (statistics.median(times), min(times), max(times))))
            for name, times in seconds.items()
        ],
    )


def items(count: int) -> list[dict[str, Any]]:
    """Restore points of 1,000 machines, as v8.1 shapes them."""
    return [
        {
            "id": str(uuid.uuid5(uuid.NAMESPACE_URL, str(number))),
            "backupDestination": "AzureBlob",
            "type": "Incremental",
            "vbrId": None,
            "pointInTime": f"2025-03-{number % 28 + 1:02d}T02:00:11.{number % 1_000_000:06d}Z",
            "backupSizeBytes": 1_073_741_824 + number,
            "isCorrupted": False,
            "vmName": f"vm-{number % 1_000:04d}",
            "resourceHashId": f"{number % 1_000:052d}",
            "regionId": "westeurope",
            "regionName": "West Europe",
            "state": "Ok",
            "gfsFlags": "Daily",
            "jobSessionId": str(uuid.uuid5(uuid.NAMESPACE_OID, str(number // 100))),
            "dataRetrievalStatus": "None",
            "immutableTill": "2025-04-25T00:00:00Z",
            "accessTier": "Hot",
            "latestChainSizeBytes": 34_359_738_368,
            "_links": None,
        }
        for number in range(count)
    ]


def timed(command: list[Any]) -> float:
    began = time.perf_counter()
    environ = {**os.environ, "RESTOREPOINTS_PASSWORD": "simulated-password"}
    subprocess.run(command, env=environ, check=True, capture_output=True)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
