"""The API versions, and what each calls its collections and its paging parameters.

Sources: the vendor's API references, v1 to v8.1.
"""

from __future__ import annotations

from dataclasses import dataclass

from etl.errors import NotServed

API_VERSIONS = ("v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v8.1")
"""Every version this program knows, oldest first."""


@dataclass(frozen=True, slots=True)
class Spelling:
    """What a version calls the two paging parameters."""

    offset: str
    limit: str


LOWER = Spelling("offset", "limit")
UPPER = Spelling("Offset", "Limit")

# collection -> (first version, path); a path holds until the next entry's version.
_PATHS: dict[str, tuple[tuple[str, str], ...]] = {
    "vm": (("v1", "/restorePoints"), ("v4", "/restorePoints/virtualMachines")),
}


def spellings(api_version: str) -> tuple[Spelling, Spelling]:
    """Give the version's documented spelling of the paging parameters, then the other one."""
    return (LOWER, UPPER) if api_version == "v1" else (UPPER, LOWER)


def rank(api_version: str) -> int:
    """Give the version's place among `API_VERSIONS`; an unknown version raises `NotServed`."""
    try:
        return API_VERSIONS.index(api_version)
    except ValueError:
        known = f"{API_VERSIONS[0]} to {API_VERSIONS[-1]}"
        raise NotServed(f"API version {api_version} is not one that this program knows ({known}).") from None


def collection_path(api_version: str, collection: str) -> str:
    """Give the path below the base URL at which a version serves a collection, by its stable name.

    Raises `NotServed` where the version has no such collection.
    """
    wanted = rank(api_version)
    path = None
    for first_version, since_then in _PATHS.get(collection, ()):
        if rank(first_version) <= wanted:
            path = since_then
    if path is None:
        raise NotServed(f"API version {api_version} has no collection {collection}.")
    return f"/api/{api_version}{path}"
