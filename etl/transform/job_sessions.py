"""Reads which job session made a point: from its field, else from its link."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote

from etl.transform.cells import Unreadable, shown
from etl.transform.text import identifiers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_USUAL = re.compile(r"https?://[^/?#]+/(?:[^/?#]+/)*jobSessions/(?P<session>[0-9A-Za-z-]+)")
_BEFORE_PATH = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*:)?//[^/]*")


@dataclass(frozen=True, slots=True)
class JobSessions:
    """A column of job session ids read.

    `faults`: row → the field or link at fault and what is wrong with it; `linked`: the rows that have a link to a
    job session, be it null.
    """

    values: Sequence[str | None]
    faults: dict[int, tuple[str, str]]
    linked: list[int]


class BackupJob(NamedTuple):
    """An item's link to the job session that made it: the name as the item spells it, and the link."""

    name: str
    link: object


def job_sessions(points: Sequence[Mapping[str, Any]], field: str) -> JobSessions:
    """Read the points' job session ids from `field`; where that is missing, null or blank, from the link."""
    ids: list[object] = [point.get(field) for point in points]
    jobs = {at: job for at, point in enumerate(points) if (links := point.get("_links")) and (job := backup_job(links))}
    faults: dict[int, tuple[str, str]] = {}
    for at, value in enumerate(ids):
        if value is None or (type(value) is str and not value.strip()):
            ids[at] = None
            if at in jobs:
                try:
                    ids[at] = session_id(jobs[at])
                except Unreadable as fault:
                    faults[at] = (f"_links.{jobs[at].name}", str(fault))
    cells = identifiers(ids)
    for at, why in cells.faults.items():
        from_link = at in jobs and ids[at] is not points[at].get(field)
        faults[at] = (f"_links.{jobs[at].name}" if from_link else field, why)
    return JobSessions(cells.values, faults, list(jobs))


def backup_job(links: object) -> BackupJob | None:
    """Find the link `BackupJob`, whatever the case of its name, in an item's `_links`; the first that is not null.

    At v1 this link is the only place that names the session (the vendor's v1 reference).
    """
    if not isinstance(links, dict):
        return None
    usual = links.get("BackupJob")
    if not _is_null(usual):
        return BackupJob("BackupJob", usual)
    found = [BackupJob(name, link) for name, link in links.items() if name.lower() == "backupjob"]
    return next((job for job in found if not _is_null(job.link)), found[0] if found else None)


def session_id(job: BackupJob) -> str | None:
    """Give the id of the job session that a link names, percent-decoded; None for a null link.

    That is the segment after the path's last `jobSessions/`. The URL may be absolute or relative; query, fragment
    and trailing slashes do not matter.

    Raises:
        Unreadable: a link is there and names no job session.
    """
    if _is_null(job.link):
        return None
    href = job.link.get("href") if isinstance(job.link, dict) else job.link
    if not isinstance(job.link, dict) or not isinstance(href, str):
        raise Unreadable(f"is {shown(job.link)}, not a link with a text as href")
    if usual := _USUAL.fullmatch(href):
        return usual["session"]
    path = _BEFORE_PATH.sub("", re.split(r"[?#]", href, maxsplit=1)[0], count=1)
    segments = path.rstrip("/").split("/")
    for before in range(len(segments) - 2, -1, -1):
        if segments[before].lower() == "jobsessions":
            session = unquote(segments[before + 1], errors="surrogateescape")
            if session.strip():
                return session
            break
    raise Unreadable(f"points to {shown(href)}, which names no job session")


def _is_null(link: object) -> bool:
    return link is None or (type(link) is dict and link.get("href") is None)
