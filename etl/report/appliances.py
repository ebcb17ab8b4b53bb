"""The appliances that the warehouse knows, as they told about themselves when they were last read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from etl.load.models import Appliance
from etl.load.warehouse import Warehouse


@dataclass(frozen=True, slots=True)
class NamedAppliance:
    """One appliance; what it has not told is null."""

    appliance: str
    appliance_id: int
    tenant: str | None
    base_url: str
    api_version: str | None
    time_zone: str | None
    identity: dict[str, str] | None
    """`databaseId`, `azureVmId`, `serverName`, as far as the version tells them."""
    first_synced_at: datetime | None


def known_appliances(warehouse: Warehouse) -> list[NamedAppliance]:
    """Every appliance, by name."""
    columns = (
        Appliance.name,
        Appliance.appliance_id,
        Appliance.tenant,
        Appliance.base_url,
        Appliance.api_version,
        Appliance.time_zone,
        Appliance.identity,
        Appliance.first_synced_at,
    )
    with warehouse.connect() as connection:
        return [NamedAppliance(*row) for row in connection.execute(select(*columns).order_by(Appliance.name))]
