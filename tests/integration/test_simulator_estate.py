"""How a simulated estate comes about, goes on when the clock moves, and is changed by hand."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from etl.simulator import Estate, RestorePoint, SimulatorError, simulate

BERLIN = ZoneInfo("Europe/Berlin")


def backups(points: Iterable[RestorePoint]) -> dict[str, list[RestorePoint]]:
    """The chain of each machine by its name, oldest first."""
    chains = defaultdict(list)
    for point in sorted(points, key=lambda point: point.point_in_time):
        if point.gfs_flags == "Daily":
            chains[point.resource.name].append(point)
    return chains


def by_id(estate: Estate) -> dict[str, RestorePoint]:
    return {point.id: point for point in estate.points}


class TestSeed:
    def test_the_same_seed_gives_the_same_estate(self) -> None:
        one, same, other = Estate.from_seed(7), Estate.from_seed(7), Estate.from_seed(8)
        assert one.points == same.points
        assert one.identity == same.identity
        assert one.identity != other.identity
        assert not by_id(one).keys() & by_id(other).keys()

    def test_time_may_pass_in_any_steps(self) -> None:
        whole, pieces = Estate.from_seed(7), Estate.from_seed(7)
        whole.clock.advance(days=12)
        for _ in range(12 * 4):
            pieces.clock.advance(hours=6)
        assert whole.points == pieces.points
        assert whole.clock.now == pieces.clock.now == datetime(2025, 4, 12, 10, tzinfo=UTC)

    def test_started_again_later_it_looks_as_if_time_had_passed(self) -> None:
        now = datetime(2025, 5, 7, 14, 20, tzinfo=UTC)
        went_on = Estate.from_seed(7, now=now)
        went_on.clock.advance(days=1, hours=9)
        lived, anew = by_id(went_on), by_id(Estate.from_seed(7, now=went_on.clock.now))
        shared = lived.keys() & anew.keys()
        assert len(shared) > 0.95 * len(lived.keys() | anew.keys())
        for point_id in shared:
            assert lived[point_id].point_in_time == anew[point_id].point_in_time
            assert lived[point_id].session == anew[point_id].session
        sizes = [lived[each].backup_size_bytes == anew[each].backup_size_bytes for each in shared]
        assert sum(sizes) > 0.95 * len(sizes)

    def test_no_two_jobs_share_a_session(self) -> None:
        jobs = defaultdict(set)
        for point in Estate.from_seed(7, machines=30, days=60).points:
            kind = (point.backup_destination, point.access_tier, point.point_in_time.date())
            jobs[point.session.number].add(kind)
            jobs[point.session.id].add(kind)
        assert all(len(kinds) == 1 for kinds in jobs.values())

    def test_machines_lie_in_several_regions_and_subscriptions(self) -> None:
        machines = Estate.from_seed(7).machines
        assert len(machines) == 12
        assert len({machine.name for machine in machines}) == 12
        assert len({machine.region for machine in machines}) > 1
        assert len({machine.subscription_id for machine in machines}) > 1
        assert all(len(machine.resource_id) == 52 for machine in machines)

    def test_history_has_every_kind_of_point(self) -> None:
        points = Estate.from_seed(7, machines=24, days=60).points
        kinds = Counter((point.backup_destination, point.restore_point_type) for point in points)
        assert set(kinds) == {
            ("Snapshot", "Unknown"),
            ("ManualSnapshot", "Unknown"),
            ("AzureBlob", "Full"),
            ("AzureBlob", "Incremental"),
        }
        flags = {flag for point in points for flag in point.gfs_flags.split(", ")}
        assert flags == {"None", "Daily", "Weekly", "Monthly", "Yearly"}
        assert {point.access_tier for point in points} == {None, "Hot", "Cool", "Archive"}

    def test_nothing_is_made_in_the_future_or_without_a_size(self) -> None:
        estate = Estate.from_seed(7)
        assert all(point.point_in_time <= estate.clock.now for point in estate.points)
        assert all(point.backup_size_bytes > 0 for point in estate.points)

    def test_a_chain_is_one_full_and_then_increments(self) -> None:
        for chain in backups(Estate.from_seed(7).points).values():
            full, *increments = chain
            assert full.restore_point_type == "Full"
            assert {point.restore_point_type for point in increments} <= {"Incremental"}
            size = sum(point.backup_size_bytes for point in chain)
            assert {point.latest_chain_size_bytes for point in chain} == {size}

    def test_snapshot_backup_and_archive_of_one_hour_share_the_moment(self) -> None:
        moments = defaultdict(set)
        for point in Estate.from_seed(7).points:
            moments[point.resource.name, point.point_in_time].add(point.gfs_flags)
        assert any({"None", "Daily"} <= flags for flags in moments.values())
        assert any("Daily" in flags and flags & {"Weekly", "Monthly"} for flags in moments.values())

    def test_sizes_grow(self) -> None:
        points = Estate.from_seed(7, days=360).points
        archives = defaultdict(list)
        for point in sorted(points, key=lambda point: point.point_in_time):
            if point.access_tier == "Archive":
                archives[point.resource.name].append(point.backup_size_bytes)
        assert archives
        assert all(sizes[-1] > sizes[0] for sizes in archives.values())

    @pytest.mark.parametrize(("machines", "days"), [(0, 0), (0, 30), (1, 0), (1, 1), (100, 2)])
    def test_small_and_empty_estates_exist(self, machines: int, days: int) -> None:
        estate = Estate.from_seed(1, machines=machines, days=days)
        assert len(estate.machines) == machines
        estate.clock.advance(days=2)
        assert bool(estate.points) == (machines > 0)

    @pytest.mark.parametrize("wrong", [{"machines": -1}, {"days": -1}, {"time_zone": "Mars/Olympus"}])
    def test_impossible_estates_are_refused(self, wrong: dict[str, object]) -> None:
        with pytest.raises(SimulatorError):
            Estate.from_seed(1, **wrong)


class TestTime:
    def test_a_day_makes_points_and_takes_points(self) -> None:
        estate = Estate.from_seed(7)
        before = by_id(estate)
        estate.clock.advance(days=1)
        after = by_id(estate)
        assert after.keys() - before.keys()
        assert before.keys() - after.keys()
        assert all(after[new].point_in_time >= estate.clock.now - timedelta(days=1) for new in after.keys() - before)

    @pytest.mark.parametrize("time_zone", ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"])
    def test_points_go_at_midnight_of_the_appliance_s_zone_alone(self, time_zone: str) -> None:
        zone = ZoneInfo(time_zone)
        now = datetime(2025, 6, 10, 12, 30, tzinfo=zone)
        estate = Estate.from_seed(7, time_zone=time_zone, now=now)
        hours_with_losses = set()
        for _ in range(48):
            before = set(by_id(estate))
            estate.clock.advance(hours=1)
            if before - set(by_id(estate)):
                hours_with_losses.add(estate.clock.now.astimezone(zone).hour)
        assert hours_with_losses == {0}

    def test_jobs_keep_their_local_hour_when_the_clocks_change(self) -> None:
        estate = Estate.from_seed(7, now=datetime(2025, 3, 28, 10, tzinfo=UTC))
        before = by_id(estate)
        estate.clock.advance(days=5)
        made = [point for point in estate.points if point.id not in before]
        hours = {
            (point.point_in_time.astimezone(BERLIN).date(), point.point_in_time.astimezone(BERLIN).hour)
            for point in made
        }
        assert {hour for _, hour in hours} == {3, 4, 6, 21, 22, 23}
        assert {day.day for day, hour in hours if hour == 23} == {28, 29, 30, 31, 1}

    def test_retention_folds_the_oldest_increment_into_the_full(self) -> None:
        estate = Estate.from_seed(7)
        before = backups(estate.points)
        estate.clock.advance(days=1)
        after = backups(estate.points)
        folded = 0
        for name, chain in after.items():
            old = {point.id: point for point in before[name]}
            if chain[0].id != before[name][0].id:
                folded += 1
                turned = chain[0]
                assert (old[turned.id].restore_point_type, turned.restore_point_type) == ("Incremental", "Full")
                assert turned.backup_size_bytes > before[name][0].backup_size_bytes
                assert turned.point_in_time == old[turned.id].point_in_time
        assert folded

    def test_what_is_kept_is_what_the_policies_promise(self) -> None:
        estate = Estate.from_seed(7, machines=9, days=120)
        midnight = datetime(2025, 3, 31, tzinfo=BERLIN)
        keeps = {0: (6, 14), 1: (3, 30), 2: (2, 7)}
        chains = backups(estate.points)
        for number, machine in enumerate(estate.machines[:6]):
            snapshots_kept, backup_days = keeps[number % 3]
            mine = [point for point in estate.points if point.resource == machine]
            snapshots = [point for point in mine if point.backup_destination == "Snapshot"]
            assert snapshots_kept <= len(snapshots) <= snapshots_kept + 1
            oldest = chains[machine.name][0].point_in_time
            assert midnight - timedelta(days=backup_days) <= oldest
            assert oldest < midnight - timedelta(days=backup_days - 3)

    def test_archives_stay_as_long_as_their_longest_flag_promises(self) -> None:
        estate = Estate.from_seed(7, machines=1, days=800)
        ages = defaultdict(set)
        for point in estate.points:
            if point.access_tier == "Archive":
                longest = point.gfs_flags.split(", ")[-1]
                ages[longest].add((estate.clock.now - point.point_in_time).days)
        weeks, months, years = ages["Weekly"], ages["Monthly"], ages["Yearly"]
        assert max(weeks) <= 4 * 7
        assert 5 * 28 < max(months) <= 6 * 31
        assert 365 < max(years) <= 2 * 366

    def test_usn_numbers_every_change(self) -> None:
        estate = Estate.from_seed(7)
        before = by_id(estate)
        assert len({point.usn for point in before.values()}) == len(before)
        estate.clock.advance(days=1)
        for point in estate.points:
            old = before.get(point.id)
            same = old is not None and replace(point, latest_chain_size_bytes=old.latest_chain_size_bytes) == old
            assert same or point.usn > max(old.usn for old in before.values())

    def test_manual_snapshots_stay_for_ever(self) -> None:
        estate = Estate.from_seed(7)
        manual = estate.create()
        estate.clock.advance(days=400)
        assert estate.point(manual.id) == manual

    def test_immutability_moves_ahead_and_never_outlives_retention(self) -> None:
        estate = Estate.from_seed(7)
        before = {point.id: point.immutable_until for point in estate.points if point.immutable_until}
        assert before
        estate.clock.advance(days=10)
        moved = 0
        for point in estate.points:
            if point.immutable_until is not None:
                assert point.immutable_until <= point.point_in_time + timedelta(days=30)
                moved += point.id in before and before[point.id] < point.immutable_until
        assert moved

    def test_some_machines_join_and_some_are_retired(self) -> None:
        estate = Estate.from_seed(7, machines=20, days=60)
        newest = {
            machine.name: max(p.point_in_time for p in estate.points if p.resource == machine)
            for machine in estate.machines
        }
        retired = [name for name, moment in newest.items() if moment < estate.clock.now - timedelta(days=4)]
        assert 0 < len(retired) < 5

    @pytest.mark.parametrize("step", [{"days": -1}, {"hours": -0.5}, {"days": 1e12}, {"days": float("nan")}])
    def test_time_goes_forwards_only(self, step: dict[str, float]) -> None:
        estate = Estate.from_seed(7, machines=1, days=1)
        before = (estate.clock.now, estate.points)
        with pytest.raises(SimulatorError):
            estate.clock.advance(**step)
        assert (estate.clock.now, estate.points) == before


class TestByHand:
    def test_created_points_are_listed_in_order_of_ids(self) -> None:
        estate = Estate.from_seed(7)
        first = estate.create(id="00000000-0000-4000-8000-000000000000", backup_destination="AzureBlob")
        estate.create()
        ids = [json.loads(text)["id"] for text in estate.page("v8.1", 0, None)[0]]
        assert ids == sorted(ids)
        assert ids[0] == first.id
        assert len(ids) == len(estate)

    @pytest.mark.parametrize("version", ["v1", "v8.1"])
    def test_a_change_shows_at_once_in_every_version(self, version: str) -> None:
        estate = Estate.from_seed(7)
        point = estate.points[0]
        assert json.loads(estate.item(version, point.id) or b"")["backupSizeBytes"] == point.backup_size_bytes
        estate.change(point.id, backup_size_bytes=5, state="Corrupted")
        assert json.loads(estate.item(version, point.id) or b"")["backupSizeBytes"] == 5
        assert json.loads(estate.page(version, 0, 1)[0][0])["backupSizeBytes"] == 5
        assert estate.point(point.id).usn > point.usn

    def test_a_machine_can_be_renamed(self) -> None:
        estate = Estate.from_seed(7)
        point = estate.points[0]
        estate.change(point.id, resource=replace(point.resource, name="Zürich-★"))
        assert json.loads(estate.item("v8.1", point.id) or b"")["vmName"] == "Zürich-★"

    def test_deleted_is_gone_hidden_answers_by_id(self) -> None:
        estate = Estate.from_seed(7)
        gone, hidden, *_ = (point.id for point in estate.points)
        count = len(estate)
        estate.page("v8.1", 0, 10)
        estate.delete(gone)
        estate.hide(hidden)
        listed, total = estate.page("v8.1", 0, None)
        assert not {gone, hidden} & {json.loads(text)["id"] for text in listed}
        assert total == count - 2
        assert estate.item("v8.1", gone) is None
        assert estate.item("v8.1", hidden) is not None
        estate.show(hidden)
        assert estate.page("v8.1", 0, None)[1] == count - 1

    def test_history_goes_on_after_deletions_by_hand(self) -> None:
        estate = Estate.from_seed(7)
        for chain in backups(estate.points).values():
            estate.delete(chain[0].id, *(point.id for point in chain[3:6]))
        estate.clock.advance(days=40)
        assert all(chain[0].restore_point_type == "Full" for chain in backups(estate.points).values())

    @pytest.mark.parametrize("operation", ["delete", "hide", "show", "change"])
    def test_an_unknown_point_is_a_key_error(self, operation: str) -> None:
        for estate in (Estate.from_seed(7, machines=1), Estate.from_items([{"id": "a"}])):
            with pytest.raises(KeyError):
                getattr(estate, operation)("000000000")

    def test_given_items_can_be_changed_too(self) -> None:
        estate = Estate.from_items([{"id": "A", "backupSizeBytes": 1}, {"id": "b"}])
        estate.change("a", backupSizeBytes=2)
        estate.add_item({"id": "c"})
        estate.delete("b")
        assert estate.items == [{"id": "A", "backupSizeBytes": 2}, {"id": "c"}]
        assert [json.loads(text) for text in estate.page("v1", 0, None)[0]] == estate.items
        with pytest.raises(SimulatorError):
            estate.create()


class TestOrder:
    def listed(self, estate: Estate) -> str:
        items, _ = estate.page("v8.1", 0, None)
        return "".join(json.loads(item)["id"] for item in items)

    def estate(self) -> Estate:
        return Estate.from_items({"id": name} for name in "abcdefgh")

    @pytest.mark.parametrize(
        ("order", "at_first", "later"),
        [("id", "abcdefgh", "acdegh+"), ("newest", "hgfedcba", "+hgedca"), ("slots", "abcdefgh", None)],
    )
    def test_orders_that_stand(self, order: str, at_first: str, later: str | None) -> None:
        estate = self.estate()
        estate.list_in(order)
        assert self.listed(estate) == self.listed(estate) == at_first
        estate.delete("b", "f")
        estate.add_item({"id": "+"})
        found = self.listed(estate)
        assert found == later or (later is None and found in ("a+cdegh", "acde+gh"))
        estate.hide("d")
        assert self.listed(estate) == found.replace("d", "")
        estate.show("d")
        assert self.listed(estate) == found

    def test_rows_that_move_are_all_there_and_most_keep_their_order(self) -> None:
        estate = self.estate()
        estate.list_in("moving", 7, 1)
        before = self.listed(estate)
        for _ in range(20):
            after = self.listed(estate)
            assert sorted(after) == list("abcdefgh")
            assert any(before.replace(name, "") == after.replace(name, "") for name in before)
            before = after
        estate.list_in("moving", 7, 0)
        assert self.listed(estate) == self.listed(estate)

    def test_no_order(self) -> None:
        estate = self.estate()
        estate.list_in("none", 7)
        seen = [self.listed(estate) for _ in range(10)]
        assert {"".join(sorted(one)) for one in seen} == {"abcdefgh"}
        assert len(set(seen)) > 5

    def test_an_appliance_lists_as_it_is_told(self) -> None:
        with simulate(self.estate(), order="newest") as appliance:
            assert self.listed(appliance.estate) == "hgfedcba"
        for wrong in ({"order": "age"}, {"order": "moving", "moves": -1}):
            with pytest.raises(SimulatorError):
                simulate(self.estate(), **wrong)
