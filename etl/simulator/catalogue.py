"""Every path below a version: since when it is there, under which name, and what is found at it.

Sources as in `versions`; paths that no page dates are there at every version.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from etl.simulator import inventory, overview, policies, session_pages
from etl.simulator.listing import Listing
from etl.simulator.point_filter import only_wanted
from etl.simulator.routes import Asked, Cut, Found, Route, Slice, Tell
from etl.simulator.shapes.dotnet import encode
from etl.simulator.state import State
from etl.simulator.versions import VERSIONS, from_version
from etl.simulator.workloads import WORKLOADS

Item = dict[str, Any]
NEWEST = VERSIONS[-1]


def find(state: State, version: str, path: str) -> Found | None:
    """Return what is at a path below a version, None if the version has no such path."""
    for route in ROUTES:
        open_part = route.matches(version, path)
        # what any version has as a path is never an id
        if open_part is None or (open_part and path in _TEMPLATES):
            continue
        cut, tell = route.cut, route.tell
        given = state.given.get(path, state.given.get(route.name))
        parent = state.given.get(route.name.removesuffix("/{id}"))
        if given is not None and cut is not None:
            cut = _cut_given(given)
        elif parent is not None and tell is not None:
            tell = _tell_given(parent)
        return Found(version, path, open_part, route.what, cut, tell)
    return None


def key_of_given(path: str) -> str | None:
    """Return the name under which items given for a page are kept, None if no version has such a page."""
    pages = [route for route in ROUTES if route.cut is not None]
    for route in pages:
        if route.template == path:
            return route.name
    return path if any(route.matches(route.until, path) is not None for route in pages) else None


def _cut_given(given: Listing[object]) -> Cut:
    return lambda asked, offset, limit: given.slice(asked.version, offset, limit)


def _tell_given(given: Listing[object]) -> Tell:
    return lambda asked: text_of(given, asked.id, asked.version)


def _collection(
    name: str,
    items: Callable[[Asked], list[Item]],
    since: str = "v1",
    *,
    old: str | None = None,
    old_since: str = "v1",
    one: Callable[[Asked], list[Item]] | None = None,
    what: str | None = None,
) -> list[Route]:
    """Return the routes of items that are worked out anew, as pages and, if they have ids (`what`), one by one.

    `old` is the path until v3, from `old_since` on. `one` lists more than the pages do.
    """

    def cut(asked: Asked, offset: int, limit: int | None) -> Slice:
        by_key = {item.get("id") or item["resourceId"]: item for item in items(asked)}
        keys = asked.state.shelf(asked.path).arrange(by_key)
        end = None if limit is None else offset + limit
        return [encode(by_key[key]) for key in keys[offset:end]], len(keys)

    def alone(asked: Asked) -> bytes | None:
        found = (item for item in (one or items)(asked) if str(item["id"]).lower() == asked.id.lower())
        return next((encode(item) for item in found), None)

    spans = [(name, since, NEWEST)] if old is None else [(name, "v4", NEWEST), (old, old_since, "v3")]
    return _pages_and_items(name, spans, cut, None if what is None else alone, what or "")


def _pages_and_items(
    name: str, spans: list[tuple[str, str, str]], cut: Cut, tell: Tell | None, what: str
) -> list[Route]:
    """Return the routes of pages and of their items by id, for each path with its first and last version."""
    routes = [Route(path, name, first, last, cut, None) for path, first, last in spans]
    if tell is not None:
        routes += [
            Route(f"{path}/{{id}}", f"{name}/{{id}}", first, last, None, tell, what) for path, first, last in spans
        ]
    return routes


def _object(name: str, content: Callable[[Asked], Item], since: str = "v1", until: str = NEWEST) -> Route:
    return Route(name, name, since, until, None, lambda asked: encode(content(asked)))


def _restore_points(workload: str) -> list[Route]:
    kind = WORKLOADS[workload]

    def cut(asked: Asked, offset: int, limit: int | None) -> Slice:
        points = asked.state.points[workload]
        return points.slice(asked.version, offset, limit, only_wanted(points, kind, asked.query))

    def alone(asked: Asked) -> bytes | None:
        points = asked.state.points[workload]
        return text_of(points, asked.id, asked.version)

    spans = [(kind.path, kind.since, NEWEST)]
    if workload == "vm":
        spans = [(kind.path, "v4", NEWEST), ("/restorePoints", "v1", "v3")]
    return _pages_and_items(kind.path, spans, cut, alone, "The restore point")


def text_of(listing: Listing[Any], asked: str, version: str) -> bytes | None:
    """Return the JSON of one entry by its id in any case, None if there is none."""
    key = listing.key_of(asked)
    return None if key is None else listing.text(key, version)


def later(one: str, other: str) -> str:
    """Return the later of two versions."""
    return one if from_version(other, one) else other


def _policies(workload: str, name: str, since: str, old: str | None = None, old_since: str = "v1") -> list[Route]:
    def all_of(asked: Asked) -> list[Item]:
        return policies.policies(asked.state, workload)

    def protected(asked: Asked) -> list[Item]:
        found = policies.protecting(asked.state, workload)
        return [item for item in found if asked.id in ("", item["policyId"])]

    return [
        *_collection(f"{name}/protectedItems", protected, later("v4", since)),
        *_collection(f"{name}/{{id}}/protectedItems", protected, later("v4", since)),
        *_collection(name, all_of, since, what="The policy", old=old, old_since=old_since),
    ]


def _protected(workload: str, name: str, since: str, old: str | None = None, old_since: str = "v1") -> list[Route]:
    def items(asked: Asked) -> list[Item]:
        return inventory.protected_items(asked.state, workload)

    return _collection(name, items, since, what="The protected item", old=old, old_since=old_since)


def _machines(asked: Asked) -> list[Item]:
    return inventory.machines(
        asked.state,
        asked.query.one_of("ExistsState", ("OnlyExists", "OnlyDeleted", "All")) or "OnlyExists",
        asked.query.one_of("ProtectionStatus", ("Protected", "Unprotected")),
    )


ROUTES: list[Route] = [
    *[route for workload in WORKLOADS for route in _restore_points(workload)],
    Route("/jobSessions", "/jobSessions", "v1", NEWEST, session_pages.page, None),
    Route("/jobSessions/{id}", "/jobSessions/{id}", "v1", NEWEST, None, session_pages.one, "The session"),
    Route("/jobSessions/{id}/log", "/jobSessions/{id}/log", "v1", NEWEST, None, session_pages.log, "The session"),
    Route(
        "/jobSessions/{id}/deletedItems",
        "/jobSessions/{id}/deletedItems",
        "v2",
        NEWEST,
        session_pages.deleted_items,
        None,
    ),
    *_collection(
        "/virtualMachines",
        _machines,
        one=lambda asked: inventory.machines(asked.state, "All", None),
        what="The virtual machine",
    ),
    *_collection("/databases", lambda asked: inventory.databases(asked.state), "v3", what="The database"),
    *_collection("/fileShares", lambda asked: inventory.file_shares(asked.state), "v4", what="The file share"),
    *_collection("/cosmosDb", lambda asked: inventory.cosmos_accounts(asked.state), "v7", what="The account"),
    *_protected("vm", "/protectedItem/virtualMachines", "v4", old="/protectedItem/vm", old_since="v3"),
    *_protected("sql", "/protectedItem/sql", "v3"),
    *_protected("file_share", "/protectedItem/fileShares", "v4"),
    *_protected("vnet", "/protectedItem/vnet", "v6"),
    *_protected("cosmos_db", "/protectedItem/cosmosDb", "v8"),
    *_policies("vm", "/policies/virtualMachines", "v4", old="/policies"),
    *_policies("sql", "/policies/sql", "v3"),
    *_policies("file_share", "/policies/fileShares", "v4"),
    *_policies("cosmos_db", "/policies/cosmosDb", "v7"),
    _object("/policy/vnet", lambda asked: policies.network_policy(asked.state), "v6"),
    *_collection(
        "/policy/slaBased/virtualMachines",
        lambda asked: policies.sla_policies(asked.state),
        "v8",
        what="The policy",
    ),
    *_collection(
        "/policyTemplates/slaTemplate", lambda asked: policies.sla_templates(asked.state), "v8", what="The template"
    ),
    *_collection("/repositories", lambda asked: policies.repositories(asked.state), what="The repository"),
    _object("/overview/storageUsage", lambda asked: overview.storage_usage(asked.state, asked.version), "v4"),
    _object("/statistics/summary", lambda asked: overview.storage_usage(asked.state, asked.version), until="v3"),
    _object("/settings/retention", lambda asked: overview.retention_settings(asked.state)),
]
"""Every path; of two that match, the first counts."""

_TEMPLATES = {route.template for route in ROUTES}
