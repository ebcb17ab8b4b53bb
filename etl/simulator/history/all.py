"""The whole history of an estate: every workload's own, and at midnight the end of old sessions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from etl.simulator.fleet import Protected
from etl.simulator.history.continuous import ContinuousHistory
from etl.simulator.history.machines import MachineHistory
from etl.simulator.history.others import OtherHistory
from etl.simulator.schedule import local_instant
from etl.simulator.state import State

OTHERS = ("sql", "file_share", "vnet", "cosmos_db")


class Histories:
    """Makes time pass in an estate; the workloads do not depend on one another."""

    def __init__(self, state: State, fleets: Mapping[str, list[Protected]]) -> None:
        self._state = state
        self._machines = MachineHistory(state, fleets["vm"])
        self._others = [OtherHistory(state, name, fleets[name], slot) for slot, name in enumerate(OTHERS)]
        self._continuous = ContinuousHistory(state)

    def advance(self, after: datetime, until: datetime) -> None:
        """Let everything happen that falls due after `after` up to `until`."""
        state = self._state
        state.sessions.listing.expect_many_changes()
        self._machines.advance(after, until)
        for history in self._others:
            history.advance(after, until)
        self._continuous.advance(after, until)
        state.sessions.pass_time(until)
        if state.sessions.keep_days is not None:
            oldest = state.clock.today - timedelta(days=state.sessions.keep_days)
            state.sessions.purge(local_instant(oldest, 0, state.clock.zone))
