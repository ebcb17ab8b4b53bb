"""A pooler in transaction mode: clients share server connections, each for the length of one transaction."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from sqlalchemy import URL, make_url

PARAMETERS = ("server_version", "client_encoding", "standard_conforming_strings", "TimeZone", "integer_datetimes")


@contextmanager
def transaction_pooler(url: str, *, round_robin: int = 0) -> Iterator[URL]:
    """The URL of a pooler before the PostgreSQL at `url`.

    It takes the server that was used last, or, if `round_robin` says how many there are at the start, the one that has
    rested longest: PgBouncer does either.
    """
    pooler = _Pooler(make_url(url), round_robin)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.1)
        accepting = threading.Thread(target=pooler.accept, args=(listening,))
        accepting.start()
        database = make_url(url).database
        try:
            yield make_url(f"postgresql+psycopg://pooled:x@127.0.0.1:{listening.getsockname()[1]}/{database}")
        finally:
            pooler.stopped.set()
            accepting.join()
            for client in pooler.clients:
                client.join()
            for server in (*pooler.streams, *pooler.servers):
                server.close()


class _Pooler:
    def __init__(self, url: URL, round_robin: int) -> None:
        self.next = 0 if round_robin else -1
        self.url = url.set(drivername="postgresql").render_as_string(hide_password=False)
        self.stopped = threading.Event()
        self.clients: list[threading.Thread] = []
        self.servers: list[psycopg.Connection] = []
        self.streams: list[socket.socket] = []
        self.idle: list[socket.socket] = []
        for _ in range(round_robin):
            self.idle.append(self.new_server())

    def accept(self, listening: socket.socket) -> None:
        while not self.stopped.is_set():
            try:
                client, _ = listening.accept()
            except TimeoutError:
                continue
            self.clients.append(threading.Thread(target=self.serve, args=(client,)))
            self.clients[-1].start()

    def server(self) -> socket.socket:
        return self.idle.pop(self.next) if self.idle else self.new_server()

    def new_server(self) -> socket.socket:
        # psycopg signs in; then its socket speaks for any client
        self.servers.append(psycopg.connect(self.url, autocommit=True))
        self.streams.append(socket.socket(fileno=socket.dup(self.servers[-1].fileno())))
        return self.streams[-1]

    def serve(self, client: socket.socket) -> None:
        with client:
            client.settimeout(30)
            while True:
                (length,) = struct.unpack("!i", exactly(client, 4))
                (code,) = struct.unpack("!i", exactly(client, length - 4)[:4])
                if code == 196608:  # a startup message; everything else before it is a wish for encryption
                    break
                client.sendall(b"N")
            self.idle = self.idle or [self.new_server()]
            told = self.servers[0].info.parameter_status
            values = [(name, told(name)) for name in PARAMETERS]
            client.sendall(
                message(b"R", struct.pack("!i", 0))
                + b"".join(message(b"S", f"{name}\0{value}\0".encode()) for name, value in values if value)
                + message(b"K", struct.pack("!ii", 1, 1))
                + message(b"Z", b"I")
            )
            try:
                while True:
                    kind, body = read(client)
                    if kind == b"X":
                        return
                    server = self.server()
                    server.settimeout(30)
                    status = self.exchange(client, server, kind, body)
                    while status != b"I":
                        status = self.exchange(client, server, *read(client))
                    self.idle.append(server)
            except (OSError, EOFError):
                return

    def exchange(self, client: socket.socket, server: socket.socket, kind: bytes, body: bytes) -> bytes:
        """One question, through to the server's readiness for the next; gives the state of its transaction."""
        server.sendall(message(kind, body))
        while kind not in (b"Q", b"S"):  # the extended protocol ends with a Sync
            kind, body = read(client)
            server.sendall(message(kind, body))
        while True:
            kind, body = read(server)
            client.sendall(message(kind, body))
            if kind == b"Z":
                return body


def exactly(stream: socket.socket, count: int) -> bytes:
    parts = b""
    while len(parts) < count:
        part = stream.recv(count - len(parts))
        if not part:
            raise EOFError
        parts += part
    return parts


def read(stream: socket.socket) -> tuple[bytes, bytes]:
    kind = exactly(stream, 1)
    (length,) = struct.unpack("!i", exactly(stream, 4))
    return kind, exactly(stream, length - 4)


def message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body
