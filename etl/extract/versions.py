"""The API versions, where each serves a listing, and what it calls the parameters.

Sources: the vendor's API references, v1 to v8.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from etl.errors import NotServed

if TYPE_CHECKING:
    from collections.abc import Mapping

API_VERSIONS = ("v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v8.1")
"""Every version this program knows, oldest first."""


@dataclass(frozen=True, slots=True)
class Spelling:
    """What a version calls the two paging parameters; any other begins with the same kind of letter."""

    offset: str
    limit: str

    def spell(self, params: Mapping[str, str]) -> dict[str, str]:
        """Spell other parameters in the same manner."""
        if self.offset[0].isupper():
            return dict(params)
        return {name[0].lower() + name[1:]: value for name, value in params.items()}


LOWER = Spelling("offset", "limit")
UPPER = Spelling("Offset", "Limit")


class Listing(Protocol):
    """Something that is listed page by page: where, from which version on, and what is asked of it.

    `paths`: first version → path below it, which holds until the next entry's version. `params` are sent with every
    page, spelt as v2 and later document them.
    """

    @property
    def paths(self) -> tuple[tuple[str, str], ...]: ...  # noqa: D102

    @property
    def params(self) -> Mapping[str, str]: ...  # noqa: D102


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


def path_of(api_version: str, listing: Listing) -> str:
    """Give the path below the base URL at which a version serves a listing.

    Raises `NotServed` where the version has no such listing.
    """
    wanted = rank(api_version)
    path = None
    for first_version, since_then in listing.paths:
        if rank(first_version) <= wanted:
            path = since_then
    if path is None:
        raise NotServed(f"API version {api_version} has no {listing.paths[0][1]}.")
    return f"/api/{api_version}{path}"
