"""Signing in, keeping a token alive, logging out, and keeping every secret, against a simulated appliance."""

import asyncio
import itertools
import json
import logging
import threading
import time
from urllib.parse import parse_qsl

import pytest
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response

from etl.catalogue import COLLECTIONS
from etl.errors import ApplianceError, MfaRequired, NotAnAppliance, SecretError, SignInRefused
from etl.extract.client import ApplianceClient
from etl.extract.crawl import Crawl, ask
from etl.extract.endpoint import Endpoint
from etl.simulator import Estate, simulate

PASSWORD = "simulated-password"
POINTS = [{"id": f"{n:08x}-0000-4000-8000-000000000000", "pointInTime": "2026-01-01T00:00:00Z"} for n in range(800)]
ABOUT = "/api/v8/system/about"
TOKEN_PATH = "/api/oauth2/token"


@pytest.fixture
def appliance():
    with simulate(Estate.from_items(POINTS, version="v8"), version="v8") as simulated:
        yield simulated


def run(appliance, work, *, retry_for=2.0, url=None, username="reporter", password=PASSWORD):
    async def session():
        endpoint = Endpoint("acme", url or appliance.url, username, password, retry_for=retry_for)
        async with ApplianceClient(endpoint) as client:
            return await work(client)

    return asyncio.run(session())


async def about(client):
    return await client.get(ABOUT)


async def whole_crawl(client):
    pages = [page async for page in Crawl(client, "v8", COLLECTIONS["vm"], page_size=50).pages()]
    return [item for page in pages for item in page.items[page.repeated :]]


class Grants:
    """Notes every form that is posted to the token path; answers in the appliance's place where told to."""

    def __init__(self, appliance, answer=lambda form: None):
        self.forms = []
        self.answer = answer
        appliance.before_request(self)

    async def __call__(self, request):
        if request.url.path == TOKEN_PATH and request.method == "POST":
            form = {name.lower(): value for name, value in parse_qsl((await request.body()).decode())}
            self.forms.append(form)
            return self.answer(form)
        return None

    @property
    def types(self):
        return [form["grant_type"].lower() for form in self.forms]


def grants(appliance):
    return [asked for asked in appliance.requests if asked.path == TOKEN_PATH and asked.method == "POST"]


def granting(**fields):
    return lambda form: JSONResponse(fields)


def test_signs_in_once_and_logs_out(appliance):
    async def work(client):
        assert client.role is None
        await asyncio.gather(*(about(client) for _ in range(20)))
        return client.role

    assert run(appliance, work) == "PortalAdmin"
    assert [asked.method for asked in appliance.requests if asked.path == TOKEN_PATH] == ["POST", "DELETE"]
    assert appliance.requests[-1].status == 204
    assert "?" not in appliance.requests[0].path
    assert appliance.requests[0].query == ""


def test_a_client_that_asked_nothing_says_nothing(appliance):
    async def work(client):
        pass

    run(appliance, work)
    assert appliance.requests == []


def test_a_failed_log_out_is_no_error(appliance):
    appliance.before_request(lambda r: Response(status_code=500) if r.method == "DELETE" else None)
    assert run(appliance, about).status == 200


@pytest.mark.parametrize("slashes", ["/", "//"])
def test_a_trailing_slash_is_fine(appliance, slashes):
    assert run(appliance, about, url=appliance.url + slashes).status == 200
    assert {asked.path for asked in appliance.requests} == {TOKEN_PATH, ABOUT}


@pytest.mark.parametrize("refusal", [400, 401])
def test_a_wrong_password_is_tried_exactly_once(refusal):
    with simulate(Estate.from_items([], version="v8"), version="v8", refusal=refusal) as appliance:

        async def work(client):
            answers = await asyncio.gather(*(about(client) for _ in range(12)), return_exceptions=True)
            assert {type(answer) for answer in answers} == {SignInRefused}
            await about(client)

        with pytest.raises(
            SignInRefused, match=rf"acme: .*'reporter' \(HTTP {refusal}: The user name or the"
        ) as caught:
            run(appliance, work, password="wr0ng-passw0rd")
        assert "wr0ng-passw0rd" not in str(caught.value)
        assert [asked.method for asked in appliance.requests] == ["POST"]


@pytest.mark.parametrize("status", [400, 401])
@pytest.mark.parametrize(
    ("response", "shown"),
    [
        (lambda s: JSONResponse({"detail": "wrong:\n\x1b[31mname\x00 " + "x" * 5000}, s), "wrong: [31mname xxx"),
        (lambda s: JSONResponse({"detail": f"wrong: {PASSWORD}"}, s), "(HTTP {status})"),
        (lambda s: JSONResponse({"detail": {"a": 1}}, s), "(HTTP "),
        (lambda s: JSONResponse([], s), "(HTTP "),
        (lambda s: JSONResponse({"detail": "see errors", "errors": {"": ["Locked."]}}, s), "(HTTP {status}: Locked)"),
        (lambda s: JSONResponse({"detail": "Locked", "errors": {"a": 5, "b": [None]}}, s), "(HTTP {status}: Locked)"),
        (lambda s: Response(status_code=s), "(HTTP "),
        (lambda s: Response(b"\xff\xfe", s, media_type="application/json"), "(HTTP "),
    ],
)
def test_what_a_refusal_shows(appliance, status, response, shown):
    Grants(appliance, lambda form: response(status))
    with pytest.raises(SignInRefused) as caught:
        run(appliance, about)
    message = str(caught.value)
    assert shown.format(status=status) in message
    assert PASSWORD not in message
    assert message.isprintable()
    assert len(message) < 500


def test_an_account_with_mfa_is_told_what_to_do():
    with simulate(Estate.from_items([], version="v8"), version="v8", mfa=True) as appliance:
        with pytest.raises(MfaRequired, match=r"acme: .*account of its own.*read-only.*single sign-on does not help"):
            run(appliance, about)
        assert len(appliance.requests) == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"mfa_token": "abc"},
        {"mfa_enabled": True},
        {"access_token": "", "mfa_token": "abc", "expires_in": 0},
        {"access_token": None, "token_type": "bearer", "mfa_enabled": True, "mfa_token": None},
    ],
)
def test_every_shape_of_an_mfa_answer(appliance, fields):
    Grants(appliance, granting(**fields))
    with pytest.raises(MfaRequired):
        run(appliance, about)


@pytest.mark.parametrize(
    "response",
    [
        JSONResponse({"status": 404, "title": "Not Found"}, 404),
        HTMLResponse("<html>404</html>", 404),
        Response(status_code=404),
        Response(status_code=405),
        HTMLResponse("<html>log in</html>", 200),
        HTMLResponse("<html>The plain HTTP request was sent to HTTPS port</html>", 400),
        JSONResponse([]),
        JSONResponse(None),
        JSONResponse({}),
        JSONResponse({"hello": "world"}),
        PlainTextResponse("ok"),
        Response(status_code=204),
        Response(b"[" * 100_000, 200, media_type="application/json"),
    ],
)
def test_another_service_is_told_apart_with_one_try(appliance, response):
    noted = Grants(appliance, lambda form: response)
    began = time.monotonic()
    with pytest.raises(NotAnAppliance, match=r"acme: no sign-in of .*; port 443 and no path are expected") as caught:
        run(appliance, about, retry_for=30)
    assert len(noted.forms) == 1
    assert time.monotonic() - began < 2
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("path", ["/api/v8", "/api/v8/", "/somewhere"])
def test_a_path_in_the_url_is_not_found(appliance, path):
    with pytest.raises(NotAnAppliance, match="port 443 and no path are expected"):
        run(appliance, about, url=appliance.url + path)
    assert len(appliance.requests) == 1


@pytest.mark.parametrize(
    "fields",
    [{}, {"expires_in": None}, {"expires_in": 0}, {"expires_in": -5}, {"expires_in": "3600"}, {"expires_in": True},
     {"expires_in": {}}, {"expires_in": 10**400}, {"expires_in": "9" * 5000}, {"refresh_token": None}, {"roleName": 5}],
)  # fmt: skip
def test_any_field_but_the_token_may_be_missing(appliance, fields):
    noted = Grants(appliance, granting(access_token="a.b.c", **fields))
    appliance.before_request(lambda r: JSONResponse({}) if r.headers.get("authorization") == "Bearer a.b.c" else None)

    async def work(client):
        for _ in range(5):
            assert (await about(client)).status == 200
        assert client.role is None

    run(appliance, work)
    assert len(noted.forms) == 1


@pytest.mark.parametrize("token", [None, "", 5, "tok\r\nX-Evil: 1", "tökén", ["a"]])
def test_a_token_that_cannot_be_one(appliance, token):
    Grants(appliance, granting(access_token=token, token_type="bearer"))
    with pytest.raises(SignInRefused, match="gave no access token"):
        run(appliance, about)


def test_refreshes_ahead_of_expiry_and_keeps_the_newest_refresh_token():
    with simulate(Estate.from_items(POINTS, version="v8"), version="v8", expires_in=1) as appliance:
        noted = Grants(appliance)

        async def work(client):
            until = time.monotonic() + 3
            while time.monotonic() < until:
                assert (await about(client)).status == 200
                await asyncio.sleep(0.02)

        run(appliance, work)
        assert noted.types[0] == "password"
        # each at nine tenths of the life; the simulator's refresh tokens die when used
        assert noted.types[1:] == ["refresh_token"] * len(noted.types[1:])
        assert 3 <= len(noted.types[1:]) <= 4
        assert 401 not in {asked.status for asked in appliance.requests}


def test_the_refresh_token_stays_where_a_refresh_gives_no_new_one(appliance):
    count = itertools.count()
    noted = Grants(
        appliance,
        lambda form: JSONResponse(
            {"access_token": f"t{next(count)}", "expires_in": 3600}
            | ({"refresh_token": "r"} if form["grant_type"] == "Password" else {})
        ),
    )
    served = itertools.count()
    appliance.before_request(
        lambda r: (
            (Response(status_code=401) if next(served) in (2, 5) else JSONResponse({})) if r.url.path == ABOUT else None
        )
    )

    async def work(client):
        for _ in range(6):
            await about(client)

    run(appliance, work)
    assert noted.types == ["password", "refresh_token", "refresh_token"]
    assert [form.get("refresh_token") for form in noted.forms[1:]] == ["r", "r"]


def expiring(appliance, at, *, refresh_too=False):
    """Let the tokens die when a page arrives after n pages were answered, for each n in `at`."""
    left = sorted(at)

    def hook(request):
        if "/restorePoints" not in request.url.path:
            return
        answered = sum(asked.status == 200 for asked in appliance.requests if "/restorePoints" in asked.path)
        if left and answered >= left[0]:
            left.pop(0)
            appliance.expire_tokens(refresh_too=refresh_too)

    appliance.before_request(hook)


# Nine pages between two deaths: eight are in flight, so the token in between was seen to work.
@pytest.mark.parametrize("at", [{0}, {1}, {5}, {0, 9}, {3, 12}])
@pytest.mark.parametrize("refresh_too", [False, True])
def test_a_token_that_dies_in_mid_crawl(appliance, at, refresh_too):
    noted = Grants(appliance)
    expiring(appliance, at, refresh_too=refresh_too)
    items = run(appliance, whole_crawl, retry_for=10)
    assert sorted(json.loads(item)["id"] for item in items) == [point["id"] for point in POINTS]
    if not refresh_too and len(at) == 1:
        assert noted.types == ["password", "refresh_token"]


def test_a_storm_of_401_is_one_refresh(appliance):
    """Eight pages are in flight when the token dies: all eight get 401, one of them refreshes, all ask again."""
    noted = Grants(appliance)
    waiting, storm = 0, asyncio.Event()

    async def hold(request):
        nonlocal waiting
        if "/restorePoints" in request.url.path and request.query_params.get("Offset") != "0" and not storm.is_set():
            waiting += 1
            if waiting == 8:
                appliance.expire_tokens()
                storm.set()
            await storm.wait()

    appliance.before_request(hold)
    items = run(appliance, whole_crawl, retry_for=10)
    assert len(items) == len(POINTS)
    pages = [asked for asked in appliance.requests if "/restorePoints" in asked.path]
    refused = [asked.query for asked in pages if asked.status == 401]
    assert len(refused) == 8
    answered = [asked.query for asked in pages if asked.status == 200]
    assert set(refused) <= set(answered)
    assert len(answered) == len(set(answered)) == 27
    assert noted.types == ["password", "refresh_token"]


def test_a_refused_refresh_signs_in_again_once(appliance):
    noted = Grants(appliance)

    async def work(client):
        await about(client)
        appliance.expire_tokens(refresh_too=True)
        answers = await asyncio.gather(*(about(client) for _ in range(8)))
        return {answer.status for answer in answers}

    assert run(appliance, work) == {200}
    assert noted.types == ["password", "refresh_token", "password"]


@pytest.mark.parametrize(
    "response", [Response(status_code=500), HTMLResponse("<html>"), JSONResponse({}), Response(status_code=404)]
)
def test_a_refresh_that_fails_in_any_way_signs_in_again(appliance, response):
    noted = Grants(appliance, lambda form: response if form["grant_type"] == "Refresh_token" else None)

    async def work(client):
        await about(client)
        appliance.expire_tokens()
        return (await about(client)).status

    assert run(appliance, work) == 200
    assert noted.types == ["password", "refresh_token", "password"]


def test_a_password_that_changed_during_the_run_is_tried_once(appliance):
    refuse = threading.Event()
    noted = Grants(appliance, lambda form: JSONResponse({"detail": "no"}, 401) if refuse.is_set() else None)

    async def work(client):
        await about(client)
        refuse.set()
        appliance.expire_tokens()
        answers = await asyncio.gather(*(about(client) for _ in range(8)), return_exceptions=True)
        assert {type(answer) for answer in answers} == {SignInRefused}

    run(appliance, work)
    assert noted.types == ["password", "refresh_token", "password"]


def test_a_token_that_is_refused_right_after_signing_in(appliance):
    noted = Grants(appliance)
    appliance.before_request(lambda r: Response(status_code=401) if r.url.path == ABOUT else None)
    with pytest.raises(SignInRefused, match=r"acme: signing in works, but the token it gives is refused \(HTTP 401\)"):
        run(appliance, about)
    assert noted.types == ["password", "refresh_token", "password"]


def test_one_path_that_refuses_every_token_ends_too(appliance):
    """Its tokens are good elsewhere, so no token is ever found useless."""
    appliance.before_request(lambda r: Response(status_code=401) if r.url.path.endswith("/time") else None)

    async def work(client):
        async def elsewhere():
            while True:
                await about(client)

        other = asyncio.create_task(elsewhere())
        try:
            await client.get("/api/v8/system/time")
        finally:
            other.cancel()

    with pytest.raises(SignInRefused, match=r"acme: .*401"):
        run(appliance, work)
    assert len(grants(appliance)) <= 6


@pytest.mark.parametrize("statuses", [[503], [500, 502, 504, 429]])
def test_faults_during_sign_in_are_tried_again(appliance, statuses):
    faults = iter(statuses)
    noted = Grants(appliance, lambda form: Response(status_code=s) if (s := next(faults, None)) else None)
    assert run(appliance, about, retry_for=8).status == 200
    assert len(noted.forms) == len(statuses) + 1


def test_an_outage_of_the_sign_in_is_waited_for_once_not_by_each_request(appliance):
    Grants(appliance, lambda form: Response(status_code=503))

    async def work(client):
        return await asyncio.gather(*(about(client) for _ in range(8)), return_exceptions=True)

    began = time.monotonic()
    failures = run(appliance, work, retry_for=1)
    assert time.monotonic() - began < 2
    assert len({str(failure) for failure in failures}) == 1
    assert str(failures[0]).startswith("acme: signing in kept failing")


@pytest.mark.parametrize("password", ["p\udce4ss", "\ud800"])
def test_a_password_that_is_no_text(appliance, password):
    with pytest.raises(SecretError, match="acme: user name or password is not readable text"):
        run(appliance, about, password=password)
    assert appliance.requests == []


@pytest.mark.parametrize("password", ["pässwörd-★", "a b&c=d+e%20", ' "quoted" ', "\t"])
def test_any_text_is_a_password(password):
    with simulate(Estate.from_items([], version="v8"), version="v8", password=password) as appliance:
        assert run(appliance, about, password=password).status == 200


def test_no_secret_is_logged_shown_or_chained(appliance, caplog):
    """At the most talkative level, through refusals, expiry and failures."""
    caplog.set_level(logging.DEBUG)
    shown = []

    async def work(client):
        shown.extend([repr(client), repr(vars(client)), repr(vars(client._session))])
        await whole_crawl(client)
        appliance.expire_tokens()
        await ask(client, "v8", COLLECTIONS["vm"], POINTS[0]["id"])
        shown.extend([repr(vars(client._session)), repr(await about(client))])
        for status in (500, 401, 302):
            placed = appliance.before_request(lambda r, s=status: Response(status_code=s))
            try:
                await about(client)
            except ApplianceError as error:
                current = error
                while current is not None:
                    shown.extend([str(current), repr(current), repr(vars(current))])
                    current = current.__cause__ or current.__context__
            placed.remove()

    run(appliance, work, retry_for=0.5)
    text = "\n".join([*shown, caplog.text, *(repr(vars(record)) for record in caplog.records)])
    assert len(appliance.tokens_issued) >= 4
    for secret in [PASSWORD, *appliance.tokens_issued]:
        assert secret not in text


def test_says_who_asks(appliance):
    agents = set()
    appliance.before_request(lambda r: agents.add(r.headers["user-agent"]))
    run(appliance, about)
    (agent,) = agents
    assert agent.startswith("restorepoints/")
