"""Judges what a crawl has proven: that it holds every point that lived from its first request to its last.

Why seams prove it, given a fixed order. *Fixed* means: of two rows that live on, the one listed first stays first,
whoever comes or goes around them (by id, newest first, a new row in a deleted one's place: all are fixed).

1. A page is a stretch of the order as it is at one moment: from its first row to its last it leaves out nothing
   that lives at that moment. Which offset it was asked for does not matter, nor when.
2. Two pages that share a row are two stretches with a row in common, so together they are one stretch without a
   gap: a row that lives at both moments and lies between their ends is in one of the two.
3. The first page begins where the collection begins, the last one ends where it ends, each at its own moment. If
   each page shares a row with the one before it, a row that lives through the crawl has nowhere to be but in one.

Rows that go move later rows to lower offsets, where they could slip between two pages: pages overlap, so as many
rows may go as the overlap has; if more went, no row is shared, and the thread is picked up further back until one
is (or at offset 0, where a chain of pages begins anew). Rows that come only make pages repeat rows.

The end is believed when a page is shorter than its limit and a second witness agrees: the total that it tells, or,
without one, a page that holds nothing but what was read already. A full page is never the end by itself. (What no
request can tell apart: a cap that is not told together with a total that counts the items of its own page.)

What seams cannot prove is that the order is fixed; without it a row can jump from an unread page to a read one.
`evidence` names what speaks for it. What remains taken on trust: that an answer shows the collection at one moment
between request and answer, and, beyond `single_page`, that an appliance which behaves once as if its order were
fixed does not move a row unseen: for `order` it would have to list by id all but rows that nobody is shown; for
`totals` to move a row and have another come and go between the same two answers; for `two_crawls` to hide the
same row twice.
"""

from __future__ import annotations

from dataclasses import dataclass

MOST_CRAWLS = 3
"""Of one collection in one run; after them it is said that nothing is proven."""

OVERLAP = 20
"""Rows that a page shares with the one before it."""


@dataclass(frozen=True, slots=True)
class CrawlReport:
    """What one reading of a collection, from its start to its end, has shown of itself.

    pages: answers read, those read again to pick up a thread among them. rows: items, those shared at a seam once.
    seams_hold: each page shares ids with the one before it, in one order, and the last is the end. ascending: each
    page's ids ascend strictly, and each page goes on where the one before it ended. single_page: one answer held
    all. total: the `totalCount` that every answer told alike; None if they differ or do not tell. quiet: each page
    began with exactly the rows that were asked for twice, so nothing shifted in between.
    """

    pages: int
    rows: int
    seams_hold: bool
    ascending: bool
    single_page: bool
    total: int | None
    quiet: bool = True


def evidence(report: CrawlReport, distinct: int, *, earlier: CrawlReport | None, added: int | None) -> str | None:
    """Name the best evidence that a crawl is whole, None if it is unproven.

    `distinct` counts the different items of this crawl. `earlier` is the crawl of the same run before it and `added`
    the number of different items that this crawl added to all earlier ones; None for a run's first crawl.
    """
    if report.single_page:
        return "single_page"
    if not report.seams_hold:
        return None
    if report.ascending:
        return "order"
    # fewer different items than rows: one was met again away from its seam, so it has moved
    if report.quiet and report.total == report.rows == distinct:
        return "totals"
    if earlier is not None and earlier.seams_hold and added == 0:
        return "two_crawls"
    return None
