"""An appliance that is served and changed at will: each change is made to the simulator and to the truth alike."""

from __future__ import annotations

import random
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from truth import Moment, Run, Truth

from etl.simulator import Estate, SimulatedAppliance, simulate
from etl.simulator.faults import CutShort, Dropped
from etl.simulator.paging import Query
from etl.simulator.routes import Found

FIXED = ("id", "newest", "slots")
ORDERS = (*FIXED, "moving", "none")
VERSIONS = ("v1", "v2", "v3", "v5", "v6", "v8", "v8.1")

MACHINES_POINTS = ("/restorePoints", "/restorePoints/virtualMachines")
UNREADABLE_TIME = datetime(1969, 7, 20, 20, 17, tzinfo=UTC)

#: How the connection or the appliance fails a request.
FAULTS: tuple[Callable[[], Response], ...] = (
    lambda: JSONResponse({"title": "Oops"}, 500),
    lambda: JSONResponse({"title": "Busy"}, 503),
    lambda: HTMLResponse("<h1>Bad gateway</h1>", 502),
    lambda: HTMLResponse("<h1>Welcome</h1>", 200),
    lambda: CutShort(b'{"offset":0,"limit":500,"totalCount":1,"results":[{"id":', 20),
    lambda: Dropped(),
)
_NO_ROUTE = {"title": "Not Found", "status": 404}
#: How questions by id go wrong while pages are answered well; none of them says that a point is gone.
DOUBTS: dict[str, Callable[[], Response]] = {
    "html for hidden points": lambda: HTMLResponse("<h1>Not Found</h1>", 404),
    "html": lambda: HTMLResponse("<h1>Not Found</h1>", 404),
    "no route": lambda: JSONResponse(_NO_ROUTE, 404),
    "no route any more": lambda: JSONResponse(_NO_ROUTE, 404),
    "no route yet": lambda: JSONResponse(_NO_ROUTE, 404),
    "forbidden": lambda: JSONResponse({"title": "Forbidden"}, 403),
    "broken": lambda: JSONResponse({"title": "Oops"}, 500),
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What happens while a run looks.

    churn: how likely something changes before a request. faults: how many requests fail. doubt: one of `DOUBTS`.
    down_from, stop_at: the request from which on all fail, at which `on_stop` is called. seed: of all chance in it.
    """

    seed: int = 0
    churn: float = 0.0
    faults: int = 0
    doubt: str | None = None
    down_from: int | None = None
    stop_at: int | None = None
    on_stop: Callable[[], object] = lambda: None

    @property
    def is_quiet(self) -> bool:
        """Whether nothing happens."""
        return not (self.churn or self.faults or self.doubt or self.down_from or self.stop_at)


class _WatchedEstate(Estate):
    """Notes what it answers."""

    run: Run | None = None

    def listed(self, found: Found, query: Query, offset: int, limit: int | None) -> tuple[list[bytes], int]:
        items, total = super().listed(found, query, offset, limit)
        if self.run is not None and found.path in MACHINES_POINTS:
            self.run.pages.append([item.partition(b'"id":"')[2][:36].decode() for item in items])
        return items, total

    def told(self, found: Found, query: Query) -> bytes | None:
        item = super().told(found, query)
        if self.run is not None and found.path.rpartition("/")[0] in MACHINES_POINTS:
            (self.run.not_found if item is None else self.run.found).add(found.id)
        return item


class LivingEstate:
    """Restore points that come, change, hide, go and come back, behind a real socket."""

    def __init__(self, seed: int) -> None:
        draw = random.Random(seed)
        self.truth = Truth()
        self.estate = _WatchedEstate.from_seed(seed, machines=3, days=0)
        self.estate.delete(*[point.id for point in self.estate.points])
        self.order = draw.choice(FIXED)
        self.page_cap = draw.choice((7, 12, 12, 25, 40, None))
        self.tells_total = draw.random() < 0.8
        self.version = draw.choice((*VERSIONS, *VERSIONS[:4]))
        self._appliance: SimulatedAppliance | None = None
        self._lock = threading.RLock()
        self.create(draw, draw.choice((0, 30, 60, 90, 120)))

    def __enter__(self) -> LivingEstate:
        self._serve()
        return self

    def __exit__(self, *_: object) -> None:
        if self._appliance is not None:
            self._appliance.__exit__(None, None, None)

    @property
    def url(self) -> str:
        """Where it is served now."""
        assert self._appliance is not None
        return self._appliance.url

    def _serve(self) -> None:
        self._appliance = simulate(
            self.estate,
            version=self.version,
            order=self.order,
            page_cap=self.page_cap,
            tells_total=self.tells_total,
        )
        self._appliance.__enter__()

    # what can happen to it

    def create(self, draw: random.Random, count: int = 1) -> None:
        for _ in range(count):
            now = self.truth.clock
            fields: dict[str, Any] = {
                "id": str(uuid.UUID(int=draw.getrandbits(128), version=4)),
                "resource": draw.choice(self.estate.machines),
                "point_in_time": draw.choice((now, now - timedelta(hours=draw.randrange(200)))),
                "backup_size_bytes": draw.randrange(1, 2**40),
            }
            if draw.random() < 0.7:
                fields |= {
                    "backup_destination": "AzureBlob",
                    "restore_point_type": draw.choice(("Full", "Incremental")),
                    "access_tier": "Hot",
                    "state": "Ok",
                    "is_corrupted": False,
                    "latest_chain_size_bytes": draw.randrange(2**40),
                }
            self.truth.born(self.estate.create(**fields))

    def change(self, draw: random.Random, count: int = 1) -> None:
        changes: tuple[dict[str, Any], ...] = (
            {"state": draw.choice(("Ok", "Corrupted"))},
            {"is_corrupted": draw.choice((True, False))},
            {"backup_size_bytes": draw.randrange(1, 2**40)},
            {"gfs_flags": draw.choice(("None", "Daily", "Weekly"))},
            {"access_tier": draw.choice(("Hot", "Cool", "Archive"))},
            {"immutable_until": self.truth.clock + timedelta(days=draw.randrange(1, 9))},
            {"backup_destination": draw.choice(("AzureBlob", "Snapshot"))},
        )
        for one in self._some(draw, self.truth.alive, count):
            self._put(one, **draw.choice(changes))

    def refresh(self, draw: random.Random, count: int = 1) -> None:
        """Changes what moves by itself and makes no history."""
        for one in self._some(draw, self.truth.alive, count):
            self._put(
                one,
                **draw.choice(
                    (
                        {"latest_chain_size_bytes": draw.randrange(2**40)},
                        {"data_retrieval_status": draw.choice(("None", "Retrieving", "Retrieved"))},
                        {"notify_before_expiry_hours": draw.randrange(100)},
                    )
                ),
            )

    def spoil_a_field(self, draw: random.Random, count: int = 1) -> None:
        for one in self._some(draw, self.truth.alive, count):
            self._put(one, **{draw.choice(("backup_size_bytes", "latest_chain_size_bytes")): "lots"})

    def spoil_the_time(self, draw: random.Random, count: int = 1) -> None:
        for one in self._some(draw, self.truth.alive, count):
            self._put(one, point_in_time=UNREADABLE_TIME - timedelta(seconds=draw.randrange(1000)))

    def mend(self, draw: random.Random, count: int = 1) -> None:
        for one in self._some(draw, self.truth.alive, count):
            point = self.truth.alive[one]
            fields: dict[str, Any] = {}
            if point.point_in_time.year < 1970:
                fields["point_in_time"] = self.truth.clock - timedelta(hours=draw.randrange(200))
            for name in ("backup_size_bytes", "latest_chain_size_bytes"):
                if isinstance(getattr(point, name), str):
                    fields[name] = draw.randrange(1, 2**40)
            if fields:
                self._put(one, **fields)

    def delete(self, draw: random.Random, count: int = 1) -> None:
        for one in self._some(draw, self.truth.alive, count):
            self.estate.delete(one)
            self.truth.died(one)

    def delete_most(self, draw: random.Random) -> None:
        self.delete(draw, int(len(self.truth.alive) * draw.choice((0.5, 0.6, 0.9))))

    def delete_all(self, draw: random.Random) -> None:
        self.delete(draw, len(self.truth.alive))

    def bring_back(self, draw: random.Random, count: int = 1) -> None:
        for one in self._some(draw, self.truth.dead, count):
            point = self.truth.dead[one]
            fields = {name: getattr(point, name) for name in point.__slots__ if name != "usn"}
            self.truth.born(self.estate.create(**fields))

    def hide(self, draw: random.Random, count: int = 1) -> None:
        for one in self._some(draw, self.truth.alive.keys() - self.truth.hidden, count):
            self.estate.hide(one)
            self.truth.hidden.add(one)

    def show(self, draw: random.Random, count: int = 1) -> None:
        for one in self._some(draw, self.truth.hidden, count):
            self.estate.show(one)
            self.truth.hidden.remove(one)

    def reorder(self, draw: random.Random) -> None:
        self.order = draw.choice((*FIXED, *ORDERS))
        self.estate.list_in(self.order, draw.randrange(1000), draw.choice((0.1, 1.0)))

    def upgrade(self, draw: random.Random) -> None:
        """The appliance's software is renewed, and it moves to another port."""
        newer = VERSIONS[VERSIONS.index(self.version) + 1 :]
        if newer:
            self.version = draw.choice((*newer, newer[-1]))
            self.__exit__()
            self._serve()

    def churn(self, draw: random.Random) -> None:
        """One of the things that happen while somebody reads."""
        often = (self.create, self.delete, self.change)
        happens = draw.choice((*often, *often, self.refresh, self.bring_back, self.hide, self.show, self.mend))
        happens(draw, draw.choice((1, 1, 1, 2, 5, 12)))

    def _put(self, one: str, **fields: Any) -> None:
        self.estate.change(one, **fields)
        self.truth.alive[one] = self.estate.point(one)

    def _some(self, draw: random.Random, of: Any, count: int) -> list[str]:
        candidates = sorted(of)
        return draw.sample(candidates, min(count, len(candidates)))

    # how it is watched while a run looks

    def watch(self, plan: Plan) -> Watching:
        """A context in which requests are counted, noted and answered as planned; gives the `Run` it fills."""
        return Watching(self, plan)


class Watching:
    """The time of one run, with its plan."""

    def __init__(self, living: LivingEstate, plan: Plan) -> None:
        self.living, self.plan = living, plan
        self.draw = random.Random(plan.seed)
        self.requests = 0
        self.by_id = 0
        # spread over what a small crawl asks
        self.failing = {self.draw.randrange(1, 14) for _ in range(plan.faults)}
        self.run = Run(living.version, living.order in FIXED, plan.is_quiet, living.truth.clock)

    def __enter__(self) -> Run:
        assert self.living._appliance is not None
        self.hook = self.living._appliance.before_request(self._before)
        self.living.estate.run = self.run
        return self.run

    def __exit__(self, *_: object) -> None:
        self.hook.remove()
        self.living.estate.run = None
        self.run.ended = self.living.truth.pass_time(seconds=1)

    def _before(self, request: Request) -> Response | None:
        living, plan, draw = self.living, self.plan, self.draw
        truth = living.truth
        truth.pass_time(seconds=1)
        self.requests += 1
        below = request.url.path.partition("/restorePoints")[2].removeprefix("/virtualMachines")
        is_page = "/restorePoints" in request.url.path and not below
        asked = below.removeprefix("/") or None
        if plan.churn and self.requests > 1 and draw.random() < plan.churn:
            living.churn(draw)
        if self.requests == plan.stop_at:
            plan.on_stop()
        offset = int({key.lower(): value for key, value in request.query_params.items()}["offset"]) if is_page else None
        self.run.moments.append(Moment(truth.clock, dict(truth.alive), truth.listed(), offset, asked))
        if plan.down_from and self.requests >= plan.down_from:
            return FAULTS[plan.seed % len(FAULTS)]()
        if self.requests in self.failing and "/api/v" in request.url.path:
            return draw.choice(FAULTS)()
        return self._doubtful(asked) if asked and plan.doubt else None

    def _doubtful(self, asked: str) -> Response | None:
        doubt = self.plan.doubt
        assert doubt is not None
        self.by_id += 1
        if not self.run.pages[-1]:  # nothing is listed that could show that the questions are not answered well
            return None
        if doubt == "html for hidden points" and asked not in self.living.truth.hidden:
            return None
        if (doubt == "no route any more" and self.by_id <= 3) or (doubt == "no route yet" and self.by_id > 6):
            return None
        return DOUBTS[doubt]()
