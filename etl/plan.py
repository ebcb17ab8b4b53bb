"""A dry run against the live appliance: what a sync would find; it writes nothing, not even a row of the ledger."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from etl.catalogue import points_of
from etl.errors import RestorepointsError
from etl.extract.client import ApplianceClient
from etl.extract.discovery import discover
from etl.load import ledger
from etl.load.ledger import KnownAppliance, Run
from etl.load.merge import find_changes
from etl.load.rejects import count_rejected
from etl.load.snapshot import count_distinct
from etl.load.thread import WarehouseThread
from etl.load.warehouse import Warehouse
from etl.sync import Source
from etl.trips.reading import Desk, Progress
from etl.trips.trip import Trip

#: An appliance that the warehouse does not know yet: no row is its own.
_NOBODY = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """What a sync would find; vanished points have not been asked for by id yet."""

    appliance: str
    snapshot_proven: bool = False
    extracted: int = 0
    new: int = 0
    changed: int = 0
    reappeared: int = 0
    unchanged: int = 0
    vanished: int = 0
    rejected: int = 0
    field_errors: int = 0
    error: str | None = None
    """What would keep a sync from running, or from marking what vanished as deleted."""


async def plan_appliance(
    source: Source, warehouse: Warehouse, *, now: Callable[[], datetime], on_progress: Callable[[Progress], None]
) -> Plan:
    """Reads the appliance as a sync does and compares; the warehouse is read only, temporary tables aside."""
    name = source.endpoint.name
    try:
        async with WarehouseThread(warehouse) as on_warehouse:
            connection = await on_warehouse(on_warehouse.held.enter_context, warehouse.connect())
            known = await on_warehouse(_look_up, connection, name, source.endpoint.url)
            run = Run(known.appliance_id, 0, now(), now())
            async with ApplianceClient(source.endpoint) as client:
                facts = await discover(client, source.api_version, known.api_version, now)
                desk = await on_warehouse(Desk, client, facts, run, connection, on_warehouse, on_progress)
                trip = Trip(desk)
                await trip.read(points_of(source.workloads))
                await trip.refuse_another_appliance(known, facts, source.endpoint.url)
                await trip.find_missed()
                guard = " ".join(await trip.guard(accepted=False)) or None
            return await on_warehouse(
                _compare, name, trip, guard, other_api_version=known.api_version not in (None, facts.api_version)
            )
    except RestorepointsError as error:
        return Plan(name, error=str(error))


def _look_up(connection: Connection, name: str, base_url: str) -> KnownAppliance:
    known = ledger.look_up(connection, name) or KnownAppliance(_NOBODY, base_url, {}, None, None)
    connection.rollback()
    return known


def _compare(name: str, trip: Trip, guard: str | None, *, other_api_version: bool) -> Plan:
    desk = trip.desk
    connection = desk.connection
    kinds: dict[str, int] = {}
    extracted = rejected = field_errors = 0
    with connection.begin():
        for reading in trip.readings:
            if not reading.is_read:
                continue
            found = find_changes(
                desk.staging,
                desk.run,
                reading.collection,
                trip.known(reading.collection),
                other_api_version=other_api_version,
                restamp=False,
            )
            kinds = {kind: kinds.get(kind, 0) + found.get(kind, 0) for kind in kinds.keys() | found.keys()}
            extracted += count_distinct(desk.staging, desk.run, reading.collection, reading.known)
            items, fields = count_rejected(desk.staging, reading.collection)
            rejected, field_errors = rejected + items, field_errors + fields
        connection.rollback()
    changed = sum(kinds.get(kind, 0) for kind in ("changed", "restated", "refreshed"))
    new, reappeared = kinds.get("appeared", 0), kinds.get("reappeared", 0)
    return Plan(
        name,
        snapshot_proven=all(reading.evidence for reading in trip.readings if reading.is_read),
        extracted=extracted,
        new=new,
        changed=changed,
        reappeared=reappeared,
        unchanged=extracted - new - changed - reappeared - rejected,
        vanished=sum(reading.missed for reading in trip.readings),
        rejected=rejected,
        field_errors=field_errors,
        error=" ".join(filter(None, (trip.error(), guard))) or None,
    )
