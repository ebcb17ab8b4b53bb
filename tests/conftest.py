"""Databases for tests, and the rule that a whole test run has used a real PostgreSQL."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import postgres
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SERVER = pytest.StashKey[str]()
SELECTED = pytest.StashKey[bool]()
MISSING = pytest.StashKey[bool]()


@pytest.fixture(scope="session")
def postgres_server(pytestconfig: pytest.Config) -> Iterator[postgres.PostgresServer]:
    """The session's PostgreSQL, started when the first test asks for it."""
    with postgres.postgres_server() as server:
        pytestconfig.stash[SERVER] = f"PostgreSQL {server.version}: {server.way}"
        yield server


@pytest.fixture(scope="session")
def postgres_template() -> str | None:
    """The database that `postgres_url` copies; None: an empty one. Override it to start from a schema."""
    return None


@pytest.fixture
def postgres_url(postgres_server: postgres.PostgresServer, postgres_template: str | None) -> Iterator[str]:
    """SQLAlchemy URL of a PostgreSQL database that only this test uses."""
    url = postgres_server.create_database(postgres_template)
    yield url.render_as_string(hide_password=False)
    postgres_server.drop_database(url)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """SQLAlchemy URL of a SQLite file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'restorepoints.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def warehouse_url(request: pytest.FixtureRequest) -> str:
    """Each database in turn: the test runs twice."""
    return request.getfixturevalue({"sqlite": "sqlite_url", "postgresql": "postgres_url"}[request.param])


def pytest_configure() -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # what a script starts in its background is deaf to Ctrl-C, and so would be all that the tests start
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    if items:
        items[0].config.stash[SELECTED] = True


def is_whole_run(config: pytest.Config) -> bool:
    """Whether nothing was left out: no path below tests/, no -k, -m, --lf, --ignore and the like."""
    tests = Path(__file__).parent
    arguments = [Path(config.invocation_params.dir, argument).resolve() for argument in config.args]
    return (
        any(tests.is_relative_to(argument) for argument in arguments)
        and not config.stash.get(SELECTED, False)
        and not any(config.getoption(name, None) for name in ("collectonly", "lf", "ignore", "ignore_glob"))
    )


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Takes over what one of several processes has to tell about its part of the tests."""
    told = getattr(node, "workeroutput", {})
    if told.get("server"):
        node.config.stash[SERVER] = told["server"]
    if told.get("selected"):
        node.config.stash[SELECTED] = True


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    config = session.config
    if hasattr(config, "workeroutput"):
        config.workeroutput |= {"server": config.stash.get(SERVER, None), "selected": config.stash.get(SELECTED, False)}
    elif exitstatus == pytest.ExitCode.OK and is_whole_run(config) and SERVER not in config.stash:
        config.stash[MISSING] = True
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if config.stash.get(MISSING, False):
        terminalreporter.write_line(
            "No test used PostgreSQL: a whole run without it proves nothing, and fails.", red=True
        )
    elif SERVER in config.stash:
        terminalreporter.write_line(config.stash[SERVER])
