"""When a failed request is asked again, how long to wait before, and when to give up."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from etl.errors import ApplianceError, RetriesExhausted, Unreachable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")

LONGEST_BACK_OFF = 20.0
"""Seconds; the wait before a retry grows to at most this, unless the appliance asks for more."""

LONGEST_ATTEMPT = 60.0
"""Seconds that one attempt may take, from connecting to the last byte of the body."""

LISTING_BUDGET = 10
"""Times `retry_for`: what all requests for one collection may spend on faults. An outage met by eight requests at
once costs eight; flakiness without end costs more, and ends."""


class Fault(Exception):
    """One attempt failed in a way that another may not; its text says how.

    `retry_after` is what the appliance asked for, in seconds. `tries` bounds the attempts for faults that
    seldom pass; when they are used up, the appliance counts as unreachable.
    """

    def __init__(self, reason: str, *, retry_after: float | None = None, tries: int | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after
        self.tries = tries


def retry_after_seconds(value: str | None, date: str | None) -> float | None:
    """Read a Retry-After header (RFC 9110: seconds, or an HTTP date) into seconds from now.

    A date is taken against the answer's own Date header, so that a wrong clock on either side does not
    matter. None for anything unreadable.
    """
    if value is None:
        return None
    if re.fullmatch(r"\s*\d{1,9}\s*", value, re.ASCII):
        return float(value)
    until = _http_date(value)
    if until is None:
        return None
    now = (_http_date(date) if date else None) or datetime.now(UTC)
    return max(0.0, (until - now).total_seconds())


def _http_date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@dataclass(slots=True)
class Patience:
    """How long a run bears with one listing of an appliance; holds what its requests have spent on faults so far."""

    name: str
    retry_for: float
    spent: float = 0.0

    def attempt_seconds(self, elapsed: float = 0.0) -> float:
        """Give the deadline of an attempt that starts `elapsed` seconds after its request's first one."""
        return max(0.0, min(LONGEST_ATTEMPT, self.retry_for / 2, self.retry_for - elapsed))

    async def persist(self, what: str, attempt: Callable[[float], Awaitable[T]]) -> T:
        """Call `attempt` with its deadline in seconds until it raises no `Fault`; hand on what it returns.

        Waits with full jitter, or as long as the appliance asks for. Raises `RetriesExhausted` when the
        time of this request or the budget of all is used up, `Unreachable` when the fault's own tries
        are.
        """
        started = time.monotonic()
        verdict: ApplianceError | None = None

        async def timed() -> T:
            began = time.monotonic()
            try:
                return await attempt(self.attempt_seconds(began - started))
            except Fault:
                self.spent += time.monotonic() - began
                raise

        def is_over(state: RetryCallState) -> bool:
            nonlocal verdict
            verdict = self._verdict(what, state)
            return verdict is not None

        # Full jitter, and never so much of the time at once that only a lucky few get a second attempt.
        jitter = wait_random_exponential(multiplier=0.5, max=min(LONGEST_BACK_OFF, self.retry_for / 4))

        def wait(state: RetryCallState) -> float:
            return max(_fault(state).retry_after or 0.0, jitter(state))

        retrying = AsyncRetrying(
            retry=retry_if_exception_type(Fault), wait=wait, stop=is_over, before_sleep=self._charge, reraise=True
        )
        try:
            return await retrying(timed)
        except Fault as fault:
            raise verdict or ApplianceError(f"{self.name}: {what}: {fault}.") from fault

    def _charge(self, state: RetryCallState) -> None:
        self.spent += state.upcoming_sleep

    def _verdict(self, what: str, state: RetryCallState) -> ApplianceError | None:
        """Say why a request is given up; None if it is tried again."""
        fault = _fault(state)
        elapsed = state.seconds_since_start or 0.0
        # The last attempt must have time to show what is wrong, not only that its time was short.
        left = self.retry_for - elapsed - min(1.0, self.retry_for / 10)
        if fault.tries is not None and state.attempt_number >= fault.tries:
            return Unreachable(f"{self.name}: {fault}.")
        if self.spent >= self.retry_for * LISTING_BUDGET:
            return RetriesExhausted(
                f"{self.name}: {what}: {fault}. So many requests failed that their time for retries "
                f"({LISTING_BUDGET} times retry_for, {self.retry_for:g} s) is used up; try again later."
            )
        if state.upcoming_sleep < left:
            return None
        if fault.retry_after is not None and fault.retry_after >= left:
            return RetriesExhausted(
                f"{self.name}: {what}: {fault}, and the appliance asks to wait {fault.retry_after:.0f} s, longer than "
                f"retry_for leaves ({self.retry_for:g} s in all). Try again later, or raise retry_for."
            )
        return RetriesExhausted(
            f"{self.name}: {what} kept failing for {elapsed:.0f} s, at last with: {fault}. "
            f"Try again later, or raise retry_for ({self.retry_for:g} s)."
        )


def _fault(state: RetryCallState) -> Fault:
    fault = state.outcome.exception() if state.outcome else None
    if not isinstance(fault, Fault):
        raise TypeError("only faults are retried")
    return fault
