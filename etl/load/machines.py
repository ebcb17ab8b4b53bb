"""Fills in the machine of staged restore points whose items name none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Column, MetaData, Table, Text, and_, select, update

from etl.catalogue import COLLECTIONS
from etl.load.kept import KEPT
from etl.load.ledger import Run
from etl.load.staging import Staging

_POINTS = KEPT["restore_points"]
_FILLED: Final = ("resource_id", "resource_name", "region_id", "region_name")

#: The machine of each restore point, as far as it was found out.
_RESOLVED: Final = Table(
    "resolved_machines",
    MetaData(),
    Column("restore_point_id", Text),
    *(Column(name, Text) for name in _FILLED),
    prefixes=["temporary"],
)


def new_points(staging: Staging, run: Run) -> set[str]:
    """The ids of staged restore points of machines that the warehouse has never seen; staging is sealed."""
    if not staging.holds(_POINTS.staged):
        return set()
    facts, staged = _POINTS.facts, _POINTS.staged
    return set(
        staging.connection.scalars(
            select(staged.c.restore_point_id)
            .select_from(staged.outerjoin(facts, _POINTS.of(run.appliance_id, staged)))
            .where(staged.c.collection == "vm", facts.c.restore_point_id.is_(None))
        )
    )


def fill_in(staging: Staging, machines: Mapping[str, Mapping[str, Any]]) -> None:
    """Writes machines into staged restore points.

    Args:
        staging: sealed.
        machines: restore point id → the columns `resource_id`, `resource_name`, `region_id`, `region_name`.
    """
    if not machines:
        return
    staging.make(_RESOLVED)
    rows: Sequence[tuple[Any, ...]] = [(one, *(columns[name] for name in _FILLED)) for one, columns in machines.items()]
    staging.copy(_RESOLVED, rows)
    staged = _POINTS.staged
    batch = COLLECTIONS["vm"].entity.batch
    filled = sum(1 << batch.index(name) for name in _FILLED)
    staging.connection.execute(
        update(staged)
        .where(and_(staged.c.collection == "vm", staged.c.restore_point_id == _RESOLVED.c.restore_point_id))
        .values(
            absent=staged.c.absent.bitwise_and(~filled),
            **{name: _RESOLVED.c[name] for name in _FILLED},
        )
    )
