"""The command line: reads what was asked for, calls the room that does it, prints what came of it."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from etl import __version__, cli_warehouse, console, stopping
from etl.clock import utc_now
from etl.errors import RestorepointsError, UsageError
from etl.options import (
    ApiVersion,
    CaFile,
    ConfigFile,
    Debug,
    Fingerprint,
    Names,
    OneAppliance,
    Output,
    OutputForm,
    Username,
    WarehouseUrl,
    chosen_appliances,
    endpoint,
    open_warehouse,
)

# Nothing heavy is imported up here: `--help` has to answer at once.
if TYPE_CHECKING:
    from etl.config import ApplianceConfig
    from etl.extract.endpoint import Endpoint
    from etl.load.warehouse import Warehouse
    from etl.sync import Source

app = typer.Typer(
    name="restorepoints",
    help="Keeps a SQL warehouse in step with the restore points of Veeam Backup for Microsoft Azure appliances, "
    "and keeps their history.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help answers in half the time of boxes
)
app.add_typer(cli_warehouse.app)


def main() -> None:
    """The command `restorepoints`: every error becomes one sentence and an exit status."""
    stopping.heed()
    console.prepare_streams()
    debug = "--debug" in sys.argv
    try:
        app(prog_name="restorepoints")
    except stopping.Stopped as stopped:
        stopping.ignore_more()
        console.say(f"restorepoints: {stopped.how}; the warehouse is as the last finished run left it")
        sys.exit(stopped.code)
    except RestorepointsError as error:
        if debug:
            raise
        console.say(f"restorepoints: {error}")
        sys.exit(error.exit_code)
    except Exception as error:
        if debug:
            raise
        console.say(f"restorepoints: unexpected {type(error).__name__}: {error}; run it again with --debug for details")
        sys.exit(1)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"restorepoints {__version__}")  # noqa: T201
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None: ...


@app.command()
def sync(
    names: Names = None,
    config: ConfigFile = None,
    warehouse: WarehouseUrl = None,
    appliance: OneAppliance = None,
    username: Username = None,
    api_version: ApiVersion = "auto",
    tls_fingerprint: Fingerprint = None,
    ca_file: CaFile = None,
    migrate: Annotated[bool, typer.Option("--migrate", help="Create or migrate a server's schema first.")] = False,
    accept_mass_deletion: Annotated[
        bool, typer.Option("--accept-mass-deletion", help="More than half of a collection is gone indeed.")
    ] = False,
    accept_new_identity: Annotated[
        bool, typer.Option("--accept-new-identity", help="The appliance behind this name was replaced indeed.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="A collection that the account may not read makes the exit status 1.")
    ] = False,
    output: OutputForm = Output.text,
    debug: Debug = False,
) -> None:
    """Brings the warehouse in step with the appliances.

    The password comes from the appliance's password_file, password_env or keyring setting, else from
    $RESTOREPOINTS_PASSWORD or $RESTOREPOINTS_PASSWORD_FILE, else from a prompt on a terminal.

    A restore point that is no longer listed is asked for by its id, and marked deleted only if the appliance says
    that it is gone. If more than half of a collection vanishes at once, none is, and the run is partial.

    A collection that the account may not read, or that fails, is left alone; the others are committed.

    Exit status: 0 every appliance succeeded, 1 at least one failed or was partial (what succeeded is committed),
    2 wrong usage or configuration, 130 interrupted, 143 terminated.
    """
    settings, chosen = chosen_appliances(names, config, appliance, username, api_version, tls_fingerprint, ca_file)
    store = open_warehouse(warehouse, settings)
    endpoints = [endpoint(one, settings) for one in chosen]
    _prepare_schema(store, migrate=migrate)
    from etl.sync import Accepted, RunResult, sync_appliance

    accepted = Accepted(mass_deletion=accept_mass_deletion, new_identity=accept_new_identity)
    failed = False
    for one, where in zip(chosen, endpoints, strict=True):
        source = _source(one, where)
        try:
            with console.progress_bars() as show:
                result = stopping.run(sync_appliance(source, store, accepted=accepted, on_progress=show))
        except Exception as error:
            if debug:
                raise
            result = RunResult(one.name, "failed", error=f"{one.name}: unexpected {type(error).__name__}; try --debug")
        console.print_result(result, as_json=output is Output.json)
        failed = failed or result.status != "succeeded" or (strict and bool(result.forbidden))
    if failed:
        raise typer.Exit(1)


@app.command()
def plan(
    names: Names = None,
    config: ConfigFile = None,
    warehouse: WarehouseUrl = None,
    appliance: OneAppliance = None,
    username: Username = None,
    api_version: ApiVersion = "auto",
    tls_fingerprint: Fingerprint = None,
    ca_file: CaFile = None,
    output: OutputForm = Output.text,
    debug: Debug = False,
) -> None:
    """Reads the appliances and says what a sync would find: new, changed, vanished, rejected. Writes nothing."""
    settings, chosen = chosen_appliances(names, config, appliance, username, api_version, tls_fingerprint, ca_file)
    store = open_warehouse(warehouse, settings)
    endpoints = [endpoint(one, settings) for one in chosen]
    from etl.load import schema
    from etl.plan import plan_appliance

    schema.check(store)
    failed = False
    for one, where in zip(chosen, endpoints, strict=True):
        source = _source(one, where)
        with console.progress_bars() as show:
            found = stopping.run(plan_appliance(source, store, now=utc_now, on_progress=show))
        console.print_plan(found, as_json=output is Output.json)
        failed = failed or found.error is not None
    if failed:
        raise typer.Exit(1)


@app.command()
def check(
    names: Names = None,
    config: ConfigFile = None,
    appliance: OneAppliance = None,
    username: Username = None,
    api_version: ApiVersion = "auto",
    tls_fingerprint: Fingerprint = None,
    ca_file: CaFile = None,
    output: OutputForm = Output.text,
    debug: Debug = False,
) -> None:
    """Signs in, reads one page, and says what it found and what it may read. Writes nothing."""
    settings, chosen = chosen_appliances(names, config, appliance, username, api_version, tls_fingerprint, ca_file)
    from etl.check import check_appliance

    failed = False
    for one in chosen:
        finding = stopping.run(check_appliance(endpoint(one, settings), one.api_version, one.workloads, utc_now))
        if output is Output.json:
            console.print_json(asdict(finding))
        else:
            console.print_finding(finding)
        failed = failed or finding.error is not None
    if failed:
        raise typer.Exit(1)


@app.command()
def init(
    config: Annotated[Path, typer.Option("--config", "-c", help="The file to write.")] = Path("restorepoints.toml"),
    debug: Debug = False,
) -> None:
    """Writes a commented configuration to start from; an existing file is left alone."""
    from etl.config import starter_config

    try:
        with config.open("x", encoding="utf-8") as file:
            file.write(starter_config())
    except FileExistsError:
        raise UsageError(f"{config} is there already and was left alone; choose another name with --config") from None
    except OSError as error:
        raise UsageError(f"{config} cannot be written: {error.strerror}") from None
    console.say(f"wrote {config.absolute()}; fill in the appliance, then run `restorepoints check`")


@app.command()
def simulate(
    version: Annotated[str, typer.Option(help="Newest API version that it serves, v1 to v8.1.")] = "v8.1",
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 takes a free one.", min=0, max=65535)] = 8443,
    seed: Annotated[int, typer.Option(help="Another seed makes another estate.")] = 1,
    machines: Annotated[int, typer.Option(help="Protected machines.", min=1)] = 12,
    databases: Annotated[int, typer.Option(help="Protected SQL databases.", min=0)] = 4,
    file_shares: Annotated[int, typer.Option(help="Protected file shares.", min=0)] = 3,
    networks: Annotated[int, typer.Option(help="Protected networks.", min=0)] = 1,
    cosmos_accounts: Annotated[int, typer.Option(help="Protected Cosmos DB accounts.", min=0)] = 2,
    days: Annotated[int, typer.Option(help="Days of history at the start.", min=0)] = 30,
    time_zone: Annotated[str, typer.Option(help="The appliance's own time zone, an IANA name.")] = "Europe/Berlin",
    page_cap: Annotated[int | None, typer.Option(help="The most rows it puts into a page.", min=1)] = None,
    username: Annotated[str, typer.Option(help="The one account.")] = "reporter",
    mfa: Annotated[bool, typer.Option("--mfa", help="The account asks for a one-time code.")] = False,
    items: Annotated[Path | None, typer.Option(help="Serve the items of this JSON file instead of an estate.")] = None,
    debug: Debug = False,
) -> None:
    """Serves a simulated appliance on this machine, to try things out without a real one.

    Its password is simulated-password, or what $RESTOREPOINTS_PASSWORD holds. Its clock stands at this moment and
    moves on by a POST to /simulator/clock, with {"days": 1} or {"hours": 6} as JSON. Ctrl-C ends it.
    """
    from etl.simulator import SimulatedAppliance, SimulatorError, serve

    def ready(appliance: SimulatedAppliance) -> None:
        console.say(
            f"simulated appliance ({', '.join(appliance.serves)}) on {appliance.url}; in another terminal:\n"
            f"  export RESTOREPOINTS_PASSWORD={appliance.behaviour.password}\n"
            f"  restorepoints sync --appliance demo={appliance.url} --username {username}"
        )

    try:
        serve(
            version=version,
            port=port,
            seed=seed,
            machines=machines,
            databases=databases,
            file_shares=file_shares,
            networks=networks,
            cosmos_accounts=cosmos_accounts,
            days=days,
            time_zone=time_zone,
            now=utc_now(),
            page_cap=page_cap,
            username=username,
            password=os.environ.get("RESTOREPOINTS_PASSWORD", "simulated-password"),
            mfa=mfa,
            items=items,
            on_ready=ready,
        )
    except SimulatorError as error:
        raise UsageError(str(error)) from None


def _source(one: ApplianceConfig, where: Endpoint) -> Source:
    from etl.sync import Source

    return Source(where, one.api_version, one.workloads, one.tenant, one.time_zone, one.resolve_machines)


def _prepare_schema(store: Warehouse, *, migrate: bool) -> None:
    from etl.load import schema

    if migrate or store.path is not None:
        schema.upgrade(store)
    else:
        schema.check(store)
