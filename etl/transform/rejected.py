"""Makes the records of what could not be read: which field, why, and the item as it was received."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import pandas as pd

from etl.transform.cells import escaped

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

REJECTED_COLUMNS: Final = ("record_hash", "field", "item_id", "reason", "raw")
"""Columns of the frame of rejected records, in order; all `str`."""

RAW_LIMIT: Final = 64 * 1024
"""Bytes of an item's text that a record keeps (in UTF-8)."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """What was wrong with the item at `row`: in one `field`, or in the whole item (None)."""

    row: int
    field: str | None
    item_id: str | None
    reason: str


def rejected_frame(rejections: Iterable[Rejection], items: Sequence[bytes], collection: str) -> pd.DataFrame:
    """Give the frame of rejected records (columns: `REJECTED_COLUMNS`), in the items' order, one row per record hash.

    `items` are the raw items that the rejections' rows count in.
    """
    records: dict[str, tuple[str, str | None, str | None, str, str]] = {}
    for rejection in sorted(rejections, key=lambda one: one.row):
        text = escaped(items[rejection.row].decode("utf-8", "backslashreplace"))
        identity = [collection, text] if rejection.field is None else [collection, rejection.field, text]
        record_hash = sha256("\0".join(identity).encode()).hexdigest()
        raw = text.encode()[:RAW_LIMIT].decode("utf-8", "ignore")
        records[record_hash] = (
            record_hash,
            rejection.field,
            rejection.item_id,
            rejection.reason,
            raw,
        )
    columns = list(zip(*records.values(), strict=True)) or [()] * len(REJECTED_COLUMNS)
    return pd.DataFrame(
        {name: pd.array(list(values), dtype="str") for name, values in zip(REJECTED_COLUMNS, columns, strict=True)}
    )
