"""Chance that depends on what it is asked about and on nothing that was asked before."""

from __future__ import annotations

from hashlib import blake2b
from uuid import UUID


class Chance:
    """Draws from a seed; the same question always has the same answer, in whatever order questions come.

    So a point of a certain job is the same point whether the history that leads to it began an hour or a day
    earlier: an appliance that is started again tomorrow looks as if a day had passed.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def uuid(self, *about: object) -> str:
        """Return a UUID of version 4."""
        return str(UUID(bytes=self._draw(about), version=4))

    def share(self, *about: object) -> float:
        """Return a number from 0 up to, but not including, 1."""
        return int.from_bytes(self._draw(about)[:6]) / 2**48

    def between(self, low: float, high: float, *about: object) -> float:
        """Return a number from `low` up to `high`."""
        return low + (high - low) * self.share(*about)

    def _draw(self, about: tuple[object, ...]) -> bytes:
        return blake2b(repr((self._seed, *about)).encode(), digest_size=16).digest()
