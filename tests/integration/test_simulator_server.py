"""How a simulated appliance is used: as a context manager with hooks, from the shell, over TLS, under load."""

import asyncio
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import trustme
from commands import COMMAND
from starlette.requests import Request
from starlette.responses import Response

from etl.simulator import Estate, SimulatedAppliance, SimulatorError, serve, simulate
from etl.simulator.faults import CutShort, Dripping, Dropped

PATH = "/api/v8.1/restorePoints/virtualMachines"
RIGHT = {"username": "reporter", "password": "simulated-password"}


def few(count: int) -> Estate:
    return Estate.from_items({"id": str(uuid.UUID(int=number))} for number in range(count))


def plain_client(appliance: SimulatedAppliance) -> httpx.Client:
    # Loading the system's certificates costs more than the whole test, and plain HTTP needs none.
    return httpx.Client(base_url=appliance.url, verify=False)


@contextmanager
def client_of(appliance: SimulatedAppliance) -> Iterator[httpx.Client]:
    with plain_client(appliance) as client:
        token = client.post("/api/oauth2/token", data=RIGHT).json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        yield client


class TestContext:
    def test_it_listens_inside_the_block_only(self) -> None:
        with simulate(few(0)) as appliance:
            assert appliance.url.startswith("http://127.0.0.1:")
            assert httpx.get(f"{appliance.url}/api/v8.1/system/serviceIsUp").status_code == 200
        with pytest.raises(httpx.ConnectError):
            httpx.get(appliance.url)

    def test_two_appliances_stand_side_by_side(self) -> None:
        old, new = Estate.from_seed(1), Estate.from_seed(2)
        with (
            simulate(old, version="v1") as first,
            simulate(new, version="v8.1") as second,
            client_of(first) as one,
            client_of(second) as two,
        ):
            v1 = one.get("/api/v1/restorePoints", params={"limit": "-1"}).json()
            v8 = two.get(PATH, params={"Limit": "-1"}).json()
            first.clock.advance(days=1)
            token = {"Authorization": two.headers["Authorization"]}
            assert one.get("/api/v1/restorePoints", headers=token).status_code == 401
        assert {item["id"] for item in v8["results"]} == {point.id for point in new.points}
        assert not {item["id"] for item in v1["results"]} & {item["id"] for item in v8["results"]}
        assert old.clock.now > new.clock.now

    def test_a_port_can_be_fixed_and_is_refused_when_taken(self) -> None:
        with simulate(few(0)) as appliance:
            port = int(appliance.url.rpartition(":")[2])
            with pytest.raises(SimulatorError, match=f"port {port}"), simulate(few(0), port=port):
                pass
        with simulate(few(0), port=port) as again:
            assert again.url == appliance.url

    @pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.net", ""])
    def test_only_loopback_is_listened_on(self, host: str) -> None:
        with pytest.raises(SimulatorError, match="loopback only"):
            simulate(few(0), host=host)

    @pytest.mark.parametrize(
        "wrong",
        [
            {"version": "v9"},
            {"serves": ("v1", "v9")},
            {"page_cap": 0},
            {"unserved": 500},
            {"refusal": 403},
        ],
    )
    def test_an_impossible_appliance_is_refused(self, wrong: dict[str, object]) -> None:
        with pytest.raises(SimulatorError):
            simulate(few(0), **wrong)

    def test_every_request_is_noted_with_its_status(self) -> None:
        with simulate(few(3)) as appliance, client_of(appliance) as client:
            client.get(PATH, params={"Offset": 1, "Limit": 2})
            client.get(f"{PATH}/unknown")
            client.delete("/api/oauth2/token")
            noted = [(asked.method, asked.path, asked.status) for asked in appliance.requests]
        assert noted == [
            ("POST", "/api/oauth2/token", 200),
            ("GET", PATH, 200),
            ("GET", f"{PATH}/unknown", 404),
            ("DELETE", "/api/oauth2/token", 204),
        ]
        assert appliance.requests[1].params == {"Offset": "1", "Limit": "2"}
        assert appliance.requests[1].authorization == f"Bearer {appliance.tokens_issued[0]}"
        assert appliance.tokens_issued[0] not in repr(appliance.requests)

    def test_tls_is_served_with_the_given_certificate(self, tmp_path: Path) -> None:
        authority = trustme.CA()
        issued = authority.issue_cert("127.0.0.1")
        certfile, keyfile = tmp_path / "cert.pem", tmp_path / "key.pem"
        issued.cert_chain_pems[0].write_to_path(certfile)
        issued.private_key_pem.write_to_path(keyfile)
        context = ssl.create_default_context()
        authority.configure_trust(context)
        with simulate(few(0), certfile=certfile, keyfile=keyfile) as appliance:
            assert appliance.url.startswith("https://")
            up = f"{appliance.url}/api/v8.1/system/serviceIsUp"
            assert httpx.get(up, verify=context).status_code == 200
            with pytest.raises(httpx.ConnectError):
                httpx.get(up)

    def test_a_certificate_that_cannot_be_read_is_said(self, tmp_path: Path) -> None:
        nothing = tmp_path / "none.pem"
        with pytest.raises(SimulatorError, match="certificate"), simulate(few(0), certfile=nothing):
            pass


class TestHooks:
    def test_a_hook_may_answer_in_place_of_the_appliance(self) -> None:
        def busy(request: Request) -> Response | None:
            return Response(status_code=503) if request.url.path == PATH else None

        with simulate(few(1)) as appliance, client_of(appliance) as client:
            with appliance.before_request(busy):
                assert client.get(PATH).status_code == 503
                assert client.get("/api/v8.1/system/about").status_code == 200
            assert client.get(PATH).status_code == 200
            assert [asked.status for asked in appliance.requests[-3:]] == [503, 200, 200]

    def test_an_asynchronous_hook_may_wait_while_others_are_answered(self) -> None:
        async def slow(request: Request) -> None:
            if request.query_params.get("Offset") == "1":
                await asyncio.sleep(0.3)

        async def ask_both() -> list[float]:
            async with httpx.AsyncClient(base_url=appliance.url, headers=headers) as client:

                async def ask(offset: int) -> float:
                    await client.get(PATH, params={"Offset": offset})
                    return time.monotonic()

                first = asyncio.ensure_future(ask(1))
                await asyncio.sleep(0.02)
                return [await ask(2), await first]

        with simulate(few(3)) as appliance, client_of(appliance) as client:
            headers = {"Authorization": client.headers["Authorization"]}
            appliance.before_request(slow)
            quick_done, slow_done = asyncio.run(ask_both())
        assert quick_done < slow_done

    def test_a_hook_may_change_the_estate_between_two_pages(self) -> None:
        estate = Estate.from_seed(7)
        gone = estate.points[0].id

        def delete_one(request: Request) -> None:
            if request.query_params.get("Offset") == "5" and estate.item("v8.1", gone):
                estate.delete(gone)

        with simulate(estate) as appliance, client_of(appliance) as client:
            before = client.get(PATH, params={"Limit": 12}).json()["results"]
            appliance.before_request(delete_one)
            after = client.get(PATH, params={"Offset": 5, "Limit": 5}).json()["results"]
        assert after == before[6:11]

    def test_hooks_run_in_order_and_the_first_answer_counts(self) -> None:
        with simulate(few(1)) as appliance, client_of(appliance) as client:
            first = appliance.before_request(lambda request: Response(status_code=502))
            appliance.before_request(lambda request: Response(status_code=503))
            assert client.get(PATH).status_code == 502
            first.remove()
            first.remove()
            assert client.get(PATH).status_code == 503

    def test_a_hook_may_read_the_body_first(self) -> None:
        bodies = []

        async def read(request: Request) -> None:
            bodies.append(await request.body())

        with simulate(few(1)) as appliance:
            appliance.before_request(read)
            with client_of(appliance) as client:
                assert client.get(PATH).status_code == 200
        assert bodies[0] == b"username=reporter&password=simulated-password"


class TestFaults:
    def test_a_body_can_be_cut_short(self) -> None:
        with simulate(few(1)) as appliance:
            appliance.before_request(lambda request: CutShort(b'{"offset":0}', keep=5))
            broken = (httpx.ReadError, httpx.RemoteProtocolError)
            with pytest.raises(broken), httpx.stream("GET", appliance.url) as answer:
                assert (answer.status_code, answer.headers["content-length"]) == (200, "12")
                answer.read()

    def test_a_connection_can_be_dropped(self) -> None:
        with simulate(few(1)) as appliance:
            appliance.before_request(lambda request: Dropped())
            with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
                httpx.get(appliance.url)

    def test_a_body_can_drip(self) -> None:
        with simulate(few(1)) as appliance:
            hook = appliance.before_request(lambda request: Dripping(b"slow", pause=0.02))
            began = time.monotonic()
            with httpx.stream("GET", appliance.url) as answer:
                assert list(answer.iter_raw()) == [b"s", b"l", b"o", b"w"]
            assert time.monotonic() - began >= 0.08
            hook.remove()
            appliance.before_request(lambda request: Dripping(b"x" * 1000, pause=0.02))
            with httpx.stream("GET", appliance.url):
                pass
            left = time.monotonic()
        assert time.monotonic() - left < 1.0


class TestClock:
    @pytest.mark.parametrize(
        ("step", "now"),
        [
            ({"days": 1}, "2025-04-01T10:00:00Z"),
            ({"hours": 12}, "2025-03-31T22:00:00Z"),
            ({"days": 1, "hours": 0.5}, "2025-04-01T10:30:00Z"),
            ({}, "2025-03-31T10:00:00Z"),
        ],
    )
    def test_it_is_moved_on_without_signing_in(self, step: dict[str, float], now: str) -> None:
        with simulate(Estate.from_seed(7)) as appliance:
            ids = {point.id for point in appliance.estate.points}
            answer = httpx.post(f"{appliance.url}/simulator/clock", json=step).json()
            assert answer == {"now": now, "timeZone": "Europe/Berlin"}
            assert httpx.get(f"{appliance.url}/simulator/clock").json() == answer
        assert ({point.id for point in appliance.estate.points} != ids) == bool(step)

    @pytest.mark.parametrize(
        "body", [b"{", b"[]", b"7", b'{"days":"1"}', b'{"days":-1}', b'{"weeks":1}', b'{"days":true}']
    )
    def test_nonsense_moves_nothing(self, body: bytes) -> None:
        with simulate(few(0)) as appliance:
            before = appliance.clock.now
            answer = httpx.post(f"{appliance.url}/simulator/clock", content=body)
            assert (answer.status_code, appliance.clock.now) == (400, before)


class TestLoad:
    def test_a_hundred_thousand_points_are_served_fast(self) -> None:
        estate = few(100_000)

        async def crawl() -> int:
            async with httpx.AsyncClient(base_url=appliance.url, headers=headers, timeout=30) as client:
                offsets = iter(range(0, 100_000, 500))

                async def work() -> int:
                    sizes = 0
                    for offset in offsets:
                        answer = await client.get(PATH, params={"Offset": offset, "Limit": 500})
                        sizes += answer.content.count(b'"id"')
                    return sizes

                return sum(await asyncio.gather(*(work() for _ in range(8))))

        with simulate(estate) as appliance, client_of(appliance) as client:
            headers = {"Authorization": client.headers["Authorization"]}
            began = time.monotonic()
            assert asyncio.run(crawl()) == 100_000
            assert time.monotonic() - began < 10

    def test_thirty_days_of_twelve_machines_are_made_in_a_moment(self) -> None:
        began = time.monotonic()
        estate = Estate.from_seed(7)
        estate.clock.advance(days=1)
        assert time.monotonic() - began < 1


SERVE = """
import json, sys
from pathlib import Path
from etl.simulator import SimulatorError, serve
options = json.loads(sys.argv[1])
if "items" in options:
    options["items"] = Path(options["items"])
try:
    serve(on_ready=lambda appliance: print(appliance.url, flush=True), **options)
except SimulatorError as error:
    sys.exit(str(error))
print("ended")
"""


@contextmanager
def served(**options: object) -> Iterator[tuple[subprocess.Popen[str], str]]:
    program = subprocess.Popen(
        [sys.executable, "-c", SERVE, json.dumps(options)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    with program:
        assert program.stdout is not None
        try:
            yield program, program.stdout.readline().strip()
        finally:
            program.kill()


class TestShell:
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_it_serves_until_told_to_stop_and_prints_nothing(self, number: signal.Signals) -> None:
        with served(version="v1", machines=2, days=3, username="u", password="p", page_cap=4) as (program, url):
            token = httpx.post(f"{url}/api/oauth2/token", data={"username": "u", "password": "p"}).json()
            headers = {"Authorization": f"Bearer {token['access_token']}"}
            page = httpx.get(f"{url}/api/v1/restorePoints", headers=headers).json()
            assert (page["limit"], len(page["results"])) == (4, 4)
            program.send_signal(number)
            out, err = program.communicate(timeout=10)
        assert (program.returncode, out, err) == (0, "ended\n", "")

    def test_the_command_has_every_workload_as_many_as_wished(self) -> None:
        wished = ["--machines", "3", "--days", "2", "--databases", "5", "--networks", "2"]
        environ = {name: value for name, value in os.environ.items() if name != "RESTOREPOINTS_PASSWORD"}
        with subprocess.Popen(
            [COMMAND, "simulate", "--port", "0", *wished], stderr=subprocess.PIPE, text=True, env=environ
        ) as program:
            try:
                assert program.stderr is not None
                url = program.stderr.readline().split(" on ")[1].split(";")[0]
                token = httpx.post(f"{url}/api/oauth2/token", data=RIGHT).json()["access_token"]
                headers = {"Authorization": f"Bearer {token}"}
                counts = {
                    path: httpx.get(f"{url}/api/v8.1{path}", headers=headers).json()["totalCount"]
                    for path in ("/virtualMachines", "/databases", "/fileShares", "/protectedItem/vnet", "/cosmosDb")
                }
            finally:
                program.kill()
        assert tuple(counts.values()) == (3, 5, 3, 2, 2)

    @pytest.mark.parametrize("wrapped", [True, False])
    def test_it_serves_items_of_a_file(self, tmp_path: Path, wrapped: bool) -> None:
        items = [{"id": "a"}, {"id": 7}]
        path = tmp_path / "items.json"
        path.write_text(json.dumps({"results": items} if wrapped else items))
        with served(items=str(path)) as (_, url):
            token = httpx.post(f"{url}/api/oauth2/token", data=RIGHT).json()["access_token"]
            page = httpx.get(url + PATH, headers={"Authorization": f"Bearer {token}"}).json()
        assert page["results"] == items

    @pytest.mark.parametrize("content", [None, "{", "{}", '{"results": 7}', '"text"'])
    def test_a_file_without_items_is_said_by_name(self, tmp_path: Path, content: str | None) -> None:
        path = tmp_path / "items.json"
        if content is not None:
            path.write_text(content)
        with pytest.raises(SimulatorError, match=r"items\.json"):
            serve(items=path)

    def test_a_taken_port_is_one_sentence(self) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            with pytest.raises(SimulatorError, match=f"port {port}"):
                serve(port=port, machines=0)
        assert threading.active_count() == 1
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
