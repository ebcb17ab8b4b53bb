"""Loading the warehouse night after night without an appliance in front, and counting what was written."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from etl.catalogue import COLLECTIONS
from etl.load import ledger, vanished
from etl.load.known import known_items
from etl.load.ledger import ApplianceState, CollectionOutcome
from etl.load.merge import merge
from etl.load.staging import open_staging
from etl.load.warehouse import Warehouse, write
from etl.transform.hashing import hash_items
from etl.transform.items import normalise

#: The first run of a test begins here; each later one a day after the one before. It observes a second later.
VM = COLLECTIONS["vm"]
FIRST_NIGHT = datetime(2026, 3, 1, 2, 0, 0, 123456, tzinfo=UTC)
FIRST_OBSERVED = FIRST_NIGHT + timedelta(seconds=1)


class Nights:
    """Loads one night's items after the other, as a run does, without an appliance in front."""

    def __init__(self, warehouse: Warehouse, *, reading_takes: timedelta = FIRST_OBSERVED - FIRST_NIGHT) -> None:
        self.warehouse = warehouse
        self.reading_takes = reading_takes
        self.now = FIRST_NIGHT

    def load(
        self,
        items: Sequence[dict[str, Any] | bytes],
        *,
        api_version: str = "v8.1",
        batch: int = 10_000,
        appliance: str = "north",
        evidence: str | None = None,
        unconfirmed: int = 0,
        gone: Sequence[str] = (),
    ) -> CollectionOutcome:
        """One run: `evidence` makes it proven, `gone` are the ids that it found gone, `unconfirmed` counts the rest."""
        raw = [item if isinstance(item, bytes) else json.dumps(item).encode() for item in items]
        with self.warehouse.begin() as connection:
            known = ledger.register(connection, name=appliance, base_url="https://north", tenant=None)
        with self.warehouse.connect() as connection:
            with write(connection):
                run = ledger.start(connection, known.appliance_id, base_url="https://north", now=self.now)
            hashes = known_items(connection, known.appliance_id, VM)
            staging = open_staging(connection)
            for start in range(0, len(raw), batch):
                part = raw[start : start + batch]
                met = hashes.meet(hash_items(part))
                fresh = [item for item, is_known in zip(part, met, strict=True) if not is_known]
                normalised = normalise(fresh, collection="vm")
                staging.add(VM, 1, normalised.frame, normalised.rejected)
            staging.seal()
            vanished.find_vanished(staging, run, VM, hashes, 1)
            vanished.mark_gone(staging, VM, gone)
            connection.commit()
            run = run.observing(self.now + self.reading_takes)
            if not self.reading_takes:
                run = replace(run, observed_at=run.started_at)
            with write(connection):
                vanished.unstage_gone(staging, run, VM)
                outcome = merge(
                    staging,
                    run,
                    VM,
                    {VM.name: hashes},
                    other_api_version=known.api_version not in (None, api_version),
                    restamp=False,
                )
                outcome.deleted = vanished.write_deletions(staging, run, VM)
                outcome.proven, outcome.evidence = evidence is not None, evidence
                outcome.unconfirmed, outcome.crawls = unconfirmed, 1
                state = ApplianceState("https://north", api_version, None, "UTC")
                ledger.finish(connection, run, [outcome], state, self.now)
        self.now += timedelta(days=1)
        assert outcome.extracted == (
            outcome.inserted + outcome.updated + outcome.unchanged + outcome.reappeared + outcome.rejected
        )
        return outcome


def backup(number: int, made_at: datetime, **fields: Any) -> dict[str, Any]:
    """A v8.1 restore point of a virtual machine."""
    return {
        "id": point_id(number),
        "backupDestination": "AzureBlob",
        "type": "Incremental",
        "pointInTime": made_at.isoformat(),
        "backupSizeBytes": 34_359_738_368,
        "isCorrupted": False,
        "vmName": f"vm-{number}",
        "resourceHashId": f"hash-{number}",
        "regionName": "West Europe",
        "state": "Ok",
        "gfsFlags": "Daily",
        "jobSessionId": "B2E70000-0000-4000-8000-000000000001",
        **fields,
    }


def point_id(number: int) -> str:
    """The id of `backup(number, …)`."""
    return f"abcdef00-0000-4000-8000-{number:012d}"


class counting_writes:  # noqa: N801  reads as a statement
    """Counts rows of restore points and versions written inside the block, by the database's own counters."""

    TABLES = ("restore_points", "restore_point_versions")

    def __init__(self, warehouse: Warehouse) -> None:
        self.warehouse = warehouse

    def __enter__(self) -> Any:
        with self.warehouse.begin() as connection:
            if self.warehouse.dialect == "sqlite":
                connection.exec_driver_sql("create table if not exists writes (n integer)")
                for table in self.TABLES:
                    for verb in ("insert", "update", "delete"):
                        connection.exec_driver_sql(
                            f"create trigger if not exists {table}_{verb} after {verb} on {table} "
                            "begin insert into writes values (1); end"
                        )
            self.before = self.count(connection)
        return lambda: self.written

    def __exit__(self, *_: object) -> None:
        with self.warehouse.begin() as connection:
            self.written = self.count(connection) - self.before

    def count(self, connection: Any) -> int:
        if self.warehouse.dialect == "sqlite":
            return int(connection.exec_driver_sql("select count(*) from writes").scalar())
        connection.exec_driver_sql("select pg_stat_force_next_flush()")
        return int(
            connection.exec_driver_sql(
                "select sum(n_tup_ins + n_tup_upd + n_tup_del) from pg_stat_user_tables "
                "where relname in ('restore_points', 'restore_point_versions')"
            ).scalar()
        )
