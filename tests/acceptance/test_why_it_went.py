"""Collections that fail or are forbidden, and causes of deletions, as the person at the shell meets them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
from commands import Command
from starlette.responses import JSONResponse, Response

from etl.simulator import Estate, SimulatedAppliance, simulate

SQL = "/restorePoints/sql"


def estate() -> Estate:
    return Estate.from_seed(3, machines=1, days=2, databases=1)


def syncs(restorepoints: Command, appliance: SimulatedAppliance) -> Callable[..., Any]:
    def sync(*more: str) -> Any:
        return restorepoints("sync", "--appliance", f"north={appliance.url}", "--username", "reporter", *more)

    return sync


def refusing(*paths: str) -> AbstractContextManager[SimulatedAppliance]:
    return simulate(estate(), version="v8.1", forbidden=paths)


@pytest.mark.parametrize(("path", "name"), [(SQL, "sql"), ("/policies/virtualMachines", "vm_policies")])
def test_what_the_account_may_not_read_fails_the_command_only_if_it_is_strict(
    restorepoints: Command, path: str, name: str
) -> None:
    with refusing(path) as appliance:
        sync = syncs(restorepoints, appliance)
        lenient, strict = sync(), sync("--strict", "--output", "json")
    assert (lenient.status, strict.status) == (0, 1)
    assert lenient.stdout.startswith("north: succeeded, run 1: ")
    (result,) = strict.objects
    assert (result["status"], result["error"]) == ("succeeded", None)
    for outcome in (lenient, strict):
        assert f"What is known of {name} is left alone." in outcome.stderr
    told = restorepoints("status")
    assert any(line.split()[:3] == ["north", name, "forbidden"] for line in told.stdout.splitlines())


def test_strict_asks_for_nothing_where_all_may_be_read(restorepoints: Command, appliance: SimulatedAppliance) -> None:
    assert syncs(restorepoints, appliance)("--strict").status == 0


def test_a_list_that_fails_is_named_and_the_rest_is_told(restorepoints: Command) -> None:
    async def broken(request: Any) -> Response | None:
        if request.url.path.endswith(SQL):
            return JSONResponse({"title": "erreur de service"}, status_code=400)
        return None

    with simulate(estate(), version="v8.1") as appliance:
        sync = syncs(restorepoints, appliance)
        assert sync().status == 0
        appliance.before_request(broken)
        outcome = sync()
        looked = restorepoints("check", "--appliance", f"north={appliance.url}", "--username", "reporter")
    assert outcome.status == 1
    assert outcome.stdout.startswith("north: partial, run 2: ")
    named = [line for line in outcome.stderr.splitlines() if line.startswith("north: sql could not be read")]
    assert len(named) == 1
    assert "what is known of it is left alone: " in named[0]
    assert "HTTP 400" in named[0]
    assert looked.status == 1
    assert any(line.split() == ["sql", "failed"] for line in looked.stdout.splitlines())
    assert any(line.split()[0] == "vm" and "restore points" in line for line in looked.stdout.splitlines())
    assert "HTTP 400" in looked.stdout
    told = restorepoints("status", "--output", "json").objects[0]
    (sql,) = (one for one in told["collections"] if one["collection"] == "sql")
    assert (sql["status"], sql["run_number"], sql["deleted"]) == ("failed", 2, 0)
    assert sql["present"] > 0
    assert "HTTP 400" in sql["error"]


def test_what_went_is_explained_from_the_result_line_to_the_sentences(
    restorepoints: Command, appliance: SimulatedAppliance
) -> None:
    sync = syncs(restorepoints, appliance)
    assert "explained" not in sync().stdout
    snapshots = [point for point in appliance.estate.points if point.backup_destination == "Snapshot"]
    by_hand, unsaid = (point.id for point in sorted(snapshots, key=lambda point: point.point_in_time)[-2:])
    appliance.estate.delete_by_hand(by_hand)
    appliance.estate.delete(unsaid)
    gone = sync()
    assert "2 deleted; 1 deletion explained, 1 unexplained; " in gone.stdout
    (row,) = restorepoints("status", "--output", "json").objects
    assert row["unexplained"] == 1
    known = restorepoints("explain", by_hand.upper(), "--appliance", "north")
    assert known.status == 0
    assert "Somebody deleted it by hand: " in known.stdout
    assert "(item match: resource, time, tier and size are its own)." in known.stdout
    unknown = restorepoints("explain", unsaid, "--output", "json")
    (told,) = unknown.objects
    assert told["deletion"]["cause"] == "unexplained"
    assert any(sentence.startswith("Nobody knows why: ") for sentence in told["sentences"])
    assert told["session"]["is_read"]
    assert "cause           manual, session " in restorepoints("history", by_hand).stdout
    none = restorepoints("explain", "nothing")
    assert (none.status, none.stdout) == (1, "")
    assert "ever listed a restore point nothing" in none.stderr
    assert restorepoints("explain", by_hand, "--appliance", "south").status == 2
