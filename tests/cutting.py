"""A proxy before PostgreSQL that cuts the connection at a statement of one's choice."""

from __future__ import annotations

import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlalchemy import URL, make_url


@dataclass
class Cut:
    """Where to cut: at the first message that holds `at`, once one that holds `armed_by` has passed."""

    at: bytes
    armed_by: bytes = b""
    server_still_gets_it: bool = False
    """The client never learns what came of it, and the server did it."""
    done: threading.Event = field(default_factory=threading.Event)


@contextmanager
def cutting_proxy(url: str, cut: Cut) -> Iterator[str]:
    """The URL of the proxy; after its one cut it lets everything through."""
    server = make_url(url)
    stopped = threading.Event()
    threads: list[threading.Thread] = []

    def accept(listening: socket.socket) -> None:
        while not stopped.is_set():
            try:
                client, _ = listening.accept()
            except TimeoutError:
                continue
            threads.append(threading.Thread(target=_pass_on, args=(client, server, cut, stopped)))
            threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.1)
        accepting = threading.Thread(target=accept, args=(listening,))
        accepting.start()
        through = server.set(host="127.0.0.1", port=listening.getsockname()[1], query={})
        try:
            yield through.render_as_string(hide_password=False)
        finally:
            stopped.set()
            accepting.join()
            for thread in threads:
                thread.join()


def _pass_on(client: socket.socket, url: URL, cut: Cut, stopped: threading.Event) -> None:
    with client, _connect(url) as server, selectors.DefaultSelector() as selector:
        selector.register(client, selectors.EVENT_READ, server)
        selector.register(server, selectors.EVENT_READ, client)
        armed = not cut.armed_by
        while not stopped.is_set():
            for key, _ in selector.select(0.1):
                source, target = key.fileobj, key.data
                try:
                    received = source.recv(1 << 16)
                    if not received:
                        return
                    armed = armed or (source is client and cut.armed_by in received)
                    if source is client and armed and cut.at in received and not cut.done.is_set():
                        if cut.server_still_gets_it:
                            server.sendall(received)
                            server.recv(1 << 16)  # it has answered, so it is done
                        cut.done.set()
                        return
                    target.sendall(received)
                except OSError:
                    return


def _connect(url: URL) -> socket.socket:
    folder = url.query.get("host")
    if folder is None:
        return socket.create_connection((url.host or "127.0.0.1", url.port or 5432))
    server = socket.socket(socket.AF_UNIX)
    server.connect(f"{folder}/.s.PGSQL.{url.port or 5432}")
    return server
