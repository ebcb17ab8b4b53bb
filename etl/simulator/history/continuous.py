"""How continuous backups of Cosmos accounts go on: one record an account that never stands still."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from etl.simulator.points import Resource, RestorePoint
from etl.simulator.schedule import Retention, events
from etl.simulator.state import State

REFRESHED_EVERY = timedelta(minutes=10)
KEPT_WITHOUT_POLICY = timedelta(days=7)
WORKLOAD = "cosmos_db_continuous"
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


class ContinuousHistory:
    """Refreshes the record of each account every ten minutes, until its policy is gone for a week."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._points = state.points[WORKLOAD]
        self._made: set[str] = set()

    def advance(self, after: datetime, until: datetime) -> None:
        """Let everything happen that falls due after `after` up to `until`."""
        moment = until - (until - _EPOCH) % REFRESHED_EVERY
        for held in self._state.held:
            if held.protected.policy.workload == "cosmos_db" and self._state.protecting(held) is not None:
                self._refresh(held.protected.resource, moment)
        for event in events([], self._state.clock.zone, after, until):
            if isinstance(event, Retention):
                self._retain(event)

    def _refresh(self, resource: Resource, moment: datetime) -> None:
        chance = self._state.chance
        point_id = chance.uuid("continuous", resource.resource_id)
        there = self._points.row(point_id)
        if there is None and point_id in self._made:
            return  # deleted by hand
        if there is not None and there.point_in_time == moment:
            return
        self._made.add(point_id)
        changes = int(resource.disk_bytes * chance.between(0.02, 0.03, "changes", resource.resource_id, moment))
        there = there or RestorePoint(
            id=point_id,
            resource=resource,
            session=None,
            point_in_time=moment,
            backup_size_bytes=None,
            backup_destination="",
            restore_point_type="Continuous",
            is_corrupted=False,
            workload=WORKLOAD,
        )
        self._state.put(
            replace(
                there,
                point_in_time=moment,
                backup_size_bytes=changes,
                latest_chain_size_bytes=resource.disk_bytes + changes,
                usn=(moment - _EPOCH) // REFRESHED_EVERY,
            )
        )

    def _retain(self, midnight: Retention) -> None:
        """Take away what nobody has refreshed for a week."""
        stale = [point for point in self._points.rows() if midnight.due - point.point_in_time > KEPT_WITHOUT_POLICY]
        self._state.retained(stale, midnight.due)
