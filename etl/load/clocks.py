"""Instants that runs saw by their own machine's clock, told by the appliance's."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import Connection, select

from etl.load.ledger import Run
from etl.load.models import SyncRun

Interval = tuple[datetime, datetime]


class Clocks:
    """The appliance's clock minus ours, as each run met it: what a run saw, it saw by the clock of its time."""

    def __init__(self, skews: Mapping[int, float]) -> None:
        self._skews = {run: timedelta(seconds=skew) for run, skew in skews.items()}

    def shifted(self, last_confirmed_at: datetime, observed_at: datetime, run_number: int) -> Interval:
        """A deletion's interval on the appliance's clock: it began by an earlier run's, and ended by its own."""
        earlier = max((run for run in self._skews if run < run_number), default=run_number)
        nothing = timedelta()
        begin = last_confirmed_at + self._skews.get(earlier, nothing)
        end = observed_at + self._skews.get(run_number, nothing)
        return min(begin, end), end

    def ours(self, instant: datetime) -> datetime:
        """An instant of the appliance's clock on ours, as early as it may have been."""
        return instant - max(self._skews.values(), default=timedelta())


def clocks_of(connection: Connection, run: Run, skew_seconds: float | None) -> Clocks:
    """The clocks of all runs that have told theirs, and of this one."""
    told = connection.execute(
        select(SyncRun.run_number, SyncRun.clock_skew_seconds).where(
            SyncRun.appliance_id == run.appliance_id, SyncRun.clock_skew_seconds.is_not(None)
        )
    )
    skews = {row.run_number: row.clock_skew_seconds for row in told}
    return Clocks(skews if skew_seconds is None else skews | {run.run_number: skew_seconds})
