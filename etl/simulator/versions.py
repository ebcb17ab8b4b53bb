"""What each API version calls its paths and parameters, and which versions one product serves.

Source: the vendor's references for v1 to v3, v8 and v8.1. Conventions of v4 to v7 are inferred: the vendor's
pages of those versions do not spell them out item by item.
"""

from __future__ import annotations

from dataclasses import dataclass

from etl.simulator.errors import SimulatorError

VERSIONS = ("v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v8.1")
"""Every API version, oldest first."""


def from_version(first: str, version: str) -> bool:
    """Whether `version` is `first` or a later one."""
    return VERSIONS.index(version) >= VERSIONS.index(first)


@dataclass(frozen=True, slots=True)
class Conventions:
    """What one API version does in every collection; `default_limit` rows a page where none is asked for."""

    version: str
    default_limit: int
    serves_server_info: bool

    def spellings(self, name: str) -> tuple[str, ...]:
        """Return how a parameter, given as in `OnlyLatest`, may be spelt; any other spelling is ignored."""
        lower = name[0].lower() + name[1:]
        return {"v1": (lower,), "v2": (lower, name)}.get(self.version, (name,))


def _conventions(version: str) -> Conventions:
    limits = {"v1": 30, "v2": 30, "v3": 200}
    return Conventions(version, limits.get(version, 100), version != "v1")


CONVENTIONS = {version: _conventions(version) for version in VERSIONS}


@dataclass(frozen=True, slots=True)
class Product:
    """One release of the product; `build` is invented, its first two numbers are the release."""

    release: str
    build: str
    serves: tuple[str, ...]


PRODUCTS = {
    "v1": Product("1.0", "1.0.0.401", ("v1",)),
    "v2": Product("2.0", "2.0.0.402", ("v2",)),
    "v3": Product("3.0", "3.0.0.403", ("v3", "v2")),
    "v4": Product("4.0", "4.0.0.404", ("v4", "v3", "v2")),
    "v5": Product("5.0", "5.0.0.405", ("v5", "v4", "v3")),
    "v6": Product("6.0", "6.0.0.406", ("v6", "v5", "v4")),
    "v7": Product("7.0", "7.0.0.407", ("v7", "v6", "v5")),
    "v8": Product("8.0", "8.0.0.408", ("v8", "v7", "v6")),
    "v8.1": Product("8.1", "8.1.0.409", ("v8.1", "v8", "v7", "v6")),
}
"""The product whose newest API version is the key."""


def product(version: str) -> Product:
    """Return the product whose newest API version is `version`.

    Raises `SimulatorError` for a version that never was.
    """
    if version not in PRODUCTS:
        raise SimulatorError(f"No API version {version!r}; choose one of {', '.join(VERSIONS)}.")
    return PRODUCTS[version]
