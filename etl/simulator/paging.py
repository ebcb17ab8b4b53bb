"""One page of a collection: what was asked for, in the version's own spelling, and the envelope around it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from etl.simulator.versions import Conventions

MAX_INT32 = 2**31 - 1


class BadParametersError(ValueError):
    """Parameters that the appliance answers with 400; `errors` has messages by the name as it was spelt."""

    def __init__(self, errors: dict[str, list[str]]) -> None:
        super().__init__(str(errors))
        self.errors = errors


@dataclass(frozen=True, slots=True)
class PageRequest:
    """What one request asks of a collection; `limit` -1 means everything."""

    offset: int
    limit: int
    only_latest: bool = False
    resource_id: str | None = None

    @property
    def count(self) -> int | None:
        """How many items at most, None for no bound."""
        return None if self.limit == -1 else self.limit


def read_parameters(conventions: Conventions, query: Iterable[tuple[str, str]], page_cap: int | None) -> PageRequest:
    """Read a query string's pairs; a spelling that the version does not know is ignored, as is any stranger.

    `page_cap` is the largest page served, None for no maximum (none is documented). Raises `BadParametersError`.
    """
    given: dict[str, tuple[str, str]] = {}
    for spelling, value in query:
        name = conventions.parameters.get(spelling)
        if name is not None:
            given.setdefault(name, (spelling, value))
    errors: dict[str, list[str]] = {}
    offset = _integer(given.get("offset"), 0, 0, errors)
    limit = _integer(given.get("limit"), conventions.default_limit, -1, errors)
    only_latest = _boolean(given.get("only_latest"), errors)
    if errors:
        raise BadParametersError(errors)
    if page_cap is not None and (limit == -1 or limit > page_cap):
        limit = page_cap
    machine = given.get("virtual_machine_id")
    return PageRequest(offset, limit, only_latest, machine[1] if machine else None)


def envelope(items: Sequence[bytes], asked: PageRequest, total: int, *, tells_total: bool, links: object) -> bytes:
    """Return a page's body; `total` counts the whole collection and is told as null if so wished."""
    return b'{"offset":%d,"limit":%d,"totalCount":%s,"results":[%s],"_links":%s}' % (
        asked.offset,
        asked.limit,
        str(total).encode("ascii") if tells_total else b"null",
        b",".join(items),
        json.dumps(links).encode("ascii"),
    )


def page_links(conventions: Conventions, host: str, asked: PageRequest, total: int) -> dict[str, object]:
    """Return a page's links: `self`, at v1 also the neighbours that exist, with the port that its items lack."""
    version = conventions.version

    def link(offset: int) -> dict[str, str]:
        fields: dict[str, object] = {
            "onlyLatest": asked.only_latest,
            "offset": offset,
            "limit": asked.limit,
        }
        if asked.resource_id is not None:
            fields["virtualMachineId"] = asked.resource_id
        if version != "v1":
            fields = {name[0].upper() + name[1:]: value for name, value in fields.items()}
        port = ":443" if version == "v1" else ""
        return {"href": f"https://{host}{port}/api/{version}{conventions.collection}?{urlencode(fields)}"}

    links: dict[str, object] = {"self": link(asked.offset)}
    step = asked.limit
    if version == "v1" and 0 < step < total:
        links["first"] = link(0)
        if asked.offset > 0:
            links["prev"] = link(max(asked.offset - step, 0))
        if asked.offset + step < total:
            links["next"] = link(asked.offset + step)
    return links


def _integer(given: tuple[str, str] | None, default: int, least: int, errors: dict[str, list[str]]) -> int:
    if given is None:
        return default
    spelling, text = given
    try:
        number = int(text)
    except ValueError:
        errors[spelling] = [f"The value '{text}' is not valid for {spelling}."]
        return default
    if not least <= number <= MAX_INT32:
        errors[spelling] = [f"The field {spelling} must be between {least} and {MAX_INT32}."]
    return number


def _boolean(given: tuple[str, str] | None, errors: dict[str, list[str]]) -> bool:
    if given is None:
        return False
    spelling, text = given
    if text.lower() not in ("true", "false"):
        errors[spelling] = [f"The value '{text}' is not valid for {spelling}."]
    return text.lower() == "true"
