"""The machines, regions, subscriptions and policies of an estate, drawn from a seed."""

from __future__ import annotations

import random
import string
from dataclasses import dataclass
from uuid import UUID

from etl.simulator.points import Machine, Region, Resource

REGIONS = (
    Region("westeurope", "West Europe", "Europe/Amsterdam"),
    Region("northeurope", "North Europe", "Europe/Dublin"),
    Region("eastus", "East US", "America/New_York"),
    Region("uksouth", "UK South", "Europe/London"),
    Region("australiaeast", "Australia East", "Australia/Sydney"),
    Region("centralindia", "Central India", "Asia/Kolkata"),
)
SUBSCRIPTIONS = ("production", "shared-services", "development")
ROLES = ("web", "app", "db", "dc", "file", "build", "mail", "queue", "cache", "report", "proxy", "vault")
COMPANIES = ("contoso", "fabrikam", "litware", "northwind", "tailspin", "adatum", "wingtip", "proseware")
GIB = 1024**3


@dataclass(frozen=True, slots=True)
class Policy:
    """A schedule-based policy: hours and days are the appliance's own, what is kept is counted or dated.

    Snapshots are kept by count (never fewer than two), backups (if there is a `backup_hour`) by days, archives by
    what their flags promise.
    Archives are made on Sundays: `Weekly` on each, `Monthly` on the month's first, `Yearly` on the year's first.
    """

    name: str
    snapshot_hours: tuple[int, ...]
    snapshots_to_keep: int
    backup_hour: int | None
    backup_days: int
    access_tier: str = "Hot"
    archive_weeks: int = 0
    archive_months: int = 0
    archive_years: int = 0
    immutable_days: int = 0
    workload: str = "vm"

    @property
    def archives(self) -> bool:
        """Whether it makes archives at all."""
        return bool(self.archive_weeks or self.archive_months or self.archive_years)


POLICIES = (
    Policy(
        name="Production",
        snapshot_hours=(6, 22),
        snapshots_to_keep=6,
        backup_hour=22,
        backup_days=14,
        archive_weeks=4,
        archive_months=6,
        archive_years=2,
    ),
    Policy(
        name="Business records",
        snapshot_hours=(21,),
        snapshots_to_keep=3,
        backup_hour=23,
        backup_days=30,
        access_tier="Cool",
        archive_months=12,
        archive_years=7,
        immutable_days=7,
    ),
    Policy(name="Development", snapshot_hours=(3,), snapshots_to_keep=2, backup_hour=4, backup_days=7),
)


@dataclass(frozen=True, slots=True)
class Protected:
    """A resource under a policy, from day `since` of the estate's history up to day `until` (None: still)."""

    resource: Resource
    policy: Policy
    growth_per_day: float
    used_share: float
    since: int = 0
    until: int | None = None


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the appliance is: the ids and names that its system pages tell."""

    host: str
    server_name: str
    region: Region
    database_id: str
    subscription_id: str
    azure_vm_id: str
    unique_id: str
    resource_group: str


def make_uuid(draw: random.Random) -> str:
    """Draw a random (version 4) UUID."""
    return str(UUID(int=draw.getrandbits(128), version=4))


def make_identity(draw: random.Random) -> Identity:
    """Draw an appliance's identity; its host is a name, never the address it is served at."""
    company = draw.choice(COMPANIES)
    region = draw.choice(REGIONS)
    name = f"{company}-vba-{draw.randrange(1, 10):02d}"
    subscription = make_uuid(draw)
    return Identity(
        host=f"{name}.{region.id}.cloudapp.azure.com",
        server_name=name,
        region=region,
        database_id=make_uuid(draw),
        subscription_id=subscription,
        azure_vm_id=f"/subscriptions/{subscription}/resourceGroups/backup/providers"
        f"/Microsoft.Compute/virtualMachines/{name}",
        unique_id=make_uuid(draw),
        resource_group="backup",
    )


@dataclass(frozen=True, slots=True)
class Ground:
    """Where an estate's resources lie: three regions, and subscriptions as pairs of id and name."""

    regions: list[Region]
    subscriptions: list[tuple[str, str]]


def make_ground(draw: random.Random) -> Ground:
    """Draw the regions and subscriptions of an estate."""
    return Ground(draw.sample(REGIONS, 3), [(make_uuid(draw), name) for name in SUBSCRIPTIONS])


def make_fleet(draw: random.Random, ground: Ground, machines: int, days: int) -> list[Protected]:
    """Draw `machines` protected machines; one in eight joins later, one in ten is retired on the way."""
    letters = string.ascii_lowercase + string.digits
    fleet = []
    for number in range(machines):
        subscription_id, subscription_name = draw.choice(ground.subscriptions)
        machine = Machine(
            resource_id="".join(draw.choices(letters, k=52)),
            name=f"{ROLES[number % len(ROLES)]}-{number // len(ROLES) + 1:02d}",
            region=draw.choice(ground.regions),
            subscription_id=subscription_id,
            subscription_name=subscription_name,
            disk_bytes=draw.choice((32, 64, 127, 127, 256, 512, 1024)) * GIB,
        )
        fleet.append(
            Protected(
                resource=machine,
                policy=POLICIES[number % len(POLICIES)],
                growth_per_day=draw.uniform(0.0002, 0.0005),
                used_share=draw.uniform(0.15, 0.4),
                since=draw.randrange(1, days) if number % 8 == 7 and days > 1 else 0,
                until=draw.randrange(days // 2, days) if number % 10 == 9 and days > 1 else None,
            )
        )
    return fleet
