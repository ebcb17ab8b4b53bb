"""How each API version writes what the appliance holds, as JSON text."""

from __future__ import annotations

from etl.simulator.points import RestorePoint
from etl.simulator.shapes.dotnet import encode, instant
from etl.simulator.shapes.machines import MACHINE_SHAPES
from etl.simulator.shapes.others import OTHER_SHAPES

__all__ = ["instant", "render"]


def render(point: RestorePoint, version: str, host: str) -> bytes:
    """Return the JSON text of `point` as `version` writes it, its links pointing at `host`.

    A version that does not serve the point's workload writes it as the first one that does.
    """
    if point.workload == "vm":
        return encode(MACHINE_SHAPES[version](point, version, host))
    return encode(OTHER_SHAPES[point.workload](point, version, host))
