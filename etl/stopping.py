"""SIGTERM and Ctrl-C end the program in order, whenever they come: while it imports, while it asks, while it runs."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from asyncio import Task
    from types import FrameType

T = TypeVar("T")

#: Seconds that an orderly end may take; whoever asks again later than that gets a sudden one.
GRACE_SECONDS = 10

_WORDS = {signal.SIGTERM: "terminated", signal.SIGINT: "interrupted"}


class Stopped(SystemExit):
    """The program was told to stop: exit status 143 (SIGTERM) or 130 (Ctrl-C)."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.how = _WORDS[signal.Signals(number)]


class _Stopping:
    """What was heard so far, and whom it ends."""

    def __init__(self) -> None:
        self.number = 0
        self.heard_at = 0.0
        self.task: Task[Any] | None = None

    def hear(self, number: int, _frame: FrameType | None) -> None:
        if self.number and time.monotonic() - self.heard_at > GRACE_SECONDS:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        if self.number:
            return  # it is ending already
        self.number, self.heard_at = number, time.monotonic()
        if self.task is None:
            raise Stopped(number)
        # a signal may come at any instruction of the loop: it is told like from another thread, which also wakes it
        self.task.get_loop().call_soon_threadsafe(self.task.cancel)


_stopping = _Stopping()


def heed() -> None:
    """From here on both signals raise `Stopped`; one that was ignored when the program began (`nohup`) stays so."""
    for number in _WORDS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _stopping.hear)


def ignore_more() -> None:
    """From here on neither signal counts: the interpreter, on its way out, would let one kill it."""
    for number in _WORDS:
        signal.signal(number, signal.SIG_IGN)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Runs `work` to its end in an event loop; being told to stop cancels it.

    Raises:
        Stopped: it was cancelled so.
    """
    import asyncio

    async def heeding() -> T:
        _stopping.task = asyncio.current_task()
        try:
            return await work
        finally:
            _stopping.task = None

    try:
        if _stopping.number:  # heard when the work before it was as good as over
            raise Stopped(_stopping.number)
        return asyncio.run(heeding())
    except asyncio.CancelledError:
        if _stopping.number:
            raise Stopped(_stopping.number) from None
        raise
    finally:
        work.close()
