"""A warehouse with its schema, on each database in turn, and ways to put items into it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import postgres
import pytest
from nights import Nights
from sqlalchemy import text

from etl.extract.endpoint import Endpoint
from etl.load import schema
from etl.load.warehouse import Warehouse
from etl.simulator import SimulatedAppliance
from etl.sync import RunResult, Source, sync_appliance


@pytest.fixture(scope="session")
def postgres_template(postgres_server: postgres.PostgresServer) -> Iterator[str]:
    """A database with the schema in it: copying it is cheaper than migrating each test's own."""
    url = postgres_server.create_database()
    warehouse = Warehouse(url.render_as_string(hide_password=False))
    schema.upgrade(warehouse)
    yield str(url.database)
    postgres_server.drop_database(url)


@pytest.fixture
def warehouse(warehouse_url: str) -> Warehouse:
    warehouse = Warehouse(warehouse_url)
    schema.upgrade(warehouse)
    return warehouse


@pytest.fixture
def nights(warehouse: Warehouse) -> Nights:
    return Nights(warehouse)


@pytest.fixture
def rows(warehouse: Warehouse) -> Callable[..., list[dict[str, Any]]]:
    """What a person's own SQL sees: each row as a dictionary, values as the driver gives them."""

    def query(sql: str, **parameters: Any) -> list[dict[str, Any]]:
        with warehouse.connect() as connection:
            return [dict(row._mapping) for row in connection.execute(text(sql), parameters)]

    return query


@pytest.fixture
def sync(warehouse: Warehouse) -> Callable[..., RunResult]:
    """One run against a simulated appliance."""

    def run(appliance: SimulatedAppliance, *, name: str = "north", **settings: Any) -> RunResult:
        endpoint = Endpoint(
            name,
            settings.pop("url", appliance.url),
            settings.pop("username", "reporter"),
            settings.pop("password", "simulated-password"),
            retry_for=settings.pop("retry_for", 5),
        )
        keywords = {name: settings.pop(name) for name in ("now", "accepted", "on_progress") if name in settings}
        return asyncio.run(sync_appliance(Source(endpoint, **settings), warehouse, **keywords))

    return run
