"""Every collection of the catalogue: it is described soundly, and its items become the right rows."""

from __future__ import annotations

import json
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import pandas as pd
import pytest
from collection_cases import CASES, FOLDER, Case, columns_of, wrong
from sqlalchemy import BigInteger, Boolean, Float, Integer, Text
from sqlalchemy.types import TypeEngine

from etl.catalogue import COLLECTIONS, ENTITIES, EXTRA, Collection, Entity, description, restore_points
from etl.extract.versions import path_of, rank
from etl.load.models import Base
from etl.load.models.base import Life, Validity
from etl.load.staging import SqliteStaging
from etl.load.types import Instant, JsonObject
from etl.transform.items import frame_dtypes, normalise
from etl.transform.members import tops

by_collection = pytest.mark.parametrize("collection", COLLECTIONS.values(), ids=lambda one: one.name)
by_entity = pytest.mark.parametrize("entity", ENTITIES.values(), ids=lambda one: one.table)

#: What pandas calls it → what the tables may call it.
FITTING: dict[str, tuple[type[TypeEngine[Any]], ...]] = {
    "str": (Text,),
    "Int64": (BigInteger,),
    "Float64": (Float,),
    "boolean": (Boolean,),
    "datetime64[us, UTC]": (Instant,),
}
WAREHOUSE_PAGE = Path(__file__).parent.parent.parent / "docs" / "warehouse.md"


def plain(value: Any) -> Any:
    if pd.isna(value):
        return None
    if isinstance(value, pd.Timestamp):
        return value.strftime("%Y-%m-%d %H:%M:%S.%f")
    return value.item() if isinstance(value, np.generic) else value


@pytest.mark.parametrize("case", CASES, ids=str)
def test_item(case: Case) -> None:
    entity = case.collection.entity
    batch = normalise([case.raw], collection=case.collection.name)
    assert {name: str(dtype) for name, dtype in batch.frame.dtypes.items()} == frame_dtypes(entity)
    records = [(None if pd.isna(field) else field, reason) for field, reason in zip(*rejections(batch), strict=True)]
    assert Counter(field for field, _ in records) == Counter(field for field, _ in case.rejected)
    for field, part in case.rejected:
        assert part in dict(records)[field]
    assert {plain(item_id) for item_id in batch.rejected["item_id"]} <= {case.item_id}
    assert len(batch.frame) == (0 if case.key is None else 1)
    if case.key is None:
        return
    row = {name: plain(value) for name, value in batch.frame.iloc[0].items()}
    row[EXTRA] = json.loads(row[EXTRA])
    assert tuple(row[name] for name in entity.key) == case.key
    assert wrong(row, case) == {}
    told = {*entity.key, *columns_of(entity)}
    assert {name for at, name in enumerate(entity.batch) if row["absent"] & 1 << at and name in told} == case.absent
    assert (row["source_hash"] is None) == bool(case.rejected)


def rejections(batch: Any) -> tuple[list[Any], list[str]]:
    return batch.rejected["field"].to_list(), batch.rejected["reason"].to_list()


@by_collection
def test_all_items_of_a_collection_in_one_batch_are_what_each_is_alone(collection: Collection) -> None:
    raws = [case.raw for case in CASES if case.collection is collection]
    alone = [normalise([raw], collection=collection.name) for raw in raws]
    together = normalise(raws, collection=collection.name)
    for name in ("frame", "rejected"):
        frames = [getattr(one, name) for one in alone if len(getattr(one, name))]
        if frames:
            pd.testing.assert_frame_equal(getattr(together, name), pd.concat(frames, ignore_index=True))
        assert len(getattr(together, name)) == sum(map(len, frames))


@by_collection
def test_a_collection_has_at_least_three_items_and_each_is_of_a_version_that_serves_it(collection: Collection) -> None:
    cases = [case for case in CASES if case.collection is collection]
    assert len(cases) >= 3
    assert any(case.rejected == () and case.version == "v8.1" for case in cases)
    for case in cases:
        assert path_of(case.version, collection)


def test_the_table_is_whole() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == set(COLLECTIONS)
    assert len(CASES) >= 120
    assert len({str(case) for case in CASES}) == len(CASES)
    keys = Counter((case.collection.entity.table, case.key) for case in CASES if case.key)
    assert max(keys.values()) == 1
    for case in CASES:
        assert {*(case.columns or {}), *case.absent} <= {*columns_of(case.collection.entity)}
        assert not {*(case.columns or {})} & case.absent


@by_entity
def test_each_column_is_filled_by_some_item_and_null_for_another(entity: Entity) -> None:
    cases = [case for case in CASES if case.collection.entity is entity and case.key]
    filled = [{*(case.columns or {})} for case in cases]
    assert set.union(*filled) == {*columns_of(entity)}
    always = {column.name for column in entity.columns if column.reads == "fixed"} | {*entity.required}
    assert set.intersection(*filled) == always


@by_entity
def test_every_column_of_a_batch_has_a_place_in_the_table(entity: Entity) -> None:
    facts = Base.metadata.tables[entity.table]
    assert facts.primary_key.columns.keys() == ["appliance_id", *entity.key]
    for name, dtype in frame_dtypes(entity).items():
        if name == "absent":
            continue
        kind = facts.c[name].type
        if name == EXTRA:
            assert kind is JsonObject
        elif name == "point_in_time_offset_minutes":
            assert isinstance(kind, Integer)
        else:
            assert isinstance(kind, FITTING[dtype]), name
    own = {"appliance_id", *Life.__annotations__}
    assert {*facts.c.keys()} == own | {*entity.batch} - {"absent"}
    for name in (*entity.key, *entity.required, EXTRA):
        assert not facts.c[name].nullable


@by_entity
def test_every_tracked_column_has_a_place_in_the_versions(entity: Entity) -> None:
    if entity.versions is None:
        assert entity.table == "job_sessions"
        return
    facts, versions = Base.metadata.tables[entity.table], Base.metadata.tables[entity.versions]
    assert versions.primary_key.columns.keys() == ["appliance_id", *entity.key, "run_number"]
    assert {*versions.c.keys()} == {"appliance_id", *entity.key, *entity.tracked, *Validity.__annotations__}
    for name in (*entity.key, *entity.tracked):
        assert str(versions.c[name].type) == str(facts.c[name].type)
        assert versions.c[name].nullable == facts.c[name].nullable


@by_entity
def test_a_batch_fits_into_the_bits_of_absent_and_into_a_statement_of_sqlite(entity: Entity) -> None:
    assert len(entity.batch) <= 63
    assert len({*entity.batch}) == len(entity.batch)
    assert SqliteStaging.ROWS * (len(entity.batch) + len(("collection", "crawl"))) <= 32_766


@by_collection
def test_a_collection_is_described_in_words_that_its_entity_has(collection: Collection) -> None:
    entity = collection.entity
    assert {*collection.fields} <= {*entity.key, *columns_of(entity)}
    assert {*entity.key, *entity.required} <= {*collection.fields}
    assert {*collection.fixed} == {column.name for column in entity.columns if column.reads == "fixed"}
    assert not {*collection.fixed} & {*collection.fields}
    assert {*collection.moving} <= {*entity.tracked}
    assert sorted((*collection.tracked, *collection.untracked)) == sorted((*entity.tracked, *entity.untracked))
    if "workload" in collection.fixed:
        assert collection.fixed["workload"] == collection.workload
    for paths in collection.fields.values():
        assert paths
        assert len({*paths}) == len(paths)
    if collection.companion:
        assert any(collection.companion.member in tops(paths) for paths in collection.fields.values())


@by_collection
def test_paths_ascend_by_version(collection: Collection) -> None:
    for paths in (collection.paths, *([collection.companion.paths] if collection.companion else [])):
        assert paths
        assert all(rank(one) < rank(other) for (one, _), (other, _) in pairwise(paths))
        assert all(re.fullmatch(r"(/[A-Za-z0-9]+)+", path) for _, path in paths)


@by_entity
def test_the_page_on_the_warehouse_tells_the_same_columns(entity: Entity) -> None:
    """As far as it tells of a table which columns are tracked."""
    sections = re.split(r"^### ", WAREHOUSE_PAGE.read_text("utf-8"), flags=re.MULTILINE)
    told: dict[str, set[str]] = {"key": set(), "tracked": set(), "untracked": set(), "life": set()}
    for section in sections:
        if section.startswith(f"`{entity.table}`"):
            for columns, kind in re.findall(r"^\| (.+?) \| (key|tracked|untracked|life) \|", section, re.MULTILINE):
                told[kind].update(re.findall(r"`(\w+)`", columns))
    if entity.table != "restore_points" and not any(told.values()):
        return
    assert told["key"] == {"appliance_id", *entity.key}
    assert told["life"] in (set(), {*Life.__annotations__})
    if entity.versions:
        assert (told["tracked"], told["untracked"]) == ({*entity.tracked}, {*entity.untracked})
    assert told["tracked"] | told["untracked"] == {*entity.tracked, *entity.untracked}


def test_the_page_on_adding_a_collection_is_true() -> None:
    """Its descriptions are descriptions: the program takes them as they stand there."""
    page = (Path(__file__).parent.parent.parent / "docs" / "collections.md").read_text("utf-8")
    first, second = (
        dedent(block) for block in re.findall(r"^ *```python\n(.*?)^ *```", page, re.DOTALL | re.MULTILINE)
    )
    known = vars(restore_points) | vars(description)
    key_vault = eval(first, known)
    assert isinstance(key_vault, Collection)
    assert key_vault.entity is ENTITIES["restore_points"]
    names: dict[str, Any] = {}
    exec(second, known, names)
    templates = names["STORAGE_TEMPLATE_COLLECTION"]
    assert templates.entity is names["STORAGE_TEMPLATES"]
    assert set(templates.fields) == {*templates.entity.key, *(column.name for column in templates.entity.columns)}


def test_the_page_on_collections_names_them_all() -> None:
    page = (Path(__file__).parent.parent.parent / "docs" / "collections.md").read_text("utf-8")
    for name, collection in COLLECTIONS.items():
        assert f"`{name}`" in page
        assert f"`{collection.entity.table}`" in page
