"""What must hold after each run, by the truth; every function raises an AssertionError that says what does not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from picture import Picture, Row
from truth import TOLD_BY_ALL, TRACKED, Run, Said, Truth, said

from etl.catalogue import RESTORE_POINTS
from etl.load.warehouse import Warehouse
from etl.report.as_of import PointAsOf, as_of

CONTENT = (*TRACKED, *RESTORE_POINTS.untracked)
FINISHED = ("succeeded", "partial")
#: Evidence with which a version was valid at the instant asked for.
VALID = ("proven", "unconfirmed", "deletion_interval", "dated_later")
NOT_YET_SEEN = ("inferred", "unlisted")


@dataclass(frozen=True, slots=True)
class Past:
    """A run that finished: the truth while it looked, and what it left."""

    run: Run
    number: int
    started_at: datetime
    observed_at: datetime
    left: Picture


def must(holds: bool, what: str, *about: object) -> None:
    """An assertion that says in words what was promised."""
    assert holds, "\n".join([what, *(str(each)[:1500] for each in about)])


def check_tables(after: Picture) -> None:
    """Versions are in order, and agree with the points."""
    must(after.versions.keys() == after.points.keys(), "each point has a version, and no other has")
    for one, versions in after.versions.items():
        point = after.points[one]
        must(point["first_run"] == versions[0]["run_number"], "a point begins with its first version", one)
        must(versions[0]["change"] == "appeared", "the first version says appeared", versions)
        must(all(version["change"] != "appeared" for version in versions[1:]), "none appears twice", versions)
        for version in versions:
            end = version["valid_to"]
            must(end is None or version["valid_from"] < end, "a version takes some time", version)
        for earlier, later in pairwise(versions):
            must(earlier["valid_to"] is not None, "only the last version is open", earlier)
            must(earlier["valid_to"] <= later["valid_from"], "versions do not overlap", earlier, later)
            came_back = later["change"] == "reappeared"
            must((earlier["closed_by"] == "deleted") == came_back, "what was deleted reappears", earlier, later)
            if not came_back:
                must(earlier["valid_to"] == later["valid_from"], "no gap between two versions", earlier, later)
        last = versions[-1]
        must((last["valid_to"] is None) == (point["deleted_at"] is None), "open while it is there", last, point)
        must(
            all(last[name] == point[name] for name in TRACKED),
            "the last version says what the point says",
            last,
            point,
        )
        if point["deleted_at"] is not None:
            must(
                (last["closed_by"], last["closed_run"], last["valid_to"])
                == ("deleted", point["deleted_run"], point["deleted_at"]),
                "the deletion closed the last version",
                last,
                point,
            )


def check_ledger(after: Picture, outcomes: dict[int, str]) -> None:
    """Each run has its row and its outcome; time never goes back."""
    must(sorted(after.runs) == list(range(1, len(after.runs) + 1)), "runs are counted", sorted(after.runs))
    told = {number: row["status"] for number, row in after.runs.items()}
    must(told == outcomes, "the ledger tells each run's outcome", told, outcomes)
    for number, row in after.runs.items():
        must(row["started_at"] < row["observed_at"], "a run takes some time", row)
        if number > 1:
            must(after.runs[number - 1]["observed_at"] < row["started_at"], "time does not go back", row)
        must((row["status"] in FINISHED) == (number in after.collections), "a finished run tells what it read", row)
        for counts in (row, after.collections.get(number)):
            if counts is not None:
                written = sum(counts[name] for name in ("inserted", "updated", "unchanged", "reappeared", "rejected"))
                must(counts["extracted"] == written, "the ledger's equation", counts)


def check_history_stays(before: Picture, after: Picture, number: int) -> None:
    """A run adds versions and closes open ones, and touches nothing else of the past."""
    for one, versions in before.versions.items():
        must(one in after.points, "a point that was seen keeps its row", one)
        for old, new in zip(versions, after.versions[one], strict=False):
            if old["valid_to"] is None and new["closed_run"] == number:
                old = old | {name: new[name] for name in ("valid_to", "closed_run", "closed_by")}
            must(old == new, "the past stays as it was", old, new)


def check_counts(run: Run, before: Picture, after: Picture, number: int) -> None:
    """The ledger's counts are those of the rows that were written."""
    told = after.collections[number]
    new = after.points.keys() - before.points.keys()
    begun = [version for versions in after.versions.values() for version in versions if version["run_number"] == number]
    kept = before.present & after.present
    moved = {one for one in kept if any(before.points[one][name] != after.points[one][name] for name in CONTENT)}
    counted = {
        "inserted": len(new),
        "reappeared": sum(version["change"] == "reappeared" for version in begun),
        "deleted": sum(point["deleted_run"] == number for point in after.points.values()),
        "updated": len(moved),
    }
    must({name: told[name] for name in counted} == counted, "the ledger counts what was written", told, counted)
    if run.is_quiet and run.order_is_fixed:
        must(told["extracted"] == len(run.served), "each item that was served counts once", told, len(run.served))
        must(told["unconfirmed"] == 0 or told["status"] == "partial", "nothing is in doubt", told)
    for one in kept - new:
        differs = any(before.points[one][name] != after.points[one][name] for name in TRACKED)
        makes = any(version["run_number"] == number for version in after.versions[one])
        must(differs == makes, "a version for each change of a tracked column, and for no other", after.versions[one])


def check_words(run: Run, last: Run | None, before: Picture, after: Picture, number: int) -> None:
    """An upgrade of the appliance restates, and what changed is called changed."""
    for one in before.present & after.present:
        begun = [version for version in after.versions[one] if version["run_number"] == number]
        points = {moment.alive[one] for moment in run.moments if one in moment.alive}
        if not begun or last is None or len(points) != 1:
            continue
        (version,), (point,), old = begun, points, before.points[one]
        told_before = said(point, last.version).columns
        if run.version == last.version:
            must(version["change"] == "changed", "restated is for another API version", version)
        elif all(old[name] == told_before.get(name, old[name]) for name in TRACKED):
            must(version["change"] == "restated", "nothing changed but the API version", old, version)
        elif any(old[name] is not None and old[name] != version[name] for name in TOLD_BY_ALL):
            must(version["change"] == "changed", "it changed on the night of an upgrade", old, version)


def check_content(run: Run, before: Picture, after: Picture, number: int) -> None:
    """Each present point says what it said while the run looked, or, unseen, what it said before."""
    doubted = after.collections[number]["unconfirmed"] > 0
    through = run.lived_through()
    for one in after.present:
        row, old = after.points[one], before.points.get(one)
        forms = run.forms(one)
        says_so = any(form.is_readable and _agrees(row, old, form) for form in forms)
        is_as_before = one in before.present and all(row[name] == before.points[one][name] for name in TRACKED)
        may_be_as_before = one not in through or doubted or not all(form.is_readable for form in forms)
        must(says_so or (is_as_before and may_be_as_before), "a point says what it said", row, old, forms)
        must(one in run.served or one in before.present, "what is there was served", row)


def _agrees(row: Row, old: Row | None, form: Said) -> bool:
    """Whether a row holds what an item said, and in the other columns what it held before."""
    was: Any = old or {}
    return all(row[name] == form.columns.get(name, was.get(name)) for name in TRACKED)


def check_presence(run: Run, before: Picture, after: Picture, number: int) -> None:
    """No live point is called deleted, none that was seen is lost, and a proven snapshot is whole."""
    told = after.collections[number]
    gone = {one for one, point in after.points.items() if point["deleted_run"] == number}
    for one in gone:
        must(run.ever_dead(one), "no live point is called deleted", after.points[one])
        must(one in run.not_found, "deleted is what the appliance itself answered 404 for", after.points[one])
    through = run.lived_through()
    must(not before.present & through & after.deleted, "a point that lived on is there", before.present & through)
    readable = {one for one in run.ever_alive() if all(form.is_readable for form in run.forms(one))}
    first_page = set(run.pages[0])
    must(first_page & readable <= after.points.keys(), "each point on the first page has its row")
    if told["proven"] and (run.order_is_fixed or told["evidence"] in ("single_page", "order")):
        missed = run.listed_through_the_last_crawl() & readable - after.present
        must(not missed, "a proven snapshot holds every point that lived through the crawl", missed, told)
    if run.is_quiet:
        check_quiet(run, before, after, number, readable)


def check_quiet(run: Run, before: Picture, after: Picture, number: int, readable: set[str]) -> None:
    """With nothing moving, the warehouse is the appliance."""
    told, row = after.collections[number], after.runs[number]
    alive, listed = set(run.moments[-1].alive), run.moments[-1].listed
    if run.order_is_fixed:
        must(told["proven"], "a quiet night is proven", told)
        must(listed & readable <= after.present, "what is listed is there", listed & readable - after.present)
    missed = before.present - listed
    too_many = len(missed) > 20 and 2 * len(missed) > len(before.present)
    if run.order_is_fixed:
        withheld = too_many and not row["accepted_mass_deletion"]
        must((row["status"] == "partial") == withheld, "too many deletions are withheld, and only those", row)
        must(told["unconfirmed"] == (len(missed) if withheld else 0), "what is withheld is unconfirmed", told, missed)
    if row["status"] != "partial":
        must(not after.present - alive, "what is gone is deleted", after.present - alive)


def check_intervals(truth: Truth, pasts: list[Past], after: Picture) -> None:
    """A deletion is an interval: the point was there at its beginning, and not any more at its end."""
    newest = pasts[-1]
    for one, point in after.points.items():
        if point["deleted_run"] != newest.number:
            continue
        since = point["last_confirmed_at"]
        confirming = [past for past in pasts if since in (past.started_at, past.observed_at)]
        must(bool(confirming), "a deletion's interval begins with a run", point)
        must(
            any(_was_there(truth, one, past.run, after, pasts) for past in confirming),
            "a point was there when it was last confirmed",
            point,
            truth.lives[one],
        )


def _was_there(truth: Truth, one: str, run: Run, after: Picture, pasts: list[Past]) -> bool:
    assert run.ended is not None
    return one in run.ever_alive() or _was_away_unseen(truth, one, (run.began, run.ended), after, pasts)


def _was_away_unseen(truth: Truth, one: str, at: tuple[datetime, datetime], after: Picture, pasts: list[Past]) -> bool:
    """Whether a point was away at that time, came back, and no run had noticed that it was away."""
    ended = {version["closed_run"] for version in after.versions[one] if version["closed_by"] == "deleted"}
    noticed = [
        moment.at for past in pasts if past.number in ended for moment in past.run.moments if moment.asked == one
    ]
    return any(
        gone <= at[1] and at[0] <= back and not any(gone <= asked <= back for asked in noticed)
        for gone, back in truth.absences(one)
    )


def check_as_of_run(warehouse: Warehouse, appliance: str, past: Past, truth: Truth, pasts: list[Past]) -> None:
    """As of a run's own time there is what that run left: no more, no less, and nothing else."""
    answers = _answers(warehouse, appliance, past.observed_at)
    valid = {one for one, answer in answers.items() if answer.evidence in VALID}
    gone = {one for one, answer in answers.items() if answer.evidence in ("deleted", "returned")}
    later = {one for one, answer in answers.items() if answer.evidence in NOT_YET_SEEN}
    left = past.left
    must(valid == left.present, "as of a run there is what it left", past.number, valid ^ left.present)
    must(gone == left.deleted, "as of a run is gone what it had found gone", past.number, gone ^ left.deleted)
    must(not later & left.points.keys(), "what was seen by then was seen", past.number, later & left.points.keys())
    for one in valid:
        row, answer = left.points[one], answers[one]
        must(
            answer.attributes == {name: row[name] for name in answer.attributes},
            "as of a run a point says what it said then",
            past.number,
            answer,
            row,
        )
        if answer.evidence == "proven":
            must(
                _was_there(truth, one, past.run, pasts[-1].left, pasts),
                "certain is what was there",
                past.number,
                answer,
                truth.lives[one],
            )
    for one in later:
        must(answers[one].attributes["point_in_time"] <= past.observed_at, "not made by then", answers[one])


def check_as_of_between(
    warehouse: Warehouse, appliance: str, earlier: Past, later: Past | None, truth: Truth, pasts: list[Past]
) -> None:
    """Between two runs, certain is only what lived from the one to the other; after the last nothing is."""
    if later is None:
        answers = _answers(warehouse, appliance, earlier.observed_at + timedelta(seconds=1))
        certain = [answer for answer in answers.values() if answer.evidence == "proven"]
        must(not certain, "nothing is certain after the last run", certain)
        return
    at = earlier.observed_at + (later.started_at - earlier.observed_at) / 2
    if not earlier.observed_at < at < later.started_at:
        return  # the clock went back, and no time passed
    assert earlier.run.ended is not None
    gap = earlier.run.ended, later.run.began
    for one, answer in _answers(warehouse, appliance, at).items():
        if answer.evidence == "proven":
            must(
                truth.lived(one, *gap) or _was_away_unseen(truth, one, gap, pasts[-1].left, pasts),
                "certain is what lived",
                earlier.number,
                answer,
                truth.lives[one],
            )


def _answers(warehouse: Warehouse, appliance: str, at: datetime) -> dict[str, PointAsOf]:
    return {answer.restore_point_id: answer for answer in as_of(warehouse, at, appliance, at).points()}
