"""Looks at an appliance without writing anything: can it be reached and signed in to, and what may be read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime

from etl.catalogue import RESTORE_POINTS, SESSIONS, Collection, inventory_of, points_of
from etl.errors import ApplianceError, BadRequest, Forbidden, NotServed, SignInRefused
from etl.extract.client import ApplianceClient
from etl.extract.crawl import Crawl
from etl.extract.discovery import discover
from etl.extract.endpoint import Endpoint
from etl.extract.objects import read_object


@dataclass(frozen=True, slots=True)
class Readable:
    """What one page of a collection showed."""

    collection: str
    status: str
    """`readable`, `forbidden`, `not_served` or `failed`."""
    total: int | None = None
    page_size: int | None = None
    error: str | None = None
    """Why it failed."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a look at one appliance found; `error` is null if a run would get through."""

    appliance: str
    url: str
    api_version: str | None = None
    product_version: str | None = None
    role: str | None = None
    time_zone: str | None = None
    clock_skew_seconds: float | None = None
    identity: dict[str, str] = field(default_factory=dict)
    collections: list[Readable] = field(default_factory=list)
    """Of restore points."""
    inventory: list[Readable] = field(default_factory=list)
    """Everything else that a sync reads."""
    error: str | None = None


async def check_appliance(
    endpoint: Endpoint, api_version: str, workloads: tuple[str, ...], now: Callable[[], datetime]
) -> Finding:
    """Signs in, asks the appliance about itself and reads one page of each collection that a sync would read."""
    points = points_of(workloads)
    try:
        async with ApplianceClient(endpoint) as client:
            facts = await discover(client, api_version, None, now)
            found = await asyncio.gather(
                *(_first_page(client.bearing(), facts.api_version, one) for one in (*points, *inventory_of(workloads))),
                _first_page(client.bearing(), facts.api_version, SESSIONS),
            )
    except ApplianceError as error:
        return Finding(endpoint.name, endpoint.url, error=str(error))
    failed = next((one.error for one in found if one.status == "failed"), None)
    if failed is None and not any(one.status == "readable" for one in found[: len(points)]):
        failed = f"{endpoint.name}: the account may read none of the collections of restore points"
    return Finding(
        endpoint.name,
        endpoint.url,
        facts.api_version,
        facts.product_version,
        facts.role,
        facts.time_zone,
        facts.clock_skew_seconds,
        facts.identity,
        found[: len(points)],
        found[len(points) :],
        error=failed,
    )


async def _first_page(client: ApplianceClient, api_version: str, collection: Collection) -> Readable:
    try:
        if not collection.is_page:
            found = await read_object(client, api_version, collection)
            return Readable(collection.name, "readable", len(found), 1)
        async with aclosing(Crawl(client, api_version, collection).pages()) as pages:
            async for page in pages:
                return Readable(collection.name, "readable", page.total, page.limit)
    except Forbidden:
        return Readable(collection.name, "forbidden")
    except NotServed:
        return Readable(collection.name, "not_served")
    except SignInRefused:
        raise
    except ApplianceError as error:
        is_unknown = isinstance(error, BadRequest) and collection.entity is not RESTORE_POINTS
        if is_unknown:
            return Readable(collection.name, "not_served")
        return Readable(collection.name, "failed", error=str(error))
    raise AssertionError("a crawl gives at least one page")
