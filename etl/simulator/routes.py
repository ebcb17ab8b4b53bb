"""One path below a version, the question that a request puts to it, and what is found there."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from etl.simulator.paging import Query
from etl.simulator.state import State
from etl.simulator.versions import from_version

Slice = tuple[list[bytes], int]


@dataclass(frozen=True, slots=True)
class Asked:
    """One question to a path: `id` is the part of the path that the template leaves open."""

    state: State
    version: str
    path: str
    id: str
    query: Query


Cut = Callable[[Asked, int, int | None], Slice]
"""Gives what a page has from an offset on, so many at most (None: all), and how many there are in all."""
Tell = Callable[[Asked], bytes | None]
"""Gives the JSON of one item or object, None if it is not there."""


@dataclass(frozen=True, slots=True)
class Route:
    """One path from version `since` to `until`, a page or a text to tell; `what` is what a 404 says is missing.

    `name` is the path's newest name, by which given items are told to it.
    """

    template: str
    name: str
    since: str
    until: str
    cut: Cut | None
    tell: Tell | None
    what: str = "The item"

    def matches(self, version: str, path: str) -> str | None:
        """Return the part of the path that stands in the template's braces ("" if there is none), None: no match."""
        if not (from_version(self.since, version) and from_version(version, self.until)):
            return None
        before, braces, after = self.template.partition("{id}")
        if not braces:
            return "" if path == before else None
        found = re.fullmatch(f"{re.escape(before)}([^/]+){re.escape(after)}", path)
        return found[1] if found else None


@dataclass(frozen=True, slots=True)
class Found:
    """What is at a path: a page to `cut` or a text to `tell`; the other is None."""

    version: str
    path: str
    id: str
    what: str
    cut: Cut | None
    tell: Tell | None

    def asked(self, state: State, query: Query) -> Asked:
        """Return the question that a request with this query puts."""
        return Asked(state, self.version, self.path, self.id, query)
