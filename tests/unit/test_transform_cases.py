"""The table of normalising rules, case by case and all in one batch."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
import pytest
from normalising_cases import CASES, COLLECTION, Case, id_of

from etl.catalogue import COLLECTIONS
from etl.transform.items import frame_dtypes, normalise

by_name = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def plain(value: Any, column: str) -> Any:
    if pd.isna(value):
        return None
    if isinstance(value, pd.Timestamp):
        return value.to_pydatetime()
    if column == "extra":
        return json.loads(value)
    return value.item() if isinstance(value, np.generic) else value


def check(case: Case, rows: pd.DataFrame, rejected: pd.DataFrame) -> None:
    assert len(rows) == int(case.loaded)
    for column, expected in case.columns.items():
        found = plain(rows[column].iloc[0], column)
        assert found == expected
        assert type(found) is type(expected)
    found_fields = [None if pd.isna(field) else field for field in rejected["field"]]
    assert Counter(found_fields) == Counter(field for field, _ in case.rejected)
    reasons = dict(zip(found_fields, rejected["reason"], strict=True))
    for field, part in case.rejected:
        assert part in reasons[field]
        assert len(reasons[field]) < 300
    if case.loaded:
        assert pd.isna(rows["source_hash"].iloc[0]) == bool(case.rejected)


def test_names_are_unique_and_the_table_is_whole() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 110
    assert len({case.raw for case in CASES}) == len(CASES)


@by_name
def test_case_alone(case: Case) -> None:
    batch = normalise([case.raw], collection=COLLECTION)
    assert {name: str(dtype) for name, dtype in batch.frame.dtypes.items()} == frame_dtypes(
        COLLECTIONS[COLLECTION].entity
    )
    check(case, batch.frame, batch.rejected)


def test_all_cases_in_one_batch() -> None:
    alone = [normalise([case.raw], collection=COLLECTION) for case in CASES]
    batch = normalise([case.raw for case in CASES], collection=COLLECTION)
    pd.testing.assert_frame_equal(
        batch.frame, pd.concat([one.frame for one in alone if len(one.frame)], ignore_index=True)
    )
    pd.testing.assert_frame_equal(
        batch.rejected, pd.concat([one.rejected for one in alone if len(one.rejected)], ignore_index=True)
    )


def test_field_errors_name_the_restore_point() -> None:
    name = "a negative size"
    case = next(case for case in CASES if case.name == name)
    assert normalise([case.raw], collection=COLLECTION).rejected["item_id"].to_list() == [id_of(name)]
