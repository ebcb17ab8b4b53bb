"""What a network and a failing server do to a request, over real sockets that misbehave."""

import asyncio
import gzip
import json
import socket
import time
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from etl.catalogue import COLLECTIONS
from etl.errors import NotAnAppliance, NotAPage, RetriesExhausted, SignInRefused, Unreachable
from etl.extract.client import ApplianceClient
from etl.extract.crawl import Crawl, ask
from etl.extract.endpoint import Endpoint
from etl.extract.exchange import MAX_BODY_BYTES, Exchange

TOKEN = {"access_token": "t", "refresh_token": "r", "expires_in": 3600}
PATH = "/api/v8/system/about"


def answer(body=b"{}", status="200 OK", *headers, length=None):
    """The bytes of an HTTP answer; `length` lies about the body's."""
    lines = [f"HTTP/1.1 {status}", "Content-Type: application/json", *headers]
    lines.append(f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Server:
    """A server of raw bytes: signs anybody in, and asks `reply(target, writer)` for every other request.

    What `reply` returns is sent; None means that it has written by itself, and the connection is closed.
    """

    def __init__(self, reply):
        self.reply = reply
        self.asked = []
        self.connections = 0
        self.most_connections = 0

    async def serve(self, reader, writer):
        self.connections += 1
        self.most_connections = max(self.most_connections, self.connections)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                method, target, _ = head.decode().split(" ", 2)
                fields = dict(line.lower().split(": ", 1) for line in head.decode().split("\r\n")[1:] if line)
                await reader.readexactly(int(fields.get("content-length", 0)))
                if target == "/api/oauth2/token":
                    said = answer(json.dumps(TOKEN).encode()) if method == "POST" else answer(b"", "204 No Content")
                else:
                    self.asked.append((target, fields))
                    said = await self.reply(target, writer)
                if said is None:
                    break
                writer.write(said)
                await writer.drain()
        finally:
            self.connections -= 1


@asynccontextmanager
async def listening(serve):
    """Serve on a port of this machine; gives the port. At the end every connection is closed."""
    connections = set()

    async def tracked(reader, writer):
        connections.add((asyncio.current_task(), writer))
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            await serve(reader, writer)
        writer.close()

    server = await asyncio.start_server(tracked, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task, writer in connections:
            task.cancel()
            writer.transport.abort()
        await asyncio.gather(*(task for task, _ in connections), return_exceptions=True)
        await asyncio.sleep(0)


@asynccontextmanager
async def serving(reply):
    server = Server(reply)
    async with listening(server.serve) as port:
        server.url = f"http://127.0.0.1:{port}"
        yield server


def client_of(port, *, scheme="http", retry_for=2.0):
    return ApplianceClient(Endpoint("acme", f"{scheme}://127.0.0.1:{port}", "u", "p", retry_for=retry_for))


def get(reply, *, retry_for=2.0, work=lambda client: client.get(PATH)):
    """Ask once over a server that replies so; gives the answer, and the server."""

    async def session():
        async with (
            serving(reply) as server,
            ApplianceClient(Endpoint("acme", server.url, "u", "p", retry_for=retry_for)) as client,
        ):
            return await work(client), server

    return asyncio.run(asyncio.wait_for(session(), 30))


def first_then_whole(fault, times=1):
    """Reply with the fault the first `times` times, then with a whole answer."""
    count = 0

    async def reply(target, writer):
        nonlocal count
        count += 1
        return await fault(target, writer) if count <= times else answer(b'{"whole":true}')

    return reply


async def drip(target, writer):
    writer.write(answer(b"", length=1000))
    for _ in range(1000):
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.1)


async def silence(target, writer):
    await asyncio.sleep(20)


async def drop(target, writer):
    return None


async def reset(target, writer):
    writer.transport.get_extra_info("socket").setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00"
    )
    writer.transport.abort()


async def cut_body(target, writer):
    writer.write(answer(b'{"offset":0,"lim', length=500))


async def cut_body_without_length(target, writer):
    writer.write(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{"offset":0,"lim')


async def cut_chunks(target, writer):
    writer.write(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"a":')


async def cut_headers(target, writer):
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Ty")


def fixed(said):
    async def reply(target, writer):
        return said

    return reply


html = fixed(answer(b"<html>maintenance</html>"))
empty = fixed(answer(b""))
broken_gzip = fixed(answer(b"not gzip", "200 OK", "Content-Encoding: gzip"))
garbage = fixed(b"\x00\x01garbage\r\n\r\n")
FAULTS = {
    "drip": (drip, "no whole answer within"),
    "silence": (silence, "no whole answer within"),
    "drop": (drop, "the connection ended without an answer"),
    "reset": (reset, "the connection"),
    "cut body": (cut_body, "the answer was cut short"),
    "cut body without length": (cut_body_without_length, "the answer is not JSON"),
    "cut chunks": (cut_chunks, "the answer was cut short"),
    "cut headers": (cut_headers, "the connection ended"),
    "html": (html, "the answer is not JSON"),
    "empty": (empty, "the answer is not JSON"),
    "broken gzip": (broken_gzip, "the answer cannot be decompressed"),
    "garbage": (garbage, "the connection ended"),
} | {
    status: (fixed(answer(b"<html>", f"{status} X")), f"HTTP {status}")
    for status in ("429", "500", "502", "503", "504")
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_now_and_then_is_cured(name):
    fault, _ = FAULTS[name]
    told, server = get(first_then_whole(fault), retry_for=1)
    assert told.body == b'{"whole":true}'
    assert len(server.asked) == 2


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_on_every_request_ends_within_its_time_and_is_named(name):
    fault, words = FAULTS[name]
    began = time.monotonic()
    with pytest.raises(RetriesExhausted, match=f"acme: GET {PATH} kept failing for .*{words}") as caught:
        get(fault, retry_for=0.5)
    assert time.monotonic() - began < 1.2
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("as_date", [False, True])
@pytest.mark.parametrize("status", ["429 Too Many Requests", "503 Service Unavailable"])
def test_retry_after_is_kept(status, as_date):
    # The server's clock is an hour ahead of ours: its date counts from its own Date.
    theirs = datetime.now(UTC) + timedelta(hours=1)
    after = format_datetime(theirs + timedelta(seconds=1), usegmt=True) if as_date else "1"
    headers = (f"Retry-After: {after}", f"Date: {format_datetime(theirs, usegmt=True)}")
    began = time.monotonic()
    get(first_then_whole(fixed(answer(b"", status, *headers))), retry_for=4)
    assert 1 <= time.monotonic() - began < 3


def test_a_retry_after_beyond_the_time_left_fails_at_once():
    began = time.monotonic()
    with pytest.raises(RetriesExhausted, match=r"acme: .*HTTP 503, and the appliance asks to wait 3600 s"):
        get(fixed(answer(b"", "503 X", "Retry-After: 3600")))
    assert time.monotonic() - began < 1


@pytest.mark.parametrize("location", ["https://evil.example/steal?x=1", "//evil.example/", "https://u:pw@evil.example"])
@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"])
def test_a_redirect_to_another_host_is_refused_and_named(status, location):
    with pytest.raises(
        NotAnAppliance, match=r"acme: .* redirects to \w+://evil\.example; .*nothing was sent"
    ) as caught:
        get(fixed(answer(b"", status, f"Location: {location}")))
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize("headers", [(), ("Location: http://[bad",), ("Location: http://x:99999999/",)])
def test_a_redirect_to_nowhere(headers):
    with pytest.raises(NotAnAppliance, match="redirects are not followed"):
        get(fixed(answer(b"", "302 Found", *headers)))


def test_a_redirect_takes_no_token_to_another_server():
    async def session():
        async with serving(fixed(answer())) as other:
            redirect = answer(b"", "307 Temporary Redirect", f"Location: {other.url}{PATH}")
            async with (
                serving(fixed(redirect)) as server,
                ApplianceClient(Endpoint("acme", server.url, "u", "p")) as client,
            ):
                with pytest.raises(NotAnAppliance, match=other.url):
                    await client.get(PATH)
            return other.most_connections

    assert asyncio.run(session()) == 0


@pytest.mark.parametrize("proxy", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_token_in_plain_http_goes_to_no_proxy(monkeypatch, proxy):
    async def session():
        async with serving(fixed(answer())) as other, serving(fixed(answer(b'{"a":1}'))) as server:
            monkeypatch.setenv(proxy, other.url)
            async with ApplianceClient(Endpoint("acme", server.url, "u", "p")) as client:
                assert (await client.get(PATH)).body == b'{"a":1}'
            return other.most_connections

    assert asyncio.run(session()) == 0


def test_a_proxy_that_cannot_be_used_is_one_sentence_without_its_password(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "nonsense://user:s3cret@proxy:1")
    with pytest.raises(Unreachable, match="acme: the proxy that the environment names") as caught:
        ApplianceClient(Endpoint("acme", "https://vba", "u", "p"))
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("body", "headers", "words"),
    [
        (gzip.compress(bytes(MAX_BODY_BYTES + 1)), ["Content-Encoding: gzip"], "larger than 128 MiB"),
        (gzip.compress(gzip.compress(b"{}")), ["Content-Encoding: gzip, gzip"], "compressed in a way"),
        (b"{}", ["Content-Encoding: br"], "compressed in a way"),
    ],
    ids=["a bomb", "in layers", "another encoding"],  # not the bytes: they hold the time
)
def test_a_bomb_ends_at_once(body, headers, words):
    began = time.monotonic()
    with pytest.raises(NotAPage, match=f"acme: .*{words}"):
        get(fixed(answer(body, "200 OK", *headers)), retry_for=20)
    assert time.monotonic() - began < 8


def test_a_body_without_end_ends():
    async def endless(target, writer):
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(bytes(1 << 20))
            await writer.drain()

    with pytest.raises(NotAPage, match="larger than"):
        get(endless, retry_for=20)


def test_gzip_is_read():
    told, server = get(fixed(answer(gzip.compress(b'{"a":1}'), "200 OK", "Content-Encoding: gzip")))
    assert told.body == b'{"a":1}'
    assert server.asked[0][1]["accept-encoding"] == "gzip"


def sign_in(url, retry_for=2.0):
    async def session():
        async with ApplianceClient(Endpoint("acme", url, "u", "p", retry_for=retry_for)) as client:
            await client.get(PATH)

    asyncio.run(session())


def test_a_host_that_is_not_found():
    began = time.monotonic()
    with pytest.raises(Unreachable, match=r"acme: the host name of https://no-such-host\.invalid is not found; check"):
        sign_in("https://no-such-host.invalid", retry_for=60)
    assert time.monotonic() - began < 20


@pytest.mark.parametrize("url", ["https://" + "a" * 70 + ".example", "https://vba:99999", "https://"])
def test_a_url_that_cannot_be_used(url):
    with pytest.raises(Unreachable, match=r"acme: .*(URL|host name)"):
        sign_in(url)


def test_nobody_listens():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(RetriesExhausted, match=r"acme: signing in kept failing for 1 s, .*connection refused"):
            sign_in(f"http://127.0.0.1:{taken.getsockname()[1]}", retry_for=1)


@pytest.mark.parametrize(
    "greeting", [b"SSH-2.0-OpenSSH_9.2\r\n", b"220 mail ESMTP\r\n\r\n", b"\x15\x03\x01\x00\x02\x02\x46"]
)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_port_that_speaks_another_protocol(greeting, scheme):
    async def greet(reader, writer):
        writer.write(greeting)
        await reader.read(1)

    async def session():
        async with listening(greet) as port, client_of(port, scheme=scheme, retry_for=1) as client:
            await client.get(PATH)

    with pytest.raises((NotAnAppliance, RetriesExhausted), match="acme: "):
        asyncio.run(session())


def open_sockets():
    count = 0
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            count += str(descriptor.readlink()).startswith("socket:")
    return count


def test_cancelled_requests_take_no_place_from_those_that_follow():
    """The token dies with eight pages in flight, connections come slowly; then 2,000 questions by id."""
    good, granted, slow = "t0", 0, True
    before, most = open_sockets(), 0

    async def serve(reader, writer):
        nonlocal good, granted, most
        if slow:
            await asyncio.sleep(0.15)
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            target = head.split(" ")[1]
            fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
            await reader.readexactly(int(fields.get("content-length", 0)))
            most = max(most, open_sockets() - before)
            if target == "/api/oauth2/token":
                granted += 1
                good = f"t{granted}"
                said = answer(json.dumps(TOKEN | {"access_token": good}).encode())
            elif fields.get("authorization") != f"bearer {good}":
                said = answer(b"", "401 Unauthorized")
            elif "Offset" in target:
                offset = int(target.partition("Offset=")[2].partition("&")[0])
                if slow and offset >= 200:
                    await asyncio.sleep(0.2)  # so that a crawl that is left has requests under way
                if offset == 400:
                    good = "dead"  # with this page and seven more in flight
                items = [{"id": str(n)} for n in range(offset, min(offset + 100, 2000))]
                page = {"offset": offset, "limit": 100, "totalCount": 2000, "results": items}
                said = answer(json.dumps(page).encode())
            else:
                said = answer(b"{}", "404 Not Found")
            writer.write(said)
            await writer.drain()

    async def session():
        nonlocal slow
        async with listening(serve) as port, client_of(port, retry_for=10) as client:
            # First a crawl that is left while its pages wait for their connections, over and over ...
            for _ in range(5):
                pages = Crawl(client, "v8", COLLECTIONS["vm"], page_size=100).pages()
                await anext(pages)
                await pages.aclose()
            # ... then a whole one, in which the token dies.
            pages = [page async for page in Crawl(client, "v8", COLLECTIONS["vm"], page_size=100).pages()]
            read = [item for page in pages for item in page.items[page.repeated :]]
            slow = False
            asked = await asyncio.gather(*(ask(client, "v8", COLLECTIONS["vm"], str(n)) for n in range(2000)))
            during = open_sockets()
        return len(read), {told.status for told in asked}, len(asked), during - before

    read, statuses, asked, sockets = asyncio.run(asyncio.wait_for(session(), 60))
    assert (read, statuses, asked) == (2000, {404}, 2000)
    # the loop has two, one listens; both ends of the rest are ours: eight requests and a sign-in
    assert sockets <= 3 + 2 * 9
    assert most <= 3 + 2 * (8 + 9)


def test_no_moment_of_a_cancellation_costs_a_connection():
    """One request under way, one behind it, both cancelled, the second at every step of the first one's end.

    With as many connections allowed as requests, one such step leaves a connection that nobody opens or closes.
    """

    async def reply(target, writer):
        if target == "/slow":
            await asyncio.sleep(5)
        return answer()

    async def session():
        async with serving(reply) as server:
            exchange = Exchange(Endpoint("acme", server.url, "u", "p"), concurrency=1)
            async with exchange:
                for steps in range(30):
                    first, second = (asyncio.create_task(exchange.send("GET", "/slow", deadline=5)) for _ in range(2))
                    await asyncio.sleep(0.02)
                    first.cancel()
                    for _ in range(steps):
                        await asyncio.sleep(0)
                    second.cancel()
                    await asyncio.gather(first, second, return_exceptions=True)
                return (await exchange.send("GET", "/quick", deadline=2)).status

    assert asyncio.run(session()) == 200


def test_a_drip_that_never_stops_does_not_outlive_the_client():
    async def work(client):
        with pytest.raises(RetriesExhausted):
            await client.get(PATH)
        return open_sockets()

    before = open_sockets()
    sockets, _ = get(drip, retry_for=0.6, work=work)
    assert sockets - before < 12


def test_sign_in_that_is_cut_is_tried_again_but_a_refusal_is_not():
    posts = []

    async def serve(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        posts.append(head)
        if len(posts) == 2:
            writer.write(answer(b'{"detail":"no"}', "400 Bad Request"))
            await writer.drain()

    async def session():
        async with listening(serve) as port, client_of(port, retry_for=5) as client:
            await client.get(PATH)

    with pytest.raises(SignInRefused):
        asyncio.run(session())
    assert len(posts) == 2
