"""The command line: reads what was asked for, calls the room that does it, prints what came of it."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Coroutine
from dataclasses import asdict
from datetime import UTC, datetime
from enum import StrEnum
from getpass import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from etl import __version__, console
from etl.errors import RestorepointsError, UsageError

# Nothing heavy is imported up here: `--help` has to answer at once.
if TYPE_CHECKING:
    from etl.config import ApplianceConfig, Config
    from etl.extract.endpoint import Endpoint
    from etl.load.warehouse import Warehouse

T = TypeVar("T")

app = typer.Typer(
    name="restorepoints",
    help="Keeps a SQL warehouse in step with the restore points of Veeam Backup for Microsoft Azure appliances, "
    "and keeps their history.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help answers in half the time of boxes
)
db = typer.Typer(
    help="Creates, migrates and inspects the warehouse's schema.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(db, name="db")


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
    str | None, typer.Option(metavar="sha256:HEX", help="Trust exactly this certificate, with --appliance.")
]
CaFile = Annotated[Path | None, typer.Option(help="Trust certificates of this CA file, with --appliance.")]
OutputForm = Annotated[Output, typer.Option("--output", help="text for people, json (an object a line) for programs.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


def main() -> None:
    """The command `restorepoints`: every error becomes one sentence and an exit status."""
    console.prepare_streams()
    debug = "--debug" in sys.argv
    try:
        app(prog_name="restorepoints")
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
    output: OutputForm = Output.text,
    debug: Debug = False,
) -> None:
    """Brings the warehouse in step with the appliances.

    The password comes from the appliance's password_file, password_env or keyring setting, else from
    $RESTOREPOINTS_PASSWORD or $RESTOREPOINTS_PASSWORD_FILE, else from a prompt on a terminal.

    Exit status: 0 every appliance succeeded, 1 at least one failed (what succeeded is committed), 2 wrong usage
    or configuration, 130 interrupted, 143 terminated.
    """
    settings, chosen = _appliances(names, config, appliance, username, api_version, tls_fingerprint, ca_file)
    store = _warehouse(warehouse, settings)
    endpoints = [_endpoint(one, settings) for one in chosen]
    _prepare_schema(store, migrate=migrate)
    from etl.sync import RunResult, Source, sync_appliance

    failed = False
    for one, endpoint in zip(chosen, endpoints, strict=True):
        source = Source(endpoint, one.api_version, tuple(one.workloads), one.tenant, one.time_zone)
        try:
            with console.progress_bars() as show:
                result = _run(sync_appliance(source, store, on_progress=show))
        except Exception as error:
            if debug:
                raise
            result = RunResult(one.name, "failed", error=f"{one.name}: unexpected {type(error).__name__}; try --debug")
        console.print_result(result, as_json=output is Output.json)
        failed = failed or result.status != "succeeded"
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
    settings, chosen = _appliances(names, config, appliance, username, api_version, tls_fingerprint, ca_file)
    from etl.check import check_appliance

    failed = False
    for one in chosen:
        finding = _run(check_appliance(_endpoint(one, settings), one.api_version, one.workloads, _now))
        if output is Output.json:
            console.print_json(asdict(finding))
        else:
            console.print_finding(finding)
        failed = failed or finding.error is not None
    if failed:
        raise typer.Exit(1)


@app.command()
def status(
    config: ConfigFile = None,
    warehouse: WarehouseUrl = None,
    output: OutputForm = Output.text,
    debug: Debug = False,
) -> None:
    """Shows each appliance with its last run, its restore points and how fresh they are."""
    store = _warehouse(warehouse, _config(config))
    from etl.load import schema
    from etl.report.status import status_of

    schema.check(store)
    rows = status_of(store, _now())
    if output is Output.json:
        for row in rows:
            console.print_json(asdict(row))
    else:
        console.print_status(rows)


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
            days=days,
            time_zone=time_zone,
            now=_now(),
            page_cap=page_cap,
            username=username,
            password=os.environ.get("RESTOREPOINTS_PASSWORD", "simulated-password"),
            mfa=mfa,
            items=items,
            on_ready=ready,
        )
    except SimulatorError as error:
        raise UsageError(str(error)) from None


@db.command()
def upgrade(config: ConfigFile = None, warehouse: WarehouseUrl = None, debug: Debug = False) -> None:
    """Creates the schema, or brings it to this program's version."""
    store = _warehouse(warehouse, _config(config))
    from etl.load import schema

    before, after = schema.upgrade(store)
    done = "is up to date at" if before == after else "was created at" if before is None else f"went from {before} to"
    console.say(f"the schema {done} {after}")


@db.command()
def current(config: ConfigFile = None, warehouse: WarehouseUrl = None, debug: Debug = False) -> None:
    """Shows the warehouse's schema revision; fails unless it is this program's."""
    store = _warehouse(warehouse, _config(config))
    from etl.load import schema

    print(schema.current(store) or "none")  # noqa: T201
    schema.check(store)


def _now() -> datetime:
    return datetime.now(UTC)


def _config(path: Path | None) -> Config | None:
    from etl.config import find_config, load_config

    found = find_config(path, os.environ)
    return load_config(found) if found else None


def _appliances(
    names: list[str] | None,
    config: Path | None,
    appliance: str | None,
    username: str | None,
    api_version: str,
    tls_fingerprint: str | None,
    ca_file: Path | None,
) -> tuple[Config | None, list[ApplianceConfig]]:
    from etl.config import appliance_from_options

    if appliance is not None:
        if names:
            raise UsageError("give appliances by name, or one whole with --appliance, not both")
        if username is None:
            raise UsageError("--appliance needs --username")
        one = appliance_from_options(appliance, username, api_version, tls_fingerprint, ca_file)
        return (_config(config) if config else None), [one]
    settings = _config(config)
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


def _endpoint(one: ApplianceConfig, settings: Config | None) -> Endpoint:
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


def _warehouse(url: str | None, settings: Config | None) -> Warehouse:
    from etl.config import warehouse_url
    from etl.load.warehouse import Warehouse

    store = Warehouse(warehouse_url(url, os.environ, settings))
    console.say(f"warehouse: {store.path.absolute() if store.path else store}")
    return store


def _prepare_schema(store: Warehouse, *, migrate: bool) -> None:
    from etl.load import schema

    if migrate or store.path is not None:
        schema.upgrade(store)
    else:
        schema.check(store)


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Runs `work` to its end; SIGTERM ends it in order, as Ctrl-C does, and the program leaves with 143."""
    import asyncio

    terminated = False

    async def until_terminated() -> T:
        task = asyncio.ensure_future(work)

        def stop() -> None:
            nonlocal terminated
            terminated = True
            task.cancel()

        if sys.platform != "win32":
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop)
        return await task

    try:
        return asyncio.run(until_terminated())
    except KeyboardInterrupt:
        console.say("restorepoints: interrupted; the warehouse is as the last finished run left it")
        sys.exit(130)
    except asyncio.CancelledError:
        if terminated:
            console.say("restorepoints: terminated; the warehouse is as the last finished run left it")
            sys.exit(143)
        raise
