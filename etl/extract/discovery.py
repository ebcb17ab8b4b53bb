"""Finds out which API version to use and what the appliance tells about itself."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from etl.errors import ApplianceError, NotServed, RetriesExhausted
from etl.extract.versions import API_VERSIONS, rank

if TYPE_CHECKING:
    from collections.abc import Callable

    from etl.extract.client import Answer, ApplianceClient


@dataclass(frozen=True, slots=True)
class Facts:
    """What an appliance tells about itself.

    `identity` holds what tells one appliance from another, where told: `databaseId`, `azureVmId`,
    `serverName`. `time_zone` is an IANA name, `clock_skew_seconds` the appliance's clock minus ours.
    """

    api_version: str
    product_version: str | None
    identity: dict[str, str]
    time_zone: str | None
    clock_skew_seconds: float | None
    role: str | None


async def discover(client: ApplianceClient, wanted: str, at_least: str | None, now: Callable[[], datetime]) -> Facts:
    """Choose the API version and read the appliance's own facts.

    `wanted` is a version, or `auto` for the newest that is served. `auto` never goes below `at_least`, the
    version that was used before (None: no run yet), without being told. `now` gives our clock, time zone aware.
    Raises `NotServed`, and what the client raises.
    """
    if wanted == "auto":
        api_version, about = await _newest_served(client, at_least)
    else:
        rank(wanted)
        api_version, served = wanted, await _about(client, wanted)
        if served is None:
            raise NotServed(
                f"{client.name}: the appliance does not serve API version {wanted}; "
                'set api_version = "auto" to use the newest that it serves.'
            )
        about = served
    (server, _), (clock, skew_from) = await asyncio.gather(
        _optional(client, f"/api/{api_version}/system/serverInfo", now),
        _optional(client, f"/api/{api_version}/system/time", now),
    )
    told = {"databaseId": about.get("databaseId")} | {k: server.get(k) for k in ("azureVmId", "serverName")}
    return Facts(
        api_version=api_version,
        product_version=_text(about.get("serverVersion")),
        identity={key: text for key, value in told.items() if (text := _text(value))},
        time_zone=_zone(clock.get("timeZone")),
        clock_skew_seconds=_skew(clock.get("utcDateTime"), skew_from),
        role=client.role,
    )


async def _newest_served(client: ApplianceClient, at_least: str | None) -> tuple[str, dict[str, Any]]:
    for api_version in reversed(API_VERSIONS):
        about = await _about(client, api_version)
        if about is None:
            continue
        if at_least is not None and (at_least not in API_VERSIONS or rank(api_version) < rank(at_least)):
            raise NotServed(
                f"{client.name}: earlier runs used API version {at_least}, the newest served now is {api_version}. "
                f'If the appliance was replaced by an older one on purpose, set api_version = "{api_version}".'
            )
        return api_version, about
    raise NotServed(
        f"{client.name}: the appliance serves no API version that this program knows "
        f"({API_VERSIONS[0]} to {API_VERSIONS[-1]}); a newer restorepoints may know it."
    )


async def _about(client: ApplianceClient, api_version: str) -> dict[str, Any] | None:
    """Give /system/about, empty where the account may not read it; None if the version is not served."""
    path = f"/api/{api_version}/system/about"
    answer = await client.get(path)
    match answer.status:
        case 200:
            return _object(answer)
        case 403:
            return {}
        case 404:
            return None
        # The vendor's service is ASP.NET Core, whose older versioning library answers 400.
        case 400 if b"UnsupportedApiVersion" in answer.body:
            return None
        case status:
            raise ApplianceError(f"{client.name}: GET {path} answers HTTP {status}.")


async def _optional(client: ApplianceClient, path: str, now: Callable[[], datetime]) -> tuple[dict[str, Any], datetime]:
    """Give an object and our time in the middle of asking; empty where it is missing, forbidden or broken."""
    before = now()
    try:
        answer = await client.get(path)
    except RetriesExhausted:
        return {}, before
    return (_object(answer) if answer.status == 200 else {}), before + (now() - before) / 2


def _object(answer: Answer) -> dict[str, Any]:
    try:
        decoded = msgspec.json.decode(answer.body)
    except (msgspec.DecodeError, RecursionError):  # JSON by its form, yet with text that is not Unicode
        return {}
    return decoded if isinstance(decoded, dict) else {}


def _text(value: object) -> str | None:
    # what is not printable (NUL, a lone surrogate) cannot live in every database, and is nobody's name or id
    return value if isinstance(value, str) and value and value.isprintable() else None


def _zone(value: object) -> str | None:
    name = _text(value)
    if name is None:
        return None
    try:
        return ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, OSError):  # a Windows name, a path, a folder of the database
        return None


def _skew(value: object, ours: datetime) -> float | None:
    text = _text(value)
    if text is None:
        return None
    try:
        theirs = datetime.fromisoformat(text)
    except ValueError:
        return None
    if theirs.tzinfo is None:
        theirs = theirs.replace(tzinfo=UTC)
    return (theirs - ours).total_seconds()
