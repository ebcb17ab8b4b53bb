"""What existed at an instant: a table of lives and instants with their answers, on both databases."""

from __future__ import annotations

import json
import random
import sys
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from nights import FIRST_NIGHT, Nights, backup, point_id
from sqlalchemy import event, text

from etl import console_history
from etl.errors import UsageError
from etl.load.warehouse import Warehouse
from etl.report.as_of import ANSWERS, CollectionAsOf, PointAsOf, as_of
from etl.report.instants import parse_instant

LATER = FIRST_NIGHT + timedelta(days=1_000)
#: What a night says of the point: proven or not, and what of it was seen.
LISTED, CHANGED, ABSENT, GONE, UNCONFIRMED = "LC-D?"


@pytest.fixture
def nights(warehouse: Warehouse) -> Nights:
    """Runs that take no time: what one saw and what it wrote bear one instant."""
    return Nights(warehouse, reading_takes=timedelta(0))


def after(days: float) -> datetime:
    """Run 1 is at 0, run 2 at 1, and so on."""
    return FIRST_NIGHT + timedelta(days=days)


def live(nights: Nights, made: float, life: str) -> None:
    """Loads one night after the other: `P` or `u` for proven or unproven, then what was seen of point 1.

    Point 2 is made at once and always listed.
    """
    changes = 0
    for proof, seen in life.split():
        changes += seen == CHANGED
        listed = [backup(1, after(made), backupSizeBytes=changes)] if seen in (LISTED, CHANGED) else []
        nights.load(
            [*listed, backup(2, after(-9))],
            evidence="single_page" if proof == "P" else None,
            unconfirmed=int(seen == UNCONFIRMED),
            gone=[point_id(1)] if seen == GONE else [],
        )


def points(warehouse: Warehouse, days: float, appliance: str | None = None) -> dict[str, PointAsOf]:
    """Id → its answer."""
    return {point.restore_point_id: point for point in as_of(warehouse, after(days), appliance, LATER).points()}


def answer(warehouse: Warehouse, days: float) -> str | None:
    point = points(warehouse, days).get(point_id(1))
    if point is None:
        return None
    assert ANSWERS[point.evidence] == point.answer
    return f"{point.answer}: {point.evidence}"


PROVEN, INFERRED = "certain: proven", "certain: inferred"
UNLISTED, UNKNOWN, BETWEEN = "unknown: unlisted", "unknown: unconfirmed", "unknown: deletion_interval"
DATED_LATER, RETURNED, DELETED = "unknown: dated_later", "unknown: returned", "gone: deleted"

LIVES: list[tuple[str, float, str, dict[float, str | None]]] = [
    (
        "listed every night",
        -0.1,
        "PL PL PL",
        {-0.2: None, -0.1: INFERRED, -0.01: INFERRED, 0: PROVEN, 1.5: PROVEN, 2: PROVEN, 2.0001: UNKNOWN, 9: UNKNOWN},
    ),
    ("never proven", -0.1, "uL uL", {-0.1: INFERRED, 0: PROVEN, 0.5: UNKNOWN, 1: UNKNOWN}),
    ("a change is a sighting", -0.1, "uL uC", {0: PROVEN, 0.5: PROVEN, 1: PROVEN, 1.1: UNKNOWN}),
    ("an unproven night between", -0.1, "PL uL PL", {0.5: PROVEN, 1: PROVEN, 2: PROVEN}),
    ("an unproven night at the end", -0.1, "PL uL", {0: PROVEN, 0.1: UNKNOWN, 1: UNKNOWN}),
    ("made between two nights", 0.9, "P- PL", {0.8: None, 0.9: INFERRED, 0.99: INFERRED, 1: PROVEN}),
    (
        "an archive copy of an old point",
        -5,
        "P- P- PL PL",
        {-6: None, -5: UNLISTED, 0: UNLISTED, 1.5: UNLISTED, 2: PROVEN, 3: PROVEN},
    ),
    ("under way while it was read", 0.9999, "P- P- PL", {0.9999: UNLISTED, 1: UNLISTED, 1.9: UNLISTED, 2: PROVEN}),
    ("made as a run started", 1, "P- P- PL", {1: UNLISTED, 1.9: UNLISTED, 2: PROVEN}),
    ("an unproven night shows no absence", -5, "u- u- PL", {-5: INFERRED, 0: INFERRED, 1.9: INFERRED, 2: PROVEN}),
    ("a proof before it was made is no matter", 0.5, "P- u- PL", {0.5: INFERRED, 1.5: INFERRED, 2: PROVEN}),
    (
        "deleted",
        -0.1,
        "PL PL PD P-",
        {-0.1: INFERRED, 1: PROVEN, 1.0001: BETWEEN, 1.9: BETWEEN, 2: DELETED, 9: DELETED},
    ),
    ("deleted after an unproven night", -0.1, "PL uL PD", {0: PROVEN, 0.1: BETWEEN, 1.5: BETWEEN, 2: DELETED}),
    ("deleted after a change", -0.1, "PL uC PD", {0.5: PROVEN, 1: PROVEN, 1.1: BETWEEN, 2: DELETED}),
    ("found gone by an unproven run", -0.1, "PL uD", {0: PROVEN, 0.5: BETWEEN, 1: DELETED, 1.5: DELETED}),
    ("deleted before it was ever proven", -0.1, "uL uL uD", {0: PROVEN, 0.1: BETWEEN, 1.9: BETWEEN, 2: DELETED}),
    (
        "back again",
        -0.1,
        "PL PL PD P- PL PL",
        {1: PROVEN, 1.5: BETWEEN, 2: DELETED, 3: DELETED, 3.5: RETURNED, 4: PROVEN, 5: PROVEN, 5.1: UNKNOWN},
    ),
    ("back again, unproven nights between", -0.1, "PL uL PD u- uL", {0: PROVEN, 1: BETWEEN, 2: DELETED, 3: RETURNED}),
    ("back again, unconfirmed before", -0.1, "PL P? PD PL", {0: PROVEN, 0.5: BETWEEN, 1: BETWEEN, 2: DELETED}),
    ("back again and changed before", -0.1, "PL uC uD uL", {0.5: PROVEN, 1: PROVEN, 1.5: BETWEEN, 2: DELETED}),
    ("gone twice", -0.1, "PL PD PL PD", {0: PROVEN, 0.5: BETWEEN, 1: DELETED, 2: PROVEN, 2.5: BETWEEN, 3: DELETED}),
    ("vanished, never confirmed", -0.1, "PL P? P?", {0: PROVEN, 0.5: UNKNOWN, 1: UNKNOWN, 2: UNKNOWN}),
    ("vanished, unconfirmed, listed again", -0.1, "PL P? PL", {0.5: PROVEN, 1.5: PROVEN, 2: PROVEN}),
    ("made while a run was reading", 0.2, "PL PL", {-0.1: None, 0: DATED_LATER, 0.1: DATED_LATER, 0.2: PROVEN}),
]


@pytest.mark.parametrize(("made", "life", "expected"), [one[1:] for one in LIVES], ids=[one[0] for one in LIVES])
def test_each_life_at_each_instant(nights: Nights, made: float, life: str, expected: dict[float, str | None]) -> None:
    live(nights, made, life)
    assert {days: answer(nights.warehouse, days) for days in expected} == expected


def test_every_evidence_is_in_the_table_and_explained() -> None:
    shown = {answer.split()[1] for *_, expected in LIVES for answer in expected.values() if answer}
    assert shown == set(ANSWERS)
    documentation = sys.modules[as_of.__module__].__doc__ or ""
    assert [evidence for evidence in ANSWERS if f"`{evidence}`" not in documentation] == []


@pytest.mark.parametrize(
    ("status", "expected"),
    [("succeeded", PROVEN), ("partial", PROVEN), ("failed", UNKNOWN), ("abandoned", UNKNOWN), ("running", UNKNOWN)],
)
def test_only_a_finished_run_proves(nights: Nights, status: str, expected: str) -> None:
    live(nights, -0.1, "PL PL")
    with nights.warehouse.begin() as connection:
        connection.execute(text("update sync_runs set status = :status where run_number = 2"), {"status": status})
    assert answer(nights.warehouse, 0.5) == expected
    (north,) = as_of(nights.warehouse, after(0.5), None, LATER).collections()
    assert north.data_as_of == after(1 if expected == PROVEN else 0)


def test_the_attributes_are_those_of_the_version_at_that_instant(nights: Nights) -> None:
    made = after(-0.1)
    nights.load([backup(1, made, state="Ok", type="Incremental")], evidence="single_page")
    nights.load([backup(1, made, state="Corrupted", type="Incremental")], evidence="single_page")
    nights.load([backup(1, made, state="Corrupted", type="Full")], evidence="single_page")
    nights.load([], evidence="single_page", gone=[point_id(1)])
    told = {}
    for days in (-0.1, 0, 0.9999, 1, 2, 2.5, 3, 4):
        point = points(nights.warehouse, days)[point_id(1)]
        told[days] = (
            point.attributes_are,
            point.version_run,
            point.attributes["state"],
            point.attributes["restore_point_type"],
        )
    assert told == {
        -0.1: ("inferred", 1, "Ok", "Incremental"),
        0: ("observed", 1, "Ok", "Incremental"),
        0.9999: ("observed", 1, "Ok", "Incremental"),
        1: ("observed", 2, "Corrupted", "Incremental"),
        2: ("observed", 3, "Corrupted", "Full"),
        2.5: ("observed", 3, "Corrupted", "Full"),
        3: ("last_known", 3, "Corrupted", "Full"),
        4: ("last_known", 3, "Corrupted", "Full"),
    }


def test_a_point_tells_its_evidence(nights: Nights) -> None:
    live(nights, -0.1, "PL PL PD PL")
    told = {
        days: (point.first_seen_at, point.confirmed_until, point.gone_at)
        for days in (0.5, 2.5, 3)
        for point in [points(nights.warehouse, days)[point_id(1)]]
    }
    assert told == {
        0.5: (after(0), after(1), after(2)),
        2.5: (after(0), after(1), after(2)),
        3: (after(0), after(3), None),
    }
    point = points(nights.warehouse, 3)[point_id(1)]
    assert (point.appliance, point.collection) == ("north", "vm")
    assert point.attributes["resource_name"] == "vm-1"
    assert point.attributes["point_in_time"] == after(-0.1)
    assert point.attributes["backup_size_bytes"] == 0
    assert point.attributes["is_corrupted"] is False


def test_the_same_id_on_two_appliances_is_two_points(nights: Nights) -> None:
    for night in range(3):
        nights.load([backup(1, after(-0.1), state="Ok")], evidence="order")
        nights.now -= timedelta(days=1)
        if night == 1:
            nights.load([], appliance="south", evidence="order", gone=[point_id(1)])
        else:
            nights.load(
                [backup(1, after(-0.5), state="Corrupted")] if night == 0 else [], appliance="south", evidence="order"
            )
    asked = as_of(nights.warehouse, after(1.5), None, LATER)
    assert [(point.appliance, point.answer, point.attributes["state"]) for point in asked.points()] == [
        ("north", "certain", "Ok"),
        ("south", "gone", "Corrupted"),
    ]
    assert [(one.appliance, one.certain, one.gone) for one in asked.collections()] == [
        ("north", 1, 0),
        ("south", 0, 1),
    ]
    south = as_of(nights.warehouse, after(1.5), "south", LATER)
    assert [point.appliance for point in south.points()] == ["south"]
    assert [one.appliance for one in south.collections()] == ["south"]


def test_one_collection_proves_nothing_of_another(nights: Nights) -> None:
    live(nights, -5, "P- PL PL")
    with nights.warehouse.begin() as connection:
        connection.execute(
            text("update restore_points set collection = 'sql' where restore_point_id = :id"), {"id": point_id(1)}
        )
        connection.execute(
            text(
                "insert into sync_run_collections (appliance_id, run_number, collection, status, proven, unconfirmed) "
                "values (1, 2, 'sql', 'complete', true, 0)"
            )
        )
    assert [answer(nights.warehouse, days) for days in (0.5, 1, 1.5)] == [INFERRED, PROVEN, UNKNOWN]
    sql, vm = as_of(nights.warehouse, after(1.5), None, LATER).collections()
    assert (sql.collection, sql.certain, sql.unknown, sql.data_as_of, sql.is_watched) == ("sql", 0, 1, after(1), False)
    assert (vm.collection, vm.certain, vm.unknown, vm.data_as_of, vm.is_watched) == ("vm", 1, 0, after(2), True)


@pytest.mark.parametrize(
    ("days", "counts", "is_watched"),
    [
        (-20, (0, 0, 0), False),
        (-0.5, (2, 0, 0), False),
        (0, (2, 0, 0), True),
        (1.5, (1, 1, 0), True),
        (2, (1, 0, 1), True),
        (3.1, (0, 1, 1), False),
    ],
)
def test_the_counts_and_the_watch(nights: Nights, days: float, counts: tuple[int, ...], is_watched: bool) -> None:
    live(nights, -1, "PL PL PD P-")
    asked = as_of(nights.warehouse, after(days), None, LATER)
    assert asked.collections() == [CollectionAsOf("north", "vm", *counts, after(0), after(3), is_watched)]
    answers = [point.answer for point in asked.points()]
    assert tuple(answers.count(name) for name in ("certain", "unknown", "gone")) == counts


def test_an_appliance_that_was_never_read_is_named(nights: Nights) -> None:
    assert as_of(nights.warehouse, FIRST_NIGHT, None, LATER).collections() == []
    with nights.warehouse.begin() as connection:
        connection.execute(text("insert into appliances (appliance_id, name, base_url) values (1, 'new', 'https://x')"))
    asked = as_of(nights.warehouse, FIRST_NIGHT, None, LATER)
    assert asked.collections() == [CollectionAsOf("new", None, 0, 0, 0, None, None, False)]
    assert list(asked.points()) == []


def test_what_cannot_be_asked(nights: Nights) -> None:
    nights.load([])
    with pytest.raises(UsageError, match=r"no appliance named nroth in this warehouse; it knows north$"):
        as_of(nights.warehouse, FIRST_NIGHT, "nroth", LATER)
    with pytest.raises(UsageError, match=r"2026-03-01 02:00:00 UTC lies in the future; it is 2026-02-28 02:00:00 UTC"):
        as_of(nights.warehouse, FIRST_NIGHT, None, after(-1))


def test_as_of_each_past_run_is_exactly_what_that_run_left(nights: Nights) -> None:
    chance = random.Random(4)
    alive: dict[int, int] = {}
    left: list[dict[str, int]] = []
    for _ in range(12):
        gone = [number for number in alive if chance.random() < 0.2]
        for number in gone:
            del alive[number]
        for number in range(15):
            if chance.random() < 0.2:
                alive[number] = alive.get(number, 0) + 1
        gone = [number for number in gone if number not in alive]
        nights.load(
            [backup(number, after(-1), backupSizeBytes=size) for number, size in alive.items()],
            evidence=chance.choice([None, "totals"]),
            gone=[point_id(number) for number in gone],
        )
        left.append({point_id(number): size for number, size in alive.items()})
    for days, expected in enumerate(left):
        found = points(nights.warehouse, days)
        assert {
            one: point.attributes["backup_size_bytes"]
            for one, point in found.items()
            if point.attributes_are == "observed"
        } == expected
        assert all(found[one].answer != "gone" for one in expected)
        for one, point in found.items():
            assert point.answer != "certain" or one in expected or point.evidence == "inferred"


def test_it_is_decided_in_sets(nights: Nights) -> None:
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if not statement.startswith("begin"):
            statements.append(statement)

    event.listen(nights.warehouse.engine, "before_cursor_execute", note)
    told = []
    for many in (1, 3_000):
        nights.load([backup(number, after(-1)) for number in range(many)], evidence="totals")
        statements.clear()
        asked = as_of(nights.warehouse, after(0.5), None, LATER)
        (counts,) = asked.collections()
        assert len(list(asked.points())) == counts.certain + counts.unknown == many
        told.append(len(statements))
    assert told[0] == told[1] <= 4


def test_what_people_and_programs_see(nights: Nights, capsys: pytest.CaptureFixture[str]) -> None:
    live(nights, -1, "PL PL PD")
    console_history.print_as_of(as_of(nights.warehouse, after(1.5), None, LATER), as_json=False)
    out, err = capsys.readouterr()
    assert out.splitlines()[1].split() == [
        *("north", "vm", "1", "1", "0"),
        *("2026-03-01", "02:00:00", "2026-03-03", "02:00:00"),
    ]
    assert err.splitlines() == [
        "as of 2026-03-02 14:00:00 UTC, as far as the warehouse knows now; all times are UTC",
    ]
    console_history.print_as_of(as_of(nights.warehouse, after(-0.5), None, LATER), as_json=False)
    assert capsys.readouterr().err.splitlines()[1:] == [
        "north vm: not watched yet then: points that were gone by 2026-03-01 02:00:00 UTC left no trace",
    ]
    console_history.print_as_of(as_of(nights.warehouse, after(7), None, LATER), as_json=False)
    assert "north vm: not read whole for certain since" in capsys.readouterr().err
    console_history.print_as_of(as_of(nights.warehouse, after(1.5), None, LATER), as_json=True)
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert first["restore_point_id"] == point_id(1)
    assert (first["answer"], first["evidence"]) == ("unknown", "deletion_interval")
    assert datetime.fromisoformat(first["confirmed_until"]) == after(1)
    assert datetime.fromisoformat(first["gone_at"]) == after(2)
    assert first["resource_name"] == "vm-1"
    assert (second["answer"], second["gone_at"]) == ("certain", None)


@pytest.mark.parametrize(
    ("typed", "instant"),
    [
        ("2026-03-03", datetime(2026, 3, 3, tzinfo=UTC)),
        (" 2026-03-03 ", datetime(2026, 3, 3, tzinfo=UTC)),
        ("2026-03-03T06:30", datetime(2026, 3, 3, 6, 30, tzinfo=UTC)),
        ("2026-03-03 06:30:15", datetime(2026, 3, 3, 6, 30, 15, tzinfo=UTC)),
        ("2026-03-03t06:30:15z", datetime(2026, 3, 3, 6, 30, 15, tzinfo=UTC)),
        ("2026-03-03T06:30:15.1234569Z", datetime(2026, 3, 3, 6, 30, 15, 123456, tzinfo=UTC)),
        ("2026-03-03T06:30:15,5", datetime(2026, 3, 3, 6, 30, 15, 500000, tzinfo=UTC)),
        ("2026-03-03T06:30+01:00", datetime(2026, 3, 3, 5, 30, tzinfo=UTC)),
        ("2026-03-03T00:30-0230", datetime(2026, 3, 3, 3, 0, tzinfo=UTC)),
        ("2024-02-29", datetime(2024, 2, 29, tzinfo=UTC)),
    ],
)
def test_an_instant_as_people_type_it(typed: str, instant: datetime) -> None:
    assert parse_instant(typed) == instant
    assert parse_instant(typed).utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    ("typed", "zone", "instant"),
    [
        ("2026-03-03", ZoneInfo("Europe/Berlin"), datetime(2026, 3, 2, 23, tzinfo=UTC)),
        ("2026-07-03 06:00", ZoneInfo("Europe/Berlin"), datetime(2026, 7, 3, 4, tzinfo=UTC)),
        ("2026-07-03 06:00Z", ZoneInfo("Europe/Berlin"), datetime(2026, 7, 3, 6, tzinfo=UTC)),
        ("2026-09-06", ZoneInfo("America/Santiago"), datetime(2026, 9, 6, 4, tzinfo=UTC)),  # begins at 01:00
        ("2026-03-03", timezone(timedelta(hours=-5)), datetime(2026, 3, 3, 5, tzinfo=UTC)),
    ],
)
def test_an_instant_in_another_zone(typed: str, zone: Any, instant: datetime) -> None:
    assert parse_instant(typed, zone) == instant


@pytest.mark.parametrize(
    "typed",
    [
        *("", "yesterday", "2026", "2026-03", "20260303", "03.03.2026", "2026-3-3", "2026-02-29", "2026-13-01"),
        *("2026-03-03T24:00", "2026-03-03T06", "2026-03-03T06:30:60", "2026-03-03x06:30", "2026-03-03T06:30 Z"),
        *(
            "2026-03-03T06:30Europe/Berlin",
            "٢٠٢٦-٠٣-٠٣",
            "0001-01-01T00:00+01:00",
            "2026-03-03T06:30+24:00",
            "2026-W10-2",
        ),
    ],
)
def test_no_instant(typed: str) -> None:
    with pytest.raises(UsageError, match=r"is no date and no instant; write 2026-03-03, "):
        parse_instant(typed)


def test_both_databases_answer_alike_to_the_microsecond(nights: Nights) -> None:
    live(nights, -0.1, "PL PL PD")
    microsecond = timedelta(microseconds=1) / timedelta(days=1)
    assert answer(nights.warehouse, 2 - microsecond) == BETWEEN
    assert answer(nights.warehouse, 1 + microsecond) == BETWEEN
    assert answer(nights.warehouse, -microsecond) == INFERRED
    elsewhere = after(2).astimezone(ZoneInfo("Asia/Tokyo"))
    (point,) = [one for one in as_of(nights.warehouse, elsewhere, None, LATER).points() if one.answer == "gone"]
    assert point.restore_point_id == point_id(1)
