"""One page of a collection: what was asked for, in the version's own spelling, and the envelope around it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from etl.simulator.versions import Conventions

MAX_INT32 = 2**31 - 1


class BadParametersError(ValueError):
    """Parameters that the appliance answers with 400; `errors` has messages by the name as it was spelt."""

    def __init__(self, errors: dict[str, list[str]]) -> None:
        super().__init__(str(errors))
        self.errors = errors


@dataclass(frozen=True, slots=True)
class PageRequest:
    """What one request asks of a collection; `limit` -1 means everything."""

    offset: int
    limit: int

    @property
    def count(self) -> int | None:
        """How many items at most, None for no bound."""
        return None if self.limit == -1 else self.limit


class Query:
    """A query string's pairs, read by names as in `OnlyLatest`; what cannot be read is noted in `errors`.

    A spelling that the version does not know is ignored, as is any stranger. Of two values the first counts.
    """

    def __init__(self, conventions: Conventions, pairs: Iterable[tuple[str, str]]) -> None:
        self.conventions = conventions
        self.errors: dict[str, list[str]] = {}
        self._pairs = list(pairs)

    def page(self, page_cap: int | None) -> PageRequest:
        """Return the page asked for; `page_cap` is the largest served, None for no maximum (none is documented)."""
        offset = self._integer("Offset", 0, 0)
        limit = self._integer("Limit", self.conventions.default_limit, -1)
        if page_cap is not None and (limit == -1 or limit > page_cap):
            limit = page_cap
        return PageRequest(offset, limit)

    def get(self, name: str) -> str | None:
        """Return a parameter's first value, None where it is not given."""
        found = self._found(name)
        return None if found is None else found[1]

    def all_of(self, name: str) -> list[str]:
        """Return every value of a parameter that may be repeated."""
        spellings = self.conventions.spellings(name)
        return [value for spelling, value in self._pairs if spelling in spellings]

    def one_of(self, name: str, values: Sequence[str]) -> str | None:
        """Return a parameter that has to be one of `values`."""
        value = self.get(name)
        if value is not None and value not in values:
            self.refuse(name, value)
        return value

    def boolean(self, name: str) -> bool:
        """Return a parameter that is true or false, false where it is not given."""
        text = self.get(name)
        if text is not None and text.lower() not in ("true", "false"):
            self.refuse(name, text)
        return text is not None and text.lower() == "true"

    def refuse(self, name: str, value: str) -> None:
        """Note that a value is none of this parameter."""
        spelling, _ = self._found(name) or (name, value)
        self.errors[spelling] = [f"The value '{value}' is not valid for {spelling}."]

    def check(self) -> None:
        """Raise `BadParametersError` if anything could not be read."""
        if self.errors:
            raise BadParametersError(self.errors)

    def _found(self, name: str) -> tuple[str, str] | None:
        spellings = self.conventions.spellings(name)
        return next(((spelling, value) for spelling, value in self._pairs if spelling in spellings), None)

    def _integer(self, name: str, default: int, least: int) -> int:
        found = self._found(name)
        if found is None:
            return default
        spelling, text = found
        try:
            number = int(text)
        except ValueError:
            self.refuse(name, text)
            return default
        if not least <= number <= MAX_INT32:
            self.errors[spelling] = [f"The field {spelling} must be between {least} and {MAX_INT32}."]
        return number


def envelope(items: Sequence[bytes], asked: PageRequest, total: int, *, tells_total: bool, links: object) -> bytes:
    """Return a page's body; `total` counts the whole collection and is told as null if so wished."""
    return b'{"offset":%d,"limit":%d,"totalCount":%s,"results":[%s],"_links":%s}' % (
        asked.offset,
        asked.limit,
        str(total).encode("ascii") if tells_total else b"null",
        b",".join(items),
        json.dumps(links).encode("ascii"),
    )


def page_links(query: Query, host: str, path: str, asked: PageRequest, total: int) -> dict[str, object]:
    """Return a page's links: `self`, at v1 also the neighbours that exist, with the port that its items lack."""
    conventions = query.conventions
    version = conventions.version

    def link(offset: int) -> dict[str, str]:
        fields: dict[str, object] = {"Offset": offset, "Limit": asked.limit}
        if path.startswith("/restorePoints"):
            fields = {"OnlyLatest": query.boolean("OnlyLatest")} | fields
        fields = {conventions.spellings(name)[-1]: value for name, value in fields.items()}
        port = ":443" if version == "v1" else ""
        return {"href": f"https://{host}{port}/api/{version}{path}?{urlencode(fields)}"}

    links: dict[str, object] = {"self": link(asked.offset)}
    step = asked.limit
    if version == "v1" and 0 < step < total:
        links["first"] = link(0)
        if asked.offset > 0:
            links["prev"] = link(max(asked.offset - step, 0))
        if asked.offset + step < total:
            links["next"] = link(asked.offset + step)
    return links
