"""What each API version calls its paths and parameters, and which versions one product serves.

Source: the vendor's references for v1 to v3, v8 and v8.1. Conventions of v4 to v7 are inferred: the vendor's
pages of those versions do not spell them out item by item.
"""

from __future__ import annotations

from dataclasses import dataclass

from etl.simulator.errors import SimulatorError

VERSIONS = ("v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v8.1")
"""Every API version, oldest first."""


@dataclass(frozen=True, slots=True)
class Conventions:
    """How one API version spells a restore point collection.

    `parameters` maps each spelling that is understood to the name used here; any other spelling is ignored.
    """

    version: str
    collection: str
    parameters: dict[str, str]
    default_limit: int
    serves_server_info: bool


_LOWER = {
    "offset": "offset",
    "limit": "limit",
    "onlyLatest": "only_latest",
    "virtualMachineId": "virtual_machine_id",
}
_CAPITAL = {spelling[0].upper() + spelling[1:]: name for spelling, name in _LOWER.items()}


def _conventions(version: str) -> Conventions:
    number = VERSIONS.index(version)
    spellings = {"v1": _LOWER, "v2": _LOWER | _CAPITAL}
    limits = {"v1": 30, "v2": 30, "v3": 200}
    return Conventions(
        version=version,
        collection="/restorePoints" if number < VERSIONS.index("v4") else "/restorePoints/virtualMachines",
        parameters=spellings.get(version, _CAPITAL),
        default_limit=limits.get(version, 100),
        serves_server_info=version != "v1",
    )


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
