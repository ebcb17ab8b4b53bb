"""What a person asks the warehouse: `history`, `as-of`, `rejects` and `appliances`."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from commands import Command

from etl.simulator import Estate, simulate

IDS = [f"abcdef00-0000-4000-8000-{number:012d}" for number in range(5)]


def items(**changes: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "id": one,
            "vmName": f"vm-{number}",
            "pointInTime": "2026-02-28T23:00:11Z",
            "backupSizeBytes": 1_500_000_000,
            "state": "Ok",
            **changes.get(f"n{number}", {}),
        }
        for number, one in enumerate(IDS)
    ]


@pytest.fixture
def between(restorepoints: Command) -> tuple[datetime, datetime, datetime]:
    """Three syncs, and the instants before the first, after it and after the last: one point changed, one went."""
    instants = [datetime.now(UTC)]
    with simulate(Estate.from_items(items(n4={"pointInTime": "yesterday"})), version="v8.1") as appliance:
        sync = ("sync", "--appliance", f"acme-north={appliance.url}", "--username", "reporter")
        assert restorepoints(*sync).status == 0
        instants.append(datetime.now(UTC))
        assert restorepoints(*sync).status == 0
        appliance.estate.change(IDS[1], state="Corrupted")
        appliance.estate.delete(IDS[2])
        assert restorepoints(*sync).status == 0
        instants.append(datetime.now(UTC))
    first, second, third = instants
    return first, second, third


def test_the_history_of_a_point(restorepoints: Command, between: object) -> None:
    changed = restorepoints("history", IDS[1].upper())
    assert changed.status == 0
    assert f"acme-north: {IDS[1]}" in changed.stdout
    assert "run 1: appeared" in changed.stdout
    assert "run 3: changed" in changed.stdout
    assert "state: Ok -> Corrupted" in changed.stdout
    gone = restorepoints("history", IDS[2], "--appliance", "acme-north", "--output", "json")
    (told,) = gone.objects
    assert (told["appliance"], told["restore_point_id"]) == ("acme-north", IDS[2])
    assert told["deletion"]["run_number"] == 3
    assert told["deletion"]["last_confirmed_at"] < told["deletion"]["deleted_at"]
    none = restorepoints("history", "nothing")
    assert (none.status, none.stdout) == (1, "")
    assert "no appliance in this warehouse ever listed a restore point nothing" in none.stderr


def test_what_existed_at_an_instant(restorepoints: Command, between: tuple[datetime, datetime, datetime]) -> None:
    before, after_first, after_last = (one.isoformat() for one in between)
    answers = {}
    for at in (before, after_first, after_last):
        told = restorepoints("as-of", at, "--output", "json")
        assert told.status == 0
        answers[at] = {one["restore_point_id"]: (one["answer"], one["evidence"]) for one in told.objects}
    assert answers[after_first][IDS[0]] == ("certain", "proven")
    assert answers[after_first][IDS[2]] in (("certain", "proven"), ("unknown", "deletion_interval"))
    assert answers[after_last][IDS[2]] == ("gone", "deleted")
    assert answers[after_last][IDS[0]] == ("unknown", "unconfirmed")  # nobody has looked since
    assert answers[before][IDS[0]] == ("certain", "inferred")  # by its own word, and no proof speaks against it
    words = restorepoints("as-of", before)
    assert re.search(r"acme-north\s+vm\s+4\s+0\s+0", words.stdout)
    assert "not watched yet then" in words.stderr
    wrong = restorepoints("as-of", "yesterday")
    assert wrong.status == 2
    assert "write 2026-03-03" in wrong.stderr
    assert restorepoints("as-of", "2999-01-01").status == 2


def test_what_could_not_be_read(restorepoints: Command, between: object) -> None:
    for arguments in (["rejects"], ["rejects", "list"]):
        told = restorepoints(*arguments)
        assert told.status == 0
        assert f"acme-north vm: {IDS[4]}" in told.stdout
        assert "1 rejected record" in told.stderr
    (record,) = restorepoints("rejects", "list", "--output", "json").objects
    assert json.loads(record["raw"])["pointInTime"] == "yesterday"
    replayed = restorepoints("rejects", "replay", "--output", "json")
    assert replayed.status == 0
    (result,) = replayed.objects
    assert (result["run_number"], result["extracted"], result["rejected"]) == (4, 1, 1)
    assert restorepoints("rejects", "replay", "--appliance", "south").status == 2


def test_another_appliance_is_refused_and_the_old_one_can_be_renamed(
    restorepoints: Command, tmp_path: Path, between: object
) -> None:
    others = [{**item, "id": item["id"].replace("abcdef00", "abcdef01")} for item in items()]
    with simulate(Estate.from_items(others), version="v8.1") as appliance:
        appliance.estate.identity = replace(appliance.estate.identity, database_id="another", azure_vm_id="other")
        sync = ("sync", "--appliance", f"acme-north={appliance.url}", "--username", "reporter", "--output", "json")
        refused = restorepoints(*sync)
        assert refused.status == 1
        (result,) = refused.objects
        assert result["status"] == "failed"
        assert "another appliance answers" in result["error"]
        advice = re.search(r"`restorepoints (appliances rename \S+ \S+)`", result["error"])
        assert advice is not None
        renamed = restorepoints(*advice[1].split())
        assert renamed.status == 0
        (fresh,) = restorepoints(*sync).objects
    assert (fresh["status"], fresh["run_number"], fresh["inserted"]) == ("succeeded", 1, 5)
    known = restorepoints("appliances", "list", "--output", "json").objects
    assert [(one["appliance"], one["appliance_id"]) for one in known] == [("acme-north", 2), ("acme-north-old", 1)]
    assert "acme-north-old" in restorepoints("appliances", "list").stdout
    assert "acme-north-old" in restorepoints("history", IDS[0]).stdout
    for old, new, said in (
        ("acme-south", "acme-east", "no appliance named acme-south"),
        ("acme-north", "acme-north-old", "there is an appliance named acme-north-old"),
        ("acme-north", "two\nlines", "the new name"),
    ):
        wrong = restorepoints("appliances", "rename", old, new)
        assert wrong.status == 2
        assert said in wrong.stderr
    assert restorepoints("appliances", "list", "--output", "json").objects == known
