"""The schema: migrations go up, down and up again on both databases and agree with the models."""

from __future__ import annotations

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from etl import shipped
from etl.errors import AlreadyRunning, SchemaAhead, SchemaBehind
from etl.load import ledger, schema
from etl.load.locks import run_lock
from etl.load.models import Base
from etl.load.warehouse import Warehouse, write


@pytest.fixture(scope="session")
def postgres_template() -> None:
    """These tests start from an empty database."""


@pytest.fixture
def warehouse(warehouse_url: str) -> Warehouse:
    return Warehouse(warehouse_url)


def tables(warehouse: Warehouse) -> set[str]:
    with warehouse.connect() as connection:
        return set(inspect(connection).get_table_names())


def test_up_down_and_up_again(warehouse: Warehouse) -> None:
    assert schema.current(warehouse) is None
    assert schema.upgrade(warehouse) == (None, schema.HEAD)
    assert tables(warehouse) == set(Base.metadata.tables) | {"alembic_version"}
    with warehouse.connect() as connection:
        command.downgrade(schema.alembic_config(connection), "base")
    assert tables(warehouse) == {"alembic_version"}
    assert schema.upgrade(warehouse) == (None, schema.HEAD)
    assert schema.current(warehouse) == schema.HEAD
    assert schema.upgrade(warehouse) == (schema.HEAD, schema.HEAD)


def test_models_and_migrations_agree(warehouse: Warehouse) -> None:
    schema.upgrade(warehouse)
    with warehouse.connect() as connection:
        options = {"compare_type": True, "compare_server_default": True}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata) == []
        for table in Base.metadata.sorted_tables:
            checks = {constraint["name"] for constraint in inspect(connection).get_check_constraints(table.name)}
            assert checks == {str(c.name) for c in table.constraints if type(c).__name__ == "CheckConstraint"}


def test_every_fact_is_keyed_by_its_appliance_first() -> None:
    for table in Base.metadata.sorted_tables:
        assert next(iter(table.primary_key.columns)).name == "appliance_id"


def test_the_head_that_a_run_compares_with_is_the_newest_migration() -> None:
    assert ScriptDirectory(str(shipped.folder("migrations"))).get_current_head() == schema.HEAD


def test_a_warehouse_without_schema_is_told_which_command_makes_one(warehouse: Warehouse) -> None:
    command = "sync" if warehouse.dialect == "sqlite" else "db upgrade"
    with pytest.raises(SchemaBehind, match=f"`restorepoints {command}`"):
        schema.check(warehouse)


def test_a_warehouse_of_a_newer_program_is_refused_and_left_alone(warehouse: Warehouse) -> None:
    schema.upgrade(warehouse)
    with warehouse.begin() as connection:
        connection.execute(text("update alembic_version set version_num = '9999'"))
    for attempt in (schema.check, schema.upgrade):
        with pytest.raises(SchemaAhead, match="9999, which is newer than this program"):
            attempt(warehouse)
    assert schema.current(warehouse) == "9999"


def test_no_migration_while_a_run_is_under_way(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    schema.upgrade(warehouse)
    with warehouse.begin() as connection:
        known = ledger.register(connection, name="north", base_url="https://north", tenant=None)
    with warehouse.begin() as connection:
        connection.execute(text("update alembic_version set version_num = 'older'"))
    monkeypatch.setattr(schema, "revisions", lambda: {"older", schema.HEAD})
    with (
        warehouse.connect() as running,
        run_lock(warehouse, running, known.appliance_id),
        pytest.raises(AlreadyRunning),
    ):
        schema.upgrade(warehouse)
    assert schema.current(warehouse) == "older"


def test_a_write_transaction_rolls_back_whole(warehouse: Warehouse) -> None:
    schema.upgrade(warehouse)
    with warehouse.connect() as connection:
        with pytest.raises(ZeroDivisionError), write(connection):
            ledger.register(connection, name="north", base_url="https://north", tenant=None)
            raise ZeroDivisionError
        assert connection.scalar(text("select count(*) from appliances")) == 0


def test_deletions_of_an_older_schema_get_their_row(warehouse: Warehouse) -> None:
    """Each is unexplained, with the interval that is known of it; a run may explain it later."""
    with warehouse.connect() as connection:
        command.upgrade(schema.alembic_config(connection), "0001")
    with warehouse.begin() as connection:
        connection.execute(
            text("insert into appliances (appliance_id, name, base_url) values (1, 'north', 'https://n')")
        )
        for point, deleted_run in (("gone", 3), ("back", None)):
            connection.execute(
                text(
                    "insert into restore_points (appliance_id, restore_point_id, workload, point_in_time, extra, "
                    "collection, first_seen_at, last_changed_at, last_confirmed_at, deleted_at, first_run, "
                    "last_changed_run, deleted_run) values (1, :point, 'vm', '2026-01-01 00:00:00.000000', '{}', 'vm', "
                    "'2026-01-01 02:00:00.000000', '2026-01-01 02:00:00.000000', :confirmed, :deleted, 1, 1, :run)"
                ),
                {
                    "point": point,
                    "run": deleted_run,
                    "confirmed": deleted_run and "2026-01-02 02:00:00.000000",
                    "deleted": deleted_run and "2026-01-03 02:00:00.000000",
                },
            )
            connection.execute(
                text(
                    "insert into restore_point_versions (appliance_id, restore_point_id, run_number, valid_from, "
                    "valid_to, change, closed_run, closed_by, workload, point_in_time) values (1, :point, 1, "
                    "'2026-01-01 02:00:00.000000', '2026-01-03 02:00:00.000000', 'appeared', 3, 'deleted', 'vm', "
                    "'2026-01-01 00:00:00.000000')"
                ),
                {"point": point},
            )
        connection.execute(
            text(
                "insert into rejected_records (appliance_id, record_hash, collection, restore_point_id, reason, raw, "
                "first_run, last_run) values (1, 'h', 'vm', 'odd', 'why', '{}', 1, 1)"
            )
        )
    assert schema.upgrade(warehouse) == ("0001", schema.HEAD)
    with warehouse.connect() as connection:
        found = connection.execute(text("select * from deletions order by restore_point_id")).mappings().all()
        assert connection.scalar(text("select item_id from rejected_records")) == "odd"
    assert [(row["restore_point_id"], row["run_number"], row["cause"], row["explained_run"]) for row in found] == [
        ("back", 3, "unexplained", None),
        ("gone", 3, "unexplained", None),
    ]
    assert [str(row["last_confirmed_at"])[:10] for row in found] == ["2026-01-01", "2026-01-02"]
    assert {str(row["observed_gone_at"])[:10] for row in found} == {"2026-01-03"}
