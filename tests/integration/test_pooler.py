"""Behind a pooler in transaction mode no lock holds: a run says so and leaves nothing behind."""

from __future__ import annotations

import asyncio
import time

import pytest
from pooler import transaction_pooler
from sqlalchemy import text

from etl.extract.endpoint import Endpoint
from etl.load import schema
from etl.load.warehouse import Warehouse
from etl.simulator import Estate, simulate
from etl.sync import Source, sync_appliance


@pytest.mark.parametrize("round_robin", [0, 2, 3, 4, 7], ids=["last used", *(f"{n} in turn" for n in (2, 3, 4, 7))])
def test_a_run_through_a_transaction_pooler_is_refused(postgres_url: str, round_robin: int) -> None:
    direct = Warehouse(postgres_url)
    schema.upgrade(direct)
    with (
        simulate(Estate.from_seed(3, machines=1, days=1), version="v8.1") as appliance,
        transaction_pooler(postgres_url, round_robin=round_robin) as pooled,
    ):
        source = Source(Endpoint("north", appliance.url, "reporter", "simulated-password"))
        began = time.monotonic()
        result = asyncio.run(sync_appliance(source, Warehouse(pooled.render_as_string(hide_password=False))))
        seconds = time.monotonic() - began
        with direct.connect() as connection:
            locks = connection.scalar(text("select count(*) from pg_locks where locktype = 'advisory'"))
        assert appliance.requests == []
        assert asyncio.run(sync_appliance(source, direct)).status == "succeeded"
    assert result.status == "failed"
    assert "a pooler in transaction mode" in str(result.error)
    assert locks == 0
    assert seconds < 10


def test_the_lock_is_free_the_moment_a_run_ends(postgres_url: str) -> None:
    """A server drops the locks of a closed connection a moment later: the next run would be refused by a dead one."""
    warehouse = Warehouse(postgres_url)
    schema.upgrade(warehouse)
    with (
        simulate(Estate.from_seed(3, machines=1, days=1), version="v8.1") as appliance,
        warehouse.connect() as watching,
    ):
        source = Source(Endpoint("north", appliance.url, "reporter", "simulated-password"))
        for _ in range(10):
            assert asyncio.run(sync_appliance(source, warehouse)).status == "succeeded"
            assert watching.scalar(text("select count(*) from pg_locks where locktype = 'advisory'")) == 0
            watching.rollback()
