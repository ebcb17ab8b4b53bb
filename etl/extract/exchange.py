"""One request and its whole answer, over TLS, within a deadline."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx

from etl import __version__
from etl.errors import ApplianceError, NotAnAppliance, NotAPage, Unreachable, UntrustedCertificate
from etl.extract.retry import Fault, retry_after_seconds
from etl.extract.tls import WrongCertificate, pinning_context, tls_context

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from etl.extract.endpoint import Endpoint

CONNECT_SECONDS = 10.0
MAX_BODY_BYTES = 128 * 1024 * 1024
"""An answer is read up to this size, decompressed; a page of 500 points has about 500 kB."""

_FAILING_STATUSES = frozenset({429, 500, 502, 503, 504})
_OTHER_PROTOCOL = frozenset(
    {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"}
)
# A name that does not resolve is nearly always a wrong name: saying so at once helps more than two minutes
# of trying. A resolver that hiccups is still given a second and a third chance.
_RESOLVE_TRIES = 3


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that was read whole: HTTP status, content type in lower case without parameters, body."""

    status: int
    content_type: str
    body: bytes = field(repr=False)  # may hold tokens


class Exchange:
    """Sends requests to one appliance and to nobody else; knows no tokens and no retries."""

    def __init__(self, endpoint: Endpoint, *, concurrency: int) -> None:
        self._endpoint = endpoint
        self._base = endpoint.url.rstrip("/")
        self._answered = False
        self._proxy = _proxy_before(self._base)
        context = tls_context(endpoint)
        try:
            self._http = self._client(context, concurrency)
        except (ImportError, ValueError, httpx.InvalidURL):
            # The text of these names the proxy, perhaps with its password.
            raise Unreachable(
                f"{endpoint.name}: the proxy that the environment names (HTTPS_PROXY, ALL_PROXY) cannot be used."
            ) from None

    def _client(self, context: ssl.SSLContext, concurrency: int) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            verify=context,
            follow_redirects=False,
            # A proxy is fine for https, where it sees no token; plain http, to this machine, goes nowhere else.
            trust_env=self._base.startswith("https:"),
            headers={
                "Accept": "application/json",
                "Accept-Encoding": "gzip",
                "User-Agent": f"restorepoints/{__version__}",
            },
            # The deadline is the whole request's, kept by `send`: a body that drips never trips a read timeout.
            timeout=httpx.Timeout(None, connect=CONNECT_SECONDS),
            # No cap on connections, and no wait for one: a request that is cancelled while the pool is full
            # leaves a connection in it that was assigned but never opened, which nothing closes or uses again
            # (httpcore 1.0). Each one takes a slot until every request dies of a pool timeout. The client's
            # semaphore bounds the requests, and with them the sockets.
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=concurrency),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self._http.aclose()

    async def send(
        self,
        method: str,
        path: str,
        *,
        deadline: float,
        token: str | None = None,
        params: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request below the base URL and read its answer within `deadline` seconds.

        Raises `Fault` where another try may help, and an `ApplianceError` where none will: an untrusted
        certificate, a redirect, another protocol, a body without end.
        """
        failure: Exception
        try:
            async with asyncio.timeout(deadline):
                return await self._send(method, path, token, params, form)
        except TimeoutError:
            failure = Fault(f"no whole answer within {deadline:.3g} s")
        except (httpx.InvalidURL, httpx.UnsupportedProtocol):
            failure = Unreachable(f"{self._endpoint.name}: {self._base} is not a usable URL.")
        except UnicodeError:
            failure = Unreachable(f"{self._endpoint.name}: {self._base} has no usable host name.")
        except (httpx.RequestError, OSError) as error:
            failure = self._failure(list(_chain(error)))
        # Raised out here, so that no exception's chain holds a request with its token or password.
        if isinstance(failure, UntrustedCertificate):
            failure = await self._with_fingerprint(failure)
        raise failure

    async def _send(
        self,
        method: str,
        path: str,
        token: str | None,
        params: Mapping[str, str] | None,
        form: Mapping[str, str] | None,
    ) -> Answer:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        url = self._base + path
        async with self._http.stream(method, url, headers=headers, params=params or None, data=form) as response:
            status = response.status_code
            if 300 <= status <= 399:
                raise self._redirected(response)
            if status in _FAILING_STATUSES:
                asked = retry_after_seconds(response.headers.get("Retry-After"), response.headers.get("Date"))
                self._answered = True
                raise Fault(f"HTTP {status}", retry_after=asked)
            body = await self._body(response)
        self._answered = True
        content_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        return Answer(status, content_type, body)

    async def _body(self, response: httpx.Response) -> bytes:
        encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
        if encoding not in ("gzip", "identity", ""):
            # Nothing else was asked for; and encodings in layers blow up beyond what counting bytes can stop.
            raise NotAPage(f"{self._endpoint.name}: the answer is compressed in a way that was not asked for.")
        parts, size = [], 0
        async for part in response.aiter_bytes():
            size += len(part)
            if size > MAX_BODY_BYTES:
                raise NotAPage(
                    f"{self._endpoint.name}: an answer is larger than {MAX_BODY_BYTES // 2**20} MiB, which no page is."
                )
            parts.append(part)
        return b"".join(parts)

    def _redirected(self, response: httpx.Response) -> ApplianceError:
        try:
            target = response.url.join(response.headers.get("Location", ""))
            where = f"{target.scheme}://{target.netloc.decode('ascii', 'replace').rpartition('@')[2]}"
        except (httpx.InvalidURL, ValueError):
            where = "an unreadable address"
        return self._redirect_refused(where)

    def _redirect_refused(self, where: str) -> NotAnAppliance:
        return NotAnAppliance(
            f"{self._endpoint.name}: {self._base} redirects to {where}; redirects are not followed, and nothing "
            "was sent there. Set url to the appliance itself."
        )

    def _failure(self, chain: list[BaseException]) -> Exception:
        """Tell what a failed attempt means, by the exceptions that led to it."""
        name = self._endpoint.name
        for error in chain:
            if isinstance(error, WrongCertificate):
                return UntrustedCertificate(
                    f"{name}: {self._base} shows another TLS certificate ({error.seen}) than the pinned one; nothing "
                    "was sent. If the certificate was replaced, compare the fingerprint on the appliance and set "
                    f'tls_fingerprint = "{error.seen}".'
                )
            if isinstance(error, ssl.SSLCertVerificationError):
                return _NotVerified(error.verify_message or "not verified")
            if isinstance(error, ssl.SSLError) and error.reason in _OTHER_PROTOCOL and not self._answered:
                return NotAnAppliance(
                    f"{name}: no TLS at {self._base}, so no sign-in of Veeam Backup for Microsoft Azure; "
                    "port 443 and no path are expected."
                )
            if isinstance(error, ssl.SSLError):
                return Fault(f"the TLS connection failed ({error.reason or 'no reason told'})")
            if isinstance(error, socket.gaierror):
                # Later in a run the name is known to be right, and its server gets the time of any other fault.
                whose, what = (self._proxy, "its name") if self._proxy else (self._base, "the url")
                return Fault(
                    f"the host name of {whose} is not found; check {what} and this machine's name server",
                    tries=None if self._answered else _RESOLVE_TRIES,
                )
            if isinstance(error, ConnectionRefusedError):
                return Fault(f"connection refused by {self._proxy}" if self._proxy else "connection refused")
        error = chain[0]
        if isinstance(error, httpx.ConnectTimeout) and self._proxy:
            return Fault(f"no connection to {self._proxy} within {CONNECT_SECONDS:.0f} s")
        if isinstance(error, httpx.RemoteProtocolError) and "location header" in str(error):
            return self._redirect_refused("an unreadable address")
        if isinstance(error, httpx.RemoteProtocolError) and _SPEAKS_NO_HTTP.search(str(error)) and not self._answered:
            return NotAnAppliance(
                f"{name}: what answers at {self._base} does not speak HTTP, so no sign-in of Veeam Backup for "
                "Microsoft Azure; port 443 and no path are expected."
            )
        return Fault(_words(error))

    async def _with_fingerprint(self, failure: UntrustedCertificate) -> UntrustedCertificate:
        """Add what the appliance shows to the message; a second handshake that trusts nothing tells it."""
        if not isinstance(failure, _NotVerified):
            return failure
        seen = None
        async with self._client(pinning_context(None), 1) as http:
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    await http.get(self._base)
            except (httpx.RequestError, OSError) as error:
                seen = next((e.seen for e in _chain(error) if isinstance(e, WrongCertificate)), None)
        shown = f'set tls_fingerprint = "{seen}" after comparing it' if seen else "set tls_fingerprint as it is shown"
        other_way = "" if self._endpoint.ca_file else ", or set ca_file to the certificate or its authority's"
        return UntrustedCertificate(
            f"{self._endpoint.name}: the TLS certificate of {self._base} is not trusted "
            f"({str(failure).rstrip('.')}). If it is the appliance's own, {shown} on the appliance{other_way}."
        )


def _proxy_before(url: str) -> str | None:
    """Name the proxy that the environment puts before an https URL, without its password; None if there is none."""
    parts = urlsplit(url)
    proxies = getproxies()
    proxy = proxies.get("https") or proxies.get("all")
    if parts.scheme != "https" or not proxy or proxy_bypass(parts.hostname or ""):
        return None
    return f"the proxy {urlsplit(proxy).netloc.rpartition('@')[2]} that the environment names (HTTPS_PROXY, ALL_PROXY)"


class _NotVerified(UntrustedCertificate):
    """OpenSSL's reason alone, until the fingerprint is known."""


_SPEAKS_NO_HTTP = re.compile("illegal status line|illegal header line|malformed")


def _words(error: BaseException) -> str:
    """Say in a few words of our own what went wrong; a library's text may quote what it was sent."""
    match error:
        case httpx.ConnectTimeout():
            return f"no connection within {CONNECT_SECONDS:.0f} s"
        case httpx.DecodingError():
            return "the answer cannot be decompressed"
        case httpx.RemoteProtocolError() if "complete" in str(error):
            return "the answer was cut short"
        case httpx.RemoteProtocolError():
            return "the connection ended without an answer"
        case httpx.ProxyError():
            return "the proxy failed"
        case httpx.ConnectError():
            return "no connection"
        case _:
            return "the connection broke"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Go from an exception to what led to it, into groups too (several addresses of one host)."""
    pending, seen = [error], set[int]()
    while pending:
        current = pending.pop(0)
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        if isinstance(current, BaseExceptionGroup):
            pending.extend(current.exceptions)
        pending.extend(e for e in (current.__cause__, current.__context__) if e is not None)
