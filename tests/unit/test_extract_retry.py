"""When a request is tried again, how long it waits, and when it is given up."""

import asyncio
import time

import pytest

from etl.errors import RetriesExhausted, Unreachable
from etl.extract.retry import LISTING_BUDGET, LONGEST_ATTEMPT, Fault, Patience, retry_after_seconds


@pytest.mark.parametrize(
    ("value", "date", "seconds"),
    [
        ("0", None, 0),
        ("120", None, 120),
        (" 7 ", None, 7),
        ("Wed, 21 Oct 2026 07:28:30 GMT", "Wed, 21 Oct 2026 07:28:00 GMT", 30),
        ("Wed, 21 Oct 2026 07:27:00 GMT", "Wed, 21 Oct 2026 07:28:00 GMT", 0),
        ("Wednesday, 21-Oct-26 07:28:30 GMT", "Wed, 21 Oct 2026 07:28:00 GMT", 30),
        ("Wed Oct 21 07:28:30 2026", "Wed, 21 Oct 2026 07:28:00 GMT", 30),
        (None, None, None),
        ("", None, None),
        ("soon", None, None),
        ("-1", None, None),
        ("1.5", None, None),
        ("nan", None, None),
        ("9" * 400, None, None),
        ("٣", None, None),
        ("Wed, 99 Oct 2026 07:28:30 GMT", None, None),
    ],
)
def test_retry_after(value, date, seconds):
    assert retry_after_seconds(value, date) == seconds


def test_a_date_without_the_answers_own_date_is_taken_against_our_clock():
    assert retry_after_seconds("Wed, 21 Oct 1998 07:28:00 GMT", None) == 0
    assert retry_after_seconds("Thu, 01 Jan 99999999999999999999 00:00:00 GMT", None) is None
    assert retry_after_seconds("Wed, 21 Oct 2998 07:28:00 GMT", "nonsense") > 10**9


@pytest.mark.parametrize(
    ("retry_for", "elapsed", "seconds"),
    [(120, 0, 60), (120, 100, 20), (600, 0, LONGEST_ATTEMPT), (10, 0, 5), (10, 8, 2), (10, 12, 0)],
)
def test_the_deadline_of_an_attempt(retry_for, elapsed, seconds):
    assert Patience("acme", retry_for).attempt_seconds(elapsed) == seconds


def failing(faults):
    calls = []

    async def attempt(deadline):
        calls.append(deadline)
        fault = next(faults, None)
        if fault is not None:
            raise fault
        return "whole"

    return attempt, calls


def test_a_fault_is_tried_again_until_it_passes():
    attempt, calls = failing(iter([Fault("HTTP 503"), Fault("HTTP 502")]))
    assert asyncio.run(Patience("acme", 5).persist("GET /x", attempt)) == "whole"
    assert len(calls) == 3


def test_it_waits_as_long_as_it_is_asked_to():
    attempt, _ = failing(iter([Fault("HTTP 429", retry_after=0.7)]))
    began = time.monotonic()
    asyncio.run(Patience("acme", 5).persist("GET /x", attempt))
    assert 0.7 <= time.monotonic() - began < 1.5


def test_a_wait_beyond_the_time_left_is_not_begun():
    attempt, calls = failing(iter([Fault("HTTP 429", retry_after=3600)]))
    began = time.monotonic()
    with pytest.raises(RetriesExhausted, match=r"acme: GET /x: HTTP 429, and the appliance asks to wait 3600 s"):
        asyncio.run(Patience("acme", 120).persist("GET /x", attempt))
    assert len(calls) == 1
    assert time.monotonic() - began < 1


def test_the_time_of_one_request_ends_and_the_last_fault_is_named():
    attempt, calls = failing(iter(lambda: Fault("connection refused"), None))
    began = time.monotonic()
    with pytest.raises(RetriesExhausted, match=r"acme: signing in kept failing for .* connection refused"):
        asyncio.run(Patience("acme", 1).persist("signing in", attempt))
    assert time.monotonic() - began <= 1
    assert len(calls) >= 2
    assert min(calls) >= 0.1  # never an attempt that has no time to show what is wrong


def test_a_fault_with_few_tries_ends_early():
    attempt, calls = failing(iter(lambda: Fault("the host name is not found", tries=3), None))
    with pytest.raises(Unreachable, match="acme: the host name is not found"):
        asyncio.run(Patience("acme", 60).persist("signing in", attempt))
    assert len(calls) == 3


def test_the_budget_of_the_run_ends_flakiness_that_no_single_request_would_end():
    patience = Patience("acme", 0.3)

    async def flaky():
        async def attempt(deadline, seen=[]):  # noqa: B006  one list a definition, so one a request
            if not seen:
                seen.append(1)
                await asyncio.sleep(0.1)
                raise Fault("HTTP 500")

        await patience.persist("GET /x", attempt)

    async def run():
        for _ in range(1000):
            await flaky()

    began = time.monotonic()
    with pytest.raises(RetriesExhausted, match="time for retries"):
        asyncio.run(run())
    assert time.monotonic() - began < 0.3 * LISTING_BUDGET + 1


def test_one_outage_that_eight_requests_share_does_not_use_the_budget_up():
    patience = Patience("acme", 0.6)
    over = time.monotonic() + 0.25

    async def attempt(deadline):
        if time.monotonic() < over:
            raise Fault("HTTP 503", retry_after=0.1)

    async def run():
        await asyncio.gather(*(patience.persist("GET /x", attempt) for _ in range(8)))

    asyncio.run(run())
    assert patience.spent < 0.6 * LISTING_BUDGET
