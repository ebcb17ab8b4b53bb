"""Reads a machine of the inventory as the resource of a restore point."""

from __future__ import annotations

from typing import Any

from etl.transform.decode import decode
from etl.transform.members import members
from etl.transform.text import identifiers, names


def machine_of(item: bytes) -> dict[str, Any] | None:
    """Give `resource_id`, `resource_name`, `region_id` and `region_name`; None for what has no readable id.

    A machine's `regionName` is the region's id, its `regionDisplayName` what people call it (the vendor's reference).
    """
    (machine,) = decode([item]).values
    if machine is None:
        return None
    columns = {
        "resource_id": (("id",), identifiers),
        "resource_name": (("name",), names),
        "region_id": (("regionName",), identifiers),
        "region_name": (("regionDisplayName", "regionName"), names),
    }
    read = {column: reader(members([machine], paths).values).values[0] for column, (paths, reader) in columns.items()}
    return read if read["resource_id"] else None
