"""Rejected records read again from the warehouse, after an upgrade that may understand them; a run of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime

import numpy as np
from sqlalchemy import Connection

from etl.catalogue import COLLECTIONS
from etl.errors import RestorepointsError, UsageError
from etl.load import ledger, schema
from etl.load.known import KnownItems
from etl.load.ledger import ApplianceState, CollectionOutcome, Run
from etl.load.locks import run_lock
from etl.load.merge import merge
from etl.load.rejects import StoredRecord, open_records
from etl.load.staging import open_staging
from etl.load.warehouse import DATABASE_ERRORS, Warehouse, write
from etl.sync import RunResult
from etl.transform.items import normalise
from etl.transform.rejected import RAW_LIMIT

#: A stored text of this size or more has been cut: at most three bytes of a last character were lost.
_CUT_FROM = RAW_LIMIT - 3


def replay_appliance(name: str, warehouse: Warehouse, *, now: Callable[[], datetime]) -> RunResult | None:
    """Normalises an appliance's open rejected records again and merges what is readable now.

    Open records are those that the newest run met, so that their items are as present as that run's snapshot. The
    appliance is not asked: the run proves nothing, and marks nothing as deleted. Records whose text was cut stay open.

    Returns:
        what the run did; null if there is nothing to read again, and so no run.

    Raises:
        UsageError: the warehouse holds no appliance of this name.
    """
    began = time.monotonic()
    run = None
    try:
        with warehouse.connect() as connection:
            known = ledger.look_up(connection, name)
            connection.rollback()
            if known is None:
                raise UsageError(f"no appliance named {name} in this warehouse; `restorepoints status` lists them")
            with run_lock(warehouse, connection, known.appliance_id):
                schema.check_for_run(warehouse, connection)
                with connection.begin():
                    records = {
                        collection: [one for one in stored if len(one.raw.encode()) < _CUT_FROM]
                        for collection, stored in open_records(connection, known.appliance_id).items()
                    }
                if not any(records.values()):
                    return None
                with write(connection):
                    run = ledger.start(connection, known.appliance_id, base_url=known.base_url, now=now())
                outcomes = _write(connection, run, records, known.api_version or "", now)
    except RestorepointsError as error:
        if run is None:
            raise
        return _failed(warehouse, run, name, str(error), now)
    except DATABASE_ERRORS as error:
        explained = warehouse.explain(error)
        if run is None:
            raise explained from error
        return _failed(warehouse, run, name, str(explained), now)
    except BaseException:
        if run is not None:
            _failed(warehouse, run, name, "the run was stopped before it was over", now)
        raise
    sums = ledger.sums(outcomes)
    return RunResult(
        name,
        "succeeded",
        run.run_number,
        seconds=round(time.monotonic() - began, 3),
        collections=[asdict(outcome) for outcome in ledger.of_points(outcomes)],
        inventory=[asdict(outcome) for outcome in outcomes if outcome not in ledger.of_points(outcomes)],
        **{count: sums[count] for count in RunResult.__slots__ if count in ledger.COUNTED},
    )


def _failed(warehouse: Warehouse, run: Run, name: str, reason: str, now: Callable[[], datetime]) -> RunResult:
    # on a connection of its own: the run's may be what broke
    with suppress(RestorepointsError, *DATABASE_ERRORS), warehouse.begin() as connection:
        ledger.fail(connection, run, reason, now())
    return RunResult(name, "failed", run.run_number, error=reason)


def _write(
    connection: Connection,
    run: Run,
    records: dict[str, list[StoredRecord]],
    api_version: str,
    now: Callable[[], datetime],
) -> list[CollectionOutcome]:
    outcomes = []
    with connection.begin():
        staging = open_staging(connection)
        for collection, stored in records.items():
            # one item with two unreadable fields is two records with one text
            items = list(dict.fromkeys(one.raw.encode() for one in stored))
            batch = normalise(items, collection=collection)
            staging.add(COLLECTIONS[collection], 1, batch.frame, batch.rejected)
        staging.seal()
    run = run.observing(now())
    with write(connection):
        for collection, stored in records.items():
            replayed: Sequence[str] = [one.record_hash for one in stored]
            outcome = merge(
                staging,
                run,
                COLLECTIONS[collection],
                {collection: KnownItems(np.empty(0, dtype=np.int64))},
                other_api_version=False,
                restamp=False,
                replayed=replayed,
            )
            outcomes.append(outcome)
        state = ApplianceState("", api_version, None, None)
        ledger.finish(connection, run, outcomes, state, now())
    return outcomes
