"""The thread that a run's database work happens on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from types import TracebackType
from typing import ParamSpec, Self, TypeVar

from etl.load.warehouse import DATABASE_ERRORS, Warehouse

P = ParamSpec("P")
R = TypeVar("R")


class WarehouseThread:
    """Runs everything that touches the warehouse on one thread, in order, while the event loop goes on fetching.

    `held` keeps what the run holds (its connection, its lock); it is let go at the end, on the same thread and after
    whatever still runs there, so that nothing of a cancelled run outlives it.
    """

    def __init__(self, warehouse: Warehouse) -> None:
        self.warehouse = warehouse
        self.held = ExitStack()
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="warehouse")

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
        """Runs `function` there and waits for it.

        Raises:
            WarehouseError: for any error of the database.
        """
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, partial(function, *args, **kwargs))
        except DATABASE_ERRORS as error:
            raise self.warehouse.explain(error) from error
