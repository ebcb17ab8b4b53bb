"""What neighbouring pages share, and what a crawl's report is worth."""

import json
from dataclasses import replace

import pytest

from etl.extract.evidence import CrawlReport, evidence
from etl.extract.seams import compare, overlap, stretch


def page(offset, ids):
    return stretch(offset, [json.dumps({"id": one}).encode() for one in ids])


def seam(first, second, at):
    found = compare(page(0, first), page(at, second))
    return found.repeated, found.holds, found.ascending, found.exact


@pytest.mark.parametrize(
    ("first", "second", "at", "repeated", "holds", "ascending", "exact"),
    [
        ("abcdef", "efgh", 4, 2, True, True, True),
        ("abcdef", "ef", 4, 2, True, True, True),
        ("abcdef", "e", 4, 1, True, True, False),  # the last one went
        ("abcdef", "fgh", 4, 1, True, True, False),  # one before them went
        ("abcdef", "defgh", 4, 3, True, True, False),  # one before them came
        ("acegik", "iijk", 4, 3, False, False, False),  # an id twice
        ("acegik", "ijkl", 4, 2, True, True, False),  # j came
        ("abcdef", "ghi", 4, 0, False, True, False),  # two went: the thread is lost
        ("abcdef", "abc", 4, 3, True, True, False),  # four came: nothing new
        ("abcdef", "feg", 4, 2, False, False, False),  # two changed places
        ("fedcba", "ba98", 4, 2, True, False, True),  # a fixed order, but not by id
        ("acf", "bcdeg", 1, 1, True, False, False),  # each sorted, yet not one after the other
        ("abcdef", "", 4, 0, False, True, False),
        ("abcdef", "ghi", 6, 0, False, True, True),  # no overlap was asked for
    ],
)
def test_seam(first, second, at, repeated, holds, ascending, exact):
    assert seam(first, second, at) == (repeated, holds, ascending, exact)


def test_what_is_repeated_may_lie_anywhere():
    assert seam("abcdef", "xbyd", 2)[:2] == (2, True)


@pytest.mark.parametrize(
    ("item", "key"),
    [
        (b'{"id":"a","x":{"id":"b"}}', "a"),
        (b'{"x":[1,{"id":"b"}] , "id" : "A"}', "A"),
        (b'{"id":"a","x":"\\ud800"}', "a"),  # another field that the fast reader refuses
        (b'{"id":"a","x":NaN}', "a"),
        (b'{"id":"a","x":"\xff"}', "a"),
    ],
)
def test_an_id_that_can_be_read(item, key):
    assert stretch(0, [item]).keys == [key]


@pytest.mark.parametrize(
    "item", [b"null", b"[]", b"7", b'"a"', b"{}", b'{"id":""}', b'{"id":null}', b'{"id":7}', b'{"id":["a"]}', b"NaN",
             b'{"a":' * 100_000],
)  # fmt: skip
def test_an_item_without_an_id_joins_nothing(item):
    one = stretch(0, [b'{"id":"a"}', item])
    assert (one.keys[1], one.ascending) == (item, False)
    found = compare(one, stretch(1, [item, b'{"id":"b"}']))
    assert (found.repeated, found.holds, found.exact) == (1, False, True)


@pytest.mark.parametrize(
    ("rows", "shared"), [(1, 0), (2, 1), (3, 1), (7, 3), (39, 19), (40, 20), (500, 20), (10**6, 20)]
)
def test_a_page_brings_at_least_as_much_new_as_it_repeats(rows, shared):
    assert overlap(rows) == shared


WHOLE = CrawlReport(pages=50, rows=4000, seams_hold=True, ascending=False, single_page=False, total=4000)
CHURNED = replace(WHOLE, total=None, quiet=False)
TORN = replace(WHOLE, seams_hold=False)


@pytest.mark.parametrize(
    ("report", "distinct", "earlier", "added", "expected"),
    [
        (replace(WHOLE, pages=1, single_page=True), 4000, None, None, "single_page"),
        (replace(TORN, pages=1, single_page=True), 1, None, None, "single_page"),
        (replace(WHOLE, ascending=True), 4000, None, None, "order"),
        (replace(CHURNED, ascending=True), 4000, None, None, "order"),
        (replace(TORN, ascending=True), 4000, None, None, None),
        (WHOLE, 4000, None, None, "totals"),
        (WHOLE, 4000, CHURNED, 7, "totals"),
        (replace(WHOLE, rows=4001), 4000, None, None, None),  # one was met twice, away from its seam
        (replace(WHOLE, rows=3999), 3999, None, None, None),  # one was not met
        (replace(WHOLE, rows=4001), 4001, None, None, None),  # one more than there were
        (replace(WHOLE, quiet=False), 4000, None, None, None),  # as many came as went
        (replace(WHOLE, total=None), 4000, None, None, None),
        (TORN, 4000, None, None, None),
        (CHURNED, 4000, CHURNED, 0, "two_crawls"),
        (CHURNED, 4000, CHURNED, 1, None),
        (CHURNED, 4000, replace(CHURNED, seams_hold=False), 0, None),
        (replace(CHURNED, seams_hold=False), 4000, CHURNED, 0, None),
        (CHURNED, 4000, None, None, None),
        (replace(WHOLE, rows=0, total=0), 0, None, None, "totals"),
    ],
)
def test_evidence(report, distinct, earlier, added, expected):
    assert evidence(report, distinct, earlier=earlier, added=added) == expected
