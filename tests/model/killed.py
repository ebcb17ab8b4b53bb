"""One run in a process of its own, to be killed: reads what to do as JSON from its input."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from datetime import datetime

from etl.extract.endpoint import Endpoint
from etl.load.warehouse import Warehouse
from etl.sync import Source, sync_appliance


def main() -> None:
    told = json.load(sys.stdin)
    looks = 0

    def now() -> datetime:
        nonlocal looks
        looks += 1
        if looks == told["dies_at"]:
            os.kill(os.getpid(), signal.SIGKILL)
        return datetime.fromisoformat(told["now"])

    source = Source(Endpoint(told["name"], told["url"], "reporter", "simulated-password"), workloads=("vm",))
    asyncio.run(sync_appliance(source, Warehouse(told["warehouse"]), now=now))


if __name__ == "__main__":
    main()
