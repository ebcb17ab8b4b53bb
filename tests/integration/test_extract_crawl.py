"""Discovering, crawling and asking by id, against a simulated appliance on a real socket."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from starlette.responses import JSONResponse, PlainTextResponse, Response

from etl.catalogue import COLLECTIONS
from etl.errors import ApplianceError, Forbidden, NoProgress, NotAPage, NotServed
from etl.extract.client import ApplianceClient
from etl.extract.crawl import Crawl, ask
from etl.extract.discovery import discover
from etl.extract.endpoint import Endpoint
from etl.simulator import Estate, simulate

POINTS = [
    {"id": f"{n:08x}-0000-4000-8000-000000000000", "pointInTime": "2026-01-01T00:00:00Z", "backupSizeBytes": n}
    for n in range(2500)
]
VERSIONS = ["v1", "v2", "v3", "v8", "v8.1"]


def run(appliance, work, *, retry_for=3.0):
    async def session():
        endpoint = Endpoint("acme", appliance.url, "reporter", "simulated-password", retry_for=retry_for)
        async with ApplianceClient(endpoint) as client:
            return await work(client)

    return asyncio.run(session())


def read(appliance, version, *, page_size=500, **options):
    async def work(client):
        return [page async for page in Crawl(client, version, COLLECTIONS["vm"], page_size=page_size).pages()]

    return run(appliance, work, **options)


def ids(pages):
    """The ids in order, those that a page repeats left out."""
    return [json.loads(item)["id"] for page in pages for item in page.items[page.repeated :]]


def page_requests(appliance):
    return [asked for asked in appliance.requests if "/restorePoints" in asked.path]


def assert_whole(pages, overlap):
    """Every page begins with the last rows of the one before it, and what is new in all of them is everything."""
    for page, following in pairwise(pages):
        shared = min(overlap, len(page.items) // 2)  # what follows a short last page repeats half of it
        assert page.offset + len(page.items) - following.offset == following.repeated == shared
        assert page.items[-shared:] == following.items[:shared]
    assert sorted(ids(pages)) == sorted(point["id"] for point in POINTS[: len(ids(pages))])


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("count", [0, 1, 50, 51, 517])
def test_every_version_and_size(version, count):
    with simulate(Estate.from_items(POINTS[:count], version=version), version=version) as appliance:
        pages = read(appliance, version, page_size=50)
        assert_whole(pages, overlap=20)
        assert len(ids(pages)) == count
        # a full page is followed by one more: its total may be no more than the number of its own rows
        assert len(pages) == (1 if count < 50 else 1 + (count - 50) // 30 + 1)
        assert {page.total for page in pages} == {count}
        assert {page.limit for page in pages} == {50}
        spellings = {name for asked in page_requests(appliance) for name in asked.params}
        assert spellings == ({"offset", "limit"} if version == "v1" else {"Offset", "Limit"})
        assert len(page_requests(appliance)) == len(pages)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("tells_total", [True, False])
@pytest.mark.parametrize(("count", "cap"), [(0, 7), (7, 7), (8, 7), (100, 7)])
def test_a_capped_page_and_a_total_that_is_not_told(version, tells_total, count, cap):
    estate = Estate.from_items(POINTS[:count], version=version)
    with simulate(estate, version=version, page_cap=cap, tells_total=tells_total) as appliance:
        pages = read(appliance, version)
        assert_whole(pages, overlap=3)
        assert len(ids(pages)) == count
        # what a page left out is asked for by itself, without a total also what may come after the last one
        assert {page.limit for page in pages[:-1]} <= {cap}
        # At most the pages there are and those asked ahead without a total.
        assert len(page_requests(appliance)) <= len(pages) + (0 if tells_total else 8)


def test_items_come_as_they_were_sent():
    with simulate(Estate.from_items(POINTS[:3], version="v8.1"), version="v8.1") as appliance:
        body = b'{"offset":0,"limit":500,"totalCount":3,"results":[{"id": "\\ud800" , "x":1.0e2},\n 7 ,null]}'
        with appliance.before_request(lambda request: Response(body) if "/restorePoints" in request.url.path else None):
            (page,) = read(appliance, "v8.1")
    assert page.items == [b'{"id": "\\ud800" , "x":1.0e2}', b"7", b"null"]


def test_up_to_eight_pages_in_flight_and_in_order():
    in_flight, most = 0, 0

    async def slowly(request):
        nonlocal in_flight, most
        if "/restorePoints" in request.url.path:
            in_flight += 1
            most = max(most, in_flight)
            # later pages answer sooner
            await asyncio.sleep(0.1 if int(request.query_params["Offset"]) % 60 else 0.02)
            in_flight -= 1

    with simulate(Estate.from_items(POINTS, version="v8"), version="v8") as appliance:
        appliance.before_request(slowly)
        pages = read(appliance, "v8", page_size=50)
        assert_whole(pages, overlap=20)
    assert most == 8


def envelope(offset, limit, total, items):
    return JSONResponse({"offset": offset, "limit": limit, "totalCount": total, "results": items})


def answering(make):
    """A hook that answers pages by `make(offset, limit)`."""

    def hook(request):
        if "/restorePoints" not in request.url.path:
            return None
        return make(int(request.query_params.get("Offset", 0)), int(request.query_params.get("Limit", 100)))

    return hook


def read_answers(make, **options):
    with simulate(Estate.from_items([], version="v8"), version="v8") as appliance:
        appliance.before_request(answering(make))
        return read(appliance, "v8", **options), len(page_requests(appliance))


@pytest.mark.parametrize("tells_total", [True, False])
@pytest.mark.parametrize(
    "lengths",
    [
        lambda offset, limit: 37 if offset == 0 else limit,  # the first page is short
        lambda offset, limit: limit - 1 if offset == 200 else limit,  # one in the middle
        lambda offset, limit: max(1, limit // 2),  # every page
        lambda offset, limit: limit if offset < 200 else min(limit, 40),  # a cap that comes in mid-crawl
        lambda offset, limit: limit + 20,  # more than was asked
    ],
)
def test_short_and_long_pages_leave_no_gap(lengths, tells_total):
    def make(offset, limit):
        count = lengths(offset, limit)
        items = POINTS[offset : min(offset + count, 500)]
        return envelope(offset, limit if tells_total else count, 500 if tells_total else None, items)

    pages, _ = read_answers(make, page_size=100)
    assert ids(pages) == [point["id"] for point in POINTS[:500]]
    for page, following in pairwise(pages):
        assert page.offset < following.offset == page.offset + len(page.items) - following.repeated


def test_a_total_that_counts_the_records_of_one_page_hides_nothing():
    pages, _ = read_answers(
        lambda offset, limit: envelope(
            offset, limit, len(POINTS[offset : offset + limit]), POINTS[offset : offset + limit]
        ),
        page_size=100,
    )
    assert ids(pages) == [point["id"] for point in POINTS]


def test_a_page_that_is_short_is_not_the_end_by_itself():
    """A cap that is not told, and no total."""
    pages, _ = read_answers(
        lambda offset, limit: envelope(offset, limit, None, POINTS[offset : offset + min(40, limit)]), page_size=100
    )
    assert ids(pages) == [point["id"] for point in POINTS]


def test_a_collection_that_shrinks_and_one_that_grows_meanwhile():
    def shrinking(offset, limit):
        total = 1000 if offset < 300 else 450
        return envelope(offset, limit, total, POINTS[offset : min(offset + limit, total)])

    pages, _ = read_answers(shrinking, page_size=100)
    assert len(ids(pages)) == 450

    def growing(offset, limit):
        total = 1000 if offset < 500 else 2000
        return envelope(offset, limit, total, POINTS[offset : min(offset + limit, total)])

    pages, _ = read_answers(growing, page_size=100)
    assert len(ids(pages)) == 2000


def test_a_collection_that_grows_as_fast_as_it_is_read_has_an_end_and_no_proof():
    """Without a total, and a row more at every request: the last page is never the same twice."""
    asked = 0

    def growing(offset, limit):
        nonlocal asked
        asked += 1
        return envelope(offset, limit, None, POINTS[offset : min(offset + limit, 250 + asked)])

    with simulate(Estate.from_items([], version="v8"), version="v8") as appliance:
        appliance.before_request(answering(growing))

        async def crawled():
            # one request at a time: of two under way the later page may show the earlier moment
            endpoint = Endpoint("acme", appliance.url, "reporter", "simulated-password")
            async with ApplianceClient(endpoint, concurrency=1) as client:
                crawl = Crawl(client, "v8", COLLECTIONS["vm"], page_size=100)
                return [page async for page in crawl.pages()], crawl.report

        pages, report = asyncio.run(crawled())
    assert ids(pages)[:250] == [point["id"] for point in POINTS[:250]]
    assert asked < 40
    assert not report.seams_hold
    assert not report.single_page


def test_a_missing_offset_or_limit_is_no_obstacle():
    def make(offset, limit):
        return JSONResponse({"totalCount": 250, "results": POINTS[offset : min(offset + limit, 250)]})

    pages, _ = read_answers(make, page_size=100)
    assert len(ids(pages)) == 250


@pytest.mark.parametrize(
    ("make", "most_requests"),
    [
        # ignores paging: the same page whatever is asked, told honestly or not
        (lambda offset, limit: envelope(0, 100, 1000, POINTS[:100]), 20),
        (lambda offset, limit: envelope(offset, limit, 1000, POINTS[:100]), 20),
        (lambda offset, limit: envelope(None, None, None, POINTS[:100]), 20),
        # an empty page before the total
        (lambda offset, limit: envelope(offset, limit, 1000, POINTS[offset : min(offset + limit, 400)]), 20),
        (lambda offset, limit: envelope(offset, limit, 1000, []), 4),
        # the offset is not echoed in mid-crawl
        (lambda offset, limit: envelope(min(offset, 400), limit, 2000, POINTS[offset : offset + limit]), 20),
        # the total grows for ever
        (lambda offset, limit: envelope(offset, limit, offset + 5000, [offset + n for n in range(limit)]), 300),
    ],
)  # fmt: skip
def test_no_progress_is_one_clear_failure(make, most_requests):
    with simulate(Estate.from_items([], version="v8"), version="v8") as appliance:
        appliance.before_request(answering(make))
        with pytest.raises(NoProgress, match="acme: /api/v8/restorePoints"):
            read(appliance, "v8", page_size=100)
        assert len(page_requests(appliance)) <= most_requests


@pytest.mark.parametrize(
    ("version", "served"), [("v1", "Offset Limit"), ("v2", "offset limit"), ("v8.1", "offset limit")]
)
def test_the_other_spelling_is_tried_once(version, served):
    offset_name, limit_name = served.split()

    def other_spelling(request):
        if "/restorePoints" not in request.url.path:
            return None
        assert len(request.query_params) == 2  # never both spellings in one request
        offset = int(request.query_params.get(offset_name, 0))
        limit = int(request.query_params.get(limit_name, 30))
        return envelope(offset, limit, 517, POINTS[offset : min(offset + limit, 517)])

    with simulate(Estate.from_items([], version=version), version=version) as appliance:
        appliance.before_request(other_spelling)
        pages = read(appliance, version, page_size=50)
        wrong = [asked for asked in page_requests(appliance) if offset_name not in asked.params]
    assert ids(pages) == [point["id"] for point in POINTS[:517]]
    assert {page.limit for page in pages} == {50}
    assert len(wrong) == 2


@pytest.mark.parametrize(
    ("response", "error"),
    [
        (JSONResponse([]), NotAPage),
        (JSONResponse(None), NotAPage),
        (JSONResponse({"error": "x"}), NotAPage),
        (JSONResponse({"offset": 0, "limit": "x"}), NotAPage),
        (JSONResponse({"status": 403}, 403), Forbidden),
        (PlainTextResponse("no", 404), NotServed),
        (JSONResponse({"status": 400, "detail": "bad"}, 400), ApplianceError),
        (Response(status_code=204), ApplianceError),
    ],
)
def test_an_answer_that_is_no_page_is_not_asked_for_again(response, error):
    with simulate(Estate.from_items([], version="v8"), version="v8") as appliance:
        appliance.before_request(lambda request: response if "/restorePoints" in request.url.path else None)
        with pytest.raises(error, match="acme: "):
            read(appliance, "v8")
        assert len(page_requests(appliance)) == 1


def test_ask_by_id():
    with simulate(Estate.from_items(POINTS[:3], version="v8.1"), version="v8.1") as appliance:

        async def work(client):
            wanted = [POINTS[1]["id"], "00000000-dead-4000-8000-000000000000", "a/../b?c#d e%2F"]
            return [await ask(client, "v8.1", COLLECTIONS["vm"], point_id) for point_id in wanted]

        there, gone, odd = run(appliance, work)
        assert (there.status, json.loads(there.body)["id"]) == (200, POINTS[1]["id"])
        assert (gone.status, gone.content_type) == (404, "application/problem+json")
        assert odd.status == 404
        assert page_requests(appliance)[-1].path.startswith("/api/v8.1/restorePoints/virtualMachines/a")


def test_a_crawl_that_is_left_early_leaves_nothing_running():
    with simulate(Estate.from_items(POINTS, version="v8"), version="v8") as appliance:

        async def work(client):
            pages = Crawl(client, "v8", COLLECTIONS["vm"], page_size=50).pages()
            async for _ in pages:
                break
            await pages.aclose()
            return [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]

        assert run(appliance, work) == []


NOW = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)


def found(appliance, wanted="auto", at_least=None, now=lambda: NOW):
    return run(appliance, lambda client: discover(client, wanted, at_least, now))


@pytest.mark.parametrize("unserved", [404, 400])
@pytest.mark.parametrize("version", VERSIONS)
def test_auto_finds_the_newest_version_served(version, unserved):
    estate = Estate.from_seed(3, machines=2, days=2)
    with simulate(estate, version=version, unserved=unserved) as appliance:
        facts = found(appliance, now=lambda: appliance.clock.now - timedelta(seconds=90))
        assert facts.api_version == version
        assert facts.product_version.startswith(version.removeprefix("v"))
        assert ("serverName" in facts.identity) == (version != "v1")
        assert facts.identity["databaseId"]
        assert facts.time_zone == "Europe/Berlin"
        assert 89 < facts.clock_skew_seconds < 92
        assert facts.role == "PortalAdmin"


def test_auto_does_not_go_below_what_was_used_before():
    with simulate(Estate.from_seed(3, machines=2, days=2), version="v8") as appliance:
        assert found(appliance, at_least="v7").api_version == "v8"
        assert found(appliance, at_least="v8").api_version == "v8"
        for newer in ("v8.1", "v9"):
            with pytest.raises(NotServed, match=rf'acme: .*{newer}, the newest served now is v8\..*api_version = "v8"'):
                found(appliance, at_least=newer)
        assert found(appliance, wanted="v6", at_least="v8").api_version == "v6"


def test_a_named_version_that_is_not_served():
    with simulate(Estate.from_seed(3, machines=2, days=2), version="v3", unserved=400) as appliance:
        with pytest.raises(NotServed, match="acme: the appliance does not serve API version v8;"):
            found(appliance, wanted="v8")
        assert {asked.path for asked in appliance.requests if asked.method == "GET"} == {"/api/v8/system/about"}


def test_no_version_served_at_all():
    with simulate(Estate.from_seed(3, machines=2, days=2), version="v3") as appliance:
        appliance.before_request(lambda r: Response(status_code=404) if "/system/" in r.url.path else None)
        with pytest.raises(NotServed, match="acme: the appliance serves no API version that this program knows"):
            found(appliance)


@pytest.mark.parametrize(
    "response",
    [
        Response(status_code=404),
        JSONResponse({"status": 403}, 403),
        JSONResponse([]),
        JSONResponse({"serverName": 5, "timeZone": "W. Europe Standard Time", "utcDateTime": "soon"}),
        JSONResponse({"serverName": None, "timeZone": {"id": "x"}, "utcDateTime": 5}),
        JSONResponse({"serverName": "", "timeZone": "../../etc/passwd"}),
        JSONResponse({"timeZone": "Europe"}),
        Response("<html>", 200, media_type="text/html"),
        Response(status_code=500),
    ],
)
def test_facts_that_are_missing_are_no_error(response):
    with simulate(Estate.from_seed(3, machines=2, days=2), version="v8") as appliance:
        appliance.before_request(lambda r: response if r.url.path.endswith(("/serverInfo", "/time")) else None)
        facts = run(appliance, lambda c: discover(c, "auto", None, lambda: NOW), retry_for=0.5)
    assert (facts.time_zone, facts.clock_skew_seconds) == (None, None)
    assert list(facts.identity) == ["databaseId"]


def test_about_that_may_not_be_read_still_shows_that_the_version_is_served():
    with simulate(Estate.from_seed(3, machines=2, days=2), version="v8", forbidden=("/system/about",)) as appliance:
        facts = found(appliance)
    assert (facts.api_version, facts.product_version) == ("v8", None)


@pytest.mark.parametrize(
    ("told", "skew"),
    [
        ("2026-11-24T10:00:30Z", 30),
        ("2026-11-24T09:59:00.1234567", -59.876544),
        ("2026-11-24T11:00:00+01:00", 0),
    ],
)
def test_the_clock_skew(told, skew):
    with simulate(Estate.from_seed(3, machines=2, days=2), version="v8") as appliance:
        appliance.before_request(
            lambda r: JSONResponse({"utcDateTime": told}) if r.url.path.endswith("/time") else None
        )
        assert found(appliance).clock_skew_seconds == pytest.approx(skew)
