"""What several commands take from the command line, and what they make of it."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from getpass import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from etl import console
from etl.errors import UsageError

# Nothing heavy is imported up here: `--help` has to answer at once.
if TYPE_CHECKING:
    from etl.config import ApplianceConfig, Config
    from etl.extract.endpoint import Endpoint
    from etl.load.warehouse import Warehouse


class Output(StrEnum):
    """How results are printed on stdout."""

    text = "text"
    json = "json"


Names = Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Appliances by name; all if none is given.")]
ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", help="The configuration file. [default: $RESTOREPOINTS_CONFIG, else ./restorepoints.toml]"
    ),
]
WarehouseUrl = Annotated[
    str | None,
    typer.Option(
        "--warehouse",
        "-w",
        metavar="URL",
        help="sqlite:///FILE or postgresql://USER@HOST/DATABASE. "
        "[default: $RESTOREPOINTS_WAREHOUSE, else the configuration's, else restorepoints.db beside it]",
    ),
]
OneAppliance = Annotated[
    str | None, typer.Option("--appliance", metavar="NAME=URL", help="One appliance without a configuration file.")
]
Username = Annotated[str | None, typer.Option(help="Who signs in, with --appliance.")]
ApiVersion = Annotated[
    str, typer.Option(metavar="auto|v1|...|v8.1", help="API version, with --appliance; auto is the newest served.")
]
Fingerprint = Annotated[
    str | None,
    typer.Option(metavar="sha256:HEX", help="Trust exactly this certificate, with --appliance."),
]
CaFile = Annotated[Path | None, typer.Option(help="Trust certificates of this CA file, with --appliance.")]
OutputForm = Annotated[Output, typer.Option("--output", help="text for people, json (an object a line) for programs.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


def configuration(path: Path | None) -> Config | None:
    """The configuration file that is named or found; null without one."""
    from etl.config import find_config, load_config

    found = find_config(path, os.environ)
    return load_config(found) if found else None


def chosen_appliances(
    names: list[str] | None,
    config: Path | None,
    appliance: str | None,
    username: str | None,
    api_version: str,
    tls_fingerprint: str | None,
    ca_file: Path | None,
) -> tuple[Config | None, list[ApplianceConfig]]:
    """The configuration, if there is one, and the appliances that were asked for.

    Raises:
        UsageError: none, an unknown one, or two ways at once.
    """
    from etl.config import appliance_from_options

    if appliance is not None:
        if names:
            raise UsageError("give appliances by name, or one whole with --appliance, not both")
        if username is None:
            raise UsageError("--appliance needs --username")
        one = appliance_from_options(appliance, username, api_version, tls_fingerprint, ca_file)
        return (configuration(config) if config else None), [one]
    settings = configuration(config)
    if settings is None:
        raise UsageError(
            "no restorepoints.toml here; write one with `restorepoints init`, name one with --config, "
            "or give one appliance with --appliance NAME=URL --username U"
        )
    unknown = [name for name in names or () if name not in settings.appliances]
    if unknown:
        raise UsageError(
            f"no appliance named {', '.join(unknown)} in {settings.path}; it names {', '.join(settings.appliances)}"
        )
    return settings, [settings.appliances[name] for name in dict.fromkeys(names or settings.appliances)]


def endpoint(one: ApplianceConfig, settings: Config | None) -> Endpoint:
    """Where an appliance is, with its password."""
    from etl.extract.endpoint import Endpoint
    from etl.passwords import read_password

    prompt = getpass if sys.stdin.isatty() else None
    return Endpoint(
        name=one.name,
        url=one.url,
        username=one.username,
        password=read_password(one, os.environ, prompt),
        tls_fingerprint=one.tls_fingerprint,
        ca_file=one.ca_file,
        **({"retry_for": settings.retry_for} if settings else {}),
    )


def open_warehouse(url: str | None, settings: Config | None) -> Warehouse:
    """The warehouse that is named or configured; says which it is."""
    from etl.config import warehouse_url
    from etl.load.warehouse import Warehouse

    store = Warehouse(warehouse_url(url, os.environ, settings))
    console.say(f"warehouse: {store.path.absolute() if store.path else store}")
    return store
