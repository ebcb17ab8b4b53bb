"""What the tables have in common: key types, the life of a fact, the validity of a version.

Every fact table's primary key begins with `appliance_id` and nothing depends on a global sequence, so that the
same schema is valid on plain PostgreSQL, on SQLite and on Citus (facts distributed by `appliance_id`, `appliances`
a reference table). Facts carry no foreign keys to each other: they are written only by set-based merges inside one
transaction, and a per-row check would double the cost of a first load.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, ClassVar

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, MetaData, Text, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.schema import SchemaItem

from etl.load.types import Instant, JsonObject

CHANGES = ("appeared", "changed", "restated", "reappeared")

BigInt = Annotated[int, mapped_column(BigInteger)]
Moment = Annotated[datetime, mapped_column(Instant)]
Json = Annotated[dict[str, Any], mapped_column(JsonObject)]
Texts = Annotated[list[str], mapped_column(JsonObject)]
ApplianceKey = Annotated[
    int, mapped_column(ForeignKey("appliances.appliance_id"), primary_key=True, autoincrement=False)
]
FactKey = Annotated[int, mapped_column(primary_key=True, autoincrement=False)]
TextKey = Annotated[str, mapped_column(Text, primary_key=True)]
Count = Annotated[int, mapped_column(server_default=text("0"))]


def one_of(column: str, values: tuple[str, ...]) -> str:
    """The text of a check that `column` holds one of `values` (or null)."""
    return f"{column} in ({', '.join(repr(value) for value in values)})"


class Base(DeclarativeBase):
    """Common metadata, with a name for every constraint, so that migrations can name what they change."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {str: Text}


class Life:
    """What the warehouse knows about a row of facts; both last times are null while the thing exists.

    A deletion is an interval: it went after `last_confirmed_at` and before `deleted_at`, when run `deleted_run` found
    it gone.
    """

    collection: Mapped[str]
    source_hash: Mapped[BigInt | None]
    first_seen_at: Mapped[Moment]
    last_changed_at: Mapped[Moment]
    last_confirmed_at: Mapped[Moment | None]
    deleted_at: Mapped[Moment | None]
    first_run: Mapped[int]
    last_changed_run: Mapped[int]
    deleted_run: Mapped[int | None]


class Validity:
    """SCD2: how long a state held, from `valid_from` (inclusive) to `valid_to` (exclusive, null = open).

    Valid times are when the warehouse observed it.
    """

    run_number: Mapped[FactKey]
    valid_from: Mapped[Moment]
    valid_to: Mapped[Moment | None]
    change: Mapped[str]
    closed_run: Mapped[int | None]
    closed_by: Mapped[str | None]


def life_checks() -> tuple[SchemaItem, ...]:
    """The checks of a table of facts."""
    return (CheckConstraint("last_confirmed_at <= deleted_at", name="deletion_interval"),)


def validity_checks(table: str, *key: str) -> tuple[SchemaItem, ...]:
    """The checks of a table of versions, and the index that lets at most one of a thing be open."""
    return (
        CheckConstraint("valid_from < valid_to", name="validity"),
        CheckConstraint(one_of("change", CHANGES), name="change"),
        CheckConstraint(one_of("closed_by", ("changed", "deleted")), name="closed_by"),
        Index(
            f"uq_{table}_open",
            "appliance_id",
            *key,
            unique=True,
            postgresql_where=text("valid_to is null"),
            sqlite_where=text("valid_to is null"),
        ),
    )
