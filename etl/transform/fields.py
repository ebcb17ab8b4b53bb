"""What the frames of this room agree on with whoever takes them."""

from __future__ import annotations

from typing import Final

NORMALISER_VERSION: Final = 1
"""Counted up whenever the same item would come out differently: stored hashes then no longer match."""

REJECTED_COLUMNS: Final = ("record_hash", "field", "item_id", "reason", "raw")
"""Columns of the frame of rejected records, in order; all `str`."""
