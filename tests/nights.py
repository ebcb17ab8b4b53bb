"""Loading the warehouse night after night without an appliance in front, and counting what was written."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from etl.catalogue import COLLECTIONS
from etl.load import ledger, vanished
from etl.load.kept import KEPT
from etl.load.known import known_items
from etl.load.ledger import ApplianceState, CollectionOutcome
from etl.load.merge import merge
from etl.load.rejects import read_again
from etl.load.staging import open_staging
from etl.load.warehouse import Warehouse, write
from etl.transform.hashing import hash_items
from etl.transform.items import normalise

#: The first run of a test begins here; each later one a day after the one before. It observes a second later.
FIRST_NIGHT = datetime(2026, 3, 1, 2, 0, 0, 123456, tzinfo=UTC)
FIRST_OBSERVED = FIRST_NIGHT + timedelta(seconds=1)


class Nights:
    """Loads one night's items after the other, as a run does, without an appliance in front."""

    def __init__(self, warehouse: Warehouse, *, reading_takes: timedelta = FIRST_OBSERVED - FIRST_NIGHT) -> None:
        self.warehouse = warehouse
        self.reading_takes = reading_takes
        self.now = FIRST_NIGHT

    def load(
        self, items: Sequence[dict[str, Any] | bytes], *, collection: str = "vm", **settings: Any
    ) -> CollectionOutcome:
        """One run that reads one collection; the settings are those of `run`."""
        return self.run({collection: items}, **settings)[collection]

    def run(
        self,
        listed: Mapping[str, Sequence[dict[str, Any] | bytes]],
        *,
        api_version: str = "v8.1",
        batch: int = 10_000,
        appliance: str = "north",
        evidence: str | None = None,
        unconfirmed: int = 0,
        gone: Sequence[str] = (),
        whole: bool = True,
    ) -> dict[str, CollectionOutcome]:
        """One run: collection → its items, in the order of reading.

        `evidence` makes it proven, `unconfirmed` counts what is neither there nor gone. Of collections whose items are
        asked for by id, `gone` are those that were found gone; of the others it is what a proven run does not list.
        Not `whole`: only some of what there is was asked for.
        """
        with self.warehouse.begin() as connection:
            known = ledger.register(connection, name=appliance, base_url="https://north", tenant=None)
        with self.warehouse.connect() as connection:
            with write(connection):
                run = ledger.start(connection, known.appliance_id, base_url="https://north", now=self.now)
            collections = [COLLECTIONS[name] for name in listed]
            hashes = {one.name: known_items(connection, known.appliance_id, one) for one in collections}
            staging = open_staging(connection)
            for collection in collections:
                items = listed[collection.name]
                raw = [item if isinstance(item, bytes) else json.dumps(item).encode() for item in items]
                for start in range(0, len(raw), batch):
                    part = raw[start : start + batch]
                    met = hashes[collection.name].meet(hash_items(part))
                    fresh = [item for item, is_known in zip(part, met, strict=True) if not is_known]
                    normalised = normalise(fresh, collection=collection.name)
                    staging.add(collection, 1, normalised.frame, normalised.rejected)
            staging.seal()
            for collection in collections if whole else ():
                # nothing, where something was known, is believed when it is read twice
                crawls = 1 if listed[collection.name] or not len(hashes[collection.name]) else 2
                missed = vanished.find_vanished(staging, run, collection, hashes[collection.name], crawls)
                if collection.asked_by_id:
                    vanished.mark_gone(staging, collection, gone)
                elif missed and evidence:
                    vanished.mark_all_gone(staging, collection)
            connection.commit()
            run = run.observing(self.now + self.reading_takes)
            if not self.reading_takes:
                run = replace(run, observed_at=run.started_at)
            outcomes = {}
            with write(connection):
                for collection in collections:
                    vanished.unstage_gone(staging, run, collection)
                    outcome = outcomes[collection.name] = merge(
                        staging,
                        run,
                        collection,
                        {one.name: hashes[one.name] for one in collections if one.entity is collection.entity},
                        other_api_version=known.api_version not in (None, api_version),
                        restamp=False,
                        replayed=None if whole else read_again(staging, run, collection),
                    )
                    outcome.deleted = vanished.write_deletions(staging, run, collection)
                    outcome.proven, outcome.evidence = evidence is not None, evidence
                    outcome.unconfirmed, outcome.crawls = unconfirmed, 1
                state = ApplianceState("https://north", api_version, None, "UTC")
                ledger.finish(connection, run, list(outcomes.values()), state, self.now)
        self.now += timedelta(days=1)
        for outcome in outcomes.values():
            assert outcome.extracted == (
                outcome.inserted + outcome.updated + outcome.unchanged + outcome.reappeared + outcome.rejected
            )
        return outcomes


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


POINT_TABLES = ("restore_points", "restore_point_versions")
#: Every table of facts, and of versions.
ALL_TABLES = tuple(table.name for kept in KEPT.values() for table in (kept.facts, kept.versions) if table is not None)


class counting_writes:  # noqa: N801  reads as a statement
    """Counts rows written to some tables inside the block, by the database's own counters."""

    def __init__(self, warehouse: Warehouse, tables: Sequence[str] = POINT_TABLES) -> None:
        self.warehouse = warehouse
        self.tables = tables

    def __enter__(self) -> Any:
        with self.warehouse.begin() as connection:
            if self.warehouse.dialect == "sqlite":
                connection.exec_driver_sql("create table if not exists writes (n integer)")
                for table in self.tables:
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
        names = ", ".join(f"'{table}'" for table in self.tables)
        return int(
            connection.exec_driver_sql(
                f"select sum(n_tup_ins + n_tup_upd + n_tup_del) from pg_stat_user_tables where relname in ({names})"
            ).scalar()
        )
