"""The trips of a run through the pipe: the crawls of each collection, then the questions for what has vanished."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Iterable, Sequence

from etl.catalogue import RESTORE_POINTS, Collection
from etl.errors import (
    AnotherAppliance,
    ApplianceError,
    BadRequest,
    Forbidden,
    MfaRequired,
    NotServed,
    SignInRefused,
    UntrustedCertificate,
)
from etl.extract.confirm import confirm
from etl.extract.discovery import Facts
from etl.load import vanished
from etl.load.known import KnownItems
from etl.load.ledger import KnownAppliance
from etl.load.snapshot import any_staged_is_known
from etl.trips.reading import Desk, Progress, Reading, ids_of

__all__ = ["Progress", "Reading", "Trip"]

#: More than this share of a collection's present items, and more than this many, are not believed to vanish at once.
GUARD_SHARE, GUARD_ITEMS = 0.5, 20


class Trip:
    """Everything that a run reads, into staging tables on the run's connection; it writes nothing else."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.readings: list[Reading] = []

    @property
    def points(self) -> list[Reading]:
        """The readings of restore points."""
        return [reading for reading in self.readings if reading.collection.entity is RESTORE_POINTS]

    def known(self, collection: Collection) -> dict[str, KnownItems]:
        """What was met unchanged of every collection that one table keeps, by the collection's name."""
        return {one.collection.name: one.known for one in self.readings if one.collection.entity is collection.entity}

    async def read(self, points: Sequence[Collection], inventory: Iterable[Collection] = ()) -> None:
        """The first trip: restore points one collection after the other, and the small collections beside them.

        Raises:
            ApplianceError: the appliance answers no more, or no collection of restore points can be read.
        """
        tasks = [
            asyncio.ensure_future(self._one_after_the_other(points)),
            *(asyncio.ensure_future(self._one_after_the_other([one])) for one in inventory),
        ]
        try:
            read = await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        self.readings = [reading for readings in read for reading in readings]
        self._refuse_nothing_read()

    async def find_missed(self) -> None:
        """Finds what the snapshots do not list; the staging tables are sealed from here on."""

        def find() -> None:
            self.desk.staging.seal()
            for reading in self.readings:
                if reading.is_read and reading.is_whole:
                    reading.missed = vanished.find_vanished(
                        self.desk.staging, self.desk.run, reading.collection, reading.known, reading.crawls
                    )

        await self.desk.on_warehouse(find)

    async def guard(self, *, accepted: bool) -> list[str]:
        """Withholds the deletions of a collection of which too much has vanished; returns what there is to say of it.

        With `accepted`, nothing is withheld.
        """
        said = []
        for reading in self.readings:
            if reading.missed <= GUARD_ITEMS or reading.collection.is_purged:
                continue
            present = await self.desk.on_warehouse(
                vanished.count_present, self.desk.connection, self.desk.run.appliance_id, reading.collection
            )
            if reading.missed <= GUARD_SHARE * present:
                continue
            said.append(
                f"{self.desk.client.name}: {reading.missed:,} of {present:,} {reading.collection.entity.many} of "
                f"{reading.collection.name} vanished at once. Nothing of it was marked deleted, the rest is merged. "
                "If they are gone indeed, run it again with --accept-mass-deletion."
            )
            if not accepted:
                reading.withheld = said[-1]
                reading.unconfirmed = reading.missed
        return said

    async def confirm(self) -> None:
        """The second trip: asks for what has vanished by id; what is there after all is staged like the rest."""
        for reading in self.readings:
            if not reading.is_read or reading.withheld:
                continue
            if reading.collection.asked_by_id:
                await self._ask_for_vanished(reading)
            elif reading.missed:
                reading.doubt = await self.desk.on_warehouse(self._why_not_gone, reading)
                if reading.doubt:
                    reading.unconfirmed = reading.missed
                else:
                    await self.desk.on_warehouse(vanished.mark_all_gone, self.desk.staging, reading.collection)

    def error(self) -> str | None:
        """What makes the run `partial`: what failed and what was withheld; null if nothing did."""
        said = [one.withheld or one.error for one in self.readings if one.withheld or one.status == "failed"]
        return " ".join(text for text in said if text) or None

    def _why_not_gone(self, reading: Reading) -> str | None:
        """Why something without a question by id is not believed to be gone, though it is not listed; null if it is."""
        if not reading.evidence:
            return "the snapshot is not proven complete"
        desk = self.desk
        if vanished.lists_nothing(desk.staging, reading.collection, reading.known) and not (
            vanished.listed_nothing_before(desk.connection, desk.run, reading.collection)
        ):
            return "nothing readable is listed; if it is so again, the next run believes it"
        return None

    async def refuse_another_appliance(self, known: KnownAppliance, facts: Facts, base_url: str) -> None:
        """Raises if another appliance answers under this name.

        One that moved, or was restored elsewhere, has another address or identity and yet the points that are known;
        one that was reset, replaced, or is another one has none of them.

        Raises:
            AnotherAppliance: the identity differs (the address, where no identity is told) and no point is known.
        """
        told = facts.identity.keys() & known.identity.keys()
        differs = (
            any(facts.identity[key] != known.identity[key] for key in told) if told else known.base_url != base_url
        )
        desk = self.desk
        if not differs or not await desk.on_warehouse(vanished.knows_any, desk.connection, desk.run.appliance_id):
            return
        if any(reading.known.count_met() for reading in self.points):
            return
        if await desk.on_warehouse(any_staged_is_known, desk.staging, desk.run):
            return
        name = desk.client.name
        raise AnotherAppliance(
            f"{name}: another appliance answers at {base_url} than the one whose restore points are kept under this "
            "name: its identity differs and none of its points is known. Nothing was written. If the old one was "
            f"replaced, keep its history with `restorepoints appliances rename {shlex.quote(name)} "
            f"{shlex.quote(name + '-old')}` and run this again, or let the new one go on under this name with "
            "--accept-new-identity. If the address is wrong, correct it."
        )

    async def try_to_read(self, collection: Collection) -> Reading:
        """Reads one collection; one that cannot be read says so and harms no other.

        Raises:
            ApplianceError: the appliance answers nothing else either.
        """
        reading = await self.desk.open(collection)
        client = self.desk.client.bearing()
        try:
            await self.desk.read(reading, client)
        except Forbidden as error:
            reading.give_up("forbidden", error)
        except NotServed as error:
            reading.give_up("not_served", error)
        except (SignInRefused, MfaRequired, UntrustedCertificate):
            raise
        except ApplianceError as error:
            # a path that a version does not know may read as another one's with a wrong id
            is_unknown = isinstance(error, BadRequest) and collection.entity is not RESTORE_POINTS
            reading.give_up("not_served" if is_unknown else "failed", error)
            if not is_unknown:
                await self._refuse_silence(error)
        return reading

    async def _one_after_the_other(self, collections: Sequence[Collection]) -> list[Reading]:
        return [await self.try_to_read(collection) for collection in collections]

    async def _refuse_silence(self, error: ApplianceError) -> None:
        """Raises the error again unless the appliance still answers: every other collection would wait as long."""
        try:
            await self.desk.client.bearing().get(f"/api/{self.desk.api_version}/system/about")
        except ApplianceError:
            raise error from None

    def _refuse_nothing_read(self) -> None:
        points = self.points
        if any(reading.is_read for reading in points):
            return
        failed = next((one for one in points if one.status == "failed"), None)
        if failed:
            raise ApplianceError(failed.error)
        forbidden = [one.collection.name for one in points if one.status == "forbidden"]
        if forbidden:
            raise Forbidden(
                f"{self.desk.client.name}: the account may read no collection of restore points "
                f"({', '.join(forbidden)}: HTTP 403); its role or the licence forbids it."
            )
        raise NotServed(
            f"{self.desk.client.name}: the appliance serves none of the collections asked for at "
            f"{self.desk.api_version} ({', '.join(one.collection.name for one in points)})."
        )

    async def _ask_for_vanished(self, reading: Reading) -> None:
        desk = self.desk
        ids = await desk.on_warehouse(vanished.vanished_ids, desk.staging, reading.collection)
        if not ids:
            return
        listed = ids_of(reading.last_read)
        if reading.last_read and not listed:
            reading.unconfirmed, reading.doubt = len(ids), "nothing listed has a readable id to compare with"
            return
        answered = 0

        def on_answers(count: int) -> None:
            nonlocal answered
            answered += count
            desk.report(reading, "asking by id", answered, len(ids))

        client = desk.client.bearing()
        found = await confirm(client, desk.api_version, reading.collection, ids, listed=listed, on_answers=on_answers)
        reading.unconfirmed, reading.doubt = found.unconfirmed, found.reason
        await desk.on_warehouse(desk.stage, reading, found.present)
        await desk.on_warehouse(vanished.mark_gone, desk.staging, reading.collection, found.gone)
