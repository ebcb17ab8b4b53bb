"""Hashes raw items, so that an item seen before need not be looked at again."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

NORMALISER_VERSION: Final = 1
"""Counted up whenever the same item would come out differently: stored hashes then no longer match."""

_SEED = NORMALISER_VERSION.to_bytes(8, "big")


def hash_items(items: Sequence[bytes]) -> NDArray[np.int64]:
    """Give one int64 per raw item: BLAKE2b of 8 bytes over the bytes as received, seeded with `NORMALISER_VERSION`.

    Equal bytes give equal hashes; a reordered key gives another one, so the hash saves work and judges nothing.
    """
    digests = b"".join([blake2b(raw, digest_size=8, salt=_SEED).digest() for raw in items])
    return np.frombuffer(digests, dtype="<i8").astype(np.int64)
