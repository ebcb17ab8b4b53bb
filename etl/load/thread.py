"""The thread that a run's database work happens on."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar

from etl.load.warehouse import DATABASE_ERRORS, Warehouse

P = ParamSpec("P")
R = TypeVar("R")

#: Seconds between two attempts to break off: one that comes between two statements meets nothing.
_BREAK_OFF_EVERY = 0.05
#: Seconds after which a server that does not answer is not asked any more.
_FORCE_AFTER = 3.0


class WarehouseThread:
    """Runs everything that touches the warehouse on one thread, in order, while the event loop goes on fetching.

    `held` keeps what the run holds (its connection, its lock); it is let go at the end, on the same thread and after
    whatever still runs there, so that nothing of a cancelled run outlives it.
    """

    def __init__(self, warehouse: Warehouse) -> None:
        self.warehouse = warehouse
        self.held = ExitStack()
        self._ident = 0
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="warehouse", initializer=self._begin)

    def _begin(self) -> None:
        self._ident = threading.get_ident()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self(self.held.close)
        finally:
            self._executor.shutdown(wait=True)

    async def __call__(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Runs `function` there and waits for it; if the wait is cancelled, the statement it is at is broken off.

        Raises:
            WarehouseError: for any error of the database.
        """
        job = self._executor.submit(partial(function, *args, **kwargs))
        try:
            return await asyncio.wrap_future(job)
        except DATABASE_ERRORS as error:
            raise self.warehouse.explain(error) from error
        except asyncio.CancelledError:
            if not job.cancel():
                await asyncio.to_thread(self._break_off, job)
            raise

    def _break_off(self, job: Future[Any]) -> None:
        began = time.monotonic()
        while not job.done():
            self.warehouse.interrupt(self._ident, forcibly=time.monotonic() - began > _FORCE_AFTER)
            time.sleep(_BREAK_OFF_EVERY)
