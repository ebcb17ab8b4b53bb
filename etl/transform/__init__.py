"""Turns raw items into typed frames and rejected records; pure functions, no I/O, no clock."""

from etl.transform.fields import FRAME_DTYPES, NORMALISER_VERSION
from etl.transform.hashing import hash_items
from etl.transform.restore_points import Batch, normalise

__all__ = ["FRAME_DTYPES", "NORMALISER_VERSION", "Batch", "hash_items", "normalise"]
