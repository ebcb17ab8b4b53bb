"""What existed at an instant T, as far as the warehouse can tell now: certain, unknown or gone.

Each point that T can be about gets one answer. A point that says of itself that it was made after T, and was not
seen by then, is none of them.

| answer | evidence | when |
| --- | --- | --- |
| certain | `proven` | seen at or before T, and again at or after T, or at the newest proof, and that is not before T |
| certain | `inferred` | first seen after T, but made at or before T, as it says itself; no proof speaks against it |
| unknown | `unlisted` | the same, but a proof after it was made, and before it was seen, did not list it: an archive |
| | | copy bears the time of its original, a backup may have been under way, a record may have been unreadable |
| unknown | `deletion_interval` | T lies after its last confirmation, and before the run that found it gone |
| unknown | `unconfirmed` | not deleted as far as is known, but T lies after all that confirms it |
| unknown | `dated_later` | seen by T, yet it says that it was made after T: made during that run, or a clock is wrong |
| unknown | `returned` | found gone before T, seen again later, and T lies after the last proof without it |
| gone | `deleted` | found gone at or before T |

What a proof is, and which of them confirm: `etl.report.proofs`. A run has one time, its start: all that it saw and
missed bears it. A deletion is an interval: from the later of the collection's last confirming proof before and the
point's own last change, to the run that found it gone.

*Absence* is another matter: that no more points existed at T can be said only of a collection that was watched then,
`first_proof_at <= T <= data_as_of`; before, whatever retention had removed left no trace. Even then a point that was
made and removed between two proofs may never have been seen.

The attributes are those of the version that is valid at T (`observed`); where T lies before the first version, those
of the first (`inferred`); where it lies after the last, those of the last (`last_known`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, Subquery, Text, and_, case, func, literal_column, null, or_, select, text

from etl.catalogue import RESTORE_POINTS
from etl.errors import UsageError
from etl.load.models import POINTS, VERSIONS, SyncRun
from etl.load.warehouse import Warehouse
from etl.report.proofs import confirmed_before, later_of, newest_proofs, proofs_before
from etl.report.scope import appliances_asked

#: Evidence → the answer that it gives.
ANSWERS: Final = {
    "proven": "certain",
    "inferred": "certain",
    "unlisted": "unknown",
    "deletion_interval": "unknown",
    "unconfirmed": "unknown",
    "dated_later": "unknown",
    "returned": "unknown",
    "deleted": "gone",
}

_NAMES: Final = ("certain", "unknown", "gone")

#: Rows fetched at a time, so that memory is bounded whatever the warehouse holds.
ROWS_AT_A_TIME: Final = 5_000


@dataclass(frozen=True, slots=True)
class CollectionAsOf:
    """One collection of one appliance: how many points have which answer, and since and until when it was watched.

    `collection` is null for an appliance of which nothing has been read yet; the two instants are null without proof.
    """

    appliance: str
    collection: str | None
    certain: int
    unknown: int
    gone: int
    first_proof_at: datetime | None
    data_as_of: datetime | None
    is_watched: bool
    """Whether T lies between those two, so that there were no other points but short-lived ones."""


@dataclass(frozen=True, slots=True)
class PointAsOf:
    """One restore point at T."""

    appliance: str
    restore_point_id: str
    collection: str
    answer: str
    evidence: str
    attributes_are: str
    """`observed`, `inferred` or `last_known`."""
    version_run: int
    """The run that began the version that they come from."""
    first_seen_at: datetime
    confirmed_until: datetime | None
    """Up to when it certainly existed; null where the version shown was followed by another one at once."""
    gone_at: datetime | None
    """When it was found gone; null unless that ended the version shown."""
    attributes: dict[str, Any]
    """Every tracked column by its name; sizes in bytes, instants in UTC."""


@dataclass(frozen=True, slots=True)
class AsOf:
    """The answers for one instant; of each appliance they are read by one statement, and so consistent."""

    warehouse: Warehouse
    at: datetime
    appliances: dict[str, int]
    """Name → number of those that were asked for."""

    def collections(self) -> list[CollectionAsOf]:
        """A row per appliance and collection, by name; one for an appliance of which nothing was read yet, too."""
        found = []
        with self.warehouse.connect() as connection:
            for appliance, appliance_id in self.appliances.items():
                rows: Iterable[Any] = connection.execute(_counts(self.at, appliance_id)).all()
                for collection, certain, unknown, gone, first, newest in rows or [(None, 0, 0, 0, None, None)]:
                    is_watched = bool(first and first <= self.at <= newest)
                    found.append(
                        CollectionAsOf(appliance, collection, certain, unknown, gone, first, newest, is_watched)
                    )
        return found

    def points(self) -> Iterator[PointAsOf]:
        """Every point with its answer, by appliance and id; streamed, so do not leave it half read."""
        for appliance, appliance_id in self.appliances.items():
            presence = _presence(self.at, appliance_id)
            query = select(presence).order_by(presence.c.restore_point_id)
            with self.warehouse.connect() as connection:
                if connection.dialect.name == "postgresql":
                    # every row will be fetched: a cursor is otherwise planned for the first tenth of them
                    connection.execute(text("set local cursor_tuple_fraction = 1"))
                for row in connection.execution_options(yield_per=ROWS_AT_A_TIME).execute(query):
                    attributes = dict(zip(RESTORE_POINTS.tracked, row[-len(RESTORE_POINTS.tracked) :], strict=True))
                    columns: Sequence[Any] = (appliance, *row[: -len(RESTORE_POINTS.tracked)], attributes)
                    yield PointAsOf(*columns)


def as_of(warehouse: Warehouse, at: datetime, appliance: str | None, now: datetime) -> AsOf:
    """What existed at `at` on one appliance, or on all of them.

    Raises:
        UsageError: `at` lies after `now`, or the warehouse holds no appliance of that name.
    """
    if at > now:
        raise UsageError(f"{at:%Y-%m-%d %H:%M:%S} UTC lies in the future; it is {now:%Y-%m-%d %H:%M:%S} UTC now")
    with warehouse.connect() as connection:
        return AsOf(warehouse, at, appliances_asked(connection, appliance))


def _counts(at: datetime, appliance_id: int) -> Select[Any]:
    """A row per collection that was ever read, with the columns of `CollectionAsOf`."""
    presence, proofs = _presence(at, appliance_id), newest_proofs(appliance_id)
    counts = (
        select(
            presence.c.collection,
            *(func.count().filter(presence.c.answer == answer).label(answer) for answer in _NAMES),
        )
        .group_by(presence.c.collection)
        .subquery("counts")
    )
    return (
        select(
            proofs.c.collection,
            *(func.coalesce(counts.c[answer], 0) for answer in _NAMES),
            proofs.c.first_proof_at,
            proofs.c.data_as_of,
        )
        .select_from(proofs)
        .outerjoin(counts, counts.c.collection == proofs.c.collection)
        .order_by(proofs.c.collection)
    )


def _presence(at: datetime, appliance_id: int) -> Subquery:
    """A row per point that `at` can be about, with the columns of `PointAsOf`, the tracked ones last."""
    stretch = (
        select(
            VERSIONS.c.restore_point_id,
            # the version that began last before T; where none did, the first one
            func.coalesce(
                func.max(VERSIONS.c.run_number).filter(VERSIONS.c.valid_from <= at), func.min(VERSIONS.c.run_number)
            ).label("run_number"),
            func.min(VERSIONS.c.run_number).filter(VERSIONS.c.valid_from > at).label("next_run"),
        )
        .where(VERSIONS.c.appliance_id == appliance_id)
        .group_by(VERSIONS.c.restore_point_id)
        .subquery("stretch")
    )
    newest = newest_proofs(appliance_id)
    version = VERSIONS.c

    def missed(next_seen: ColumnElement[Any], since: ColumnElement[Any] | datetime) -> ColumnElement[bool]:
        """Whether a proof at or after `since` did not list a point that the run `next_seen` saw."""
        return proofs_before(appliance_id, POINTS.c.collection, next_seen).where(SyncRun.started_at >= since).exists()

    not_yet_seen = version.valid_from > at
    was_closed = version.valid_to <= at
    went_on = version.closed_by == "changed"
    confirmed_until = case(
        (went_on, null()),
        (version.valid_to.is_(None), later_of(newest.c.confirmed_at, version.valid_from)),
        (POINTS.c.deleted_run == version.closed_run, POINTS.c.last_confirmed_at),
        else_=later_of(
            confirmed_before(appliance_id, POINTS.c.collection, version.closed_run), version.valid_from
        ),  # it has come back since
    )
    # each `case` inside another so that its condition is asked only where it decides
    before_it = case((missed(version.run_number, version.point_in_time), _word("unlisted")), else_=_word("inferred"))
    after_its_end = case(
        (or_(stretch.c.next_run.is_(None), version.valid_to == at), _word("deleted")),
        (missed(stretch.c.next_run, at), _word("deleted")),
        else_=_word("returned"),
    )
    evidence = case(
        (not_yet_seen, before_it),
        (was_closed, after_its_end),
        (version.point_in_time > at, _word("dated_later")),
        (or_(went_on, confirmed_until >= at), _word("proven")),
        (version.closed_by == "deleted", _word("deletion_interval")),
        else_=_word("unconfirmed"),
    )
    attributes_are = case(
        (not_yet_seen, _word("inferred")),
        (was_closed, _word("last_known")),
        else_=_word("observed"),
    )
    judged = (
        select(
            POINTS.c.restore_point_id,
            POINTS.c.collection,
            evidence.label("evidence"),
            attributes_are.label("attributes_are"),
            version.run_number.label("version_run"),
            POINTS.c.first_seen_at,
            confirmed_until.label("confirmed_until"),
            case((version.closed_by == "deleted", version.valid_to)).label("gone_at"),
            *(version[name] for name in RESTORE_POINTS.tracked),
        )
        .select_from(POINTS)
        .join(stretch, stretch.c.restore_point_id == POINTS.c.restore_point_id)
        .join(
            VERSIONS,
            and_(
                version.appliance_id == POINTS.c.appliance_id,
                version.restore_point_id == stretch.c.restore_point_id,
                version.run_number == stretch.c.run_number,
            ),
        )
        .outerjoin(newest, newest.c.collection == POINTS.c.collection)
        .where(POINTS.c.appliance_id == appliance_id, or_(~not_yet_seen, version.point_in_time <= at))
        .subquery("judged")
    )
    identity, life = list(judged.c)[:2], list(judged.c)[2:]
    return select(*identity, case(ANSWERS, value=judged.c.evidence).label("answer"), *life).subquery("presence")


def _word(word: str) -> ColumnElement[str]:
    return literal_column(f"'{word}'", Text)
