"""Signing in, and keeping a token that works; tokens live here, in memory, and nowhere else."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

import msgspec

from etl.errors import ApplianceError, MfaRequired, NotAnAppliance, RestorepointsError, SecretError, SignInRefused
from etl.extract.retry import Fault

if TYPE_CHECKING:
    from etl.extract.endpoint import Endpoint
    from etl.extract.exchange import Answer, Exchange
    from etl.extract.retry import Patience

TOKEN_PATH = "/api/oauth2/token"  # noqa: S105  a path
ASSUMED_LIFE = 3600.0
"""Seconds a token is taken to live when the appliance does not say; 60 minutes is what its pages say."""

_LOG_OUT_SECONDS = 5.0
_LONGEST_DETAIL = 200


@dataclass(slots=True)
class Token:
    """An access token and what comes with it; `renew_at` is on the monotonic clock."""

    access: str = field(repr=False)
    refresh: str | None = field(repr=False)
    renew_at: float
    from_password: bool
    accepted: bool = False
    """Set once a request with it was answered by anything but 401."""


class Session:
    """One signed-in session; however many requests are in flight, a token is renewed once."""

    def __init__(self, endpoint: Endpoint, exchange: Exchange, patience: Patience) -> None:
        self._endpoint = endpoint
        self._exchange = exchange
        self._patience = patience
        self._lock = asyncio.Lock()
        self._token: Token | None = None
        self._failed: RestorepointsError | None = None
        self._strikes = 0  # tokens rejected one after another, none of them ever accepted in between
        self.role: str | None = None

    async def token(self) -> Token:
        """Give a token that is good by the clock; signs in at first use, refreshes ahead of expiry."""
        token = self._token
        if token is not None and time.monotonic() < token.renew_at:
            return token
        return await self._renewed(token, rejected=False)

    async def renew(self, rejected: Token) -> None:
        """Replace a token that got a 401; does nothing if another request has seen to it already."""
        await self._renewed(rejected, rejected=True)

    async def log_out(self) -> None:
        """Tell the appliance that the session is over; that it does not hear it is no error."""
        token, self._token = self._token, None
        if token is not None:
            with contextlib.suppress(Fault, ApplianceError):
                await self._exchange.send("DELETE", TOKEN_PATH, deadline=_LOG_OUT_SECONDS, token=token.access)

    async def _renewed(self, stale: Token | None, *, rejected: bool) -> Token:
        async with self._lock:
            if self._failed is not None:
                # One failed sign-in is the answer for every request: a password is never tried twice.
                raise type(self._failed)(str(self._failed)) from None
            if self._token is not None and self._token is not stale:
                return self._token
            try:
                self._token = await self._next(stale, rejected=rejected)
            except RestorepointsError as error:
                self._failed = error
                raise
            return self._token

    async def _next(self, stale: Token | None, *, rejected: bool) -> Token:
        if stale is None:
            return await self._sign_in()
        if rejected:
            self._strikes = 1 if stale.accepted else self._strikes + 1
        if self._strikes > 1 and rejected:
            if stale.from_password:
                raise SignInRefused(
                    f"{self._endpoint.name}: signing in works, but the token it gives is refused (HTTP 401) at once. "
                    "Look at the appliance's clock and at what stands between it and this machine."
                )
            return await self._sign_in()
        refreshed = None if stale.refresh is None else await self._refresh(stale.refresh)
        return refreshed or await self._sign_in()

    async def _refresh(self, refresh_token: str) -> Token | None:
        """Ask for a new pair once; None whatever the reason for getting none.

        It is not tried again: the token may be spent by the lost first try, and signing in, which is tried
        again, always works instead.
        """
        form = {"grant_type": "Refresh_token", "refresh_token": refresh_token}
        asked_at = time.monotonic()
        try:
            answer = await self._exchange.send("POST", TOKEN_PATH, deadline=self._patience.attempt_seconds(), form=form)
            granted = _token_document(answer) if answer.status == 200 else {}
        except Fault:
            return None
        return self._token_of(granted or {}, asked_at, refresh_token=refresh_token, from_password=False)

    async def _sign_in(self) -> Token:
        endpoint = self._endpoint
        if not (_is_unicode(endpoint.username) and _is_unicode(endpoint.password)):
            raise SecretError(
                f"{endpoint.name}: user name or password is not readable text; check that it is given in UTF-8."
            )
        form = {"grant_type": "Password", "username": endpoint.username, "password": endpoint.password}

        async def attempt(deadline: float) -> tuple[float, dict[str, Any]]:
            asked_at = time.monotonic()
            answer = await self._exchange.send("POST", TOKEN_PATH, deadline=deadline, form=form)
            return asked_at, self._granted(answer)

        asked_at, granted = await self._patience.persist("signing in", attempt)
        token = self._token_of(granted, asked_at, refresh_token=None, from_password=True)
        if token is not None:
            self.role = _text(granted.get("roleName"))
            return token
        if granted.get("mfa_token") or granted.get("mfa_enabled"):
            raise MfaRequired(
                f"{endpoint.name}: the account {endpoint.username!r} asks for a one-time code, which an unattended run "
                "cannot give. Make an account of its own for reporting on the appliance, with the role Portal "
                "read-only and without multi-factor authentication; single sign-on does not help."
            )
        if "access_token" in granted or "token_type" in granted:
            raise SignInRefused(f"{endpoint.name}: the appliance accepted the sign-in, but gave no access token.")
        raise self._not_an_appliance("answers with something else than a token")

    def _granted(self, answer: Answer) -> dict[str, Any]:
        """Read the answer to a sign-in; raises what a refusal means."""
        match answer.status:
            case 200:
                granted = _token_document(answer)
                if granted is None:
                    raise self._not_an_appliance("answers with something else than a token")
                return granted
            case 400 if answer.content_type == "text/html":  # a web server's own, e.g. plain HTTP to a TLS port
                raise self._not_an_appliance("answers HTTP 400")
            case 400 | 401 | 403:
                raise SignInRefused(
                    f"{self._endpoint.name}: the appliance refused to sign in {self._endpoint.username!r} "
                    f"(HTTP {answer.status}{self._detail(answer)}). Check user name and password; "
                    "the password was tried once."
                )
            case status:
                raise self._not_an_appliance(f"answers HTTP {status}")

    def _not_an_appliance(self, does: str) -> NotAnAppliance:
        return NotAnAppliance(
            f"{self._endpoint.name}: no sign-in of Veeam Backup for Microsoft Azure at {self._endpoint.url} "
            f"({TOKEN_PATH} {does}); port 443 and no path are expected."
        )

    def _detail(self, answer: Answer) -> str:
        """Give the appliance's own words, short, printable and without the password."""
        try:
            problem = msgspec.json.decode(answer.body)
        except (msgspec.DecodeError, RecursionError):
            return ""
        text = _explanation(problem) if isinstance(problem, dict) else None
        if text is None:
            return ""
        if any(spelling in text for spelling in _spellings(self._endpoint.password)):
            return ""  # a form that is echoed may hold the password in any spelling: none of it is told
        words = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        return f": {words[:_LONGEST_DETAIL].rstrip('.')}"

    def _token_of(
        self, granted: dict[str, Any], asked_at: float, *, refresh_token: str | None, from_password: bool
    ) -> Token | None:
        access = _text(granted.get("access_token"))
        if access is None or not access.isascii() or not access.isprintable():
            return None
        life = _seconds(granted.get("expires_in"))
        return Token(
            access=access,
            refresh=_text(granted.get("refresh_token")) or refresh_token,
            renew_at=asked_at + life - min(60.0, life / 10),
            from_password=from_password,
        )


def _token_document(answer: Answer) -> dict[str, Any] | None:
    """Give the JSON object of an answer; None if it is none. A JSON text that is cut short is a `Fault`."""
    try:
        granted = msgspec.json.decode(answer.body)
    except RecursionError:
        return None
    except msgspec.DecodeError:
        if "json" in answer.content_type:
            raise Fault("the answer to the sign-in was cut short") from None
        return None
    return granted if isinstance(granted, dict) else None


def _explanation(problem: dict[str, Any]) -> str | None:
    """Give a problem document's own words: those under `errors` say more than `detail`, where there are any."""
    errors = problem.get("errors")
    groups = errors.values() if isinstance(errors, dict) else ()
    messages = [text for group in groups if isinstance(group, list) for text in group if isinstance(text, str)]
    return " ".join(messages) or _text(problem.get("detail"))


def _spellings(secret: str) -> set[str]:
    """The ways in which an appliance may repeat a secret: as it is, as a form, a URL or JSON spells it."""
    plain = {secret, quote(secret), quote(secret, safe=""), quote_plus(secret)}
    plain |= {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    return (plain | {one.lower() for one in plain}) - {""}


def _is_unicode(text: str) -> bool:
    """Tell whether a text can be sent; bytes of another encoding arrive in the environment as surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _seconds(value: object) -> float:
    """Read `expires_in`: whole seconds; missing, unreadable or not above zero counts as not told."""
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value[:9])
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return float(min(value, 10**9))
    return ASSUMED_LIFE
