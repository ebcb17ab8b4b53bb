"""What is a page, what is not, and what an envelope tells."""

import gzip
import json

import pytest

from etl.errors import ApplianceError, Forbidden, NotAPage, NotServed
from etl.extract.exchange import Answer
from etl.extract.pages import read_envelope
from etl.extract.retry import Fault


def read(body, status=200):
    answer = Answer(status, "application/json", body if isinstance(body, bytes) else body.encode())
    return read_envelope(answer, name="acme", path="/api/v8/restorePoints")


@pytest.mark.parametrize(
    ("body", "offset", "limit", "total", "items"),
    [
        ('{"offset":0,"limit":30,"totalCount":1,"results":[{"id":"a"}]}', 0, 30, 1, [b'{"id":"a"}']),
        ('{"offset":0,"limit":30,"totalCount":null,"results":[]}', 0, 30, None, []),
        ('{"offset":0,"limit":30}', 0, 30, None, []),
        ('{"offset":0,"limit":30,"results":null}', 0, 30, None, []),
        ('{"results":[1, null , "x",[ 2]]}', None, None, None, [b"1", b"null", b'"x"', b"[ 2]"]),
        ('{"offset":0,"limit":0,"results":[]}', 0, None, None, []),
        ('{"offset":0,"limit":-1,"totalCount":-1,"results":[]}', 0, None, None, []),
        ('{"offset":0,"limit":3,"results":[{"a":1}],"results":[{"b":2}]}', 0, 3, None, [b'{"b":2}']),
        (r'{"offset":0,"limit":3,"results":["\ud800\u0000"]}', 0, 3, None, [rb'"\ud800\u0000"']),
        ('{"offset":0,"limit":3,"results":[1e999, 123456789012345678901234567890]}', 0, 3, None, None),
        (
            r'{"offset":0,"limit":3,"results":[{"id":"\udc00"} , 7,{"id":"b"}],"totalCount":3}',
            0,
            3,
            3,
            [rb'{"id":"\udc00"}', b"7", b'{"id":"b"}'],
        ),
        ('{"offset":0,"limit":30,"results":[NaN,{"a":-Infinity}]}', 0, 30, None, [b"NaN", b'{"a":-Infinity}']),
        (b'{"limit":30,"results":["\x01",""]\n}', None, 30, None, [b'"\x01"', b'""']),
        (b'{"limit":30,"results":["\x01","\xff"]\n}', None, 30, None, [b'"\x01"', b'"\xff"']),
        (b'{"offset":0,"limit":3,"results":[{"a":"\xff\xfe"}]}', 0, 3, None, [b'{"a":"\xff\xfe"}']),
        ('{"offset":0,"limit":3,"_links":{"self":{"href":null}},"new":[[[]]],"results":[]}', 0, 3, None, []),
    ],
)
def test_envelope(body, offset, limit, total, items):
    envelope = read(body)
    assert (envelope.offset, envelope.limit, envelope.total) == (offset, limit, total)
    if items is not None:
        assert envelope.items == items


@pytest.mark.parametrize(
    "body",
    [
        "null", "[]", "1", '"text"', "{}", '{"error":"x"}', '{"totalCount":5}', '{"offset":null,"limit":null}',
        '{"offset":"0","limit":30,"results":[]}', '{"offset":0,"limit":"30"}', '{"offset":0,"limit":true}',
        '{"offset":0,"limit":30,"totalCount":"5"}', '{"offset":0,"limit":30,"results":{}}',
        '{"offset":0.5,"limit":30}', '{"offset":0,"limit":1e400}', '{"offset":0,"limit":30,"results":"x"}',
        '{"offset":NaN,"limit":30,"results":[]}', '{"offset":0,"limit":30,"results":NaN}', '{"a":NaN}',
    ],
)  # fmt: skip
def test_json_that_is_no_page(body):
    with pytest.raises(NotAPage, match="acme: what GET /api/v8/restorePoints answers is no page"):
        read(body)


@pytest.mark.parametrize(
    "body",
    [
        "", "<html>502</html>", '{"offset":0,"limit":30,"results":[{"id":"a"},{"i', '{"offset":0} trailing',
        '{"offset":0,"limit":30,"results":[NaN]', '{"results":[NaN,]}', '{"results":[NaN]}}', '{"results":[NaN]} x',
        '{"results":[NaN', '{"results":[NaN] "a":1}', '{1:NaN}', "{NaN}", r'{"results":["\x"]}', "{", "}", '{"a":}',
        gzip.compress(b"{}", mtime=0), r'{"results":["\ud800"',
    ],
)  # fmt: skip
def test_a_body_that_is_not_json_is_worth_another_try(body):
    with pytest.raises(Fault, match="the answer is not JSON"):
        read(body)


@pytest.mark.parametrize("levels", [900, 3_000, 100_000])
def test_an_item_that_nests_deep_hides_no_other(levels):
    deep = b'{"id":"deep","n":' + b'[{"]":' * levels + rb'"}\"["' + b"}]" * levels + b"}"
    items = [b'{"id":"a"}', deep, b"7", deep, b'{"id":"b"}']
    body = b'{"offset":0,"limit":30,"totalCount":5,"results":[' + b" ,\n".join(items) + b'],"_links":{}}'
    envelope = read(body)
    assert envelope.items == items
    assert (envelope.offset, envelope.total) == (0, 5)
    with pytest.raises(Fault, match="the answer is not JSON"):
        read(body[: body.index(b"}]", body.index(b"}]") + levels)])


def test_nesting_outside_the_items_is_a_clear_failure():
    with pytest.raises(NotAPage, match="nested too deeply"):
        read(b'{"offset":0,"limit":30,"results":[],"_links":' + b"[" * 3_000 + b"]" * 3_000 + b"}")


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_deep_nesting_is_a_clear_failure(opening):
    body = '{"offset":0,"limit":1,"results":[' + opening * 1_000_000
    with pytest.raises((NotAPage, Fault)):
        read(body)


@pytest.mark.parametrize(
    ("status", "error"), [(403, Forbidden), (404, NotServed), (400, ApplianceError), (409, ApplianceError)]
)
def test_other_statuses(status, error):
    with pytest.raises(error, match=rf"acme: .*HTTP {status}"):
        read(json.dumps({"status": status, "title": "x"}), status)


def test_an_item_does_not_keep_the_body_alive():
    body = b'{"offset":0,"limit":3,"results":[{"id":"a"}]}'
    assert type(read(body).items[0]) is bytes
