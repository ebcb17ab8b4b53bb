"""The words in which a collection is described: which table keeps it, where it is, how an item becomes a row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

EXTRA = "extra"
"""The column of every table that holds the fields without a column of their own."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column that items fill. `reads` names how a field is read (`etl.transform.readers`).

    A change of a tracked column makes a version; an untracked one moves by itself and is updated in place.
    """

    name: str
    reads: str
    tracked: bool = True


@dataclass(frozen=True)
class Entity:
    """What one table of facts keeps, whichever collections fill it.

    `one` and `many` are what messages call its items. Of `key` and `required` an item has to have a readable value,
    or it is rejected whole. `versions` is the table of its history, if it has one.
    """

    table: str
    one: str
    many: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    required: tuple[str, ...] = ()
    versions: str | None = None

    @cached_property
    def tracked(self) -> tuple[str, ...]:
        """The columns of which a change makes a version."""
        return tuple(column.name for column in self.columns if column.tracked)

    @cached_property
    def untracked(self) -> tuple[str, ...]:
        """The columns that are updated in place."""
        return (*(column.name for column in self.columns if not column.tracked), EXTRA)

    @cached_property
    def batch(self) -> tuple[str, ...]:
        """The columns of a batch, in order: bit i of `absent` speaks of column i."""
        return (*self.key, *self.tracked, *self.untracked, "source_hash", "absent")

    @cached_property
    def reads(self) -> dict[str, str]:
        """Column → how it is read, keys among them."""
        return dict.fromkeys(self.key, "key") | {column.name: column.reads for column in self.columns}


@dataclass(frozen=True, slots=True)
class Companion:
    """Another listing of the same things, whose items are put into a collection's own under the name `member`.

    An item's companion is the one whose `id` is what the item's field `on` holds.
    """

    member: str
    paths: tuple[tuple[str, str], ...]
    params: Mapping[str, str] = field(default_factory=dict)
    on: str = "id"


@dataclass(frozen=True, slots=True)
class Collection:
    """One listing of an appliance.

    name: stable, whatever the version calls it. workload: null where it serves all of them. paths: first version →
    path below it, which holds until the next entry's version. fields: column → the fields of an item that fill it, the
    first that is not null; a dot leads into an object. fixed: columns that are alike for every item. params: sent with
    every page. is_page: false where one object answers. asked_by_id: what vanishes is asked for by its id, and gone
    only if the appliance says so; else it is gone when a proven snapshot does not list it. is_purged: the appliance
    forgets by age, so that much may go at once. moving: columns that move by themselves here although they are tracked
    elsewhere.
    """

    name: str
    entity: Entity
    paths: tuple[tuple[str, str], ...]
    fields: Mapping[str, tuple[str, ...]]
    workload: str | None = None
    fixed: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    asked_by_id: bool = False
    moving: tuple[str, ...] = ()
    is_purged: bool = False
    is_page: bool = True
    companion: Companion | None = None

    @property
    def tracked(self) -> tuple[str, ...]:
        """The columns of which a change makes a version here."""
        return tuple(name for name in self.entity.tracked if name not in self.moving)

    @property
    def untracked(self) -> tuple[str, ...]:
        """The columns that are updated in place here."""
        return (*self.moving, *self.entity.untracked)


def fields(names: str, **others: str | tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Write `column=field` as they are described: `names` are pairs `column:field`, parted by blanks."""
    pairs = dict(pair.split(":") for pair in names.split()) | others
    return {column: (named,) if isinstance(named, str) else named for column, named in pairs.items()}
