"""Instants, time spans and JSON text as a .NET service writes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec

encode = msgspec.json.Encoder().encode


def instant(moment: datetime) -> str:
    """Write a UTC instant: up to six fraction digits, trailing zeros dropped."""
    return f"{local(moment.astimezone(UTC))}Z"


def maybe_instant(moment: datetime | None) -> str | None:
    """Write an instant that may be missing."""
    return None if moment is None else instant(moment)


def local(moment: datetime) -> str:
    """Write a moment's own date and time, without an offset."""
    text = moment.replace(tzinfo=None).isoformat()
    return text.rstrip("0") if moment.microsecond else text


def time_span(duration: timedelta) -> str:
    """Write a duration as `hh:mm:ss.fffffff`, past a day with the days before a dot; no fraction if there is none."""
    minutes, seconds = divmod(duration.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    text = f"{hours:02d}:{minutes:02d}:{seconds:02d}"
    if duration.days:
        text = f"{duration.days}.{text}"
    return f"{text}.{duration.microseconds:06d}0" if duration.microseconds else text
