"""Reads the instants that a person types: an ISO date, or an ISO date and time."""

from __future__ import annotations

import re
from datetime import UTC, datetime, tzinfo

from etl.errors import UsageError

_TYPED = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"(?:[Tt ](?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:[.,][0-9]{1,9})?)?"
    r"(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):?[0-5][0-9])?)?"
)


def parse_instant(text: str, default_zone: tzinfo = UTC) -> datetime:
    """The instant that `text` names, in UTC, cut to the microsecond.

    Args:
        text: `2026-03-03` (the date's first instant), `2026-03-03 06:00`, `2026-03-03T06:00:00.5Z`, `…+01:00`.
        default_zone: what a text without `Z` or an offset is read in.

    Raises:
        UsageError: it is neither a date nor a date and time, or no such day exists.
    """
    typed = text.strip()
    try:
        if not _TYPED.fullmatch(typed):
            raise ValueError(typed)
        instant = datetime.fromisoformat(typed.upper().replace(",", "."))
        return instant.replace(tzinfo=instant.tzinfo or default_zone).astimezone(UTC)
    except (ValueError, OverflowError):
        raise UsageError(
            f"{text!r} is no date and no instant; write 2026-03-03, 2026-03-03T06:00Z or 2026-03-03T06:00+01:00"
        ) from None
