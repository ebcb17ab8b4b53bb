"""One run of an appliance at a time, whoever starts it and wherever."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from filelock import FileLock, Timeout
from sqlalchemy import Connection, func, select

from etl.errors import AlreadyRunning, PooledConnection, WarehouseError
from etl.load.models import Appliance, SyncRun
from etl.load.warehouse import DATABASE_ERRORS, Warehouse

#: First half of the advisory lock's key on PostgreSQL ("rp" in ASCII); the second half is the appliance's number.
ADVISORY_CLASS = 0x7270


@contextmanager
def run_lock(warehouse: Warehouse, connection: Connection, appliance_id: int) -> Iterator[None]:
    """Holds the appliance's lock on this warehouse; it ends with the connection or process that holds it.

    PostgreSQL: an advisory lock on the run's own connection. SQLite: a lock file beside the database, freed by the
    system when its process dies.

    Raises:
        AlreadyRunning: another run holds it; the message says which and since when.
        PooledConnection: the lock would not hold.
    """
    if warehouse.path is not None:
        lock = FileLock(f"{warehouse.path}.appliance-{appliance_id}.lock", blocking=False)
        try:
            lock.acquire()
        except Timeout:
            raise AlreadyRunning(_holder(warehouse, appliance_id)) from None
        except OSError as error:
            raise WarehouseError(
                f"the lock file {lock.lock_file} cannot be used: {error.strerror}; if another user made it, give it to "
                "the one who runs this, or remove it while no run is under way"
            ) from error
        try:
            yield
        finally:
            lock.release()
        return
    _refuse_pooler(warehouse, connection)
    locked = connection.scalar(select(func.pg_try_advisory_lock(ADVISORY_CLASS, appliance_id)))
    connection.commit()
    if not locked:
        raise AlreadyRunning(_holder(warehouse, appliance_id))
    try:
        yield
    finally:
        # a server lets go of a closed connection's locks a moment later, when the next run may have begun
        with suppress(*DATABASE_ERRORS):
            connection.rollback()
            connection.scalar(select(func.pg_advisory_unlock(ADVISORY_CLASS, appliance_id)))
            connection.commit()


def _refuse_pooler(warehouse: Warehouse, connection: Connection) -> None:
    """Raises if the connection changes its server process between two transactions.

    Behind a pooler in transaction mode it does, as soon as another client needs one: locks and temporary tables would
    then belong to nobody. A second connection is that other client.
    """
    own = connection.scalar(select(func.pg_backend_pid()))
    connection.commit()
    with warehouse.connect() as other:
        others = other.scalar(select(func.pg_backend_pid()))
        again = connection.scalar(select(func.pg_backend_pid()))
        connection.commit()
    if own == others or own != again:
        raise PooledConnection(
            f"the warehouse {warehouse} is reached through a pooler in transaction mode, where neither locks nor "
            "temporary tables hold; connect to PostgreSQL itself, or to a pooler in session mode"
        )


def _holder(warehouse: Warehouse, appliance_id: int) -> str:
    with warehouse.connect() as connection:
        holder = connection.execute(
            select(SyncRun.host, SyncRun.started_at, Appliance.name)
            .join(Appliance, Appliance.appliance_id == SyncRun.appliance_id)
            .where(SyncRun.appliance_id == appliance_id, SyncRun.status == "running")
        ).first()
    if holder is None:
        return "another run of this appliance is under way, or its schema is being migrated; try again when it is over"
    return (
        f"another run of {holder.name} is under way, on {holder.host} since {holder.started_at:%Y-%m-%d %H:%M:%S} UTC; "
        "try again when it is over"
    )
