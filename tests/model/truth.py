"""The truth, in plain Python: which restore points lived when and what they said; nothing of the pipe is used here."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Any

from etl.simulator.points import RestorePoint
from etl.simulator.shapes import render

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

#: Column → field of an item; what is not in an item leaves its column alone.
TEXTS = {
    "resource_id": "resourceHashId",
    "resource_name": "vmName",
    "region_id": "regionId",
    "region_name": "regionName",
    "backup_destination": "backupDestination",
    "restore_point_type": "type",
    "state": "state",
    "is_corrupted": "isCorrupted",
    "gfs_flags": "gfsFlags",
    "job_session_id": "jobSessionId",
    "vbr_id": "vbrId",
    "access_tier": "accessTier",
    "data_retrieval_status": "dataRetrievalStatus",
}
SIZES = {"backup_size_bytes": "backupSizeBytes", "latest_chain_size_bytes": "latestChainSizeBytes"}
INSTANTS = {"point_in_time": "pointInTime", "immutable_until": "immutableTill"}

#: A change of one of these is history; the others move by themselves.
TRACKED = (
    "workload",
    *(name for name in TEXTS if name != "data_retrieval_status"),
    "backup_size_bytes",
    *INSTANTS,
)
#: What even v1 tells, and so what can be seen to change on the night of an upgrade.
TOLD_BY_ALL = ("point_in_time", "backup_size_bytes", "backup_destination")


@dataclass(frozen=True, slots=True)
class Said:
    """What an item says, column by column; not readable: it has no usable point in time and is rejected whole."""

    columns: dict[str, Any]
    is_readable: bool


@lru_cache(maxsize=50_000)
def said(point: RestorePoint, version: str) -> Said:
    """What a point says of itself when it is served at this API version."""
    item = json.loads(render(point, version, "appliance"))
    columns: dict[str, Any] = {"workload": "vm"}
    columns |= {column: item[name] for column, name in TEXTS.items() if name in item}
    for column, name in SIZES.items():
        if name in item:
            columns[column] = item[name] if type(item[name]) is int else None
    for column, name in INSTANTS.items():
        if name in item:
            columns[column] = None if item[name] is None else datetime.fromisoformat(item[name])
    if "job_session_id" not in columns and item.get("_links"):
        columns["job_session_id"] = item["_links"]["BackupJob"]["href"].rpartition("/")[2]
    return Said(columns, columns["point_in_time"] >= EPOCH)


@dataclass(frozen=True, slots=True)
class Moment:
    """The truth as one request met it. `offset` is that of a page that was asked for, `asked` the id asked for."""

    at: datetime
    alive: dict[str, RestorePoint]
    listed: frozenset[str]
    offset: int | None
    asked: str | None


@dataclass(slots=True)
class Run:
    """What the truth was while a run looked, and what the appliance answered it."""

    version: str
    order_is_fixed: bool
    is_quiet: bool
    """Nothing changed, and every request was answered."""
    began: datetime
    ended: datetime | None = None
    moments: list[Moment] = field(default_factory=list)
    pages: list[list[str]] = field(default_factory=list)
    """The ids on each page that was answered, in the order of answering."""
    found: set[str] = field(default_factory=set)
    """Ids that the appliance itself answered with 200."""
    not_found: set[str] = field(default_factory=set)
    """Ids that the appliance itself answered with 404."""

    @property
    def served(self) -> set[str]:
        """Every id that was answered, on a page or by itself."""
        return self.found.union(*self.pages)

    def forms(self, one: str) -> list[Said]:
        """All that a point said in this run."""
        points = {moment.alive[one] for moment in self.moments if one in moment.alive}
        return [said(point, self.version) for point in points]

    def lived_through(self) -> set[str]:
        """The points that were alive at each request, listed or not."""
        return set.intersection(*(set(moment.alive) for moment in self.moments)) if self.moments else set()

    def ever_alive(self) -> set[str]:
        """The points that were alive at some request."""
        return set().union(*(moment.alive for moment in self.moments))

    def ever_dead(self, one: str) -> bool:
        """Whether a point did not exist at some request."""
        return any(one not in moment.alive for moment in self.moments)

    def listed_through_the_last_crawl(self) -> set[str]:
        """The points that were listed from the last crawl's first request to its last."""
        crawled = [moment for moment in self.moments if moment.offset is not None]
        begins = max(place for place, moment in enumerate(crawled) if moment.offset == 0)
        return set.intersection(*(set(moment.listed) for moment in crawled[begins:]))


@dataclass(slots=True)
class Truth:
    """Who is alive, who is hidden from the list, who has been; on a clock that never goes back."""

    clock: datetime = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)
    alive: dict[str, RestorePoint] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)
    dead: dict[str, RestorePoint] = field(default_factory=dict)
    lives: dict[str, list[tuple[datetime, datetime | None]]] = field(default_factory=dict)
    """Of each point the stretches that it lived, oldest first."""

    def pass_time(self, **how_long: float) -> datetime:
        """Moves the clock on."""
        self.clock += timedelta(**how_long)
        return self.clock

    def born(self, point: RestorePoint) -> None:
        """A point comes, or comes back."""
        self.alive[point.id] = point
        self.dead.pop(point.id, None)
        self.lives.setdefault(point.id, []).append((self.clock, None))

    def died(self, one: str) -> None:
        """A point goes."""
        self.dead[one] = self.alive.pop(one)
        self.hidden.discard(one)
        born, _ = self.lives[one][-1]
        self.lives[one][-1] = (born, self.clock)

    def listed(self) -> frozenset[str]:
        """The points that pages hold."""
        return frozenset(self.alive.keys() - self.hidden)

    def lived(self, one: str, since: datetime, until: datetime) -> bool:
        """Whether a point lived all that time."""
        return any(born <= since and (died is None or until <= died) for born, died in self.lives[one])

    def absences(self, one: str) -> list[tuple[datetime, datetime]]:
        """The stretches in which a point that came back was away."""
        lives = self.lives[one]
        return [(died, born) for (_, died), (born, _) in pairwise(lives) if died is not None]
