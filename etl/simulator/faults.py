"""Faults of the connection to order from a hook: each is a response that does not arrive as it should."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send


class CutShort(Response):
    """Announces its whole body, sends the first `keep` bytes of it and breaks the connection off."""

    def __init__(self, content: bytes, keep: int, **options: Any) -> None:
        super().__init__(content, **options)
        self._keep = keep

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the beginning."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body[: self._keep], "more_body": True})
        # What is written has to leave before the connection is torn down.
        await asyncio.sleep(0.01)
        await _break_off(send)


class Dropped(Response):
    """Breaks the connection off without a byte of an answer."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send nothing."""
        await _break_off(send)


class Dripping(Response):
    """Sends its headers at once and then its body byte by byte, `pause` seconds before each."""

    def __init__(self, content: bytes, pause: float, **options: Any) -> None:
        super().__init__(content, **options)
        self._pause = pause

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send byte after byte until all is sent or nobody listens any more."""
        gone = asyncio.ensure_future(_disconnection(receive))
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        for index in range(len(self.body)):
            await asyncio.wait([gone], timeout=self._pause)
            if gone.done():
                return
            body = self.body[index : index + 1]
            await send({"type": "http.response.body", "body": body, "more_body": True})
        gone.cancel()
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _disconnection(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _break_off(send: Send) -> None:
    # ASGI has no message for this: uvicorn's `send` is a method of the cycle that knows the transport.
    send.__self__.transport.abort()  # type: ignore[attr-defined]
    # The server hears of it one turn of the loop later; returning before would make it answer 500.
    await asyncio.sleep(0.01)
