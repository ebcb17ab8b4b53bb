"""Which restore points a page is asked for: one resource's, or only the newest of each."""

from __future__ import annotations

from collections.abc import Callable

from etl.simulator.listing import Listing
from etl.simulator.paging import Query
from etl.simulator.points import RestorePoint
from etl.simulator.workloads import Workload


def only_wanted(points: Listing[RestorePoint], kind: Workload, query: Query) -> Callable[[RestorePoint], bool] | None:
    """Return what tells whether a point is wanted, None if all are."""
    resource_id = query.get(kind.resource_parameter) if kind.resource_parameter else None
    only_latest = query.boolean("OnlyLatest")
    region_id, subscription_id = (
        query.get(name) if kind.name == "vnet" else None for name in ("RegionId", "SubscriptionId")
    )
    if not (resource_id or only_latest or region_id or subscription_id):
        return None
    newest: dict[str, RestorePoint] = {}
    for point in points.rows():
        known = newest.get(point.resource.resource_id)
        if known is None or point.point_in_time > known.point_in_time:
            newest[point.resource.resource_id] = point

    def wanted(point: RestorePoint) -> bool:
        resource = point.resource
        return (
            resource_id in (None, resource.resource_id)
            and region_id in (None, resource.region.id)
            and subscription_id in (None, resource.subscription_id)
            and (not only_latest or newest[resource.resource_id] is point)
        )

    return wanted
