"""A simulated appliance on a real socket: a context manager for Python, a blocking call for the shell."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import signal
import socket
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

import uvicorn

from etl.simulator.appliance import ApplianceApp, AskedRequest, Hook
from etl.simulator.behaviour import DEFAULT, Behaviour
from etl.simulator.clock import DEFAULT_NOW, Clock
from etl.simulator.errors import SimulatorError
from etl.simulator.estate import Estate

LOOPBACK = "127.0.0.1"


class PlacedHook:
    """A hook in its place: `remove()` takes it out, as does leaving a `with` block."""

    def __init__(self, hooks: list[Hook], hook: Hook) -> None:
        self._hooks = hooks
        self._hook = hook
        hooks.append(hook)

    def remove(self) -> None:
        """Take the hook out; a second time does nothing."""
        if self._hook in self._hooks:
            self._hooks.remove(self._hook)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()


class _Server(uvicorn.Server):
    """A uvicorn server that says when it accepts connections and stops soon after it is told."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.accepting = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.accepting.set()

    async def main_loop(self) -> None:
        # uvicorn's own looks every 0.1 s whether it should stop: too long for tests that start many.
        while not await self.on_tick(0):  # noqa: ASYNC110 - it is told from another thread
            await asyncio.sleep(0.01)


class SimulatedAppliance:
    """One appliance, served from its own thread and event loop while its `with` block lasts."""

    def __init__(
        self,
        estate: Estate,
        behaviour: Behaviour,
        *,
        host: str = LOOPBACK,
        port: int = 0,
        certfile: Path | None = None,
        keyfile: Path | None = None,
    ) -> None:
        self._app = ApplianceApp(estate, behaviour)
        self._address = _loopback(host)
        self._port = port
        self._certfile = certfile
        self._keyfile = keyfile
        self._thread: threading.Thread | None = None
        self._server: _Server | None = None

    @property
    def estate(self) -> Estate:
        """What the appliance holds; may be changed while it is served."""
        return self._app.estate

    @property
    def clock(self) -> Clock:
        """The estate's clock; `clock.advance(days=1)` makes history happen."""
        return self._app.estate.clock

    @property
    def behaviour(self) -> Behaviour:
        """How it was asked to behave, its username and password among it."""
        return self._app.behaviour

    @property
    def serves(self) -> tuple[str, ...]:
        """The API versions served, newest first."""
        return self._app.serves

    @property
    def url(self) -> str:
        """The base address, without a slash at its end."""
        scheme = "http" if self._certfile is None else "https"
        host = f"[{self._address}]" if ":" in self._address else self._address
        return f"{scheme}://{host}:{self._port}"

    @property
    def requests(self) -> list[AskedRequest]:
        """Every request so far, in order of arrival; clear it to begin anew."""
        return self._app.requests

    @property
    def tokens_issued(self) -> list[str]:
        """Every token ever given out, to prove that none of them was written anywhere."""
        return self._app.sign_in.issued

    def before_request(self, hook: Hook) -> PlacedHook:
        """Run `hook(request)` before each request is answered; hooks run in the order of placing.

        A plain function runs to its end before any other request goes on, so it may count and change the estate
        without locks; one that waits must be `async`. The first response returned is sent in place of an answer.
        """
        return PlacedHook(self._app.hooks, hook)

    def expire_tokens(self, *, refresh_too: bool = False) -> None:
        """Let every access token given out so far expire now, and the refresh tokens if so wished."""
        self._app.sign_in.expire(refresh_too=refresh_too)

    def __enter__(self) -> Self:
        listening = _listen(self._address, self._port)
        self._port = listening.getsockname()[1]
        try:
            config = uvicorn.Config(
                self._app,
                http="h11",
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="warning",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                headers=[("Server", "nginx/1.18.0")],
                timeout_keep_alive=75,
                timeout_graceful_shutdown=1,
                ssl_certfile=self._certfile,
                ssl_keyfile=self._keyfile,
            )
            config.load()
        except (OSError, ValueError) as error:
            listening.close()
            raise SimulatorError(f"The certificate or its key cannot be used: {error}.") from error
        server = _Server(config)
        thread = threading.Thread(
            target=lambda: asyncio.run(server.serve(sockets=[listening])),
            name=f"simulated-appliance-{self._port}",
            daemon=True,
        )
        thread.start()
        server.accepting.wait()
        self._server, self._thread = server, thread
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join()


def simulate(
    estate: Estate | None = None,
    *,
    version: str | None = None,
    serves: tuple[str, ...] | None = None,
    username: str = DEFAULT.username,
    password: str = DEFAULT.password,
    mfa: bool = False,
    role: str = DEFAULT.role,
    expires_in: float = DEFAULT.expires_in,
    refresh_expires_in: float = DEFAULT.refresh_expires_in,
    page_cap: int | None = None,
    tells_total: bool = True,
    unserved: int = DEFAULT.unserved,
    refusal: int = DEFAULT.refusal,
    forbidden: tuple[str, ...] = (),
    order: str = DEFAULT.order,
    order_seed: int = DEFAULT.order_seed,
    moves: float = DEFAULT.moves,
    host: str = LOOPBACK,
    port: int = 0,
    certfile: Path | None = None,
    keyfile: Path | None = None,
) -> SimulatedAppliance:
    """Make an appliance to be served while a `with` block lasts.

    `estate` None means `Estate.from_seed()`; `version` None means the estate's own, else v8.1. The other
    options are explained at `Behaviour`. `port` 0 takes a free one; `certfile` and `keyfile` (PEM) switch to TLS.
    Raises `SimulatorError` for what cannot be simulated, among it any address but loopback.
    """
    estate = Estate.from_seed() if estate is None else estate
    behaviour = Behaviour(
        version=version or estate.version or DEFAULT.version,
        serves=serves,
        username=username,
        password=password,
        mfa=mfa,
        role=role,
        expires_in=expires_in,
        refresh_expires_in=refresh_expires_in,
        page_cap=page_cap,
        tells_total=tells_total,
        unserved=unserved,
        refusal=refusal,
        forbidden=forbidden,
        order=order,
        order_seed=order_seed,
        moves=moves,
    )
    return SimulatedAppliance(estate, behaviour, host=host, port=port, certfile=certfile, keyfile=keyfile)


def serve(
    *,
    version: str = DEFAULT.version,
    host: str = LOOPBACK,
    port: int = 0,
    seed: int = 1,
    machines: int = 12,
    databases: int = 0,
    file_shares: int = 0,
    networks: int = 0,
    cosmos_accounts: int = 0,
    days: int = 30,
    time_zone: str = "Europe/Berlin",
    now: datetime = DEFAULT_NOW,
    page_cap: int | None = None,
    username: str = DEFAULT.username,
    password: str = DEFAULT.password,
    mfa: bool = False,
    items: Path | None = None,
    on_ready: Callable[[SimulatedAppliance], None] = lambda appliance: None,
) -> None:
    """Serve one appliance until SIGINT or SIGTERM, then return; to be called from the main thread.

    `on_ready` is called once, when connections are accepted. `items` names a JSON file with a list of items, or
    a page with such a list in `results`, to serve in place of the estate that `Estate.from_seed` makes from `seed`,
    `days` and the numbers of resources.
    Raises `SimulatorError` for what cannot be simulated.
    """
    if items is None:
        estate = Estate.from_seed(
            seed,
            machines=machines,
            databases=databases,
            file_shares=file_shares,
            networks=networks,
            cosmos_accounts=cosmos_accounts,
            days=days,
            time_zone=time_zone,
            now=now,
        )
    else:
        estate = Estate.from_items(read_items(items), version, time_zone=time_zone, now=now)
    appliance = simulate(
        estate,
        version=version,
        username=username,
        password=password,
        mfa=mfa,
        page_cap=page_cap,
        host=host,
        port=port,
    )
    stop = threading.Event()

    def ask_to_stop(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    before = {number: signal.signal(number, ask_to_stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with appliance:
            on_ready(appliance)
            stop.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def read_items(path: Path) -> list[object]:
    """Read a JSON file that holds a list of items, or a page with them in `results`.

    Raises `SimulatorError` naming the file.
    """
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise SimulatorError(f"{path} cannot be read as JSON: {error}") from error
    found = content.get("results") if isinstance(content, dict) else content
    if not isinstance(found, list):
        raise SimulatorError(f"{path} holds neither a list of items nor a page with results.")
    return found


def _loopback(host: str) -> str:
    """Return the address of a loopback host; anything else is refused, as an appliance simulated is no guard."""
    try:
        address = ipaddress.ip_address(LOOPBACK if host == "localhost" else host)
    except ValueError:
        address = None
    if address is None or not address.is_loopback:
        raise SimulatorError(f"The simulator listens on loopback only, not on {host!r}; use {LOOPBACK}.")
    return str(address)


def _listen(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    # named, so that asyncio knows it for TCP and sends small answers at once: 1.5 ms a request instead of 44
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((address, port))
    except (OSError, OverflowError) as error:
        listening.close()
        raise SimulatorError(f"Cannot listen on {address} port {port}: {error}.") from error
    return listening
