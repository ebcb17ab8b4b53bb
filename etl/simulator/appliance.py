"""The simulated appliance as an ASGI application: hooks, sign-in, and what each served version answers."""

from __future__ import annotations

import inspect
import json
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from etl.simulator import problems
from etl.simulator.behaviour import Behaviour
from etl.simulator.clock import Clock
from etl.simulator.errors import SimulatorError
from etl.simulator.estate import Estate
from etl.simulator.paging import BadParametersError, Query, envelope, page_links
from etl.simulator.routes import Found
from etl.simulator.shapes import instant
from etl.simulator.tokens import TOKEN_PATH, Account, SignIn
from etl.simulator.versions import CONVENTIONS, Conventions, product

Hook = Callable[[Request], "Response | Awaitable[Response | None] | None"]
"""Runs before a request is answered; a response it returns is sent in place of the appliance's own."""

CLOCK_PATH = "/simulator/clock"
_VERSIONED = re.compile(r"/api/(v\d+(?:\.\d+)?)(/.*)")


@dataclass(slots=True)
class AskedRequest:
    """One request as it arrived; `status` is None until it is answered, `arrived` is monotonic seconds."""

    method: str
    path: str
    query: str
    authorization: str | None = field(repr=False)
    arrived: float
    status: int | None = None

    @property
    def params(self) -> dict[str, str]:
        """The query's parameters by the spelling sent; the last wins."""
        return dict(parse_qsl(self.query, keep_blank_values=True))


class ApplianceApp:
    """An ASGI application that answers for `estate` as `behaviour` says."""

    def __init__(self, estate: Estate, behaviour: Behaviour) -> None:
        self.estate = estate
        self.behaviour = behaviour
        estate.list_in(behaviour.order, behaviour.order_seed, behaviour.moves)
        self.product = product(behaviour.version)
        self.serves = behaviour.serves or self.product.serves
        account = Account(behaviour.username, behaviour.password, behaviour.role, behaviour.mfa)
        self.sign_in = SignIn(account, behaviour.expires_in, behaviour.refresh_expires_in, behaviour.refusal)
        self.requests: list[AskedRequest] = []
        self.hooks: list[Hook] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Log one request, ask the hooks, answer."""
        request = Request(scope, receive)
        asked = AskedRequest(
            method=request.method,
            path=request.url.path,
            query=request.url.query,
            authorization=request.headers.get("authorization"),
            arrived=time.monotonic(),
        )
        self.requests.append(asked)
        try:
            response = await self._ask_hooks(request) or await self._answer(request)
        except ClientDisconnect:
            return
        asked.status = response.status_code
        await response(scope, receive, send)

    async def _ask_hooks(self, request: Request) -> Response | None:
        for hook in list(self.hooks):
            answer = hook(request)
            response = await answer if inspect.isawaitable(answer) else answer
            if response is not None:
                return response
        return None

    async def _answer(self, request: Request) -> Response:
        path = request.url.path
        if path == CLOCK_PATH:
            return await _move_clock(request, self.estate.clock)
        if path == TOKEN_PATH:
            return await self._answer_token(request)
        versioned = _VERSIONED.fullmatch(path)
        if versioned is None:
            return Response(status_code=404)
        version, below = versioned.groups()
        if version not in self.serves:
            return problems.version_not_served(self.behaviour.unserved, version)
        return self._answer_version(request, CONVENTIONS[version], below)

    async def _answer_token(self, request: Request) -> Response:
        authorization = request.headers.get("authorization")
        if request.method == "DELETE":
            if not self.sign_in.is_good(authorization):
                return problems.not_signed_in()
            self.sign_in.end(authorization)
            return Response(status_code=204)
        if request.method != "POST":
            return problems.problem(405)
        content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if content_type != "application/x-www-form-urlencoded":
            return problems.problem(415)
        body = (await request.body()).decode("utf-8", "replace")
        form = dict(parse_qsl(body, keep_blank_values=True))
        return self.sign_in.grant(form, self.estate.clock.now)

    def _answer_version(self, request: Request, conventions: Conventions, below: str) -> Response:
        found = self.estate.look_up(conventions.version, below)
        system = self._system_page(conventions, below)
        if found is None and system is None:
            return Response(status_code=404)
        if request.method not in ("GET", "HEAD"):
            return problems.problem(405)
        if below == "/system/serviceIsUp":
            return Response(status_code=200)
        if not self.sign_in.is_good(request.headers.get("authorization")):
            return problems.not_signed_in()
        if any(below == path or below.startswith(f"{path}/") for path in self.behaviour.forbidden):
            return problems.forbidden()
        if found is None:
            return JSONResponse(system)
        query = Query(conventions, parse_qsl(request.url.query, keep_blank_values=True))
        try:
            return self._answer_found(found, query, request.url.path)
        except BadParametersError as bad:
            return problems.bad_request(bad.errors)

    def _answer_found(self, found: Found, query: Query, path: str) -> Response:
        if found.cut is None:
            text = self.estate.told(found, query)
        else:
            asked = query.page(self.behaviour.page_cap)
            items, total = self.estate.listed(found, query, asked.offset, asked.count)
            query.check()
            links = page_links(query, self.estate.identity.host, found.path, asked, total)
            text = envelope(items, asked, total, tells_total=self.behaviour.tells_total, links=links)
        if text is None:
            return problems.item_not_found(path, found.what)
        return Response(text, media_type="application/json")

    def _system_page(self, conventions: Conventions, below: str) -> dict[str, object] | None:
        who, clock = self.estate.identity, self.estate.clock
        if below == "/system/about":
            return {
                "serverVersion": self.product.build,
                "workerVersion": self.product.build,
                "flrVersion": self.product.build,
                "databaseId": who.database_id,
                "deploymentSubscriptionId": who.subscription_id,
            }
        if below == "/system/serverInfo" and conventions.serves_server_info:
            return {
                "serverName": who.server_name,
                "azureRegion": who.region.id,
                "azureRegionName": who.region.name,
                "subscriptionId": who.subscription_id,
                "azureVmId": who.azure_vm_id,
                "virtualMachineUniqueId": who.unique_id,
                "resourceGroup": who.resource_group,
                "azureEnvironment": "Global",
            }
        if below == "/system/time":
            return {"utcDateTime": instant(clock.now), "timeZone": clock.time_zone}
        if below == "/system/status":
            return {"state": "Ready", "serverTime": instant(clock.now)}
        if below == "/system/serviceIsUp":
            return {}
        return None


async def _move_clock(request: Request, clock: Clock) -> Response:
    """Tell the simulated time or, asked by POST with days, hours or both, move it on first."""
    if request.method == "POST":
        try:
            step = json.loads(await request.body() or b"{}")
            days, hours = step.pop("days", 0), step.pop("hours", 0)
            if step or not all(type(number) in (int, float) for number in (days, hours)):
                raise SimulatorError('Send days, hours or both as numbers, such as {"days": 1}.')
            clock.advance(days=days, hours=hours)
        except (SimulatorError, ValueError, AttributeError, TypeError) as bad:
            return problems.bad_request({"": [str(bad)]})
    elif request.method != "GET":
        return problems.problem(405)
    return JSONResponse({"now": instant(clock.now), "timeZone": clock.time_zone})
