"""One run of an appliance at a time, whoever starts it and wherever."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from filelock import FileLock, Timeout
from sqlalchemy import Connection, func, select

from etl.errors import AlreadyRunning, PooledConnection, WarehouseError
from etl.load.models import Appliance, SyncRun
from etl.load.warehouse import DATABASE_ERRORS, Warehouse

#: First half of the advisory lock's key on PostgreSQL ("rp" in ASCII); the second half is the appliance's number.
ADVISORY_CLASS = 0x7270
#: The second half for the schema itself; appliances are counted from 1.
SCHEMA_KEY = 0
#: Seconds that a migration waits for another one, and for the moment in which a run looks whether one is under way.
_MIGRATION_SECONDS = 60
#: Seconds that a run waits for other runs that look at the same moment.
_LOOK_SECONDS = 2


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
        with _file_lock(f"{warehouse.path}.appliance-{appliance_id}.lock", 0, lambda: _holder(warehouse, appliance_id)):
            yield
        return
    _refuse_pooler(warehouse, connection)
    locked = connection.scalar(select(func.pg_try_advisory_lock(ADVISORY_CLASS, appliance_id)))
    connection.commit()
    if not locked:
        raise AlreadyRunning(_holder(warehouse, appliance_id))
    with _let_go(connection, appliance_id):
        yield


@contextmanager
def migration_lock(warehouse: Warehouse, connection: Connection) -> Iterator[None]:
    """Holds the schema's lock: other migrations wait, and no run begins.

    The holder has still to take the locks of all appliances, one after another: a run takes its own first and looks
    at this one then (`refuse_during_migration`), so that one of the two always meets the other's.
    """
    if warehouse.path is not None:
        with _file_lock(f"{warehouse.path}.schema.lock", _MIGRATION_SECONDS, lambda: _ANOTHER_MIGRATION):
            yield
        return
    _refuse_pooler(warehouse, connection)
    connection.execute(select(func.pg_advisory_lock(ADVISORY_CLASS, SCHEMA_KEY)))
    connection.commit()
    with _let_go(connection, SCHEMA_KEY):
        yield


def refuse_during_migration(warehouse: Warehouse, connection: Connection) -> None:
    """Raises if the schema is being migrated; the caller holds its appliance's lock.

    Raises:
        AlreadyRunning: a migration is under way.
    """
    if warehouse.path is not None:
        with _file_lock(f"{warehouse.path}.schema.lock", _LOOK_SECONDS, lambda: _MIGRATING):
            return
    free = connection.scalar(select(func.pg_try_advisory_xact_lock_shared(ADVISORY_CLASS, SCHEMA_KEY)))
    connection.commit()
    if not free:
        raise AlreadyRunning(_MIGRATING)


_MIGRATING = "the warehouse's schema is being migrated; try again when it is over"
_ANOTHER_MIGRATION = "another migration of the warehouse is under way; try again later"


@contextmanager
def _file_lock(path: str, seconds: float, refusal: Callable[[], str]) -> Iterator[None]:
    """Holds a lock file; who does not get it within `seconds` is told the `refusal`."""
    lock = FileLock(path, timeout=seconds)
    try:
        lock.acquire()
    except Timeout:
        raise AlreadyRunning(refusal()) from None
    except OSError as error:
        raise WarehouseError(
            f"the lock file {path} cannot be used: {error.strerror}; if another user made it, give it to "
            "the one who runs this, or remove it while no run is under way"
        ) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _let_go(connection: Connection, key: int) -> Iterator[None]:
    """Unlocks at the end: a server drops a closed connection's locks a moment later, when the next run may begin."""
    try:
        yield
    finally:
        with suppress(*DATABASE_ERRORS):
            connection.rollback()
            connection.scalar(select(func.pg_advisory_unlock(ADVISORY_CLASS, key)))
            connection.commit()


def _refuse_pooler(warehouse: Warehouse, connection: Connection) -> None:
    """Raises if the connection changes its server process between two transactions.

    Behind a pooler in transaction mode it does, as soon as other clients need one: locks and temporary tables would
    then belong to nobody. A second connection is that other client. A pooler may hand out the server used last, or the
    one that has rested longest: of three in turn, one transaction there and one here would always meet the same, so
    that their numbers have to change.
    """
    own = _server(connection)
    shared = False
    with warehouse.connect() as other:
        for transactions in range(1, 5):
            for _ in range(transactions):
                other.commit()
                shared = shared or other.scalar(_PID) == own  # its transaction stays open, and keeps its server
            shared = shared or _server(connection) != own
    if shared:
        raise PooledConnection(
            f"the warehouse {warehouse} is reached through a pooler in transaction mode, where neither locks nor "
            "temporary tables hold; connect to PostgreSQL itself, or to a pooler in session mode"
        )


_PID = select(func.pg_backend_pid())


def _server(connection: Connection) -> int | None:
    pid = connection.scalar(_PID)
    connection.commit()
    return pid


def _holder(warehouse: Warehouse, appliance_id: int) -> str:
    with warehouse.connect() as connection:
        holder = connection.execute(
            select(SyncRun.host, SyncRun.started_at, Appliance.name)
            .join(Appliance, Appliance.appliance_id == SyncRun.appliance_id)
            .where(SyncRun.appliance_id == appliance_id, SyncRun.status == "running")
        ).first()
    if holder is None:
        return "another run of this appliance is under way, or the schema is being migrated; try again when it is over"
    return (
        f"another run of {holder.name} is under way, on {holder.host} since {holder.started_at:%Y-%m-%d %H:%M:%S} UTC; "
        "try again when it is over"
    )
