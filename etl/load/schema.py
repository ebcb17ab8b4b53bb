"""Brings the warehouse's schema up to this program's version, by Alembic migrations."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, select, text

from etl import shipped
from etl.errors import SchemaAhead, SchemaBehind
from etl.load import sqlite
from etl.load.locks import migration_lock, refuse_during_migration, run_lock
from etl.load.models import Appliance
from etl.load.warehouse import Warehouse

if TYPE_CHECKING:
    from alembic.config import Config

#: The newest revision under `migrations/versions`; kept here so that a run need not import Alembic to compare.
HEAD = "0002"


def current(warehouse: Warehouse) -> str | None:
    """The warehouse's revision; null if it holds no schema of ours yet.

    Raises:
        WarehouseError: it cannot be opened, or holds tables of the same names that no migration made.
    """
    if warehouse.path is not None:
        sqlite.refuse_missing_directory(warehouse.path)
        if not warehouse.path.exists():
            return None  # looking must not make the file
    with warehouse.connect() as connection:
        if inspect(connection).has_table("alembic_version"):
            revision: str | None = connection.scalar(text("select version_num from alembic_version"))
            return revision
        return None


def check(warehouse: Warehouse) -> None:
    """Raises unless the schema is exactly this program's.

    Raises:
        SchemaBehind: `restorepoints db upgrade` has to be run first.
        SchemaAhead: a newer program has migrated this warehouse.
    """
    revision = current(warehouse)
    if revision == HEAD:
        return
    if revision is None and warehouse.path is not None:
        raise SchemaBehind(f"the warehouse {warehouse} has no schema yet; the first `restorepoints sync` makes it")
    if revision is None:
        raise SchemaBehind(
            f"the warehouse {warehouse} has no schema yet; `restorepoints db upgrade` or sync --migrate makes it"
        )
    if revision in revisions():
        raise SchemaBehind(
            f"the warehouse {warehouse} is at schema {revision}, this program needs {HEAD}; "
            "run `restorepoints db upgrade`, or sync with --migrate"
        )
    raise SchemaAhead(
        f"the warehouse {warehouse} is at schema {revision}, which is newer than this program ({HEAD}); "
        "install the newer restorepoints"
    )


def check_for_run(warehouse: Warehouse, connection: Connection) -> None:
    """Raises unless a run that holds its appliance's lock may use the schema as long as it holds it.

    Raises:
        AlreadyRunning: a migration is under way.
        SchemaBehind, SchemaAhead: one was, since this program looked first.
    """
    refuse_during_migration(warehouse, connection)
    check(warehouse)


def upgrade(warehouse: Warehouse) -> tuple[str | None, str]:
    """Migrates to this program's schema while no run is under way; returns the revisions before and after.

    Raises:
        AlreadyRunning: a run is under way.
        SchemaAhead: a newer program has migrated this warehouse.
    """
    before = current(warehouse)
    if before == HEAD:
        return before, before
    from alembic import command

    with ExitStack() as stack:
        connection = stack.enter_context(warehouse.connect())
        stack.enter_context(migration_lock(warehouse, connection))
        before = current(warehouse)  # another migration may have been under way
        if before == HEAD:
            return before, before
        if before is not None and before not in revisions():
            check(warehouse)
        if before is not None:
            for appliance_id in connection.scalars(select(Appliance.appliance_id)).all():
                stack.enter_context(run_lock(warehouse, connection, appliance_id))
            connection.rollback()
        command.upgrade(alembic_config(connection), "head")
    return before, HEAD


def revisions() -> set[str]:
    """Every revision that this program knows."""
    from alembic.script import ScriptDirectory

    return {script.revision for script in ScriptDirectory(str(shipped.folder("migrations"))).walk_revisions()}


def alembic_config(connection: Connection) -> Config:
    """What Alembic needs to migrate on this connection."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(shipped.folder("migrations")).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
