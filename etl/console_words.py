"""Words for what the warehouse holds: sizes, instants, spans, sessions, policies and causes, in one line each."""

from __future__ import annotations

import sys
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from etl.report.history import Deletion
    from etl.report.sessions import Session, SessionPolicy

#: How the evidence for a cause fits, by `match_kind`.
MATCHES = {"item": "item match", "resource_and_time": "resource and time match", "session_only": "session only match"}


def size(number: int) -> str:
    """Bytes for people, in decimal units: `34.4 GB (34,359,738,368 bytes)`."""
    scaled, unit = float(number), "bytes"
    for larger in ("kB", "MB", "GB", "TB", "PB", "EB"):
        if scaled < 999.95:
            break
        scaled, unit = scaled / 1000, larger
    return f"{number:,} bytes" if unit == "bytes" else f"{scaled:.1f} {unit} ({number:,} bytes)"


def instant(at: datetime) -> str:
    """A time of day to the second, with its zone."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def span(seconds: float) -> str:
    """How long something took, in the two largest units that it fills: `1 d 2 h`, `12 min 3 s`."""
    whole = timedelta(seconds=round(seconds))
    hours, rest = divmod(whole.seconds, 3600)
    parts = [(whole.days, "d"), (hours, "h"), (rest // 60, "min"), (rest % 60, "s")]
    first = next((place for place, (count, _) in enumerate(parts) if count), len(parts) - 1)
    return " ".join(f"{count} {unit}" for count, unit in parts[first : first + 2] if count) or "0 s"


def value(column: str, held: object) -> str:
    """What a column holds; nothing if it is null."""
    if isinstance(held, datetime):
        return instant(held)
    if isinstance(held, bool):
        return "yes" if held else "no"
    if isinstance(held, int) and column.endswith("_bytes"):
        return size(held)
    return "" if held is None else str(held)


def session(made_by: Session) -> str:
    """Id, type, status, start and duration of a session, as far as they are known."""
    known = [made_by.job_session_id, made_by.session_type, made_by.status]
    if made_by.started_at is not None:
        known.append(f"began {instant(made_by.started_at)}")
    if made_by.duration_seconds is not None:
        known.append(f"took {span(made_by.duration_seconds)}")
    if made_by.policy_name is not None:
        known.append(f"for policy {made_by.policy_name}")
    if made_by.forgotten_at is not None:
        known.append("forgotten by the appliance since" if made_by.is_read else "forgotten before it could be read")
    elif not made_by.is_read:
        known.append("never read")
    return ", ".join(word for word in known if word)


def policy(rule: SessionPolicy) -> str:
    """Name of a policy, and whether it is still there."""
    return f"{rule.policy_name or rule.policy_id}, {_whether_it_exists(rule)}"


def cause(gone: Deletion) -> str:
    """Why a point went and what says so; nothing where that was never looked for."""
    if gone.cause is None:
        return ""
    known = [gone.cause.replace("_", " ")]
    if gone.session is not None:
        known.append(f"session {gone.session.job_session_id}")
        known += [one for one in (gone.session.session_type,) if one]
    if gone.match_kind is not None:
        known.append(MATCHES[gone.match_kind])
    if gone.explained_run is not None:
        known.append(f"explained by run {gone.explained_run}")
    return ", ".join(known) + (f": {gone.note}" if gone.note else "")


def line(words: str) -> None:
    """A line of a result."""
    sys.stdout.write(f"{words}\n")


def _whether_it_exists(rule: SessionPolicy) -> str:
    if rule.exists is None:
        return "not known whether it is still there"
    if rule.exists:
        return "not found removed"
    if rule.gone_at is None or rule.last_confirmed_at is None:
        return "removed"
    return f"removed after {instant(rule.last_confirmed_at)}, before {instant(rule.gone_at)}"
