"""Refusals as the appliance words them: problem documents (RFC 9457) with the members each status documents."""

from __future__ import annotations

import json
from collections.abc import Mapping
from uuid import uuid4

from starlette.responses import Response

_TITLES = {
    400: "One or more validation errors occurred.",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    415: "Unsupported Media Type",
}
_SECTIONS = {
    400: "6.5.1",
    403: "6.5.3",
    404: "6.5.4",
    405: "6.5.5",
    415: "6.5.13",
}


def problem(
    status: int,
    *,
    detail: str | None = None,
    headers: Mapping[str, str] | None = None,
    **members: object,
) -> Response:
    """Return a problem document; `members` are what the status has beyond title, type and detail."""
    document: dict[str, object] = {
        "type": "https://tools.ietf.org/html/rfc7235#section-3.1"
        if status == 401
        else f"https://tools.ietf.org/html/rfc7231#section-{_SECTIONS[status]}",
        "title": _TITLES[status],
        "status": status,
    }
    if detail is not None:
        document["detail"] = detail
    document.update(members)
    return Response(json.dumps(document), status, headers, media_type="application/problem+json")


def bad_request(errors: Mapping[str, list[str]]) -> Response:
    """400: `errors` names each field with what is wrong with it."""
    return problem(400, detail="Please refer to the errors property.", errors=dict(errors), traceId=_trace_id())


def sign_in_refused(status: int, detail: str, path: str) -> Response:
    """The token endpoint's refusal; whether 400 or 401 is not documented, so both can be had."""
    if status == 400:
        return bad_request({"": [detail]})
    return problem(401, detail=detail, instance=path, traceId=_trace_id())


def not_signed_in() -> Response:
    """401 anywhere else: no bearer token, or one that is unknown or expired."""
    return problem(
        401,
        detail="The access token is missing, unknown or expired.",
        headers={"WWW-Authenticate": "Bearer"},
        extensions={},
    )


def forbidden() -> Response:
    """403: the role does not reach this far; has no `detail`."""
    return problem(403, extensions={})


def item_not_found(path: str, what: str) -> Response:
    """404 for an item that a served collection does not have."""
    return problem(404, detail=f"{what} was not found.", instance=path, traceId=_trace_id())


def version_not_served(status: int, version: str) -> Response:
    """Refuse an unserved API version: a bare 404, or 400 as older versioning libraries of ASP.NET answer."""
    if status == 404:
        return Response(status_code=404)
    return problem(
        400,
        detail=f"The HTTP resource does not support the API version '{version.removeprefix('v')}'.",
        code="UnsupportedApiVersion",
        traceId=_trace_id(),
    )


def _trace_id() -> str:
    return f"00-{uuid4().hex}-{uuid4().hex[:16]}-00"
