"""Reads the envelope of a page; the items stay raw JSON text."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from etl.errors import ApplianceError, BadRequest, Forbidden, NotAPage, NotServed
from etl.extract.lenient import NotJson, split_page
from etl.extract.retry import Fault

if TYPE_CHECKING:
    from etl.extract.exchange import Answer


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a collection.

    `offset` is where it begins, `limit` how many items the appliance would have put into it, `total` how
    many it says the collection has (None: it does not say), `items` the raw JSON text of each, as received.
    `repeated` of them were on the page before already.
    """

    offset: int
    limit: int
    total: int | None
    items: list[bytes] = field(repr=False)
    repeated: int = 0


@dataclass(frozen=True, slots=True)
class Envelope:
    """A page as the appliance describes it; None is what it does not tell."""

    offset: int | None
    limit: int | None
    total: int | None
    items: list[bytes] = field(repr=False)


class _Wire(msgspec.Struct, rename="camel"):
    offset: int | None = None
    limit: int | None = None
    total_count: int | None = None
    results: list[msgspec.Raw] | None = None


_decoder = msgspec.json.Decoder(_Wire)


def read_envelope(answer: Answer, *, name: str, path: str) -> Envelope:
    """Split an answer into what the envelope tells and its items.

    Raises `Fault` for text that is not JSON (cut short, a proxy's page: asking again may help), `NotAPage`
    for JSON that is no page, and what `refuse_other_statuses` raises.
    """
    refuse_other_statuses(answer, name=name, path=path)
    try:
        wire, items = _split(answer.body)
    except msgspec.ValidationError as error:
        raise NotAPage(f"{name}: what GET {path} answers is no page of a collection ({error}).") from None
    except NotJson:
        raise Fault(f"the answer is not JSON ({answer.content_type or 'no content type'})") from None
    except RecursionError:
        raise NotAPage(f"{name}: what GET {path} answers is nested too deeply for a page.") from None
    if wire.offset is None and wire.limit is None and items is None:
        raise NotAPage(f"{name}: what GET {path} answers is no page of a collection (no offset, limit or results).")
    return Envelope(
        offset=wire.offset,
        limit=wire.limit if wire.limit is not None and wire.limit > 0 else None,
        total=wire.total_count if wire.total_count is not None and wire.total_count >= 0 else None,
        items=items or [],
    )


def refuse_other_statuses(answer: Answer, *, name: str, path: str) -> None:
    """Raise unless the answer is a 200: `Forbidden`, `NotServed`, `BadRequest`, or another `ApplianceError`."""
    match answer.status:
        case 200:
            return
        case 400:
            raise BadRequest(f"{name}: the appliance takes GET {path} for a wrong request (HTTP 400).")
        case 403:
            raise Forbidden(f"{name}: the account may not read {path} (HTTP 403): its role or the licence forbids it.")
        case 404 | 405:
            raise NotServed(f"{name}: the appliance does not serve {path} (HTTP {answer.status}).")
        case status:
            raise ApplianceError(f"{name}: GET {path} answers HTTP {status}, which is no page of a collection.")


def _split(body: bytes) -> tuple[_Wire, list[bytes] | None]:
    try:
        wire = _decoder.decode(body)
    except msgspec.ValidationError:
        raise
    except (msgspec.DecodeError, RecursionError):
        values, items = split_page(body)
        return msgspec.convert(values, _Wire), items
    # Copies: a Raw is a view that keeps the whole body in memory for as long as one item lives.
    return wire, None if wire.results is None else [bytes(item) for item in wire.results]
