"""Crawls of collections that move while they are read: what is called proven holds every point that lived through.

Tens of thousands of requests are asked of the simulator's estate without a socket, some hundred over one.
"""

import asyncio
import json
import random
import tracemalloc
import uuid

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from moving_estate import MovingEstate, read

from etl.catalogue import COLLECTIONS
from etl.errors import NoProgress
from etl.extract.client import ApplianceClient
from etl.extract.crawl import Crawl
from etl.extract.endpoint import Endpoint
from etl.extract.evidence import MOST_CRAWLS, evidence
from etl.extract.exchange import Answer
from etl.simulator import Estate, simulate
from etl.simulator.paging import PageRequest, envelope

FIXED = ["id", "newest", "slots"]
ROWS, PAGES = 4000, 50
"""100 rows a page, 80 of them new."""


@pytest.mark.parametrize("order", FIXED)
def test_a_fixed_order_is_read_whole_in_one_crawl_whatever_comes_and_goes(order):
    moving = MovingEstate(order, ROWS, inserts=0.1, deletes=0.1)
    runs = [read(moving) for _ in range(40)]
    assert [run.missed for run in runs if run.reports[0].seams_hold] == [0] * len(runs)
    assert max(run.requests for run in runs) <= PAGES + 6
    assert sum(run.requests for run in runs) <= len(runs) * (PAGES + 1)
    # that the order is fixed shows at once where it is that of the ids, and else only when all is quiet
    proven = sum(run.evidence == "order" for run in runs)
    assert proven >= 0.95 * len(runs) if order == "id" else proven == 0
    assert {run.evidence for run in runs} <= {"order", None}


@pytest.mark.parametrize("tells_total", [True, False])
@pytest.mark.parametrize("order", [*FIXED, "moving"])
def test_a_quiet_collection_is_proven_by_one_crawl_that_asks_for_nothing_twice(order, tells_total):
    run = read(MovingEstate(order, ROWS - 7, tells_total=tells_total), most_crawls=MOST_CRAWLS)
    (report, *again) = run.reports
    assert (report.rows, report.quiet, report.seams_hold) == (ROWS - 7, True, True)
    assert run.missed == 0
    if tells_total or order == "id":
        assert (run.evidence, again) == ("order" if order == "id" else "totals", [])
        assert run.requests <= PAGES + (0 if tells_total else 8)
    else:
        assert (run.evidence, len(again)) == ("two_crawls", 1)


@pytest.mark.parametrize("order", FIXED)
@pytest.mark.parametrize("at", [1, 10, 30, 45])
@pytest.mark.parametrize("burst", [15, 25, 100, 400, 1000])
def test_a_thread_lost_to_many_deletions_is_picked_up(order, at, burst):
    run = read(MovingEstate(order, ROWS, seed=at + burst, burst=burst, burst_at=at))
    assert run.reports[0].seams_hold
    assert run.missed == 0
    assert run.evidence == ("order" if order == "id" else None)
    assert run.requests <= PAGES + 12


@pytest.mark.parametrize("tells_total", [True, False])
def test_more_deletions_than_pages_are_looked_through_for(tells_total):
    """A total tells where the collection ends now; without one the search gives up, and says so."""
    moving = MovingEstate("newest", 8000, burst=6000, burst_at=90, tells_total=tells_total, concurrency=1)
    run = read(moving)
    assert run.reports[0].seams_hold is tells_total
    assert run.evidence is None
    assert run.requests < 110


@pytest.mark.parametrize("tells_total", [True, False])
def test_a_collection_that_is_emptied_or_replaced_while_it_is_read(tells_total):
    """The thread is found again where the collection begins: nothing has lived through."""
    run = read(MovingEstate("newest", 400, burst=400, burst_at=1, tells_total=tells_total))
    assert (run.reports[0].seams_hold, run.missed) == (True, 0)


def test_a_thread_that_is_lost_over_and_over_is_let_go():
    """Every row is another one at each request."""
    run = read(MovingEstate("id", 20, pairs=20, cap=7, tells_total=False))
    assert not run.reports[0].seams_hold
    assert run.requests < 100


def test_a_crawl_keeps_no_more_of_a_large_collection_than_of_a_small_one():
    class Appliance:
        name, concurrency = "acme", 8

        def __init__(self, rows):
            self.rows = rows

        async def read(self, path, params, reader):
            await asyncio.sleep(0)
            first, limit = int(params["Offset"]), int(params["Limit"])
            items = [b'{"id":"%036d"}' % row for row in range(first, min(first + limit, self.rows))]
            asked = PageRequest(first, limit)
            return reader(
                Answer(200, "application/json", envelope(items, asked, self.rows, tells_total=True, links={}))
            )

    async def crawled(rows):
        crawl = Crawl(Appliance(rows), "v8", COLLECTIONS["vm"])
        async for _ in crawl.pages():
            pass
        assert crawl.report.rows == rows

    def peak(rows):
        tracemalloc.start()
        asyncio.run(crawled(rows))
        try:
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(40_000) < peak(10_000) + 200_000


def test_rows_that_move_are_missed_by_one_crawl_and_by_no_two_that_agree():
    runs = []
    for seed in range(3):
        for churn in ({}, {"deletes": 0.1}, {"inserts": 0.02, "deletes": 0.02}):
            moving = MovingEstate("moving", ROWS, seed=seed, moves=0.1, **churn)
            runs += [read(moving, most_crawls=MOST_CRAWLS) for _ in range(8)]
    held = [run for run in runs if run.reports[-1].seams_hold]
    assert sum(run.missed_by_last > 0 for run in held) > 10, "seams alone prove nothing where rows move"
    proven = [run for run in runs if run.evidence]
    assert {run.evidence for run in proven} == {"totals", "two_crawls"}
    assert sum(run.evidence == "two_crawls" for run in proven) > 30
    assert [run for run in proven if run.missed] == []


def test_a_total_that_stays_the_same_by_chance_proves_nothing():
    """Rows move, and one comes for each that goes: where both hide one another the seams show that rows shifted."""
    moving = MovingEstate("moving", 400, seed=5, pairs=0.3, moves=0.3)
    runs = [read(moving) for _ in range(900)]
    assert sum(run.evidence == "totals" for run in runs) > 300
    assert sum(run.missed > 0 and run.reports[0].seams_hold for run in runs) > 90
    assert [run for run in runs if run.evidence and run.missed] == []


@pytest.mark.parametrize("churn", [0.0, 0.1])
@pytest.mark.parametrize("count", [150, ROWS])
def test_no_order_at_all_is_never_proven_and_ends(count, churn):
    moving = MovingEstate("none", count, inserts=churn, deletes=churn)
    for _ in range(10):
        run = read(moving, most_crawls=MOST_CRAWLS)
        assert (run.evidence, len(run.reports)) == (None, MOST_CRAWLS)
        assert run.requests <= MOST_CRAWLS * (count // 80 + 20)


@pytest.mark.parametrize("churn", [0.0, 0.1])
def test_pages_of_one_row_overlap_by_none_and_prove_nothing(churn):
    run = read(MovingEstate("id", 40, cap=1, inserts=churn, deletes=churn), most_crawls=MOST_CRAWLS)
    assert (run.evidence, len(run.reports)) == (None, MOST_CRAWLS)
    assert run.requests < 200


@pytest.mark.parametrize(
    ("count", "tells_total", "found"),
    [
        (0, True, "single_page"),
        (0, False, "single_page"),
        (99, True, "single_page"),
        (99, False, "single_page"),
        (100, True, "single_page"),  # the page after it shows that the total counts everything
        (100, False, "two_crawls"),  # a full page may have had rows behind it
        (101, True, "totals"),
        (101, False, "two_crawls"),
    ],
)
def test_one_response_that_held_all(count, tells_total, found):
    run = read(MovingEstate("newest", count, tells_total=tells_total), most_crawls=MOST_CRAWLS)
    assert run.evidence == found
    assert run.missed == 0


def test_a_full_first_page_with_something_new_behind_it_did_not_hold_all():
    run = read(MovingEstate("slots", 100, pairs=50, concurrency=1))
    (report,) = run.reports
    assert (report.pages, report.total, report.single_page, run.evidence) == (2, 100, False, None)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    order=st.sampled_from(FIXED),
    page_size=st.sampled_from([10, 25, 40, 100]),
    most_crawls=st.sampled_from([1, MOST_CRAWLS]),
    options=st.fixed_dictionaries(
        {
            "count": st.sampled_from([0, 1, 5, 20, 60, 100, 101, 200, 400]),
            "seed": st.integers(0, 10**6),
            "inserts": st.sampled_from([0, 0.1, 0.5]),
            "deletes": st.sampled_from([0, 0.1, 1, 3]),
            "pairs": st.sampled_from([0, 0.5, 3]),
            "burst": st.sampled_from([0, 20, 100, 300]),
            "burst_at": st.integers(0, 9),
            "cap": st.sampled_from([None, 2, 7, 20, 30]),
            "tells_total": st.booleans(),
            "concurrency": st.sampled_from([1, 2, 8]),
        }
    ),
)
def test_seams_that_hold_miss_nothing_in_any_fixed_order(order, page_size, most_crawls, options):
    try:
        run = read(MovingEstate(order, **options), page_size=page_size, most_crawls=most_crawls)
    except NoProgress:  # as many rows come in front as a page of two rows goes on: that may stand still
        assert options["cap"] == 2
        return
    last = run.reports[-1]
    if last.seams_hold or last.single_page:
        assert run.missed_by_last == 0
    if run.evidence:
        assert run.missed == 0


class TestOverASocket:
    """The simulator serves, its estate changes before each page, eight requests are under way."""

    def crawl(self, order, *, rows=600, crawls=1, churn=0.0, moves=0.0, burst=0):
        draw = random.Random(3)
        estate = Estate.from_seed(3, machines=1, days=0)
        estate.delete(*[point.id for point in estate.points])

        def be_born():
            return estate.create(id=str(uuid.UUID(int=draw.getrandbits(128), version=4))).id

        living = [be_born() for _ in range(rows)]
        lived = set(living)
        asked = 0

        def change(request):
            nonlocal asked
            if "/restorePoints" not in request.url.path:
                return
            asked += 1
            if asked > 1 and draw.random() < churn:
                living.append(be_born())
            dying = (asked > 1 and draw.random() < churn) + burst * (asked == 10)
            for _ in range(dying):
                dead = living.pop(draw.randrange(len(living)))
                lived.discard(dead)
                estate.delete(dead)

        async def session():
            reports, found, seen = [], None, set()
            async with ApplianceClient(Endpoint("acme", appliance.url, "reporter", "simulated-password")) as client:
                while found is None and len(reports) < crawls:
                    crawl = Crawl(client, "v8", COLLECTIONS["vm"], page_size=50)
                    ids = {json.loads(item)["id"] async for page in crawl.pages() for item in page.items}
                    added = len(ids - seen) if reports else None
                    found = evidence(crawl.report, len(ids), earlier=reports[-1] if reports else None, added=added)
                    reports.append(crawl.report)
                    seen |= ids
            return found, reports, seen

        with simulate(estate, version="v8", order=order, moves=moves) as appliance:
            appliance.before_request(change)
            found, reports, seen = asyncio.run(session())
        return found, reports, lived - seen, asked

    @pytest.mark.parametrize("order", FIXED)
    def test_a_fixed_order(self, order):
        found, (report,), missed, asked = self.crawl(order, churn=0.3)
        assert (report.seams_hold, missed) == (True, set())
        assert found == ("order" if order == "id" else None)
        assert asked <= 24

    @pytest.mark.parametrize("order", FIXED)
    def test_a_lost_thread(self, order):
        found, (report,), missed, _ = self.crawl(order, burst=200)
        assert (report.seams_hold, missed) == (True, set())
        assert found == ("order" if order == "id" else None)

    @pytest.mark.parametrize("order", FIXED)
    def test_a_quiet_night(self, order):
        found, (report,), missed, asked = self.crawl(order)
        assert (found, missed) == ("order" if order == "id" else "totals", set())
        assert report.pages == asked == 20

    def test_no_order(self):
        found, reports, _, _ = self.crawl("none", crawls=MOST_CRAWLS)
        assert (found, len(reports)) == (None, MOST_CRAWLS)
