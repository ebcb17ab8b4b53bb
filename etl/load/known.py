"""What the warehouse already holds, as hashes of raw items: 8 bytes a restore point, whatever the collection's size."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, func, select, text
from sqlalchemy.dialects.postgresql import BYTEA

from etl.load.models import RestorePoint

Hashes = npt.NDArray[np.int64]


class KnownItems:
    """The hashes of a collection's living points, each with a mark once it has been met in this run.

    An item whose hash is known is unchanged: nothing of it needs to be decoded, transformed or staged. The hash only
    saves work: for every other item the truth is the comparison column by column.
    """

    def __init__(self, hashes: Hashes) -> None:
        self._hashes = np.unique(hashes)
        self._met = np.zeros(len(self._hashes), dtype=np.bool_)

    def meet(self, hashes: Hashes) -> npt.NDArray[np.bool_]:
        """Marks the known ones as met; true for each hash that is known."""
        if not len(self._hashes):
            return np.zeros(len(hashes), dtype=np.bool_)
        places = np.searchsorted(self._hashes, hashes)
        places[places == len(self._hashes)] = 0
        known: npt.NDArray[np.bool_] = self._hashes[places] == hashes
        self._met[places[known]] = True
        return known

    def was_met(self, known: Hashes) -> npt.NDArray[np.bool_]:
        """Which of these hashes, all of them known, have been met."""
        met: npt.NDArray[np.bool_] = self._met[np.searchsorted(self._hashes, known)]
        return met

    @property
    def met(self) -> int:
        """How many distinct points were met unchanged."""
        return int(self._met.sum())


def known_items(connection: Connection, appliance_id: int, collection: str) -> KnownItems:
    """Fetches the hashes of the living points of one collection; nothing is known of those whose hash is null."""
    living = (
        RestorePoint.appliance_id == appliance_id,
        RestorePoint.collection == collection,
        RestorePoint.deleted_at.is_(None),
        RestorePoint.source_hash.is_not(None),
    )
    if connection.dialect.name == "postgresql":
        # one value instead of a row each: 30 to 60 ms for 100,000
        packed = connection.scalar(
            select(func.string_agg(func.int8send(RestorePoint.source_hash), text("''::bytea"), type_=BYTEA)).where(
                *living
            )
        )
        return KnownItems(np.frombuffer(packed or b"", dtype=">i8").astype(np.int64))
    rows = connection.execute(select(RestorePoint.source_hash).where(*living))
    return KnownItems(np.fromiter((row[0] for row in rows), dtype=np.int64))
