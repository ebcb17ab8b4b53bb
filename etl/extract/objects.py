"""Reads a listing that is no page but one object."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etl.extract.pages import refuse_other_statuses
from etl.extract.versions import path_of

if TYPE_CHECKING:
    from etl.extract.client import ApplianceClient
    from etl.extract.versions import Listing


async def read_object(client: ApplianceClient, api_version: str, listing: Listing) -> bytes:
    """Give the object, raw.

    Raises what `refuse_other_statuses` raises, and what the client raises.
    """
    path = path_of(api_version, listing)
    answer = await client.get(path, listing.params)
    refuse_other_statuses(answer, name=client.name, path=path)
    return answer.body
