"""Every query that `docs/history.md` shows runs as it stands there, on both databases, and agrees with the program."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import told
from nights import FIRST_NIGHT, Nights, backup, point_id
from sqlalchemy import RowMapping, text

from etl.load.models import CAUSES, MATCHES
from etl.load.warehouse import Warehouse
from etl.report.as_of import ANSWERS, as_of

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "history.md").read_text("utf-8")
THEN = "2026-03-03 06:00:00.000000"
LATER = FIRST_NIGHT + timedelta(days=100)


@pytest.fixture
def nights(warehouse: Warehouse) -> Nights:
    """Runs that take no time: what one saw and what it wrote bear one instant."""
    return Nights(warehouse, reading_takes=timedelta(0))


def night(number: float) -> datetime:
    """When run `number` was."""
    return FIRST_NIGHT + timedelta(days=number - 1)


def ask(nights: Nights, place: int, at: datetime | None = None) -> Sequence[RowMapping]:
    query = re.findall(r"^```sql\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)[place]
    if at is not None:
        assert THEN in query
        query = query.replace(THEN, f"{at:%Y-%m-%d %H:%M:%S.%f}")
    with nights.warehouse.connect() as connection:
        result = connection.execute(text(query).columns(*INSTANTS.get(place, ())))
        return result.mappings().all()


#: Nothing is declared: the values come as the driver gives them.
INSTANTS: dict[int, tuple[Any, ...]] = {}


@pytest.fixture
def lived(nights: Nights) -> Nights:
    """Five nights: 1 stays, 2 goes, 3 changes and goes, 4 goes and comes back, 5 is made on the way."""
    made = night(0.8)

    def stay(*numbers: int, **fields: Any) -> list[dict[str, Any]]:
        return [backup(number, made, **fields) for number in numbers]

    def load(*items: dict[str, Any], **settings: Any) -> None:
        nights.load(items, appliance="acme-north", **settings)

    load(*stay(1, 2, 3, 4), evidence="single_page")
    load(*stay(1, 2, 4), *stay(3, state="Corrupted"))
    load(*stay(1, 3, state="Corrupted"), *stay(2), evidence="totals", gone=[point_id(4)])
    load(*stay(1, 4), backup(5, night(4.5)), evidence="totals", gone=[point_id(2), point_id(3)])
    load(*stay(1, 4), backup(5, night(4.5)), evidence="totals", unconfirmed=1)
    return nights


@pytest.mark.parametrize("number", [0.9, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.25, 4.75, 5, 6])
def test_what_had_been_seen_agrees_with_as_of(lived: Nights, number: float) -> None:
    shown = {row["restore_point_id"]: (row["evidence"], row["state"]) for row in ask(lived, 0, night(number))}
    told = {
        point.restore_point_id: ("proven" if point.answer == "certain" else "uncertain", point.attributes["state"])
        for point in as_of(lived.warehouse, night(number), None, LATER).points()
        if point.attributes_are == "observed"
    }
    if number == 1:  # the one that came back: the query says less than it could
        assert told.pop(point_id(4)) == ("proven", "Ok")
        assert shown.pop(point_id(4)) == ("proven", "Ok")
    assert shown == told
    assert bool(shown) is (number >= 1)


def test_what_went_and_why(lived: Nights) -> None:
    told.cause(lived.warehouse, point_id(2), 4, "retention", match_kind="item", job_session_id="a")
    told.cause(lived.warehouse, point_id(3), 3, "manual", match_kind="item", job_session_id="b")
    went = ("2026-03-03 02:00:00", "2026-03-04 02:00:00")
    assert [
        (
            row["resource_name"],
            str(row["gone_after"])[:19],
            str(row["gone_before"])[:19],
            row["cause"],
            row["match_kind"],
        )
        for row in ask(lived, 1)
    ] == [("vm-2", *went, "retention", "item"), ("vm-3", *went, None, None)]
    assert [(row["appliance"], row["job_session_id"]) for row in ask(lived, 1)] == [
        ("acme-north", "a"),
        ("acme-north", None),
    ]


def test_since_when_it_was_watched(lived: Nights) -> None:
    (row,) = ask(lived, 2)
    assert (row["appliance"], row["collection"], row["proofs"]) == ("acme-north", "vm", 4)
    assert str(row["watched_from"])[:19] == "2026-03-01 02:00:00"
    assert str(row["watched_to"])[:19] == "2026-03-05 02:00:00"


def test_the_page_explains_every_cause_and_match() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)
    assert rows == [*CAUSES, *MATCHES]


@pytest.mark.parametrize("page", ["warehouse", "operations"])
def test_the_queries_of_the_other_pages_run_as_they_stand(lived: Nights, page: str) -> None:
    told.cause(lived.warehouse, point_id(2), 4, "unexplained", note="nobody said")
    queries = re.findall(
        r"^```sql\n(.*?)^```$", (ROOT / "docs" / f"{page}.md").read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    with lived.warehouse.connect() as connection:
        answers = [connection.execute(text(query)).mappings().all() for query in queries]
    unexplained = [row for rows in answers for row in rows if "note" in row]
    assert [(row["resource_name"], row["note"]) for row in unexplained] == (
        [("vm-2", "nobody said")] if page == "warehouse" else []
    )
    assert len(queries) == (5 if page == "warehouse" else 1)


def test_the_page_has_no_other_query_and_explains_every_evidence() -> None:
    assert PAGE.count("```sql\n") == 3
    rows = re.findall(r"^\| (certain|unknown|gone) \| `(\w+)` \|", PAGE, re.MULTILINE)
    assert {evidence: answer for answer, evidence in rows} == ANSWERS
