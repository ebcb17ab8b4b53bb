"""The rules of normalising as a table: an item as an appliance sends it → what the warehouse holds of it.

`CASES` is read by the tests of the transformer and by those of the warehouse. Every case's item has an id of its own
(made from the case's name), so that all of them can go through in one batch.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

COLLECTION = "vm"

MISSING = object()
"""As a field's value in `item`: the field is left out."""


@dataclass(frozen=True, slots=True)
class Case:
    """One rule at work.

    `columns`: column → value expected (a datetime with its zone, int, str, bool, None; `extra` a dict), others are not
    looked at. `rejected`: (field or None for the whole item, part of the reason) per rejected record. `loaded`:
    whether the item becomes a restore point.
    """

    name: str
    item: dict[str, Any] | bytes
    columns: dict[str, Any] = field(default_factory=dict)
    rejected: tuple[tuple[str | None, str], ...] = ()
    loaded: bool = True

    @property
    def raw(self) -> bytes:
        """The item as received."""
        return self.item if isinstance(self.item, bytes) else json.dumps(self.item).encode()


def id_of(name: str) -> str:
    """The id of the restore point in the case of that name."""
    return str(uuid5(NAMESPACE_URL, name))


def item(name: str, version: str = "v8.1", **changes: Any) -> dict[str, Any]:
    """An item as that API version shapes it, with some fields changed (or left out: `MISSING`)."""
    point_id = id_of(name)
    fields: dict[str, Any] = {
        "id": point_id,
        "pointInTime": "2025-03-01T02:00:11.482326Z",
        "backupSizeBytes": 1073741824,
        "backupDestination": "AzureBlob",
    }
    if version in ("v1", "v2", "v3"):
        session = "41" if version == "v1" else "b2e7a3a0-51a6-4a4e-8f0b-6f4b40a7c9d1"
        fields["_embeddedResources"] = {}
        fields["_links"] = {
            "self": {"href": f"https://vba/api/{version}/restorePoints/{point_id}"},
            "BackupJob": {"href": f"https://vba/api/{version}/jobSessions/{session}"},
        }
        if version != "v1":
            fields |= {"vbrId": "0d52c1de-95a7-4a0e-a0d3-3f2b9f0f2f10", "gfsFlags": "Weekly", "jobSessionId": session}
        if version == "v3":
            fields |= {
                "usn": 512,
                "type": "Full",
                "dataRetrievalStatus": "None",
                "retrievedDataExpirationDate": None,
                "notifyBeforeRetrievedDataExpirationHours": None,
            }
    else:
        fields |= {
            "type": "Incremental",
            "vbrId": "0d52c1de-95a7-4a0e-a0d3-3f2b9f0f2f10",
            "pointInTimeLocalTime": "2025-03-01T03:00:11.482326+01:00",
            "isCorrupted": False,
            "vmName": "web-01",
            "resourceHashId": "9zx4k2m7qw1e8r5t6y3u0i9o2p7a4s1d6f8g3h5j0k9l2z4x7c1v",
            "regionId": "westeurope",
            "regionName": "West Europe",
            "state": "Ok",
            "gfsFlags": "Daily",
            "jobSessionId": "b2e7a3a0-51a6-4a4e-8f0b-6f4b40a7c9d1",
            "dataRetrievalStatus": "None",
            "retrievedDataExpirationDate": None,
            "notifyBeforeRetrievedDataExpirationHours": None,
            "immutableTill": "2025-03-25T00:00:00Z",
            "accessTier": "Hot",
            "latestChainSizeBytes": 34359738368,
            "_links": None,
        }
    fields |= changes
    return {name: value for name, value in fields.items() if value is not MISSING}


def at(*parts: int) -> datetime:
    """A UTC time: year, month, day, hour, minute, second, microsecond."""
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type,misc]


def reads(name: str, field_name: str, value: Any, column: str, expected: Any) -> Case:
    """The field's value becomes the column's."""
    return Case(name, item(name, **{field_name: value}), {column: expected})


def refuses(name: str, field_name: str, value: Any, column: str, reason: str) -> Case:
    """The field is unreadable: the column is empty, the field not in `extra`, the item loaded."""
    columns = {column: None, "extra": PLAIN_EXTRA}
    return Case(name, item(name, **{field_name: value}), columns, ((field_name, reason),))


def rejects(name: str, reason: str, version: str = "v1", **changes: Any) -> Case:
    """The whole item is rejected."""
    return Case(name, item(name, version, **changes), rejected=((None, reason),), loaded=False)


def happened(name: str, written: str, expected: datetime) -> Case:
    """The point in time as written is read as expected."""
    return Case(name, item(name, "v1", pointInTime=written), {"point_in_time": expected})


def linked(name: str, links: Any, expected: str | None) -> Case:
    """The links name that job session."""
    return Case(name, item(name, "v1", _links=links), {"job_session_id": expected})


def names_no_session(name: str, link: Any, reason: str) -> Case:
    """The link `BackupJob` is there and names no job session."""
    links = {"BackupJob": link}
    columns = {"job_session_id": None, "extra": {"_embeddedResources": {}, "_links": links}}
    return Case(name, item(name, "v1", _links=links), columns, (("_links.BackupJob", reason),))


def leaves_in_extra(name: str, expected: dict[str, Any], **changes: Any) -> Case:
    """What has no column is in `extra`, beside what every item of v8.1 leaves there."""
    return Case(name, item(name, **changes), {"extra": PLAIN_EXTRA | expected})


def raw(
    name: str, text: bytes, columns: dict[str, Any], *rejected: tuple[str | None, str], loaded: bool = True
) -> Case:
    """An item spelled out byte by byte; `ID` stands for its id, `POINT` for id and point in time as fields."""
    point = b'"id":"ID","pointInTime":"2025-03-01T02:00:11Z"'
    spelled = text.replace(b"POINT", point).replace(b"ID", id_of(name).encode())
    return Case(name, spelled, columns, rejected, loaded)


def href(url: str | None) -> dict[str, Any]:
    """Links as an appliance sends them, to a job session only."""
    return {"BackupJob": {"href": url}}


PLAIN_EXTRA: dict[str, Any] = {"_links": None, "notifyBeforeRetrievedDataExpirationHours": None}
V1_EXTRA: dict[str, Any] = {"_embeddedResources": {}, "_links": href("https://vba/api/v1/jobSessions/41")}
UUID_UPPER = "0D52C1DE-95A7-4A0E-A0D3-3F2B9F0F2F10"
LONG_ID = "i" * 601

ITEMS = [
    Case(
        "an item of v1: the session from its link",
        item("an item of v1: the session from its link", "v1"),
        {
            "restore_point_id": id_of("an item of v1: the session from its link"),
            "workload": "vm",
            "resource_id": None,
            "resource_name": None,
            "point_in_time": at(2025, 3, 1, 2, 0, 11, 482326),
            "backup_size_bytes": 1073741824,
            "backup_destination": "AzureBlob",
            "restore_point_type": None,
            "is_corrupted": None,
            "job_session_id": "41",
            "vbr_id": None,
            "immutable_until": None,
            "extra": V1_EXTRA,
            "point_in_time_offset_minutes": None,
        },
    ),
    Case(
        "an item of v2",
        item("an item of v2", "v2"),
        {
            "gfs_flags": "Weekly",
            "vbr_id": "0d52c1de-95a7-4a0e-a0d3-3f2b9f0f2f10",
            "job_session_id": "b2e7a3a0-51a6-4a4e-8f0b-6f4b40a7c9d1",
        },
    ),
    Case(
        "an item of v3: usn and its link to itself are dropped",
        item("an item of v3: usn and its link to itself are dropped", "v3"),
        {
            "restore_point_type": "Full",
            "data_retrieval_status": "None",
            "retrieved_data_expires_at": None,
            "extra": {
                "_embeddedResources": {},
                "_links": href("https://vba/api/v3/jobSessions/b2e7a3a0-51a6-4a4e-8f0b-6f4b40a7c9d1"),
                "notifyBeforeRetrievedDataExpirationHours": None,
            },
        },
    ),
    Case(
        "an item of v8.1",
        item("an item of v8.1"),
        {
            "restore_point_id": id_of("an item of v8.1"),
            "workload": "vm",
            "resource_id": "9zx4k2m7qw1e8r5t6y3u0i9o2p7a4s1d6f8g3h5j0k9l2z4x7c1v",
            "resource_name": "web-01",
            "region_id": "westeurope",
            "region_name": "West Europe",
            "point_in_time": at(2025, 3, 1, 2, 0, 11, 482326),
            "backup_size_bytes": 1073741824,
            "backup_destination": "AzureBlob",
            "restore_point_type": "Incremental",
            "state": "Ok",
            "is_corrupted": False,
            "gfs_flags": "Daily",
            "job_session_id": "b2e7a3a0-51a6-4a4e-8f0b-6f4b40a7c9d1",
            "vbr_id": "0d52c1de-95a7-4a0e-a0d3-3f2b9f0f2f10",
            "access_tier": "Hot",
            "immutable_until": at(2025, 3, 25),
            "latest_chain_size_bytes": 34359738368,
            "data_retrieval_status": "None",
            "retrieved_data_expires_at": None,
            "extra": PLAIN_EXTRA,
            "point_in_time_offset_minutes": 60,
        },
    ),
    raw("nothing but id and point in time", b"{POINT}", {"backup_size_bytes": None, "extra": {}}),
    raw("blanks between the parts of an item", b' {\n "a" : 1,\tPOINT } ', {"extra": {"a": 1}}),
]

IDS = [
    Case(
        "an id that is a UUID is in lower case",
        item("an id that is a UUID is in lower case", "v1", id=id_of("upper-case id").upper()),
        {"restore_point_id": id_of("upper-case id")},
    ),
    Case(
        "an id that is no UUID stays as given",
        item("an id that is no UUID stays as given", "v1", id="Point/7 of ÄRGER"),
        {"restore_point_id": "Point/7 of ÄRGER"},
    ),
    Case(
        "a UUID in braces is no UUID shape",
        item("a UUID in braces is no UUID shape", "v1", id="{ABCDEF01-95A7-4A0E-A0D3-3F2B9F0F2F10}"),
        {"restore_point_id": "{ABCDEF01-95A7-4A0E-A0D3-3F2B9F0F2F10}"},
    ),
    Case("the longest id", item("the longest id", "v1", id="i" * 600), {"restore_point_id": "i" * 600}),
    rejects("no id", "id is missing", id=MISSING),
    rejects("an id of null", "id is null", id=None),
    rejects("an id of nothing", "id is blank", id=""),
    rejects("an id of blanks", "id is blank", id=" \t"),
    rejects("an id that is a number", "id is 7, not a text", id=7),
    rejects("an id that is an object", 'id is {"a":1}, not a text', id={"a": 1}),
    rejects("an id with NUL", "cannot be stored", id="a\0b"),
    rejects("an id with a lone surrogate", "cannot be stored", id="a\ud800b"),
    rejects("an id too long to be a key", "longer than the 600 characters", id=LONG_ID),
    reads("a resource id as text", "resourceHashId", "9ZX", "resource_id", "9ZX"),
    reads("a resource id as a whole number", "resourceHashId", 42, "resource_id", "42"),
    reads("a resource id that is a UUID", "resourceHashId", UUID_UPPER, "resource_id", UUID_UPPER.lower()),
    reads("a backup server's id that is a UUID", "vbrId", UUID_UPPER, "vbr_id", UUID_UPPER.lower()),
    reads("a region's id that is a UUID", "regionId", UUID_UPPER, "region_id", UUID_UPPER.lower()),
    reads("a backup server's id of null", "vbrId", None, "vbr_id", None),
    reads("a region's id stays as given", "regionId", "WestEurope", "region_id", "WestEurope"),
    refuses("a backup server's id that is a flag", "vbrId", True, "vbr_id", "neither a text nor a whole number"),
    refuses("a resource id that is a fraction", "resourceHashId", 1.5, "resource_id", "is 1.5"),
    refuses("a resource id that is an array", "resourceHashId", ["a"], "resource_id", 'is ["a"]'),
    refuses("a region's id with NUL", "regionId", "a\0", "region_id", '"a\\u0000"'),
    refuses("a backup server's id too long", "vbrId", LONG_ID, "vbr_id", "longer than the 600 characters"),
]

NAMES = [
    reads("a name outside ASCII", "vmName", "Zürich-★-😀", "resource_name", "Zürich-★-😀"),
    reads("a name of nothing", "vmName", "", "resource_name", ""),
    reads("a name keeps its blanks", "vmName", "  web\t01 ", "resource_name", "  web\t01 "),
    reads("a name in upper case that is a UUID", "vmName", UUID_UPPER, "resource_name", UUID_UPPER),
    reads("a name that says NaN", "vmName", "NaN", "resource_name", "NaN"),
    reads("a name of null", "vmName", None, "resource_name", None),
    reads("no name", "vmName", MISSING, "resource_name", None),
    refuses("a name that is a number", "vmName", 7, "resource_name", "is 7, not a text"),
    refuses("a name with NUL", "vmName", "web\x0001", "resource_name", "cannot be stored"),
    refuses("a name with a lone surrogate", "vmName", "web\udc01", "resource_name", "\\udc01"),
    refuses("a region's name that is an object", "regionName", {"a": "\ud800"}, "region_name", "unreadable object"),
    raw(
        "a name that is not UTF-8",
        b'{POINT,"vmName":"Z\xfcrich","regionId":"westeurope"}',
        {"resource_name": None, "region_id": "westeurope", "extra": {}},
        ("vmName", "cannot be stored"),
    ),
    raw(
        "a name with a bare NUL byte",
        b'{POINT,"vmName":"a\x00b","type":"Full"}',
        {"resource_name": None, "restore_point_type": "Full"},
        ("vmName", "cannot be stored"),
    ),
    raw("a name with a bare tab", b'{POINT,"vmName":"a\tb"}', {"resource_name": "a\tb", "extra": {}}),
    raw("a name with a surrogate pair", b'{POINT,"vmName":"\\ud83d\\ude00"}', {"resource_name": "😀"}),
]

POINTS_IN_TIME = [
    happened("no fraction", "2021-09-29T22:00:00Z", at(2021, 9, 29, 22)),
    happened("one fraction digit", "2021-09-29T22:00:00.1Z", at(2021, 9, 29, 22, 0, 0, 100000)),
    happened("five fraction digits", "2020-02-03T13:02:39.35773Z", at(2020, 2, 3, 13, 2, 39, 357730)),
    happened("six fraction digits", "2020-02-05T10:48:38.853005Z", at(2020, 2, 5, 10, 48, 38, 853005)),
    happened("a seventh digit is cut", "2020-02-05T10:48:38.8530059Z", at(2020, 2, 5, 10, 48, 38, 853005)),
    happened(
        "nine nines stay below the second", "2020-12-31T23:59:59.999999999Z", at(2020, 12, 31, 23, 59, 59, 999999)
    ),
    happened("a comma before the fraction", "2021-09-29T22:00:00,25Z", at(2021, 9, 29, 22, 0, 0, 250000)),
    happened("lower-case t and z", "2021-09-29t22:00:00z", at(2021, 9, 29, 22)),
    happened("a blank between date and time", "2021-09-29 22:00:00Z", at(2021, 9, 29, 22)),
    happened("no offset is UTC", "2021-09-29T22:00:00", at(2021, 9, 29, 22)),
    happened("no seconds", "2021-09-29T22:05Z", at(2021, 9, 29, 22, 5)),
    happened("an offset east", "2021-09-29T22:00:00+05:30", at(2021, 9, 29, 16, 30)),
    happened("an offset west, past midnight", "2021-12-31T22:00:00.5-03:30", at(2022, 1, 1, 1, 30, 0, 500000)),
    happened("an offset without colon", "2021-09-29T22:00:00+0530", at(2021, 9, 29, 16, 30)),
    happened("an offset of hours", "2021-09-29T22:00:00+02", at(2021, 9, 29, 20)),
    happened("an offset of nothing", "2021-09-29T22:00:00-00:00", at(2021, 9, 29, 22)),
    happened("the basic form", "20210929T220000.5Z", at(2021, 9, 29, 22, 0, 0, 500000)),
    happened("a week date with a time", "2021-W39-3T22:00:00Z", at(2021, 9, 29, 22)),
    happened("the day of the year with a time", "2021-272T22:00:00Z", at(2021, 9, 29, 22)),
    happened("a leap day", "2024-02-29T00:00:00Z", at(2024, 2, 29)),
    happened("a leap second", "2016-12-31T23:59:60Z", at(2017, 1, 1)),
    happened("the first instant", "1970-01-01T00:00:00Z", at(1970, 1, 1)),
    happened("the first instant, written in 1969", "1969-12-31T23:30:00-00:30", at(1970, 1, 1)),
    happened("the last instant", "2262-12-31T23:59:59.9999999Z", at(2262, 12, 31, 23, 59, 59, 999999)),
    happened("the last instant, written in 2263", "2263-01-01T00:59:59+01:00", at(2262, 12, 31, 23, 59, 59)),
    rejects("a moment before 1970", "from 1970 to 2262", pointInTime="1969-12-31T23:59:59.999999Z"),
    rejects("before 1970 by its offset", "from 1970 to 2262", pointInTime="1970-01-01T00:30:00+01:00"),
    rejects("a moment after 2262", "from 1970 to 2262", pointInTime="2263-01-01T00:00:00Z"),
    rejects("after 2262 by a leap second", "from 1970 to 2262", pointInTime="2262-12-31T23:59:60Z"),
    rejects("no point in time", "pointInTime is missing", pointInTime=MISSING),
    rejects("a point in time of null", "pointInTime is null", pointInTime=None),
    rejects("a point in time of nothing", 'pointInTime is ""', pointInTime=""),
    rejects("a point in time that is a number", "pointInTime is 1614564000", pointInTime=1614564000),
    rejects("a point in time that is a flag", "pointInTime is true", pointInTime=True),
    rejects("a date without a time", "2021-09-29", pointInTime="2021-09-29"),
    rejects("a week date without a time", "2021-W39-3", pointInTime="2021-W39-3"),
    rejects("hour 24", "24:00:00", pointInTime="2021-09-29T24:00:00Z"),
    rejects("minute 60", "22:60:00", pointInTime="2021-09-29T22:60:00Z"),
    rejects("second 61", "22:00:61", pointInTime="2021-09-29T22:00:61Z"),
    rejects("ten fraction digits", "0123456789", pointInTime="2021-09-29T22:00:00.0123456789Z"),
    rejects("a point and no fraction", "22:00:00.Z", pointInTime="2021-09-29T22:00:00.Z"),
    rejects("a day that the month lacks", "2021-02-29", pointInTime="2021-02-29T22:00:00Z"),
    rejects("month 13", "2021-13-01", pointInTime="2021-13-01T22:00:00Z"),
    rejects("day 0", "2021-01-00", pointInTime="2021-01-00T22:00:00Z"),
    rejects("an offset of 24 hours", "+24:00", pointInTime="2021-09-29T22:00:00+24:00"),
    rejects("digits of another script", "pointInTime is", pointInTime="٢٠٢١-09-29T22:00:00Z"),
    rejects("a blank after the time", "pointInTime is", pointInTime="2021-09-29T22:00:00Z "),
    rejects("a NUL after the time", "\\u0000", pointInTime="2021-09-29T22:00:00Z\0"),
    rejects(".NET's first day as point in time", "stands for no date", pointInTime="0001-01-01T00:00:00Z"),
    rejects(".NET's last day as point in time", "stands for no date", pointInTime="9999-12-31T23:59:59.9999999Z"),
    rejects("neither id nor point in time", "id is missing", id=MISSING, pointInTime=MISSING),
]

OTHER_INSTANTS = [
    reads(
        "a lock that ends",
        "immutableTill",
        "2025-03-25T00:00:00.1234567+02:00",
        "immutable_until",
        at(2025, 3, 24, 22, 0, 0, 123456),
    ),
    reads("no lock", "immutableTill", None, "immutable_until", None),
    reads(
        "retrieved until",
        "retrievedDataExpirationDate",
        "2025-03-09T22:00:00Z",
        "retrieved_data_expires_at",
        at(2025, 3, 9, 22),
    ),
    *(
        Case(name, item(name, **{field_name: value}), {column: None, "extra": PLAIN_EXTRA | {field_name: value}})
        for name, field_name, value, column in (
            (".NET's first day is none", "immutableTill", "0001-01-01T00:00:00", "immutable_until"),
            (".NET's first day with an offset", "immutableTill", "0001-01-01T00:00:00+01:00", "immutable_until"),
            (".NET's last day is for ever", "immutableTill", "9999-12-31T23:59:59.9999999Z", "immutable_until"),
            (".NET's last day, date only", "retrievedDataExpirationDate", "9999-12-31", "retrieved_data_expires_at"),
        )
    ),
    refuses("a lock's end that is no instant", "immutableTill", "soon", "immutable_until", 'is "soon"'),
    refuses("a lock's end without a time", "immutableTill", "2025-03-25", "immutable_until", "not a date and time"),
    refuses("a lock's end before 1970", "immutableTill", "1900-01-01T00:00:00Z", "immutable_until", "1970 to 2262"),
    refuses("a lock's end that is a number", "immutableTill", 0, "immutable_until", "is 0"),
    refuses("almost .NET's last day", "immutableTill", "9999-12-31 at noon", "immutable_until", "not a date and time"),
    refuses("retrieved until nothing", "retrievedDataExpirationDate", "", "retrieved_data_expires_at", 'is ""'),
]

LOCAL_TIMES = [
    reads(
        "local time east",
        "pointInTimeLocalTime",
        "2025-03-01T07:30:11.482326+05:30",
        "point_in_time_offset_minutes",
        330,
    ),
    reads(
        "local time west",
        "pointInTimeLocalTime",
        "2025-02-28T22:30:11.482326-03:30",
        "point_in_time_offset_minutes",
        -210,
    ),
    reads(
        "local time in UTC", "pointInTimeLocalTime", "2025-03-01T02:00:11.482326Z", "point_in_time_offset_minutes", 0
    ),
    Case(
        "local time agrees below the microsecond",
        item("local time agrees below the microsecond", pointInTimeLocalTime="2025-03-01T03:00:11.4823269+01:00"),
        {"point_in_time_offset_minutes": 60, "extra": PLAIN_EXTRA},
    ),
    reads("no local time", "pointInTimeLocalTime", None, "point_in_time_offset_minutes", None),
    *(
        Case(
            name,
            item(name, pointInTimeLocalTime=value),
            {"point_in_time_offset_minutes": offset, "extra": PLAIN_EXTRA | {"pointInTimeLocalTime": value}},
        )
        for name, value, offset in (
            ("local time without an offset is kept", "2025-03-01T03:00:11.482326", None),
            ("local time of another instant is kept", "2025-03-01T03:00:12+01:00", 60),
            ("local time one microsecond off is kept", "2025-03-01T03:00:11.482327+01:00", 60),
            ("local time of .NET's first day is kept", "0001-01-01T00:00:00+01:00", None),
        )
    ),
    refuses(
        "local time that is no instant", "pointInTimeLocalTime", "03:00", "point_in_time_offset_minutes", '"03:00"'
    ),
    refuses("local time that is a number", "pointInTimeLocalTime", 60, "point_in_time_offset_minutes", "is 60"),
]

SIZE = "backup_size_bytes"
SIZES = [
    reads("a size of 0", "backupSizeBytes", 0, SIZE, 0),
    reads("the largest size", "backupSizeBytes", 2**63 - 1, SIZE, 2**63 - 1),
    reads("a size that a float cannot hold", "backupSizeBytes", 2**53 + 1, SIZE, 2**53 + 1),
    reads("a size as digits", "backupSizeBytes", "34359738368", SIZE, 34359738368),
    reads("the largest size as digits", "backupSizeBytes", str(2**63 - 1), SIZE, 2**63 - 1),
    reads("a size as digits with zeros before", "backupSizeBytes", "0" * 5000 + "7", SIZE, 7),
    reads("a size of null", "backupSizeBytes", None, SIZE, None),
    reads("no size", "backupSizeBytes", MISSING, SIZE, None),
    raw("a size of minus nothing", b'{POINT,"backupSizeBytes":-0}', {SIZE: 0}),
    refuses("a size past the largest", "backupSizeBytes", 2**63, SIZE, "is 9223372036854775808"),
    refuses("a size past the largest as digits", "backupSizeBytes", str(2**63), SIZE, '"9223372036854775808"'),
    refuses("a negative size", "backupSizeBytes", -1, SIZE, "is -1, not a whole number"),
    refuses("a negative size as text", "backupSizeBytes", "-1", SIZE, 'is "-1"'),
    refuses("a size with a fraction", "backupSizeBytes", 1.5, SIZE, "is 1.5"),
    refuses("a size with a fraction of nothing", "backupSizeBytes", 1.0, SIZE, "is 1.0"),
    refuses("a size that is a flag", "backupSizeBytes", True, SIZE, "is true"),
    refuses("a size of no digits", "backupSizeBytes", "", SIZE, 'is ""'),
    refuses("a size with a plus sign", "backupSizeBytes", "+5", SIZE, 'is "+5"'),
    refuses("a size with blanks", "backupSizeBytes", " 5", SIZE, 'is " 5"'),
    refuses("a size with an underscore", "backupSizeBytes", "1_000", SIZE, 'is "1_000"'),
    refuses("a size in digits of another script", "backupSizeBytes", "٣", SIZE, "not a whole number"),
    refuses("a size with a unit", "backupSizeBytes", "5 GB", SIZE, 'is "5 GB"'),
    refuses("a size that is an array", "backupSizeBytes", [5], SIZE, "is [5]"),
    refuses("a long text as size is shortened", "backupSizeBytes", "x" * 500, SIZE, "x…"),
    raw("a size with an exponent", b'{POINT,"backupSizeBytes":1e3}', {SIZE: None}, ("backupSizeBytes", "is 1E+3")),
    raw(
        "a size that is no number",
        b'{POINT,"backupSizeBytes":NaN,"state":"Ok"}',
        {SIZE: None, "state": "Ok", "extra": {}},
        ("backupSizeBytes", "is NaN"),
    ),
    raw(
        "a size without end", b'{POINT,"backupSizeBytes":-Infinity}', {SIZE: None}, ("backupSizeBytes", "is -Infinity")
    ),
    raw(
        "a size of 5000 digits",
        b'{POINT,"backupSizeBytes":' + b"9" * 5000 + b',"state":"Ok"}',
        {SIZE: None, "state": "Ok"},
        ("backupSizeBytes", "9…"),
    ),
    reads("the chain's size", "latestChainSizeBytes", "7", "latest_chain_size_bytes", 7),
    refuses("the chain's size below nothing", "latestChainSizeBytes", -7, "latest_chain_size_bytes", "is -7"),
]

SESSION = "b2e7a3a0-51a6-4a4e-8f0b-6f4b40a7c9d1"
JOB_SESSIONS = [
    Case(
        "the field goes before the link",
        item("the field goes before the link", "v2", jobSessionId="7"),
        {"job_session_id": "7"},
    ),
    reads("a session as a whole number", "jobSessionId", 7, "job_session_id", "7"),
    reads("session 0", "jobSessionId", 0, "job_session_id", "0"),
    reads("a session's UUID in upper case", "jobSessionId", SESSION.upper(), "job_session_id", SESSION),
    reads("a session of null, no link", "jobSessionId", None, "job_session_id", None),
    refuses("a session that is a flag", "jobSessionId", False, "job_session_id", "is false"),
    refuses("a session with NUL", "jobSessionId", "7\0", "job_session_id", "cannot be stored"),
    *(
        Case(name, item(name, "v2", jobSessionId=value), {"job_session_id": SESSION})
        for name, value in (
            ("the link, where the field is null", None),
            ("the link, where the field is empty", ""),
            ("the link, where the field is blank", "  "),
            ("the link, where the field is missing", MISSING),
        )
    ),
    Case(
        "a link that names none, beside a field that does",
        item("a link that names none, beside a field that does", "v2", _links=href("https://vba/")),
        {"job_session_id": SESSION},
    ),
    linked("a link with digits", href("https://vba/api/v1/jobSessions/7"), "7"),
    linked("a link to a UUID in upper case", href(f"https://vba/api/v2/jobSessions/{SESSION.upper()}"), SESSION),
    linked("a link named in other case", {"backupjob": {"href": "/jobSessions/7"}}, "7"),
    linked("a relative link", href("jobSessions/7"), "7"),
    linked("a relative link from the root", href("/api/v1/jobSessions/7"), "7"),
    linked("a link without a scheme", href("//vba/api/v1/jobSessions/7"), "7"),
    linked("a link with a port", href("https://vba:443/api/v1/jobSessions/7"), "7"),
    linked("a link with a query", href("https://vba/api/v1/jobSessions/7?expand=None/jobSessions/8"), "7"),
    linked("a link with a fragment", href("https://vba/api/v1/jobSessions/7#/jobSessions/8"), "7"),
    linked("a link with a slash at its end", href("https://vba/api/v1/jobSessions/7/"), "7"),
    linked("a link with slash and query", href("https://vba/api/v1/jobSessions/7/?x=1"), "7"),
    linked("a link to a part of the session", href("https://vba/api/v1/jobSessions/7/log"), "7"),
    linked("a link with jobsessions in lower case", href("https://vba/api/v1/jobsessions/7"), "7"),
    linked("a link with two sessions: the last", href("https://vba/jobSessions/7/jobSessions/8"), "8"),
    linked("a percent-encoded session", href("https://vba/jobSessions/a%2Fb%20%C3%BC+c"), "a/b ü+c"),
    linked("no link to a session", {"self": {"href": "https://vba/api/v1/restorePoints/1"}}, None),
    linked("a link of null", {"BackupJob": None}, None),
    linked("a link to null", href(None), None),
    linked("a link without href", {"BackupJob": {}}, None),
    linked("links of null", None, None),
    linked("no links", MISSING, None),
    linked("links that are an array", ["https://vba/jobSessions/7"], None),
    linked(
        "a null link beside another in other case", {"BackupJob": None, "backupJob": {"href": "/jobSessions/7"}}, "7"
    ),
    names_no_session("a link to nothing", {"href": ""}, "names no job session"),
    names_no_session("a link elsewhere", {"href": "https://vba/api/v1/policies/7"}, '"https://vba/api/v1/policies/7"'),
    names_no_session("a link to all sessions", {"href": "https://vba/api/v1/jobSessions"}, "names no job session"),
    names_no_session(
        "a link to all sessions, with slash", {"href": "https://vba/jobSessions/"}, "names no job session"
    ),
    names_no_session("a link with an empty segment", {"href": "https://vba/jobSessions//7"}, "names no job session"),
    names_no_session("a link to a blank session", {"href": "https://vba/jobSessions/%20"}, "names no job session"),
    names_no_session("a host named jobSessions", {"href": "https://jobSessions/7"}, "names no job session"),
    names_no_session("a session in the query only", {"href": "https://vba/?a=/jobSessions/7"}, "names no job session"),
    names_no_session("a link that is a text", "https://vba/jobSessions/7", "not a link"),
    names_no_session("a link that is an array", [], "not a link"),
    names_no_session("a link to a number", {"href": 7}, 'is {"href":7}'),
    names_no_session("a link to a session with NUL", {"href": "/jobSessions/a%00"}, "cannot be stored"),
    names_no_session("a link to a session that is not UTF-8", {"href": "/jobSessions/%FF"}, "cannot be stored"),
    Case(
        "a broken link is named as the item spells it",
        item("a broken link is named as the item spells it", "v1", _links={"backupJOB": {"href": "x"}}),
        {"job_session_id": None},
        (("_links.backupJOB", "names no job session"),),
    ),
]

ENUMERATIONS = [
    reads("an unknown destination", "backupDestination", "Tape", "backup_destination", "Tape"),
    reads("a flag as given, with blanks", "gfsFlags", "Weekly, Daily", "gfs_flags", "Weekly, Daily"),
    reads("flags as an array", "gfsFlags", ["Yearly", "Daily", "Weekly"], "gfs_flags", "Daily,Weekly,Yearly"),
    reads("flags as an array of one", "gfsFlags", ["Weekly"], "gfs_flags", "Weekly"),
    reads("flags as an empty array", "gfsFlags", [], "gfs_flags", ""),
    reads("flags of null", "gfsFlags", None, "gfs_flags", None),
    reads("a type in other case", "type", "FULL", "restore_point_type", "FULL"),
    reads("an unknown state", "state", "Doubtful", "state", "Doubtful"),
    reads("an unknown tier", "accessTier", "Frozen", "access_tier", "Frozen"),
    reads("a retrieval that runs", "dataRetrievalStatus", "Retrieving", "data_retrieval_status", "Retrieving"),
    refuses("a type that is a number", "type", 1, "restore_point_type", "neither a text nor an array of texts"),
    refuses("flags with null among them", "gfsFlags", ["Daily", None], "gfs_flags", 'is ["Daily",null]'),
    refuses("flags with NUL", "gfsFlags", ["Dai\0ly"], "gfs_flags", "cannot be stored"),
    refuses("a state that is an object", "state", {}, "state", "is {}"),
    refuses("a destination with a lone surrogate", "backupDestination", "\ud800", "backup_destination", "\\ud800"),
    reads("corrupted", "isCorrupted", True, "is_corrupted", True),
    reads("not known whether corrupted", "isCorrupted", None, "is_corrupted", None),
    refuses("corrupted as a text", "isCorrupted", "true", "is_corrupted", "neither true nor false"),
    refuses("corrupted as a number", "isCorrupted", 1, "is_corrupted", "is 1"),
]

EXTRA = [
    leaves_in_extra(
        "an unknown field", {"newInV9": {"b": [1, None, "ü"], "a": 1.5}}, newInV9={"b": [1, None, "ü"], "a": 1.5}
    ),
    leaves_in_extra("sizeInBytes is no field of virtual machines", {"sizeInBytes": 5}, sizeInBytes=5),
    leaves_in_extra("a field in other case is another field", {"Type": "Full"}, Type="Full"),
    leaves_in_extra("a field without a name", {"": 1}, **{"": 1}),
    leaves_in_extra("the text backslash u0000 is no NUL", {"note": "\\u0000"}, note="\\u0000"),
    leaves_in_extra("links of nothing stay", {"_links": {}}, _links={}),
    leaves_in_extra("links that are a text stay", {"_links": "none"}, _links="none"),
    leaves_in_extra(
        "other links stay", {"_links": {"log": {"href": "/x"}}}, _links={"log": {"href": "/x"}, "Self": None}
    ),
    Case(
        "links of only itself go",
        item("links of only itself go", _links={"SELF": {"href": "/x"}}),
        {"extra": {"notifyBeforeRetrievedDataExpirationHours": None}},
    ),
    Case("usn goes", item("usn goes", usn=[1, "\0"]), {"extra": PLAIN_EXTRA}),
    Case(
        "an unknown field with NUL deep in it",
        item("an unknown field with NUL deep in it", note={"a": ["b\0"]}, other=1),
        {"extra": PLAIN_EXTRA | {"other": 1}},
        (("note", "cannot be stored"),),
    ),
    Case(
        "an unknown field with a lone surrogate in a name",
        item("an unknown field with a lone surrogate in a name", note={"\udfff": 1}),
        {"extra": PLAIN_EXTRA},
        (("note", "\\udfff"),),
    ),
    Case(
        "a field whose name has NUL",
        item("a field whose name has NUL", **{"no\0te": None}),
        {"extra": PLAIN_EXTRA},
        (("no\\u0000te", "name with characters that cannot be stored"),),
    ),
    raw("an unknown field that is NaN", b'{POINT,"ratio":NaN,"n":1}', {"extra": {"n": 1}}, ("ratio", "NaN")),
    raw(
        "an unknown field with Infinity in it", b'{POINT,"r":[Infinity],"n":1}', {"extra": {"n": 1}}, ("r", "Infinity")
    ),
    raw("an unknown number past a double", b'{POINT,"r":1e400,"n":1}', {"extra": {"n": 1}}, ("r", "1e400")),
    raw("an unknown number of 30 digits", b'{POINT,"n":' + b"7" * 30 + b"}", {"extra": {"n": int("7" * 30)}}),
    raw("an unknown field that is not UTF-8", b'{POINT,"note":"\xff","n":1}', {"extra": {"n": 1}}, ("note", "\\udcff")),
    raw(
        "an unknown field of 100 levels",
        b'{POINT,"n":' + b"[" * 100 + b"]" * 100 + b"}",
        {"extra": {"n": json.loads("[" * 100 + "]" * 100)}},
    ),
    raw(
        "an unknown field of 101 levels",
        b'{POINT,"n":' + b"[" * 101 + b"]" * 101 + b',"m":1}',
        {"extra": {"m": 1}},
        ("n", "nests deeper than 100 levels"),
    ),
    *(
        raw(
            f"an unknown field of {levels} levels",
            b'{POINT,"n":' + b'[{"]":' * (levels // 2) + rb'"}\"["' + b"}]" * (levels // 2) + b',"m":1}',
            {"extra": {"m": 1}},
            ("n", "nests deeper than 100 levels"),
        )
        for levels in (3_000, 100_000)
    ),
    raw(
        "a name of 3000 levels",
        b'{POINT,"vmName":' + b"[" * 3_000 + b"]" * 3_000 + b',"m":1}',
        {"resource_name": None, "extra": {"m": 1}},
        ("vmName", "is"),
    ),
    raw("of a field said twice the last", b'{POINT,"n":1,"n":2}', {"extra": {"n": 2}}),
    Case(
        "two unreadable fields are two records",
        item("two unreadable fields are two records", backupSizeBytes=-1, vmName=7, state="Corrupted"),
        {"backup_size_bytes": None, "resource_name": None, "state": "Corrupted"},
        (("backupSizeBytes", "-1"), ("vmName", "7")),
    ),
]

WHOLE_ITEMS = [
    raw("an item cut short", b'{POINT,"vmName":"web', {}, (None, "not readable as JSON"), loaded=False),
    raw("an item of nothing", b"", {}, (None, "not readable as JSON"), loaded=False),
    raw("an item of null", b"null", {}, (None, "is null, not an object"), loaded=False),
    raw("an item that is an array", b"[1, 2]", {}, (None, "is [1,2], not an object"), loaded=False),
    raw("an item that is a text", b'"ID"', {}, (None, "not an object"), loaded=False),
    raw("two items in one", b"{POINT},{POINT}", {}, (None, "not readable as JSON"), loaded=False),
    raw("an item with bytes that are no text", b"\xff\xfe\x00", {}, (None, "not readable as JSON"), loaded=False),
    raw(
        "an item of 100000 levels that is cut short",
        b'{POINT,"n":' + b"[" * 100_000 + b"]" * 99_900,
        {},
        (None, "not readable as JSON"),
        loaded=False,
    ),
    raw(
        "an item that is 100000 arrays in one another",
        b"[" * 100_000 + b"]" * 100_000,
        {},
        (None, "not an object"),
        loaded=False,
    ),
]

CASES: list[Case] = [
    *ITEMS,
    *IDS,
    *NAMES,
    *POINTS_IN_TIME,
    *OTHER_INSTANTS,
    *LOCAL_TIMES,
    *SIZES,
    *JOB_SESSIONS,
    *ENUMERATIONS,
    *EXTRA,
    *WHOLE_ITEMS,
]
