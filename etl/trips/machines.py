"""Finds out which machine a restore point is of, where its item names none: v1 to v3.

The appliance tells it only the other way round, by the filter `VirtualMachineId`: so each machine is asked for its
points, once for the points that are new.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import Any
from uuid import uuid4

from etl.catalogue import COLLECTIONS, Companion
from etl.errors import ApplianceError, Forbidden, NotServed
from etl.extract.client import ApplianceClient
from etl.extract.crawl import Crawl
from etl.extract.versions import rank
from etl.load.machines import fill_in, new_points
from etl.transform.machines import machine_of
from etl.trips.reading import ids_of, narrowed
from etl.trips.trip import Trip

#: From this version on every item names its machine.
NAMED_SINCE = "v4"

_VM = COLLECTIONS["vm"]
_MACHINES = Companion("machines", (("v1", "/virtualMachines"),), {"ExistsState": "All"})


async def resolve_machines(trip: Trip) -> str | None:
    """Fills in the machines of new restore points; the staging tables are sealed.

    Returns:
        why it could not be done, for a person to know; the points are merged without their machine then.
    """
    desk = trip.desk
    if rank(desk.api_version) >= rank(NAMED_SINCE):
        return None
    wanted = await desk.on_warehouse(new_points, desk.staging, desk.run)
    if not wanted:
        return None
    client = desk.client.bearing()
    try:
        if await _points_of(client, desk.api_version, str(uuid4())):
            return f"{client.name}: the filter by machine is ignored, so no machine was filled in"
        machines = await _machines(client, desk.api_version)
        found: dict[str, dict[str, Any]] = {}
        doubtful: set[str] = set()
        for machine in machines:
            if len(found) == len(wanted):
                break
            for point_id in wanted.intersection(await _points_of(client, desk.api_version, machine["resource_id"])):
                if point_id in found:
                    doubtful.add(point_id)
                found[point_id] = machine
    except (Forbidden, NotServed) as error:
        return f"{client.name}: the machines of restore points cannot be found out: {error}"
    except ApplianceError as error:
        return f"{client.name}: the machines of {len(wanted):,} new restore points were not found out: {error}"
    for point_id in doubtful:
        del found[point_id]
    await desk.on_warehouse(fill_in, desk.staging, found)
    return None


async def _machines(client: ApplianceClient, api_version: str) -> list[dict[str, Any]]:
    found = []
    async with aclosing(Crawl(client, api_version, _MACHINES).pages()) as pages:
        async for page in pages:
            found += [machine for item in page.items if (machine := machine_of(item))]
    return found


async def _points_of(client: ApplianceClient, api_version: str, machine_id: str) -> set[str]:
    found: set[str] = set()
    crawl = Crawl(client, api_version, narrowed(_VM, VirtualMachineId=machine_id))
    async with aclosing(crawl.pages()) as pages:
        async for page in pages:
            found.update(ids_of(page.items))
    return found
