"""What is found at and below `/jobSessions`."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from etl.simulator.paging import Query
from etl.simulator.sessions import JobSession
from etl.simulator.shapes import sessions as shapes
from etl.simulator.shapes.dotnet import encode
from etl.simulator.versions import from_version
from etl.simulator.workloads import kind_of_copy

if TYPE_CHECKING:
    from etl.simulator.routes import Asked, Slice

STATUSES = (
    "Canceled",
    "Canceling",
    "Error",
    "NeverExecuted",
    "Pending",
    "Running",
    "RunningWithError",
    "RunningWithWarning",
    "Success",
    "Warning",
    "Unknown",
)
NO_FILTER_VALUE = "VmSnapshotRetention"
"""A type that the filter does not know, so that such sessions are seen only where none is asked for."""
_TO_THE_SECOND = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def page(asked: Asked, offset: int, limit: int | None) -> Slice:
    """Return a page of sessions; filters are there from v2 on."""
    wanted = _wanted(asked) if from_version("v2", asked.version) else None
    return asked.state.sessions.listing.slice(asked.version, offset, limit, wanted)


def one(asked: Asked) -> bytes | None:
    """Return one session."""
    key = asked.state.sessions.find(asked.id, asked.version)
    return None if key is None else asked.state.sessions.listing.text(key, asked.version)


def log(asked: Asked) -> bytes | None:
    """Return a session's log."""
    session = _session(asked)
    return None if session is None else encode(shapes.log(session, asked.version))


def deleted_items(asked: Asked, offset: int, limit: int | None) -> Slice:
    """Return what a session deleted; of one that is not there, nothing: no page documents a 404."""
    session = _session(asked)
    if session is None or not session.lists_items:
        return [], 0
    texts = []
    for point in session.removed:
        in_repository = kind_of_copy(point.backup_destination, point.access_tier) in ("backup", "archive")
        repository = asked.state.rules.repository(point.access_tier or "Hot") if in_repository else None
        texts.append(encode(shapes.deleted_item(point, repository, asked.version)))
    end = None if limit is None else offset + limit
    return texts[offset:end], len(texts)


def _session(asked: Asked) -> JobSession | None:
    sessions = asked.state.sessions
    key = sessions.find(asked.id, asked.version)
    return None if key is None else sessions.listing.row(key)


def _wanted(asked: Asked) -> Callable[[JobSession], bool] | None:
    query = asked.query
    status = query.one_of("Status", STATUSES)
    types = query.all_of("Types")
    if NO_FILTER_VALUE in types:
        query.refuse("Types", NO_FILTER_VALUE)
    policy_id = query.get("PolicyId")
    since, until = (_instant(query, name) for name in ("FromUtc", "ToUtc"))
    resource_id = query.get("ResourceId") if from_version("v8", asked.version) else None
    if not (status or types or policy_id or since or until or resource_id):
        return None

    def wanted(session: JobSession) -> bool:
        told = session.overrides.get("status", session.status)
        return (
            (status is None or told == status)
            and (not types or shapes.type_at(session.type, asked.version) in types)
            and (policy_id is None or (session.policy is not None and session.policy.id == policy_id.lower()))
            and (since is None or session.started >= since)
            and (until is None or session.started <= until)
            and (resource_id is None or any(one.resource_id == resource_id for one in session.resources))
        )

    return wanted


def _instant(query: Query, name: str) -> datetime | None:
    text = query.get(name)
    if text is None:
        return None
    try:
        if not _TO_THE_SECOND.fullmatch(text):
            raise ValueError
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        query.refuse(name, text)
        return None
