"""How things go from an appliance other than by nightly retention: somebody's hand, a policy that is no more."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from etl.simulator.errors import SimulatorError
from etl.simulator.sessions import JobSession
from etl.simulator.state import State
from etl.simulator.workloads import SNAPSHOTS, by_kind


def delete_by_hand(state: State, point_ids: Iterable[str], *, lists_items: bool) -> list[JobSession]:
    """Delete points now, in a session of each by-hand kind; without `lists_items` only the logs name resources.

    Raises `KeyError` for an unknown id, before anything is deleted.
    """
    points = [state.point(point_id) for point_id in dict.fromkeys(point_ids)]
    return [
        state.removed_at_once(kind, gone, lists_items=lists_items)
        for kind, gone in by_kind(points, by_hand=True).items()
    ]


def orphan(state: State, snapshot_ids: Iterable[str]) -> JobSession:
    """Remove snapshots now, as the appliance does with those that lost what they belong to.

    Raises `KeyError` for an unknown id, `SimulatorError` for a point that is no snapshot.
    """
    points = [state.point(point_id) for point_id in dict.fromkeys(snapshot_ids)]
    if any(point.backup_destination not in SNAPSHOTS for point in points):
        raise SimulatorError("Only snapshots are ever orphaned.")
    return state.removed_at_once("OrphanedSnapshotRetention", points)


def remove_policy(state: State, name: str, delete_after_days: int) -> None:
    """Remove a policy: no new points, its sessions say so, its snapshots go so many midnights later.

    Raises `KeyError` for an unknown name.
    """
    policy = state.rules.named(name)
    state.rules.removed[policy] = state.clock.today + timedelta(days=delete_after_days)
    state.obsolete_days = delete_after_days
    state.sessions.policy_removed(state.rules.id(policy), state.clock.now)
