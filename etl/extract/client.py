"""Asks one appliance: signed in, tried again, a few requests at a time."""

from __future__ import annotations

import asyncio
from copy import copy
from typing import TYPE_CHECKING, Self, TypeVar

import msgspec

from etl.errors import SignInRefused
from etl.extract.exchange import Answer, Exchange
from etl.extract.lenient import is_json
from etl.extract.retry import Fault, Patience
from etl.extract.tokens import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from etl.extract.endpoint import Endpoint

__all__ = ["Answer", "ApplianceClient"]

T = TypeVar("T")

_OK = 200
_UNAUTHORIZED = 401
_MOST_RENEWALS = 4
"""Of one request: a path that answers 401 to tokens that are good elsewhere must end too."""


class ApplianceClient:
    """A client of one appliance, as an asynchronous context manager.

    Signs in at first use and logs out at the end. At most `concurrency` requests are under way at a time;
    one that waits to be tried again keeps its place, so that a busy appliance is asked less.
    """

    def __init__(self, endpoint: Endpoint, *, concurrency: int = 8) -> None:
        self.name = endpoint.name
        self.concurrency = concurrency
        self._places = asyncio.Semaphore(concurrency)
        self._exchange = Exchange(endpoint, concurrency=concurrency)
        self._patience = Patience(endpoint.name, endpoint.retry_for)
        self._session = Session(endpoint, self._exchange, self._patience)

    @property
    def role(self) -> str | None:
        """The role that the appliance named at sign-in; None before, and where it names none."""
        return self._session.role

    def bearing(self) -> ApplianceClient:
        """Give a client of the same session with a time for retries of its own: one list that fails costs no other."""
        part = copy(self)
        part._patience = Patience(self.name, self._patience.retry_for)
        return part

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        async with self._exchange:
            await self._session.log_out()

    async def get(self, path: str, params: Mapping[str, str] | None = None) -> Answer:
        """Ask for a path below the base URL; give the answer, whole and JSON if its status is 200.

        Statuses that are answers come back (200, 400, 403, 404 …). Raises an `ApplianceError` for what
        another try does not cure or has not cured.
        """
        return await self.read(path, params, _json_if_ok)

    async def read(self, path: str, params: Mapping[str, str] | None, reader: Callable[[Answer], T]) -> T:
        """Ask for a path and give what `reader` makes of the answer; a `Fault` it raises is tried again."""

        async def attempt(deadline: float) -> T:
            return reader(await self._ask(path, params, deadline))

        async with self._places:
            # Signing in has its own time: what it takes is not this request's.
            await self._session.token()
            return await self._patience.persist(f"GET {path}", attempt)

    async def _ask(self, path: str, params: Mapping[str, str] | None, deadline: float) -> Answer:
        for _ in range(_MOST_RENEWALS):
            token = await self._session.token()
            answer = await self._exchange.send("GET", path, deadline=deadline, token=token.access, params=params)
            if answer.status != _UNAUTHORIZED:
                token.accepted = True
                return answer
            await self._session.renew(token)
        raise SignInRefused(f"{self.name}: GET {path} answers HTTP 401 whatever token it is given.")


def _json_if_ok(answer: Answer) -> Answer:
    if answer.status == _OK and not _is_json(answer.body):
        raise Fault(f"the answer is not JSON ({answer.content_type or 'no content type'})")
    return answer


def _is_json(body: bytes) -> bool:
    try:
        msgspec.json.decode(body, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        try:
            return is_json(body)
        except RecursionError:
            return True  # asked again it would nest as deep: whoever reads it judges
    return True
