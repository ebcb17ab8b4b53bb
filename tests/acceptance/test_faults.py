"""Bad input and faults, as the person at the shell meets them: one clear sentence, the right exit status, no harm."""

from __future__ import annotations

import codecs
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from commands import Command
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from etl.simulator import Estate, SimulatedAppliance, simulate

USER = ["--username", "reporter"]


def ledger(database: Path) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute("select status, error from sync_runs order by run_number").fetchall()


def count(database: Path) -> int:
    with closing(sqlite3.connect(database)) as connection:
        return int(connection.execute("select count(*) from restore_points").fetchone()[0])


WRONG_FILES = {
    "unknown key": ('[appliances.north]\nurl = "https://x"\nusername = "u"\npasword_file = "p"', "pasword_file"),
    "unknown top key": ('warehuose = "sqlite:///x.db"', "warehuose"),
    "bad TOML": ('[appliances.north\nurl = "https://x"', "line 1"),
    "no appliance": ('warehouse = "sqlite:///x.db"', "appliance"),
    "no url": ('[appliances.north]\nusername = "u"', "url"),
    "plain http elsewhere": ('[appliances.north]\nurl = "http://vba.example.net"\nusername = "u"', "https"),
    "password in the file": (
        '[appliances.north]\nurl = "https://x"\nusername = "u"\npassword = "hunter2-secret"',
        "password_file",
    ),
    "no such time zone": (
        '[appliances.north]\nurl = "https://x"\nusername = "u"\ntime_zone = "Mars/Olympus"',
        "time_zone",
    ),
    "no such workload": ('[appliances.north]\nurl = "https://x"\nusername = "u"\nworkloads = ["tape"]', "workloads"),
    "no such API version": (
        '[appliances.north]\nurl = "https://x"\nusername = "u"\napi_version = "v99"',
        "api_version",
    ),
    "retry_for without unit": (
        'retry_for = "soon"\n[appliances.north]\nurl = "https://x"\nusername = "u"',
        "retry_for",
    ),
}


@pytest.mark.parametrize(("text", "named"), WRONG_FILES.values(), ids=WRONG_FILES)
def test_a_wrong_configuration_is_named(restorepoints: Command, tmp_path: Path, text: str, named: str) -> None:
    (tmp_path / "restorepoints.toml").write_text(text)
    for command in ("sync", "check"):
        outcome = restorepoints(command)
        assert outcome.status == 2
        assert "restorepoints.toml" in outcome.stderr
        assert named in outcome.stderr
        assert "hunter2" not in outcome.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["restorepoints.toml"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["sync"], "restorepoints init"),
        (["sync", "--config", "missing.toml"], "missing.toml"),
        (["sync", "--appliance", "north=https://127.0.0.1:1"], "--username"),
        (["sync", "--appliance", "https://127.0.0.1:1", *USER], "--appliance NAME=https://host"),
        (["sync", "--appliance", "north=http://vba.example.net", *USER], "https"),
        (["sync", "--appliance", "north=ftp://127.0.0.1", *USER], "https"),
        (["sync", "--appliance", "north=https://127.0.0.1", *USER, "--api-version", "8"], "v8.1"),
        (["sync", "--appliance", "north=https://127.0.0.1", *USER, "--tls-fingerprint", "sha256:12"], "sha256"),
        (["sync", "--appliance", "north=https://127.0.0.1", *USER, "--ca-file", "nowhere.pem"], "nowhere.pem"),
        (["sync", "--appliance", "north=https://127.0.0.1", *USER, "--warehouse", "restore.db"], "sqlite:///"),
        (["sync", "--appliance", "north=https://127.0.0.1", *USER, "--output", "yaml"], "--output"),
        (["sync", "--no-such-option"], "--no-such-option"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage(restorepoints: Command, tmp_path: Path, arguments: list[str], said: str) -> None:
    outcome = restorepoints(*arguments)
    assert outcome.status == 2
    assert said in outcome.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_name_lists_the_known_ones(restorepoints: Command, tmp_path: Path) -> None:
    (tmp_path / "restorepoints.toml").write_text('[appliances.north]\nurl = "https://x"\nusername = "u"\n')
    outcome = restorepoints("sync", "nroth")
    assert outcome.status == 2
    assert "nroth" in outcome.stderr
    assert "north" in outcome.stderr


def test_no_password_and_no_terminal(restorepoints: Command, appliance: SimulatedAppliance, tmp_path: Path) -> None:
    outcome = restorepoints("sync", f"--appliance=north={appliance.url}", *USER, env={"RESTOREPOINTS_PASSWORD": None})
    assert outcome.status == 2
    assert "RESTOREPOINTS_PASSWORD" in outcome.stderr
    assert appliance.requests == []
    assert list(tmp_path.iterdir()) == []


SECRETS: dict[str, tuple[bytes, str, int]] = {
    "plain": (b"pass word", "pass word", 0),
    "line end": (b"pass word\n", "pass word", 0),
    "Windows line end": (b"pass word\r\n", "pass word", 0),
    "byte-order mark": (codecs.BOM_UTF8 + b"pass word\r\n", "pass word", 0),
    "trailing blank kept": (b"pass word \n", "pass word ", 0),
    "UTF-16": ("pass word\n".encode("utf-16"), "pass word", 2),
    "UTF-16 without a mark": ("pass word\n".encode("utf-16-le"), "pass word", 2),
    "empty": (b"", "", 2),
    "only a line end": (b"\r\n", "", 2),
}


@pytest.mark.parametrize(("content", "password", "status"), SECRETS.values(), ids=SECRETS)
def test_a_secret_file_as_editors_leave_it(
    restorepoints: Command, tmp_path: Path, content: bytes, password: str, status: int
) -> None:
    (tmp_path / "secret.txt").write_bytes(content)
    with simulate(Estate.from_seed(3, machines=1, days=1), version="v8.1", password=password or "x") as appliance:
        outcome = restorepoints(
            "sync",
            f"--appliance=north={appliance.url}",
            *USER,
            env={"RESTOREPOINTS_PASSWORD": None, "RESTOREPOINTS_PASSWORD_FILE": "secret.txt"},
        )
    assert outcome.status == status
    if status == 2:
        assert "secret.txt" in outcome.stderr


Hook = Callable[[Any], Response | None]


def answers(part: str, response: Callable[[], Response]) -> Hook:
    return lambda request: response() if part in request.url.path else None


FAULTS: dict[str, tuple[Hook, str]] = {
    "token path 404 as JSON": (
        answers("/oauth2/token", lambda: JSONResponse({"title": "Not Found"}, 404)),
        "port 443",
    ),
    "token path 404 as HTML": (answers("/oauth2/token", lambda: HTMLResponse("<h1>Not Found</h1>", 404)), "port 443"),
    "signed in to something else": (answers("/oauth2/token", lambda: HTMLResponse("<h1>Welcome</h1>")), "port 443"),
    "forbidden": (answers("/restorePoints", lambda: JSONResponse({"title": "Forbidden"}, 403)), "role"),
    "collection not there": (answers("/restorePoints", lambda: JSONResponse({"title": "Not Found"}, 404)), "serve"),
    "a body that is no page": (answers("/restorePoints", lambda: JSONResponse(["no", "page"])), "page"),
    "null": (answers("/restorePoints", lambda: JSONResponse(None)), "page"),
    "a problem with status 200": (answers("/restorePoints", lambda: JSONResponse({"title": "Oops"})), "page"),
    "HTML instead of JSON": (answers("/restorePoints", lambda: HTMLResponse("<h1>Busy</h1>")), "JSON"),
    "bad gateway": (answers("/restorePoints", lambda: HTMLResponse("<h1>Bad Gateway</h1>", 502)), "502"),
    "elsewhere": (
        answers("/restorePoints", lambda: RedirectResponse("https://elsewhere.example/api")),
        "elsewhere.example",
    ),
}


@pytest.mark.parametrize(("fault", "said"), FAULTS.values(), ids=FAULTS)
def test_a_fault_of_the_appliance(
    restorepoints: Command, appliance: SimulatedAppliance, tmp_path: Path, fault: Hook, said: str
) -> None:
    configure(tmp_path, appliance.url)
    assert restorepoints("sync").status == 0
    before = count(tmp_path / "restorepoints.db")
    appliance.before_request(fault)
    outcome = restorepoints("sync", "--output", "json")
    assert outcome.status == 1
    (result,) = outcome.objects
    assert result["status"] == "failed"
    assert said in result["error"]
    assert "north" in result["error"]
    assert len(result["error"].splitlines()) <= 2
    assert ledger(tmp_path / "restorepoints.db") == [("succeeded", None), ("failed", result["error"])]
    assert count(tmp_path / "restorepoints.db") == before > 10


def configure(folder: Path, url: str, *, retry_for: str = "1s", more: str = "") -> None:
    (folder / "restorepoints.toml").write_text(
        f'retry_for = "{retry_for}"\n[appliances.north]\nurl = "{url}"\nusername = "reporter"\n{more}'
    )


@pytest.mark.parametrize("suffix", ["/api/v8", "/api/v8/"])
def test_a_path_in_the_url(restorepoints: Command, appliance: SimulatedAppliance, tmp_path: Path, suffix: str) -> None:
    configure(tmp_path, appliance.url + suffix)
    outcome = restorepoints("sync")
    assert outcome.status == 1
    assert "port 443 and no path" in outcome.sentence
    assert len(appliance.requests) == 1


def test_a_slash_at_the_end_is_fine(restorepoints: Command, appliance: SimulatedAppliance, tmp_path: Path) -> None:
    configure(tmp_path, appliance.url + "/")
    assert restorepoints("sync").status == 0


def test_a_wrong_password_is_tried_once(restorepoints: Command, appliance: SimulatedAppliance, tmp_path: Path) -> None:
    configure(tmp_path, appliance.url)
    outcome = restorepoints("sync", env={"RESTOREPOINTS_PASSWORD": "wrong"})
    assert outcome.status == 1
    assert "north" in outcome.sentence
    assert [request.path for request in appliance.requests] == ["/api/oauth2/token"]
    ((status, error),) = ledger(tmp_path / "restorepoints.db")
    assert status == "failed"
    assert error.removeprefix("north: ") in outcome.sentence


def test_an_echoed_form_tells_no_password(
    restorepoints: Command, appliance: SimulatedAppliance, tmp_path: Path
) -> None:
    async def echo(request: Any) -> Response | None:
        if request.method == "POST":
            return JSONResponse({"detail": f"bad form: {(await request.body()).decode()}"}, 400)
        return None

    appliance.before_request(echo)
    configure(tmp_path, appliance.url)
    outcome = restorepoints("sync", env={"RESTOREPOINTS_PASSWORD": "s3cr3t pässword"})
    assert outcome.status == 1
    assert "s3cr3t" not in outcome.sentence
    assert "s3cr3t" not in str(ledger(tmp_path / "restorepoints.db"))


def test_one_appliance_that_breaks_the_program_does_not_stop_the_others(
    restorepoints: Command, appliance: SimulatedAppliance, tmp_path: Path
) -> None:
    configure(tmp_path, appliance.url)
    assert restorepoints("sync").status == 0
    (tmp_path / "restorepoints.db.appliance-1.lock").unlink(missing_ok=True)
    (tmp_path / "restorepoints.db.appliance-1.lock").mkdir()  # nobody can lock a directory
    with (tmp_path / "restorepoints.toml").open("a") as more:
        more.write(f'[appliances.south]\nurl = "{appliance.url}"\nusername = "reporter"\n')
    outcome = restorepoints("sync", "--output", "json")
    assert outcome.status == 1
    assert [result["status"] for result in outcome.objects] == ["failed", "succeeded"]
    assert "restorepoints.db.appliance-1.lock" in outcome.objects[0]["error"]


@pytest.mark.parametrize(
    ("warehouse", "status"),
    [
        ("sqlite:///no-database.db", 1),
        ("postgresql://u:p@127.0.0.1:1/d?foo=bar", 1),
        ("postgresql://u:p@127.0.0.1:abc/d", 2),
    ],
)
def test_a_warehouse_that_is_none_is_one_sentence(
    restorepoints: Command, tmp_path: Path, warehouse: str, status: int
) -> None:
    (tmp_path / "no-database.db").write_text("just text " * 100)
    outcome = restorepoints("status", "--warehouse", warehouse)
    assert outcome.status == status
    assert "unexpected" not in outcome.sentence
    assert len(outcome.sentence.splitlines()) == 1


def test_an_account_with_mfa(restorepoints: Command, tmp_path: Path) -> None:
    with simulate(Estate.from_seed(3, machines=1, days=1), version="v8.1", mfa=True) as appliance:
        configure(tmp_path, appliance.url)
        outcome = restorepoints("sync")
    assert outcome.status == 1
    assert "one-time code" in outcome.sentence or "MFA" in outcome.sentence
    assert "without" in outcome.sentence


def test_a_host_that_does_not_exist(restorepoints: Command, tmp_path: Path) -> None:
    configure(tmp_path, "https://no-such-host.invalid")
    began = time.monotonic()
    outcome = restorepoints("sync")
    assert outcome.status == 1
    assert "no-such-host.invalid" in outcome.sentence
    assert "north" in outcome.sentence
    assert time.monotonic() - began < 20


def test_a_port_that_nobody_listens_on(restorepoints: Command, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        configure(tmp_path, f"https://127.0.0.1:{free.getsockname()[1]}")
        outcome = restorepoints("sync")
    assert outcome.status == 1
    assert "north" in outcome.sentence
    assert "refused" in outcome.sentence.lower() or "connect" in outcome.sentence.lower()


def test_a_proxy_that_nobody_listens_on_is_named(restorepoints: Command, tmp_path: Path) -> None:
    (tmp_path / "restorepoints.toml").write_text(
        'retry_for = "1s"\n[appliances.north]\nurl = "https://vba.example.net"\nusername = "reporter"\n'
    )
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        proxy = f"127.0.0.1:{nobody.getsockname()[1]}"
        outcome = restorepoints(
            "check", env={"HTTPS_PROXY": f"http://user:s3cret@{proxy}", "https_proxy": None, "NO_PROXY": None}
        )
    assert outcome.status == 1
    assert f"connection refused by the proxy {proxy}" in outcome.sentence
    assert "s3cret" not in outcome.sentence


@contextmanager
def certificate(folder: Path, *, key_identifiers: bool = True) -> Iterator[tuple[Path, Path, str]]:
    """A self-signed certificate for 127.0.0.1, its key, and its fingerprint."""
    import datetime
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "appliance")])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
    )
    if key_identifiers:
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
    made = builder.sign(key, hashes.SHA256())
    cert_file, key_file = folder / "cert.pem", folder / "key.pem"
    cert_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    yield cert_file, key_file, f"sha256:{made.fingerprint(hashes.SHA256()).hex()}"


def test_a_certificate_that_nobody_vouches_for(restorepoints: Command, tmp_path: Path) -> None:
    (tmp_path / "tls").mkdir()
    with (
        certificate(tmp_path / "tls", key_identifiers=False) as (cert, key, fingerprint),
        simulate(Estate.from_seed(3, machines=1, days=1), version="v8.1", certfile=cert, keyfile=key) as appliance,
    ):
        configure(tmp_path, appliance.url)
        refused = restorepoints("sync")
        asked_before_trust = len(appliance.requests)
        configure(tmp_path, appliance.url, more=f'tls_fingerprint = "{fingerprint}"')
        pinned = restorepoints("sync")
        configure(tmp_path, appliance.url, more='ca_file = "tls/cert.pem"')
        trusted = restorepoints("sync")
        configure(tmp_path, appliance.url, more=f'tls_fingerprint = "sha256:{"0" * 64}"')
        other = restorepoints("sync")
    assert refused.status == other.status == 1
    assert asked_before_trust == 0
    for outcome in (refused, other):
        assert "certificate" in outcome.sentence
        assert fingerprint in outcome.sentence.replace(":", "").replace("sha256", "sha256:").lower()
        assert "tls_fingerprint" in outcome.sentence
    assert "ca_file" in refused.sentence
    assert (pinned.status, trusted.status) == (0, 0)


def test_items_that_cannot_be_read_lose_nothing_else(restorepoints: Command, tmp_path: Path) -> None:
    good = [{"id": f"id-{n}", "pointInTime": "2026-01-01T00:00:00Z", "backupSizeBytes": n} for n in range(3)]
    bad = [{"pointInTime": "2026-01-01T00:00:00Z"}, {"id": "late", "pointInTime": "tomorrow"}, 7, None, "text"]
    half = [{"id": "half", "pointInTime": "2026-01-01T00:00:00Z", "backupSizeBytes": "many"}]
    with simulate(Estate.from_items([*good, *bad, *half]), version="v1") as appliance:
        outcome = restorepoints("sync", f"--appliance=north={appliance.url}", *USER, "--output", "json")
        text = restorepoints("sync", f"--appliance=north={appliance.url}", *USER)
    (result,) = outcome.objects
    assert (outcome.status, result["inserted"], result["rejected"], result["field_errors"]) == (0, 4, 5, 1)
    assert "5 rejected" in text.stdout
    with closing(sqlite3.connect(tmp_path / "restorepoints.db")) as connection:
        rejected = connection.execute("select field, restore_point_id, reason, raw from rejected_records").fetchall()
    assert len(rejected) == 6
    assert {field for field, *_ in rejected} == {None, "backupSizeBytes"}
    assert all(reason and raw for *_, reason, raw in rejected)


@contextmanager
def dripping(upstream: SimulatedAppliance, *, always: bool) -> Iterator[str]:
    """A proxy before the appliance whose first page (or every one) comes a byte at a time, every 0.5 s."""
    import threading

    dripped = []
    stopped = threading.Event()

    def serve(client: socket.socket) -> None:
        port = int(upstream.url.rsplit(":", 1)[1])
        with client, closing(socket.create_connection(("127.0.0.1", port))) as server:
            client.settimeout(20)
            server.settimeout(20)
            try:
                while not stopped.is_set():
                    request = read_message(client)
                    if not request:
                        return
                    server.sendall(request)
                    answer = read_message(server)
                    head, _, body = answer.partition(b"\r\n\r\n")
                    if b"/restorePoints" in request.split(b"\r\n")[0] and (always or not dripped):
                        dripped.append(1)
                        client.sendall(head + b"\r\n\r\n")
                        for byte in body:
                            if stopped.wait(0.5):
                                return
                            client.sendall(bytes([byte]))
                    else:
                        client.sendall(answer)
            except OSError:
                return

    def accept(listening: socket.socket) -> None:
        while not stopped.is_set():
            try:
                client, _ = listening.accept()
            except TimeoutError:
                continue
            threads.append(threading.Thread(target=serve, args=(client,)))
            threads[-1].start()

    threads: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.2)
        accepting = threading.Thread(target=accept, args=(listening,))
        accepting.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        stopped.set()
        accepting.join()
        for thread in threads:
            thread.join()
    assert dripped


def read_message(connection: socket.socket) -> bytes:
    """One HTTP message with a Content-Length, or none at the end."""
    message = b""
    while b"\r\n\r\n" not in message:
        part = connection.recv(65536)
        if not part:
            return b""
        message += part
    head, _, body = message.partition(b"\r\n\r\n")
    length = next(
        (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
    )
    while len(body) < length:
        part = connection.recv(65536)
        if not part:
            break
        body += part
    return head + b"\r\n\r\n" + body


@pytest.mark.parametrize("always", [False, True], ids=["once", "on every request"])
def test_a_body_that_drips(restorepoints: Command, appliance: SimulatedAppliance, tmp_path: Path, always: bool) -> None:
    with dripping(appliance, always=always) as url:
        configure(tmp_path, url, retry_for="6s")
        began = time.monotonic()
        outcome = restorepoints("sync", "--output", "json")
        seconds = time.monotonic() - began
    (result,) = outcome.objects
    assert seconds < 40
    if always:
        assert (outcome.status, result["status"]) == (1, "failed")
        assert "north" in result["error"]
    else:
        assert (outcome.status, result["inserted"]) == (0, len(appliance.estate.points))
