"""A random walk: steps drawn from one number, each with its own, so that any part of it can be walked again.

Every step is a word and a number (`delete:4711`); the number decides all that is left to chance in it. What is not
repeatable is only in which order requests arrive that are under way at the same time.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import checks
from checks import Past, must
from estate import DOUBTS, LivingEstate, Plan
from nights import counting_writes
from picture import Picture, Reader
from truth import Run

from etl.extract.endpoint import Endpoint
from etl.load.warehouse import Warehouse
from etl.sync import Accepted, RunResult, Source, sync_appliance

#: Steps and how often each is drawn.
CHANGES = {
    "create": 10,
    "change": 10,
    "refresh": 5,
    "delete": 8,
    "bring_back": 5,
    "hide": 5,
    "show": 4,
    "spoil_a_field": 3,
    "spoil_the_time": 3,
    "mend": 3,
    "reorder": 4,
    "upgrade": 4,
    "delete_most": 1,
    "delete_all": 0.5,
    "clock_back": 2,
    "days": 6,
}
SYNCS = {
    "sync": 14,
    "sync_moving": 12,
    "sync_doubtful": 8,
    "sync_faulty": 3,
    "sync_down": 2,
    "sync_cancelled": 3,
    "sync_broken": 3,
    "sync_killed": 0.4,
}
#: Sentences of a run that may give up, and rightly: rows come faster than it reads on.
GIVES_UP = ("that it was asked for", "has no end", "answers the same page", "has an empty page")
PATIENCE_SECONDS = 60


class Broken(RuntimeError):
    """What a run dies of in the middle of its own work."""


@dataclass(frozen=True, slots=True)
class Step:
    word: str
    number: int

    def __str__(self) -> str:
        return f"{self.word}:{self.number}"

    @classmethod
    def read(cls, text: str) -> Step:
        """The step that was written as `word:number`."""
        word, _, number = text.partition(":")
        return cls(word, int(number))


def draw_steps(seed: int, count: int) -> list[Step]:
    """The steps of a walk."""
    draw = random.Random(seed)
    words = {**CHANGES, **SYNCS}
    return [
        Step(word, draw.randrange(10**6)) for word in draw.choices(list(words), weights=list(words.values()), k=count)
    ]


def shorten(steps: Sequence[Step], still_fails: Callable[[Sequence[Step]], bool], seconds: float) -> list[Step]:
    """Leaves steps out, many at a time and then fewer, as long as what is left fails too, and for so long at most."""
    ends = time.monotonic() + seconds
    kept, size = list(steps), len(steps) // 2
    while size:
        for start in range(0, len(kept), size):
            rest = kept[:start] + kept[start + size :]
            if time.monotonic() > ends:
                return kept
            if rest and still_fails(rest):
                kept = rest
                break
        else:
            size //= 2
    return kept


@dataclass
class Walk:
    """One appliance, from its first restore point on, synced into a warehouse that may hold others."""

    warehouse: Warehouse
    seed: int
    name: str = "north"
    counted: Counter[str] = field(default_factory=Counter)
    taken: int = 0
    pasts: list[Past] = field(default_factory=list)
    outcomes: dict[int, str] = field(default_factory=dict)
    skew: timedelta = timedelta(0)
    last_run: Run | None = None

    def take(self, steps: Sequence[Step]) -> None:
        """Takes all steps, then looks at every past run once more.

        Raises:
            AssertionError: something that was promised does not hold.
        """
        with LivingEstate(self.seed) as self.living, Reader(self.warehouse) as self.reader:
            for step in steps:
                self.counted[step.word] += 1
                self.taken += 1
                draw = random.Random(step.number)
                if step.word in SYNCS:
                    self._sync(step, draw)
                elif step.word in ("clock_back", "days"):
                    getattr(self, f"_{step.word}")(draw)
                elif step.word in ("reorder", "upgrade", "delete_most", "delete_all"):
                    getattr(self.living, step.word)(draw)
                else:
                    getattr(self.living, step.word)(
                        draw, draw.choice((1, 1, 2, 3, 8, 20) if step.word == "create" else (1, 1, 2, 3, 8))
                    )
                self.living.truth.pass_time(minutes=draw.randrange(1, 600))
            self._look_back(range(len(self.pasts)))

    def _days(self, draw: random.Random) -> None:
        self.living.truth.pass_time(days=draw.randrange(1, 5))
        self.skew = timedelta(0)

    def _clock_back(self, draw: random.Random) -> None:
        self.skew = -timedelta(hours=draw.choice((1, 30, 1000)))

    # one run

    def _sync(self, step: Step, draw: random.Random) -> None:
        plan = Plan(seed=step.number)
        moving = draw.choice((0.1, 0.3, 0.6))
        retry_for, dies_at = 30.0, None
        match step.word:
            case "sync_moving":
                plan = replace(plan, churn=moving)
            case "sync_doubtful":
                plan = replace(plan, churn=draw.choice((0, moving)), doubt=draw.choice(list(DOUBTS)))
                retry_for = 0.5 if plan.doubt == "broken" else retry_for
            case "sync_faulty":
                plan = replace(plan, churn=draw.choice((0, moving)), faults=2)
            case "sync_down":
                plan, retry_for = replace(plan, churn=moving, down_from=draw.randrange(1, 20)), 0.1
            case "sync_cancelled" | "sync_killed":
                plan = replace(plan, churn=draw.choice((0, moving)), stop_at=draw.randrange(1, 20))
            case "sync_broken":
                dies_at = draw.randrange(2, 8)
        accepted = Accepted(mass_deletion=draw.random() < 0.4)
        before = self._picture()
        if step.word == "sync_killed":
            run, finished = self._killed(plan, draw), None
        else:
            run, finished = self._in_process(plan, accepted, retry_for, dies_at)
        after = self._picture()
        if after.runs.keys() == before.runs.keys():
            must(after.data == before.data, "a run that never began wrote nothing")
            return
        self._close(before, after, finished, run, step)
        if finished and run.is_quiet and finished.status == "succeeded" and draw.random() < 0.5:
            self._again()

    def _close(self, before: Picture, after: Picture, result: RunResult | None, run: Run, step: Step) -> None:
        """Checks all that must hold after a run that has begun."""
        number = max(after.runs)
        status = after.runs[number]["status"]
        for other in [number for number, status in self.outcomes.items() if status == "running"]:
            self.outcomes[other] = "abandoned"
        self.outcomes[number] = status
        checks.check_ledger(after, self.outcomes)
        self.counted[status] += 1
        if result is None or result.status == "failed":
            expected = "running" if step.word == "sync_killed" else "failed"
            if not (step.word == "sync_killed" and status == "succeeded"):  # it was done before it was killed
                must(status == expected, "a run that failed is in the ledger as such", status, step)
                must(bool(after.runs[number]["error"]) == (expected == "failed"), "with its reason", after.runs[number])
                must(after.data == before.data, "a run that fails leaves the data as they were", step)
                return
        must(status == (result.status if result else "succeeded"), "the ledger says what the command says", status)
        row = after.runs[number]
        self.pasts.append(Past(run, number, row["started_at"], row["observed_at"], after))
        told = after.collections[number]
        self.counted[f"evidence {told['evidence']}"] += 1
        self.counted["deleted"] += told["deleted"]
        self.counted["unconfirmed"] += told["unconfirmed"]
        checks.check_tables(after)
        checks.check_history_stays(before, after, number)
        checks.check_counts(run, before, after, number)
        checks.check_content(run, before, after, number)
        checks.check_presence(run, before, after, number)
        checks.check_words(run, self.last_run, before, after, number)
        checks.check_intervals(self.living.truth, self.pasts, after)
        self.last_run = run
        newest = len(self.pasts) - 1
        self._look_back({newest, newest - 1, *random.Random(step.number).choices(range(newest + 1), k=2)})

    def _look_back(self, places: Iterable[int]) -> None:
        """Asks what there was as of some past runs, and between each of them and the one after it."""
        truth, pasts = self.living.truth, self.pasts
        for place in sorted(places):
            if place >= 0:
                following = pasts[place + 1] if place + 1 < len(pasts) else None
                checks.check_as_of_run(self.reader, self.name, pasts[place], truth, pasts)
                checks.check_as_of_between(self.reader, self.name, pasts[place], following, truth, pasts)

    def _again(self) -> None:
        """A second sync without change writes no row of data."""
        before = self._picture()
        with counting_writes(self.warehouse) as written:
            run, result = self._in_process(Plan(), Accepted(), 30.0, None)
        after = self._picture()
        self.counted["sync again"] += 1
        assert result is not None
        must(result.status == "succeeded", "the same again succeeds", result)
        must(written() == 0, "a second sync without change writes nothing", written(), result)
        self._close(before, after, result, run, Step("sync", 0))

    def _in_process(
        self, plan: Plan, accepted: Accepted, retry_for: float, dies_at: int | None
    ) -> tuple[Run, RunResult | None]:
        """Gives null in place of a result for a run that was cancelled or broke."""
        looks = itertools.count(1)

        def now() -> datetime:
            if next(looks) == dies_at:
                raise Broken
            return self.living.truth.pass_time(milliseconds=1) + self.skew

        # the truth is that of machines alone, and a walk is as long as its requests are many
        endpoint = Endpoint(self.name, self.living.url, "reporter", "simulated-password", retry_for=retry_for)
        source = Source(endpoint, workloads=("vm",))

        async def main(stop: list[Callable[[], object]]) -> RunResult:
            task = asyncio.ensure_future(sync_appliance(source, self.warehouse, accepted=accepted, now=now))
            stop.append(partial(asyncio.get_running_loop().call_soon_threadsafe, task.cancel))
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await task

        stop: list[Callable[[], object]] = []
        with self.living.watch(replace(plan, on_stop=lambda: stop[0]())) as run:
            run.is_quiet &= dies_at is None
            try:
                result = asyncio.run(main(stop))
            except (asyncio.CancelledError, Broken):
                return run, None
        if result.status == "failed":
            # where everything by id is broken, little time is given, and a page may take longer
            fails = plan.down_from or plan.doubt == "broken" or any(words in str(result.error) for words in GIVES_UP)
            must(bool(fails and not run.is_quiet), "a run that can succeed does", result.error, plan)
        return run, result

    def _killed(self, plan: Plan, draw: random.Random) -> Run:
        """A run in another process, killed at a request or while it writes; its lock is free afterwards."""
        inside_merge = draw.random() < 0.5
        if inside_merge:
            plan = replace(plan, stop_at=None)
        told = {
            "name": self.name,
            "url": self.living.url,
            "warehouse": self.warehouse.url.render_as_string(hide_password=False),
            "now": (self.living.truth.clock + self.skew).isoformat(),
            "dies_at": 7 if inside_merge else 0,
        }
        process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("killed.py"))], stdin=subprocess.PIPE, text=True
        )
        try:
            with self.living.watch(replace(plan, on_stop=lambda: os.kill(process.pid, signal.SIGKILL))) as run:
                process.communicate(json.dumps(told), timeout=PATIENCE_SECONDS)
        finally:
            process.kill()
            process.wait()
        must(process.returncode in (0, -signal.SIGKILL), "it was killed or done", process.returncode)
        self._wait_for_the_lock()
        return run

    def _wait_for_the_lock(self) -> None:
        """PostgreSQL frees what a dead client held within a fifth of a second."""
        if self.warehouse.dialect == "sqlite":
            return
        held = (
            "select count(*) from pg_locks join pg_database on pg_database.oid = database "
            "where locktype = 'advisory' and datname = current_database()"
        )
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with self.reader.connect() as connection:
                if not connection.exec_driver_sql(held).scalar():
                    return
            threading.Event().wait(0.02)
        raise AssertionError("a killed run's lock is freed")

    def _picture(self) -> Picture:
        return Picture.of(self.reader, self.name)
