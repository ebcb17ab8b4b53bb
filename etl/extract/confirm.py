"""Asks for points by id, to tell those that are gone from those that a crawl merely did not list.

A 404 alone proves little: a proxy, a service that is starting or a missing right answers it too. It counts only with a
control: points that were just listed answer 200 by id, before the questions and after them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice

import msgspec

from etl.errors import ApplianceError
from etl.extract.client import Answer, ApplianceClient
from etl.extract.crawl import ask
from etl.extract.versions import Listing

#: How many listed points are asked for as a control.
CONTROLS = 3
#: Questions that wait for the client at a time; it asks as many at once as it may.
QUESTIONS = 64

_OK, _NOT_FOUND = 200, 404


@dataclass(slots=True)
class Confirmation:
    """What the appliance says of the points that were asked for."""

    gone: list[str] = field(default_factory=list)
    present: list[bytes] = field(default_factory=list)
    """The items of those that are there, raw."""
    unconfirmed: int = 0
    reason: str | None = None
    """Why the unconfirmed ones are, in a few words; of several reasons the first."""

    def doubt(self, count: int, reason: str) -> None:
        """Counts `count` points as neither gone nor present."""
        self.unconfirmed += count
        self.reason = self.reason or reason


async def confirm(
    client: ApplianceClient,
    api_version: str,
    listing: Listing,
    ids: Sequence[str],
    *,
    listed: Sequence[str],
    on_answers: Callable[[int], None] = lambda _: None,
) -> Confirmation:
    """Asks for each of `ids`; none of them counts as gone unless the control holds.

    Args:
        client: signed in or not.
        api_version: the version that the collection was read at.
        listing: where they were listed.
        ids: the points that were not listed.
        listed: ids that the crawl listed last, as the control; empty if the collection was read twice and was empty
            both times: then a 404 has to be a problem document, which a proxy does not write.
        on_answers: called with the number of answers that have come since the last call.
    """
    found = Confirmation()

    async def controls_answer() -> bool:
        return await _controls_answer(client, api_version, listing, listed)

    if listed and not await controls_answer():
        found.doubt(len(ids), "points that were just listed are not found by id either")
        return found
    rest = iter(ids)
    while questions := list(islice(rest, QUESTIONS)):
        asked = {one: asyncio.ensure_future(ask(client, api_version, listing, one)) for one in questions}
        try:
            _, unanswered = await asyncio.wait(asked.values(), return_when=asyncio.FIRST_EXCEPTION)
        finally:
            for task in asked.values():
                task.cancel()  # no-op for those that have their answer
        answers = await asyncio.gather(*asked.values(), return_exceptions=True)
        for restore_point_id, answer in zip(asked, answers, strict=True):
            _judge(found, restore_point_id, answer, strict=not listed)
        on_answers(len(questions))
        if unanswered or any(isinstance(answer, BaseException) for answer in answers):
            # one question used up its time for retries: the rest would do the same, one after the other
            found.doubt(len(list(rest)), "the appliance stopped answering by id")
    if listed and found.gone and not await controls_answer():
        found.doubt(len(found.gone), "points that were listed are no longer found by id")
        found.gone.clear()
    return found


async def _controls_answer(client: ApplianceClient, api_version: str, listing: Listing, listed: Sequence[str]) -> bool:
    """Whether listed points answer 200; one that is gone meanwhile is made up for by the others."""
    try:
        answers = [await ask(client, api_version, listing, one) for one in listed[-CONTROLS:]]
    except ApplianceError:
        return False
    return any(_is_item(answer, one) for answer, one in zip(answers, listed[-CONTROLS:], strict=True)) and all(
        answer.status == _OK or _is_gone(answer, strict=True) for answer in answers
    )


def _judge(found: Confirmation, restore_point_id: str, answer: Answer | BaseException, *, strict: bool) -> None:
    if isinstance(answer, ApplianceError):
        found.doubt(1, str(answer))
    elif isinstance(answer, asyncio.CancelledError):
        found.doubt(1, "the appliance stopped answering by id")
    elif isinstance(answer, BaseException):
        raise answer
    elif _is_item(answer, restore_point_id):
        found.present.append(answer.body)
    elif _is_gone(answer, strict=strict):
        found.gone.append(restore_point_id)
    else:
        found.doubt(1, f"HTTP {answer.status} ({answer.content_type or 'no content type'}) by id")


def _is_item(answer: Answer, restore_point_id: str) -> bool:
    if answer.status != _OK:
        return False
    try:
        item = msgspec.json.decode(answer.body)
    except (msgspec.DecodeError, RecursionError):
        return False
    told = item.get("id") if isinstance(item, dict) else None
    return isinstance(told, str) and told.lower() == restore_point_id.lower()


def _is_gone(answer: Answer, *, strict: bool) -> bool:
    """Whether a 404 is the appliance's own: not a page for people, and if `strict` a problem document."""
    if answer.status != _NOT_FOUND:
        return False
    if not strict:
        return answer.content_type not in (
            "text/html",
            "application/xhtml+xml",
        ) and not answer.body.lstrip().startswith(b"<")
    try:
        problem = msgspec.json.decode(answer.body)
    except (msgspec.DecodeError, RecursionError):
        return False
    return isinstance(problem, dict) and bool({"title", "status", "type", "detail"} & problem.keys())
