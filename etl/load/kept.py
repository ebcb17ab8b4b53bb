"""Each entity's tables: what is kept of it for good, and the temporary ones that a run works with.

One mechanism stages, merges and closes whatever the catalogue describes; here is all that it needs to know of a table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import BigInteger, Boolean, Column, ColumnElement, Connection, Integer, MetaData, Table, Text, and_
from sqlalchemy.schema import CreateTable, DropTable

from etl.catalogue import ENTITIES, Entity
from etl.load.models import Base

_temporary = MetaData()


@dataclass(frozen=True, eq=False)
class Kept:
    """The tables of one entity.

    facts, versions: for good; no versions where the entity has no history. staged: what a run has read, by crawl.
    changes: what differs, a row a thing; `kind` is the version's `change`, or `refreshed` where only untracked columns
    moved, or `restamped`. vanished: what the run misses. gone: those of them that are no more.
    """

    entity: Entity
    facts: Table
    versions: Table | None
    staged: Table
    changes: Table
    vanished: Table
    gone: Table

    @property
    def key(self) -> tuple[str, ...]:
        """The columns that tell a thing of one appliance from another."""
        return self.entity.key

    @property
    def written(self) -> tuple[str, ...]:
        """The columns that an item sets, its key aside."""
        return (*self.entity.tracked, *self.entity.untracked, "source_hash")

    def same(self, one: Any, other: Any) -> ColumnElement[bool]:
        """Both rows are of one thing; says nothing about the appliance."""
        return and_(*(one.c[name] == other.c[name] for name in self.key))

    def of(self, appliance_id: int, other: Any) -> ColumnElement[bool]:
        """The fact of the thing in `other`, of this appliance."""
        return and_(self.facts.c.appliance_id == appliance_id, self.same(self.facts, other))

    def keys(self, table: Any) -> list[ColumnElement[Any]]:
        """The key's columns of a table."""
        return [table.c[name] for name in self.key]


def make_temporary(connection: Connection, *tables: Table) -> None:
    """Fresh, empty temporary tables on this connection."""
    for table in tables:
        connection.execute(DropTable(table, if_exists=True))
        connection.execute(CreateTable(table))


def _kept(entity: Entity) -> Kept:
    tables = Base.metadata.tables
    facts = tables[entity.table]
    versions = tables[entity.versions] if entity.versions else None

    def key() -> list[Column[Any]]:
        return [Column(name, Text, nullable=False) for name in entity.key]

    def written() -> list[Column[Any]]:
        return [Column(name, facts.c[name].type) for name in (*entity.tracked, *entity.untracked, "source_hash")]

    def temporary(name: str, *columns: Column[Any]) -> Table:
        return Table(name, _temporary, *columns, prefixes=["temporary"])

    return Kept(
        entity=entity,
        facts=facts,
        versions=versions,
        staged=temporary(
            f"staged_{entity.table}",
            Column("collection", Text, nullable=False),
            Column("crawl", Integer, nullable=False),
            *key(),
            *written(),
            Column("absent", BigInteger),
        ),
        changes=temporary(f"changed_{entity.table}", Column("kind", Text, nullable=False), *key(), *written()),
        vanished=temporary(
            f"vanished_{entity.table}",
            Column("collection", Text),
            *key(),
            Column("is_new", Boolean),
            Column("seen_early", Boolean),
        ),
        gone=temporary(f"gone_{entity.table}", Column("collection", Text), *key()),
    )


KEPT: Final = {table: _kept(entity) for table, entity in ENTITIES.items()}
"""Table → all of its tables."""
