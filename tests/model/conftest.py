"""A warehouse with its schema, on each database in turn."""

from __future__ import annotations

import pytest

from etl.load import schema
from etl.load.warehouse import Warehouse


@pytest.fixture
def warehouse(warehouse_url: str) -> Warehouse:
    warehouse = Warehouse(warehouse_url)
    schema.upgrade(warehouse)
    return warehouse
