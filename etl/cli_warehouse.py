"""The commands that ask the warehouse alone, or change it without an appliance: thin, no logic."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from etl import console, console_explain, console_history
from etl.clock import utc_now
from etl.errors import UsageError
from etl.options import (
    ConfigFile,
    Debug,
    Output,
    OutputForm,
    WarehouseUrl,
    configuration,
    open_warehouse,
)

# Nothing heavy is imported up here: `--help` has to answer at once.
if TYPE_CHECKING:
    from pathlib import Path

    from etl.load.warehouse import Warehouse

app = typer.Typer()
rejects = typer.Typer(
    help="Shows what could not be read, and reads it again after an upgrade. Alone, it lists.", rich_markup_mode=None
)
appliances = typer.Typer(
    help="Shows the appliances that the warehouse knows, and renames them.", no_args_is_help=True, rich_markup_mode=None
)
db = typer.Typer(
    help="Creates, migrates and inspects the warehouse's schema.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(rejects, name="rejects")
app.add_typer(appliances, name="appliances")
app.add_typer(db, name="db")

OneName = Annotated[str | None, typer.Option("--appliance", metavar="NAME", help="Of this one only.")]


@app.command()
def status(
    config: ConfigFile = None,
    warehouse: WarehouseUrl = None,
    output: OutputForm = Output.text,
    debug: Debug = False,
) -> None:
    """Shows each appliance with its last run, its restore points and how fresh they are, and each collection of it.

    Unexplained are the restore points that were found gone in the last seven days and nobody knows why.
    """
    store = _current_warehouse(warehouse, config)
    from etl.report.status import status_of

    rows = status_of(store, utc_now())
    if output is Output.json:
        for row in rows:
            console.print_json(asdict(row))
    else:
        console.print_status(rows)


@app.command()
def history(
    point_id: Annotated[str, typer.Argument(metavar="POINT_ID", help="The restore point's id; a UUID in any case.")],
    appliance: OneName = None,
    config: ConfigFile = None,
    warehouse: WarehouseUrl = None,
    output: OutputForm = Output.text,
    debug: Debug = False,
) -> None:
    """Shows a restore point's life: what made it, each version, what changed, when it went and why.

    Exit status 1 if no appliance ever listed it.
    """
    store = _current_warehouse(warehouse, config)
    from etl.report.history import history as history_of

    points = history_of(store, point_id, appliance)
    console_history.print_history(points, point_id, as_json=output is Output.json)
    if not points:
        raise typer.Exit(1)


@app.command()
def explain(
    point_id: Annotated[str, typer.Argument(metavar="POINT_ID", help="The restore point's id; a UUID in any case.")],
    appliance: OneName = None,
    config: ConfigFile = None,
    warehouse: WarehouseUrl = None,
    output: OutputForm = Output.text,
    debug: Debug = False,
) -> None:
    """Tells a restore point's life in sentences: what made it, what changed, when it went, why, and how sure that is.

    Exit status 1 if no appliance ever listed it.
    """
    store = _current_warehouse(warehouse, config)
    from etl.report.history import history as history_of

    points = history_of(store, point_id, appliance)
    console_explain.print_explained(points, point_id, as_json=output is Output.json)
    if not points:
        raise typer.Exit(1)


@app.command("as-of")
def as_of(
    timestamp: Annotated[
        str,
        typer.Argument(metavar="TIMESTAMP", help="2026-03-03 (its first instant) or 2026-03-03T06:00+01:00; else UTC."),
    ],
    appliance: OneName = None,
    config: ConfigFile = None,
    warehouse: WarehouseUrl = None,
    output: OutputForm = Output.text,
    debug: Debug = False,
) -> None:
    """Shows what existed at an instant: certain, unknown (nobody looked in between) or gone.

    Text counts the restore points; --output json prints each of them with its answer, the evidence for it, and what
    it looked like then.
    """
    from etl.report.instants import parse_instant

    at = parse_instant(timestamp)
    store = _current_warehouse(warehouse, config)
    from etl.report.as_of import as_of as as_of_instant

    answers = as_of_instant(store, at, appliance, utc_now())
    console_history.print_as_of(answers, as_json=output is Output.json)


@rejects.callback(invoke_without_command=True)
def _rejects(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        list_rejects()


@rejects.command("list")
def list_rejects(
    appliance: OneName = None,
    everything: Annotated[bool, typer.Option("--all", help="Those that have been read well since, too.")] = False,
    config: ConfigFile = None,
    warehouse: WarehouseUrl = None,
    output: OutputForm = Output.text,
    debug: Debug = False,
) -> None:
    """Shows the items, and the fields of items, that could not be read: why, and since when."""
    store = _current_warehouse(warehouse, config)
    from etl.report.rejects import rejected

    console_history.print_rejects(rejected(store, appliance, everything), as_json=output is Output.json)


@rejects.command("replay")
def replay_rejects(
    appliance: OneName = None,
    config: ConfigFile = None,
    warehouse: WarehouseUrl = None,
    output: OutputForm = Output.text,
    debug: Debug = False,
) -> None:
    """Reads the stored text of open rejected records again, after an upgrade, and merges what is readable now.

    It is a run of its own for each appliance that has such records. The appliance is not asked, so nothing is proven
    or marked as deleted.
    """
    store = _current_warehouse(warehouse, config)
    from etl.replay import replay_appliance
    from etl.report.scope import appliances_of

    failed = False
    for name in appliances_of(store, appliance):
        result = replay_appliance(name, store, now=utc_now)
        if result is None:
            console.say(f"{name}: no rejected record to read again")
            continue
        console.print_result(result, as_json=output is Output.json)
        failed = failed or result.status != "succeeded"
    if failed:
        raise typer.Exit(1)


@appliances.command("list")
def list_appliances(
    config: ConfigFile = None, warehouse: WarehouseUrl = None, output: OutputForm = Output.text, debug: Debug = False
) -> None:
    """Shows each appliance that the warehouse knows: its name, where it answers, and who it says it is."""
    store = _current_warehouse(warehouse, config)
    from etl.report.appliances import known_appliances

    rows = known_appliances(store)
    if output is Output.json:
        for row in rows:
            console.print_json(asdict(row))
    else:
        console.print_appliances(rows)


@appliances.command("rename")
def rename_appliance(
    old: Annotated[str, typer.Argument(metavar="OLD", help="Its name in the warehouse.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The name it gets; its history stays with it.")],
    config: ConfigFile = None,
    warehouse: WarehouseUrl = None,
    debug: Debug = False,
) -> None:
    """Renames an appliance in the warehouse; the configuration file is yours to change.

    So an appliance that was replaced keeps its history under a name of its own, and the new one starts afresh.
    """
    from etl.config_values import line

    try:
        line(new)
    except ValueError as problem:
        raise UsageError(f"the new name {problem}") from None
    store = _current_warehouse(warehouse, config)
    from etl.load import ledger

    with store.begin() as connection:
        if ledger.look_up(connection, new) is not None:
            raise UsageError(f"there is an appliance named {new} in this warehouse already")
        if not ledger.rename(connection, old, new):
            raise UsageError(f"no appliance named {old} in this warehouse; `restorepoints appliances list` shows them")
    console.say(f"{old} is {new} now; name it so in the configuration, too")


@db.command()
def upgrade(config: ConfigFile = None, warehouse: WarehouseUrl = None, debug: Debug = False) -> None:
    """Creates the schema, or brings it to this program's version."""
    store = open_warehouse(warehouse, configuration(config))
    from etl.load import schema

    before, after = schema.upgrade(store)
    done = "is up to date at" if before == after else "was created at" if before is None else f"went from {before} to"
    console.say(f"the schema {done} {after}")


@db.command()
def current(config: ConfigFile = None, warehouse: WarehouseUrl = None, debug: Debug = False) -> None:
    """Shows the warehouse's schema revision; fails unless it is this program's."""
    store = open_warehouse(warehouse, configuration(config))
    from etl.load import schema

    print(schema.current(store) or "none")  # noqa: T201
    schema.check(store)


def _current_warehouse(url: str | None, config: Path | None) -> Warehouse:
    """The warehouse, if its schema is this program's."""
    store = open_warehouse(url, configuration(config))
    from etl.load import schema

    schema.check(store)
    return store
