"""Reads a listing that is no page but one object."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etl.extract.pages import refuse_other_statuses
from etl.extract.versions import path_of

if TYPE_CHECKING:
    from etl.extract.client import ApplianceClient
    from etl.extract.versions import Listing


async def read_object(client: ApplianceClient, api_version: str, listing: Listing) -> list[bytes]:
    """Give the object, raw, as the only one of a list; an empty list where the appliance answers that there is none.

    Raises what `refuse_other_statuses` raises, and what the client raises.
    """
    path = path_of(api_version, listing)
    answer = await client.get(path, listing.params)
    if answer.status == 204 or answer.body.strip() == b"null":
        return []
    refuse_other_statuses(answer, name=client.name, path=path)
    return [answer.body]
