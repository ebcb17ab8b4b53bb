"""The databases, file shares, networks and Cosmos accounts of an estate and their policies, drawn from a seed.

Drawn by `Chance`, apart from the machines: an estate has the same machines whatever else it has.
"""

from __future__ import annotations

import string

from etl.simulator.chance import Chance
from etl.simulator.fleet import GIB, Ground, Policy, Protected
from etl.simulator.points import CosmosAccount, Database, FileShare, Network, Region, Resource

SQL = Policy(
    name="Databases",
    snapshot_hours=(),
    snapshots_to_keep=0,
    backup_hour=2,
    backup_days=14,
    archive_weeks=8,
    workload="sql",
)
FILE_SHARES = Policy(
    name="File shares",
    snapshot_hours=(8, 14, 20),
    snapshots_to_keep=12,
    backup_hour=None,
    backup_days=0,
    workload="file_share",
)
NETWORKS = Policy(
    name="Network configuration",
    snapshot_hours=(),
    snapshots_to_keep=0,
    backup_hour=5,
    backup_days=30,
    workload="vnet",
)
COSMOS = Policy(
    name="Cosmos accounts",
    snapshot_hours=(),
    snapshots_to_keep=0,
    backup_hour=1,
    backup_days=14,
    archive_months=6,
    workload="cosmos_db",
)
ACCOUNT_TYPES = ("PostgresSql", "MongoRU", "NoSql", "Table", "Gremlin")
DATABASES = ("shop", "orders", "billing", "reports", "identity", "catalogue", "stock", "loyalty")
SHARES = ("docs", "finance", "profiles", "projects", "media", "scans")
_LETTERS = string.ascii_lowercase + string.digits


class OtherFleet:
    """Makes protected resources of each workload, as many as wished; number n is the same however many there are."""

    def __init__(self, chance: Chance, ground: Ground) -> None:
        self._chance = chance
        self._ground = ground

    def databases(self, count: int) -> list[Protected]:
        """Make databases, four to a server."""
        return [
            self._protected(
                Database(
                    *self._place("database", number, _name(DATABASES, number)),
                    disk_bytes=self._size("database", number, 1, 40),
                    server_name=f"sql-{number // 4 + 1:02d}",
                ),
                SQL,
            )
            for number in range(count)
        ]

    def file_shares(self, count: int) -> list[Protected]:
        """Make file shares, three to a storage account."""
        return [
            self._protected(
                FileShare(
                    *self._place("file share", number, _name(SHARES, number)),
                    disk_bytes=self._size("file share", number, 50, 900),
                    account_name=f"files{number // 3 + 1:02d}",
                ),
                FILE_SHARES,
            )
            for number in range(count)
        ]

    def networks(self, count: int) -> list[Protected]:
        """Make networks, each of another region or subscription; beyond nine some share both."""
        networks = []
        for number in range(count):
            region = self._ground.regions[number % len(self._ground.regions)]
            subscriptions = self._ground.subscriptions
            subscription_id, name = subscriptions[number // len(self._ground.regions) % len(subscriptions)]
            network = Network(
                self._resource_id("network", number),
                f"{name}-{region.id}",
                region,
                subscription_id,
                name,
                disk_bytes=int(self._chance.between(20_000, 90_000, "network size", number)),
                azure_account_id=self._chance.uuid("azure account"),
            )
            networks.append(self._protected(network, NETWORKS))
        return networks

    def cosmos_accounts(self, count: int) -> list[Protected]:
        """Make Cosmos accounts, the first of PostgreSQL, the second of MongoDB, and so on in turn."""
        return [
            self._protected(
                CosmosAccount(
                    *self._place("cosmos account", number, f"cosmos-{number + 1:02d}"),
                    disk_bytes=self._size("cosmos account", number, 2, 60),
                    account_type=ACCOUNT_TYPES[number % len(ACCOUNT_TYPES)],
                ),
                COSMOS,
            )
            for number in range(count)
        ]

    def _protected(self, resource: Resource, policy: Policy) -> Protected:
        return Protected(resource, policy, growth_per_day=0, used_share=0)

    def _place(self, what: str, number: int, name: str) -> tuple[str, str, Region, str, str]:
        regions, subscriptions = self._ground.regions, self._ground.subscriptions
        subscription = subscriptions[int(self._chance.between(0, len(subscriptions), what, number, "subscription"))]
        region = regions[int(self._chance.between(0, len(regions), what, number, "region"))]
        return (self._resource_id(what, number), name, region, *subscription)

    def _size(self, what: str, number: int, least: int, most: int) -> int:
        """Return bytes between `least` and `most` GiB."""
        return int(self._chance.between(least, most, what, number, "size")) * GIB

    def _resource_id(self, what: str, number: int) -> str:
        return "".join(_LETTERS[int(self._chance.between(0, 36, what, number, place))] for place in range(52))


def _name(names: tuple[str, ...], number: int) -> str:
    """Return a name, with a number from the second round on."""
    turn = number // len(names)
    return names[number % len(names)] + (f"-{turn + 1}" if turn else "")
