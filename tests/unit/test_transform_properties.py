"""What holds for every input of the transformer, whatever an appliance sends."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import quote

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from normalising_cases import CASES, COLLECTION, item

from etl.catalogue import COLLECTIONS
from etl.transform.hashing import NORMALISER_VERSION, hash_items
from etl.transform.instants import instants as read_column
from etl.transform.instants import read_instant
from etl.transform.items import Batch, frame_dtypes, normalise

anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(2**63 - 2, 2**64 + 1)
    | st.floats()
    | st.text(st.characters(exclude_categories=()))
    | st.sampled_from(
        [
            "",
            " ",
            "0001-01-01T00:00:00Z",
            "2025-03-01T02:00:11Z",
            "2025-03-01T02:00:11+01:00",
            "https://vba/jobSessions/7",
        ]
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["self", "BackupJob", "backupjob", "href", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)
DTYPES = frame_dtypes(COLLECTIONS[COLLECTION].entity)
names = st.sampled_from(
    [*(path for paths in COLLECTIONS[COLLECTION].fields.values() for path in paths), "_links", "usn", "new"]
) | st.text(st.characters(exclude_categories=()), max_size=3)


@st.composite
def items(draw: st.DrawFn) -> bytes:
    """An item that is a restore point but for some fields, of few ids, so that ids repeat."""
    point = item(f"property {draw(st.integers(0, 5))}", draw(st.sampled_from(["v1", "v3", "v8.1"])))
    changes = draw(st.dictionaries(names, anything, max_size=4))
    raw = json.dumps(point | changes, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")
    return raw[: draw(st.integers(0, len(raw)))] if draw(st.integers(0, 9)) == 0 else raw


raws = items() | st.binary(max_size=20) | anything.map(lambda value: json.dumps(value).encode())


def check_invariants(raw_items: list[bytes], batch: Batch) -> None:
    frame, rejected = batch.frame, batch.rejected
    assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == DTYPES
    assert set(map(str, rejected.dtypes)) == {"str"}
    assert frame["restore_point_id"].is_unique
    assert rejected["record_hash"].is_unique
    assert frame[["restore_point_id", "workload", "point_in_time", "extra", "absent"]].notna().all(axis=None)
    for frame_of_text in (frame.select_dtypes("str"), rejected):
        for text in frame_of_text.stack().dropna():
            assert "\0" not in text
            text.encode()
    for extra in frame["extra"]:
        kept = json.loads(extra, parse_constant=pytest.fail)
        assert isinstance(kept, dict)
        assert json.dumps(kept, sort_keys=True, separators=(",", ":")) == json.dumps(kept, separators=(",", ":"))
    in_question = set(rejected.loc[rejected["field"].notna(), "item_id"])
    assert set(frame.loc[frame["source_hash"].isna(), "restore_point_id"]) == in_question
    clean = frame["source_hash"].dropna()
    assert set(clean) <= set(hash_items(raw_items).tolist())


def concatenated(singles: list[Batch]) -> Batch:
    """What a batch of those items must give: the last reading of every id, and its records only."""
    frames = pd.concat([one.frame for one in singles], ignore_index=True)
    last = frames.drop_duplicates("restore_point_id", keep="last")
    holders = dict(zip(last["restore_point_id"], last.index, strict=True))
    at = 0
    records = []
    for one in singles:
        superseded = len(one.frame) == 1 and holders[one.frame["restore_point_id"].iloc[0]] != at
        at += len(one.frame)
        if not superseded:
            records.append(one.rejected)
    rejected = pd.concat(records, ignore_index=True) if records else singles[0].rejected[:0]
    return Batch(last.reset_index(drop=True), rejected.drop_duplicates("record_hash", ignore_index=True))


@settings(max_examples=300, deadline=None)
@given(st.lists(raws, max_size=8))
def test_any_batch_comes_out_as_its_items_do(raw_items: list[bytes]) -> None:
    batch = normalise(raw_items, collection=COLLECTION)
    check_invariants(raw_items, batch)
    if raw_items:
        expected = concatenated([normalise([raw], collection=COLLECTION) for raw in raw_items])
        pd.testing.assert_frame_equal(batch.frame, expected.frame)
        pd.testing.assert_frame_equal(batch.rejected, expected.rejected)


def one_field(field: str, values: list[Any], version: str = "v1") -> Batch:
    """A batch of as many items, one field of each changed."""
    raw_items = [json.dumps(item(f"value {at}", version, **{field: value})).encode() for at, value in enumerate(values)]
    return normalise(raw_items, collection=COLLECTION)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 2**63 - 1) | st.none(), min_size=1, max_size=6), st.booleans())
def test_sizes_are_exact(sizes: list[int | None], as_text: bool) -> None:
    written = [str(size) if as_text and size is not None else size for size in sizes]
    found = one_field("backupSizeBytes", written).frame["backup_size_bytes"]
    assert [None if size is pd.NA else int(size) for size in found] == sizes


@st.composite
def instants(draw: st.DrawFn) -> tuple[str, int]:
    """An instant as text, and its microseconds since 1970, counted with whole numbers alone."""
    day = draw(st.dates(date(1970, 1, 2), date(2262, 12, 30)))
    hour, minute, second = draw(st.integers(0, 23)), draw(st.integers(0, 59)), draw(st.integers(0, 59))
    fraction = draw(st.text("0123456789", max_size=9))
    offset = draw(st.none() | st.integers(-23 * 60 - 59, 23 * 60 + 59))
    zone = draw(st.sampled_from(["", "Z", "z"]))
    if offset is not None:
        colon = draw(st.sampled_from([":", ""]))
        zone = f"{'-' if offset < 0 else '+'}{abs(offset) // 60:02d}{colon}{abs(offset) % 60:02d}"
    point = draw(st.sampled_from([".", ","])) if fraction else ""
    text = f"{day}{draw(st.sampled_from(['T', 't', ' ']))}{hour:02d}:{minute:02d}:{second:02d}{point}{fraction}{zone}"
    days = (day - date(1970, 1, 1)).days
    seconds = ((days * 24 + hour) * 60 + minute - (offset or 0)) * 60 + second
    return text, seconds * 1_000_000 + int(f"{fraction}000000"[:6])


@settings(max_examples=200, deadline=None)
@given(st.lists(instants(), min_size=1, max_size=6))
def test_instants_are_truncated_to_the_microsecond(written: list[tuple[str, int]]) -> None:
    batch = one_field("pointInTime", [text for text, _ in written])
    expected = [datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros) for _, micros in written]
    assert batch.rejected.empty
    assert batch.frame["point_in_time"].to_list() == expected


@st.composite
def almost_instants(draw: st.DrawFn) -> str:
    """An instant with a character or two replaced, added or left out; mostly none any more."""
    text = draw(instants())[0]
    for _ in range(draw(st.integers(0, 2))):
        place = draw(st.integers(0, len(text) - 1))
        text = text[:place] + draw(st.text("0123456789-T:.,Zz+ Wé\0", max_size=2)) + text[place + 1 :]
    return text


@settings(max_examples=300, deadline=None)
@given(st.lists(almost_instants(), min_size=1, max_size=6))
def test_a_column_of_instants_is_read_as_each_cell_is(texts: list[str]) -> None:
    column = read_column(texts)
    for at, text in enumerate(texts):
        alone = read_instant(text)
        found = None if column.missing[at] else column.microseconds[at]
        offset = column.offsets[at] if column.has_offset[at] else None
        assert (found, offset) == (alone or (None, None))


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.text(min_size=1, max_size=20).filter(lambda text: text.strip() and "\0" not in text), min_size=1),
    st.sampled_from(["", "https://vba", "https://vba:443/api/v1", "//vba/jobSessions/1", "/api/v2"]),
    st.sampled_from(["", "/", "?x=1", "#x", "/?a=/jobSessions/2#b"]),
)
def test_job_sessions_come_back_from_percent_encoding(sessions: list[str], before: str, after: str) -> None:
    links = [{"BackupJob": {"href": f"{before}/jobSessions/{quote(session, safe='')}{after}"}} for session in sessions]
    batch = one_field("_links", links)
    expected = one_field("jobSessionId", sessions)
    assert batch.rejected.empty
    assert batch.frame["job_session_id"].to_list() == expected.frame["job_session_id"].to_list()


def test_no_items_give_an_empty_batch_of_the_same_columns() -> None:
    batch = normalise([], collection=COLLECTION)
    assert batch.frame.empty
    assert batch.rejected.empty
    check_invariants([], batch)
    assert hash_items([]).dtype == np.int64


def test_nothing_readable_gives_an_empty_frame_of_the_same_columns() -> None:
    batch = normalise([b"{}", b"", b"[]"], collection=COLLECTION)
    assert (len(batch.frame), len(batch.rejected)) == (0, 3)
    check_invariants([], batch)


def test_absent_tells_no_field_from_null() -> None:
    bits = {column: 1 << at for at, column in enumerate(DTYPES)}

    def absent(version: str, **changes: Any) -> set[str]:
        frame = normalise([json.dumps(item("absent", version, **changes)).encode()], collection=COLLECTION).frame
        return {column for column, bit in bits.items() if frame["absent"].iloc[0] & bit}

    assert absent("v8.1") == set()
    assert absent("v8.1", vmName=None, backupSizeBytes="unreadable", _links={}) == set()
    assert absent("v1") == set(DTYPES) - {
        *("restore_point_id", "workload", "point_in_time", "backup_size_bytes", "backup_destination"),
        *("job_session_id", "extra", "source_hash", "absent"),
    }
    assert "job_session_id" in absent("v1", _links=None)
    assert "job_session_id" in absent("v1", _links={"self": {"href": "/x"}})
    assert "job_session_id" not in absent("v1", _links={"backupjob": None})
    assert "job_session_id" not in absent("v1", _links={"BackupJob": {"href": "nowhere"}})
    assert "job_session_id" not in absent("v1", _links=None, jobSessionId=None)


def test_of_one_id_read_twice_the_last_is_taken_and_only_its_fields_judged() -> None:
    first = item("twice", "v1", backupSizeBytes=-1)
    first["id"] = first["id"].upper()
    last = item("twice", "v1", backupSizeBytes=2)
    batch = normalise([json.dumps(one).encode() for one in (first, last)], collection=COLLECTION)
    assert batch.frame["backup_size_bytes"].to_list() == [2]
    assert batch.rejected.empty
    unreadable = json.dumps(item("twice", "v1", pointInTime=None)).encode()
    batch = normalise([json.dumps(last).encode(), unreadable], collection=COLLECTION)
    assert batch.frame["backup_size_bytes"].to_list() == [2]
    assert batch.rejected["item_id"].to_list() == [last["id"]]


def test_the_same_bad_item_is_one_record_and_the_hash_is_over_all_of_it() -> None:
    long = b'{"note":"' + b"x" * 100_000
    batch = normalise([long + b'a"}', long + b'b"}', long + b'a"}'], collection=COLLECTION)
    assert len(batch.rejected) == 2
    assert set(batch.rejected["raw"].str.len()) == {64 * 1024}
    assert batch.rejected["record_hash"].str.fullmatch("[0-9a-f]{64}").all()
    again = normalise([long + b'b"}'], collection=COLLECTION)
    assert set(again.rejected["record_hash"]) < set(batch.rejected["record_hash"])


def test_raw_text_is_capped_between_characters_and_escaped() -> None:
    raw = b'{"id":null,"note":"\x00\xff' + "ü".encode() * 40_000 + b'"}'
    kept = normalise([raw], collection=COLLECTION).rejected["raw"].iloc[0]
    assert kept.startswith('{"id":null,"note":"\\u0000\\xffü')
    assert kept.endswith("ü")
    assert 64 * 1024 - 2 < len(kept.encode()) <= 64 * 1024


def test_numbers_without_a_column_keep_every_digit() -> None:
    raw = (
        json.dumps(item("digits", "v1")).encode()[:-1]
        + b',"n":[1.10,0.12345678901234567890,1E+2,123456789012345678901]}'
    )
    extra = normalise([raw], collection=COLLECTION).frame["extra"].iloc[0]
    assert '"n":[1.10,0.12345678901234567890,1E+2,123456789012345678901]' in extra


def test_hashes_tell_bytes_apart_and_keep_their_meaning() -> None:
    found = hash_items([case.raw for case in CASES])
    assert found.dtype == np.int64
    assert len(set(found.tolist())) == len(CASES)
    # Hashes are stored: whoever changes how they are made counts up NORMALISER_VERSION, and then this pair.
    assert (NORMALISER_VERSION, hash_items([b"{}"]).tolist()) == (1, [-2292788824148046968])


def test_reasons_show_no_control_characters() -> None:
    raw_items = [
        json.dumps(item("control", vmName="\x1b[2J\0")).encode(),
        json.dumps(item("control in a name") | {"\x1b[2J\0": 1}).encode(),
    ]
    reasons = normalise(raw_items, collection=COLLECTION).rejected["reason"].to_list()
    assert len(reasons) == 2
    assert all(reason.isprintable() for reason in reasons)


def test_an_unknown_collection_is_a_programming_error() -> None:
    with pytest.raises(KeyError):
        normalise([], collection="tapes")
