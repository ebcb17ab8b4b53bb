"""A restore point's life in sentences: what made it, what was seen of it, why it went and how sure that is."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
import told
from nights import FIRST_NIGHT, Nights, backup, point_id

from etl import console_explain, console_history, console_words
from etl.load.warehouse import Warehouse
from etl.report.history import history

MADE = FIRST_NIGHT - timedelta(hours=5)
MADE_BY = "b2e70000-0000-4000-8000-000000000001"
RETENTION = "9e000000-0000-4000-8000-000000000002"


@pytest.fixture
def nights(warehouse: Warehouse) -> Nights:
    """Runs that take no time: what one saw and what it wrote bear one instant."""
    return Nights(warehouse, reading_takes=timedelta(0))


def night(number: int) -> datetime:
    """When run `number` was."""
    return FIRST_NIGHT + timedelta(days=number - 1)


def explained(nights: Nights) -> list[str]:
    """The sentences on the first point."""
    (point,) = history(nights.warehouse, point_id(1), None)
    return list(console_explain.sentences(point))


def shown(nights: Nights, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The lines of `history` on the first point."""
    console_history.print_history(history(nights.warehouse, point_id(1), None), point_id(1), as_json=False)
    return capsys.readouterr().out.splitlines()


def gone(nights: Nights, cause: str, **row: Any) -> list[str]:
    """A point of two nights that the second did not find; the sentences on how it went, without its last."""
    nights.load([backup(1, MADE)], evidence="order")
    nights.load([], gone=[point_id(1)])
    told.cause(nights.warehouse, point_id(1), 2, cause, **row)
    sentences = explained(nights)
    assert sentences[-1] == "It has not been seen again."
    assert sentences[-3] == (
        "It vanished between 2026-03-01 02:00:00 UTC, when it certainly existed, and 2026-03-02 02:00:00 UTC, when "
        "run 2 found it gone."
    )
    return sentences[-2:-1]


def test_a_whole_life_in_sentences(nights: Nights, capsys: pytest.CaptureFixture[str]) -> None:
    first = {"accessTier": "Hot"}
    nights.load([backup(1, MADE, **first)], evidence="order")
    nights.load([backup(1, MADE, **first, type="Full", backupSizeBytes=1_500)], evidence="order")
    nights.load([], gone=[point_id(1)])
    nights.load([backup(1, MADE, **first, type="Full", backupSizeBytes=1_500)], evidence="order")
    nights.load([], gone=[point_id(1)])
    nights.load([backup(1, MADE, **first, type="Full", state="Corrupted", backupSizeBytes=1_500)], evidence="order")
    told.policy(nights.warehouse, "gold-id", policy_name="gold")
    told.session(
        nights.warehouse,
        MADE_BY,
        "PolicyBackup",
        status="Success",
        started_at=MADE,
        stopped_at=MADE + timedelta(seconds=723),
        duration_seconds=723.0,
        policy_id="gold-id",
        policy_name="silver",
    )
    told.session(nights.warehouse, RETENTION, "BackupRetention", status="Success", started_at=night(3))
    told.cause(
        nights.warehouse, point_id(1), 3, "retention", job_session_id=RETENTION, match_kind="item", explained_run=4
    )
    told.cause(nights.warehouse, point_id(1), 5, "unexplained", note="no session of a removing kind in between")
    assert explained(nights) == [
        f"Restore point {point_id(1)} of appliance north holds the virtual machine vm-1 in West Europe as it was at "
        "2026-02-28 21:00:00 UTC: of type Full, kept in AzureBlob, in tier Hot, 1.5 kB (1,500 bytes).",
        f"PolicyBackup session {MADE_BY} of policy silver made it, which began at 2026-02-28 21:00:00 UTC, took "
        "12 min 3 s, with status Success.",
        "Policy gold has not been found removed.",
        "The warehouse first saw it at 2026-03-01 02:00:00 UTC, in run 1.",
        "Run 2 found it changed at 2026-03-02 02:00:00 UTC: backup size from 34.4 GB (34,359,738,368 bytes) to "
        "1.5 kB (1,500 bytes); restore point type from Incremental to Full.",
        "It vanished between 2026-03-02 02:00:00 UTC, when it certainly existed, and 2026-03-03 02:00:00 UTC, when "
        "run 3 found it gone.",
        f"Retention removed it: BackupRetention session {RETENTION}, which began at 2026-03-03 02:00:00 UTC, lists it "
        "(item match: resource, time, tier and size are its own). Run 4 found that out.",
        "Run 4 found it there again at 2026-03-04 02:00:00 UTC.",
        "It vanished between 2026-03-04 02:00:00 UTC, when it certainly existed, and 2026-03-05 02:00:00 UTC, when "
        "run 5 found it gone.",
        "Nobody knows why: no session of a removing kind in between.",
        "Run 6 found it there again at 2026-03-06 02:00:00 UTC, but changed: state from Ok to Corrupted.",
        "It certainly existed at 2026-03-06 02:00:00 UTC, and no run has found it gone since.",
    ]
    lines = shown(nights, capsys)
    assert (
        f"  job session     {MADE_BY}, PolicyBackup, Success, began 2026-02-28 21:00:00 UTC, took 12 min 3 s, "
        "for policy silver"
    ) in lines
    assert "  policy          gold, not found removed" in lines
    assert [text for text in lines if text.startswith("    cause: ")] == [
        f"    cause: retention, session {RETENTION}, BackupRetention, item match, explained by run 4",
        "    cause: unexplained: no session of a removing kind in between",
    ]


def test_the_cause_stands_beside_the_end_of_one_that_is_gone(
    nights: Nights, capsys: pytest.CaptureFixture[str]
) -> None:
    gone(nights, "unexplained", note="nobody said")
    assert "  cause           unexplained: nobody said" in shown(nights, capsys)


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        ("retention", "Retention removed it: "),
        ("manual", "Somebody deleted it by hand: "),
        ("policy_removed", "It was removed because its policy was: "),
        ("orphaned", "The appliance cleared it away as an orphan: "),
    ],
)
def test_every_cause_has_its_words(nights: Nights, cause: str, words: str) -> None:
    (sentence,) = gone(nights, cause, job_session_id=RETENTION, match_kind="resource_and_time")
    assert sentence == (
        f"{words}session {RETENTION} lists one of its resource and time (resource and time match: nothing else could "
        "be compared)."
    )


def test_the_weakest_evidence_says_so(nights: Nights) -> None:
    told_by = {"job_session_id": RETENTION, "match_kind": "session_only"}
    (sentence,) = gone(nights, "manual", **told_by)
    assert sentence.endswith(
        f"session {RETENTION} lists nothing, but removed restore points of its kind then (session only match: the "
        "weakest)."
    )


def test_several_sessions_that_fit_equally(nights: Nights) -> None:
    (sentence,) = gone(nights, "retention", match_kind="item", note="sessions a and b fit equally")
    assert sentence == (
        "Retention removed it: sessions a and b fit equally, each of which lists it (item match: resource, time, tier "
        "and size are its own)."
    )


def test_what_was_never_looked_for_is_not_called_unexplained(nights: Nights) -> None:
    nights.load([backup(1, MADE)], evidence="order")
    nights.load([], gone=[point_id(1)])
    assert explained(nights)[-2] == "Why was never looked for."


def test_the_reason_that_nobody_knows_why_is_told(nights: Nights) -> None:
    assert gone(nights, "unexplained") == ["Nobody knows why: nothing that was read says so."]


def made_by(nights: Nights, **fields: Any) -> str:
    nights.load([backup(1, MADE, **fields)], evidence="order")
    return explained(nights)[1]


def test_a_point_that_names_no_session(nights: Nights) -> None:
    assert made_by(nights, jobSessionId=None) == "The appliance does not say which job session made it."


def test_a_session_that_was_never_read(nights: Nights) -> None:
    assert made_by(nights) == f"Job session {MADE_BY} made it, which was never read: nothing else is known of it."


def test_a_session_that_was_forgotten_before_it_could_be_read(
    nights: Nights, capsys: pytest.CaptureFixture[str]
) -> None:
    nights.load([backup(1, MADE)], evidence="order")
    told.session(nights.warehouse, MADE_BY)
    assert explained(nights)[1] == (
        f"Job session {MADE_BY} made it, which was forgotten by the appliance before it was read: nothing else "
        "is known of it."
    )
    assert f"  job session     {MADE_BY}, forgotten before it could be read" in shown(nights, capsys)


def test_a_session_that_the_appliance_has_forgotten_since(nights: Nights, capsys: pytest.CaptureFixture[str]) -> None:
    nights.load([backup(1, MADE)], evidence="order")
    told.session(nights.warehouse, MADE_BY, "PolicyBackup")
    told.forget(nights.warehouse, MADE_BY)
    assert explained(nights)[1] == (
        f"PolicyBackup session {MADE_BY} made it. The appliance has forgotten this session since."
    )
    assert f"  job session     {MADE_BY}, PolicyBackup, forgotten by the appliance since" in shown(nights, capsys)


def test_a_session_that_has_not_ended(nights: Nights) -> None:
    nights.load([backup(1, MADE)], evidence="order")
    told.session(nights.warehouse, MADE_BY, "PolicyBackup", status="Running", started_at=MADE)
    assert explained(nights)[1] == (
        f"PolicyBackup session {MADE_BY} made it, which began at 2026-02-28 21:00:00 UTC, had not ended when it was "
        "last read, with status Running."
    )


@pytest.mark.parametrize(
    ("policy", "said", "exists", "words", "short"),
    [
        (
            None,
            None,
            None,
            "Whether policy silver still exists is not known.",
            "silver, not known whether it is still there",
        ),
        (None, True, False, "Policy silver has been removed.", "silver, removed"),
        ({}, None, True, "Policy gold has not been found removed.", "gold, not found removed"),
        ({}, True, False, "Policy gold has been removed.", "gold, removed"),
        (
            {"last_confirmed_at": night(1), "deleted_at": night(2), "deleted_run": 2},
            None,
            False,
            "Policy gold was removed between 2026-03-01 02:00:00 UTC and 2026-03-02 02:00:00 UTC.",
            "gold, removed after 2026-03-01 02:00:00 UTC, before 2026-03-02 02:00:00 UTC",
        ),
    ],
)
def test_whether_the_policy_still_exists(
    nights: Nights,
    policy: dict[str, Any] | None,
    said: bool | None,
    exists: bool | None,
    words: str,
    short: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    nights.load([backup(1, MADE)], evidence="order")
    told.session(
        nights.warehouse,
        MADE_BY,
        "PolicyBackup",
        policy_id="gold-id",
        policy_name="silver",
        is_policy_removed=said,
    )
    if policy is not None:
        told.policy(nights.warehouse, "gold-id", policy_name="gold", **policy)
    assert explained(nights)[2] == words
    assert f"  policy          {short}" in shown(nights, capsys)
    (point,) = history(nights.warehouse, point_id(1), None)
    assert point.policy is not None
    assert point.policy.exists is exists


def test_a_point_of_no_policy_tells_of_none(nights: Nights, capsys: pytest.CaptureFixture[str]) -> None:
    nights.load([backup(1, MADE)], evidence="order")
    told.session(nights.warehouse, MADE_BY, "ManualSnapshot")
    assert explained(nights)[2] == "The warehouse first saw it at 2026-03-01 02:00:00 UTC, in run 1."
    assert not any(text.startswith("  policy") for text in shown(nights, capsys))


def test_sessions_of_another_appliance_explain_nothing(nights: Nights) -> None:
    nights.load([backup(2, MADE)], appliance="south")
    told.session(nights.warehouse, MADE_BY, "PolicyBackup")
    nights.load([backup(1, MADE)], appliance="north")
    assert explained(nights)[1] == f"Job session {MADE_BY} made it, which was never read: nothing else is known of it."


def test_an_older_api_version_tells_it_otherwise(nights: Nights) -> None:
    nights.load([backup(1, MADE, regionName=None)], evidence="order", api_version="v1")
    nights.load([backup(1, MADE)], evidence="order", api_version="v8.1")
    assert explained(nights)[3] == (
        "Run 2 read it at another API version at 2026-03-02 02:00:00 UTC, which tells it otherwise: region name from "
        "nothing to West Europe."
    )


def test_a_machine_and_a_size_that_are_not_told(nights: Nights) -> None:
    bare = {"vmName": None, "backupSizeBytes": None, "regionName": None, "backupDestination": None, "type": None}
    nights.load([backup(1, MADE, **bare)], evidence="order")
    assert explained(nights)[0] == (
        f"Restore point {point_id(1)} of appliance north holds a virtual machine that the appliance does not name as "
        "it was at 2026-02-28 21:00:00 UTC: of unknown size."
    )


def test_what_programs_see(nights: Nights, capsys: pytest.CaptureFixture[str]) -> None:
    nights.load([backup(1, MADE)], evidence="order")
    nights.load([], gone=[point_id(1)])
    told.session(nights.warehouse, MADE_BY, "PolicyBackup", policy_id="gold-id")
    told.session(nights.warehouse, RETENTION, "BackupRetention")
    told.cause(
        nights.warehouse, point_id(1), 2, "retention", job_session_id=RETENTION, match_kind="item", note="a note"
    )
    points = history(nights.warehouse, point_id(1), None)
    console_explain.print_explained(points, point_id(1), as_json=True)
    (point,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert point["sentences"] == explained(nights)
    console_history.print_history(points, point_id(1), as_json=True)
    (plain,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert {name: fact for name, fact in point.items() if name != "sentences"} == plain
    assert (plain["session"]["session_type"], plain["session"]["is_read"]) == ("PolicyBackup", True)
    assert (plain["policy"]["policy_id"], plain["policy"]["exists"]) == ("gold-id", None)
    for deletion in (plain["deletion"], plain["versions"][0]["deletion"]):
        assert (deletion["cause"], deletion["match_kind"], deletion["note"]) == ("retention", "item", "a note")
        assert (deletion["explained_run"], deletion["session"]["job_session_id"]) == (2, RETENTION)


def test_one_that_nobody_ever_listed_and_two_of_one_id(nights: Nights, capsys: pytest.CaptureFixture[str]) -> None:
    console_explain.print_explained(history(nights.warehouse, "nothing", None), "nothing", as_json=False)
    assert capsys.readouterr() == ("", "no appliance in this warehouse ever listed a restore point nothing\n")
    nights.load([backup(1, MADE)], appliance="south")
    nights.load([backup(1, MADE)], appliance="north")
    console_explain.print_explained(history(nights.warehouse, point_id(1), None), point_id(1), as_json=False)
    lives = capsys.readouterr().out.split("\n\n")
    assert ["of appliance north" in lives[0], "of appliance south" in lives[1]] == [True, True]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "0 s"),
        (1.6, "2 s"),
        (60, "1 min"),
        (723, "12 min 3 s"),
        (3_600, "1 h"),
        (3_659, "1 h"),
        (7_380, "2 h 3 min"),
        (90_000, "1 d 1 h"),
        (86_400 * 3, "3 d"),
    ],
)
def test_spans_for_people(seconds: float, words: str) -> None:
    assert console_words.span(seconds) == words
