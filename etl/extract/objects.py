"""Reads a listing that is no page but one object."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from etl.extract.pages import read_envelope, refuse_other_statuses
from etl.extract.versions import path_of

if TYPE_CHECKING:
    from etl.extract.client import ApplianceClient
    from etl.extract.versions import Listing


async def read_object(client: ApplianceClient, api_version: str, listing: Listing) -> list[bytes]:
    """Give the object, raw, as the only one of a list; an empty list where the appliance answers that there is none.

    Should it be a page after all, its items are given.

    Raises what `refuse_other_statuses` raises, and what the client raises.
    """
    path = path_of(api_version, listing)
    answer = await client.get(path, listing.params)
    if answer.status == 204:
        return []
    refuse_other_statuses(answer, name=client.name, path=path)
    if answer.body.strip() in (b"null", b"{}"):
        return []
    if _is_page(answer.body):
        return read_envelope(answer, name=client.name, path=path).items
    return [answer.body]


def _is_page(body: bytes) -> bool:
    try:
        answer = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return isinstance(answer, dict) and "results" in answer
