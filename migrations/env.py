"""Runs the migrations on the connection that the program hands over, or on $RESTOREPOINTS_WAREHOUSE."""

import os

from alembic import context
from sqlalchemy import Connection, func, select

from etl.load.locks import ADVISORY_CLASS
from etl.load.models import Base
from etl.load.warehouse import Warehouse, write


def run(connection: Connection) -> None:
    """All pending migrations in one write transaction, one migrator at a time."""
    with write(connection):
        if connection.dialect.name == "postgresql":  # SQLite's write lock does the same
            connection.execute(select(func.pg_advisory_xact_lock(ADVISORY_CLASS, 0)))
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            render_as_batch=connection.dialect.name == "sqlite",
        )
        context.run_migrations()


if "connection" in context.config.attributes:
    run(context.config.attributes["connection"])
else:
    with Warehouse(os.environ["RESTOREPOINTS_WAREHOUSE"]).connect() as own:
        run(own)
