"""What a simulated appliance answers: sign-in, versions, pages, items, system pages and refusals."""

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx
import pytest

from etl.simulator import MFA_CODE, VERSIONS, Estate, SimulatedAppliance, simulate

SAMPLE = Path(__file__).parents[1] / "samples" / "restore-points-v1.json"
RIGHT = {"grant_type": "Password", "username": "reporter", "password": "simulated-password"}
OLD_PATH, NEW_PATH = "/restorePoints", "/restorePoints/virtualMachines"
TABLE_FIELDS = {"id", "pointInTime", "backupSizeBytes", "backupDestination"}
RETRIEVAL = {
    "dataRetrievalStatus",
    "retrievedDataExpirationDate",
    "notifyBeforeRetrievedDataExpirationHours",
}
V2_FIELDS = TABLE_FIELDS | {"_embeddedResources", "_links", "vbrId", "gfsFlags", "jobSessionId"}
V8_FIELDS = (
    V2_FIELDS - {"_embeddedResources"}
    | RETRIEVAL
    | {
        "type",
        "pointInTimeLocalTime",
        "isCorrupted",
        "vmName",
        "resourceHashId",
        "regionId",
        "regionName",
        "state",
        "immutableTill",
        "accessTier",
        "latestChainSizeBytes",
    }
)


def sign_in(client: httpx.Client, **form: str) -> httpx.Response:
    return client.post("/api/oauth2/token", data=form or RIGHT)


def plain_client(appliance: SimulatedAppliance) -> httpx.Client:
    # Loading the system's certificates costs more than the whole test, and plain HTTP needs none.
    return httpx.Client(base_url=appliance.url, verify=False)


@contextmanager
def client_of(appliance: SimulatedAppliance) -> Iterator[httpx.Client]:
    with plain_client(appliance) as client:
        token = sign_in(client).json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        yield client


def path_of(version: str) -> str:
    return f"/api/{version}{OLD_PATH if version in ('v1', 'v2', 'v3') else NEW_PATH}"


def few(count: int) -> Estate:
    return Estate.from_items({"id": str(uuid.UUID(int=number))} for number in range(count))


class TestSignIn:
    def test_answers_with_the_documented_fields(self) -> None:
        with simulate(few(0), role="ReadOnlyUser") as appliance, plain_client(appliance) as client:
            answer = sign_in(client).json()
        assert answer["access_token"].count(".") == 2
        assert answer["refresh_token"] != answer["access_token"]
        assert answer["expires_in"] == 3600
        assert answer["roleName"] == "ReadOnlyUser"
        assert answer["userType"] == "Internal"
        assert answer[".issued"] == "2025-03-31T10:00:00Z"
        assert answer[".expires"] == "2025-03-31T11:00:00Z"

    @pytest.mark.parametrize(
        "form",
        [
            {"grant_type": "Password", "username": "reporter", "password": "simulated-password"},
            {"Grant_Type": "password", "Username": "reporter", "Password": "simulated-password"},
            {"USERNAME": "reporter", "PASSWORD": "simulated-password"},
            {"grant_type": "PASSWORD", "username": "reporter", "password": "simulated-password", "x": "y"},
        ],
    )
    def test_takes_names_and_grant_type_in_any_case(self, form: dict[str, str]) -> None:
        with simulate(few(0)) as appliance, plain_client(appliance) as client:
            assert sign_in(client, **form).status_code == 200

    @pytest.mark.parametrize(
        ("form", "refusal", "status"),
        [
            (RIGHT | {"password": "wrong"}, 401, 401),
            (RIGHT | {"password": "wrong"}, 400, 400),
            (RIGHT | {"username": "Reporter"}, 401, 401),
            ({"grant_type": "Refresh_token", "refresh_token": "unknown"}, 401, 401),
            ({"grant_type": "Refresh_token", "refresh_token": "unknown"}, 400, 400),
            ({"grant_type": "Password", "username": "reporter"}, 401, 400),
            ({"grant_type": "Nonsense"}, 401, 400),
        ],
    )
    def test_refuses_with_a_problem_document(self, form: dict[str, str], refusal: int, status: int) -> None:
        with (
            simulate(few(0), refusal=refusal) as appliance,
            plain_client(appliance) as client,
        ):
            answer = sign_in(client, **form)
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
        members = {"type", "title", "status", "detail", "traceId"}
        assert set(answer.json()) == members | {"errors" if status == 400 else "instance"}

    @pytest.mark.parametrize("method", ["GET", "PUT"])
    def test_has_no_other_method(self, method: str) -> None:
        with simulate(few(0)) as appliance:
            assert httpx.request(method, f"{appliance.url}/api/oauth2/token").status_code == 405

    def test_takes_forms_only(self) -> None:
        with simulate(few(0)) as appliance:
            assert httpx.post(f"{appliance.url}/api/oauth2/token", json=RIGHT).status_code == 415

    def test_a_refresh_token_dies_when_used(self) -> None:
        with simulate(few(0)) as appliance, plain_client(appliance) as client:
            first = sign_in(client).json()
            refresh = {"grant_type": "refresh_TOKEN", "refresh_token": first["refresh_token"]}
            second = sign_in(client, **refresh)
            assert second.status_code == 200
            assert second.json()["refresh_token"] != first["refresh_token"]
            assert sign_in(client, **refresh).status_code == 401

    def test_mfa_needs_a_second_step(self) -> None:
        with simulate(few(0), mfa=True) as appliance, plain_client(appliance) as client:
            first = sign_in(client).json()
            assert (first["access_token"], first["expires_in"], first["mfa_enabled"]) == (None, 0, True)
            step = {"grant_type": "Mfa", "mfa_token": first["mfa_token"]}
            assert sign_in(client, **step, mfa_code="000000").status_code == 401
            second = sign_in(client, **step, mfa_code=MFA_CODE)
            token = second.json()["access_token"]
            page = client.get(path_of("v8.1"), headers={"Authorization": f"Bearer {token}"})
            assert page.status_code == 200
            assert sign_in(client, **step, mfa_code=MFA_CODE).status_code == 401

    def test_logging_out_kills_both_tokens(self) -> None:
        with simulate(few(0)) as appliance, plain_client(appliance) as client:
            tokens = sign_in(client).json()
            client.headers["Authorization"] = f"Bearer {tokens['access_token']}"
            assert client.delete("/api/oauth2/token").status_code == 204
            assert client.get(path_of("v8.1")).status_code == 401
            assert client.delete("/api/oauth2/token").status_code == 401
            refresh = {"grant_type": "Refresh_token", "refresh_token": tokens["refresh_token"]}
            assert sign_in(client, **refresh).status_code == 401

    def test_access_tokens_expire_and_refresh_tokens_go_on(self) -> None:
        with simulate(few(0)) as appliance, client_of(appliance) as client:
            tokens = sign_in(client).json()
            assert client.get(path_of("v8.1")).status_code == 200
            appliance.expire_tokens()
            assert client.get(path_of("v8.1")).status_code == 401
            refresh = {"grant_type": "Refresh_token", "refresh_token": tokens["refresh_token"]}
            again = sign_in(client, **refresh).json()
            client.headers["Authorization"] = f"Bearer {again['access_token']}"
            assert client.get(path_of("v8.1")).status_code == 200
            appliance.expire_tokens(refresh_too=True)
            refresh["refresh_token"] = again["refresh_token"]
            assert sign_in(client, **refresh).status_code == 401

    def test_a_token_lives_real_seconds_whatever_the_simulated_clock_says(self) -> None:
        with simulate(few(0), expires_in=0.05) as appliance, client_of(appliance) as client:
            while client.get(path_of("v8.1")).status_code == 200:
                pass
        with simulate(few(0)) as appliance, client_of(appliance) as client:
            appliance.clock.advance(days=400)
            assert client.get(path_of("v8.1")).status_code == 200

    @pytest.mark.parametrize("authorization", [None, "Bearer", "Bearer nonsense", "Basic cmVwb3J0ZXI6"])
    def test_nothing_is_read_without_a_good_token(self, authorization: str | None) -> None:
        headers = {} if authorization is None else {"Authorization": authorization}
        with simulate(few(1)) as appliance:
            answer = httpx.get(appliance.url + path_of("v8.1"), headers=headers)
        assert answer.status_code == 401
        assert set(answer.json()) == {"type", "title", "status", "detail", "extensions"}


class TestVersions:
    @pytest.mark.parametrize(
        ("newest", "served"),
        [
            ("v1", {"v1"}),
            ("v2", {"v2"}),
            ("v3", {"v3", "v2"}),
            ("v4", {"v4", "v3", "v2"}),
            ("v5", {"v5", "v4", "v3"}),
            ("v6", {"v6", "v5", "v4"}),
            ("v7", {"v7", "v6", "v5"}),
            ("v8", {"v8", "v7", "v6"}),
            ("v8.1", {"v8.1", "v8", "v7", "v6"}),
        ],
    )
    def test_a_product_serves_its_versions_and_no_other(self, newest: str, served: set[str]) -> None:
        with simulate(few(1), version=newest) as appliance, client_of(appliance) as client:
            status = {version: client.get(path_of(version)).status_code for version in VERSIONS}
            about = client.get(f"/api/{newest}/system/about").json()
        assert status == {version: 200 if version in served else 404 for version in VERSIONS}
        assert about["serverVersion"].startswith(newest.removeprefix("v"))

    def test_the_versions_served_can_be_chosen(self) -> None:
        with simulate(few(1), serves=("v8", "v3")) as appliance, client_of(appliance) as client:
            assert client.get(path_of("v3")).status_code == 200
            assert client.get(path_of("v8.1")).status_code == 404

    def test_an_unserved_version_is_refused_before_any_sign_in(self) -> None:
        with simulate(few(1), version="v3") as appliance:
            answer = httpx.get(f"{appliance.url}/api/v8.1/system/about")
            assert (answer.status_code, answer.content) == (404, b"")
        with simulate(few(1), version="v3", unserved=400) as appliance:
            answer = httpx.get(f"{appliance.url}/api/v8.1/system/about")
            assert (answer.status_code, answer.json()["code"]) == (400, "UnsupportedApiVersion")

    @pytest.mark.parametrize(
        ("version", "backup_fields"),
        [
            ("v1", TABLE_FIELDS | {"_embeddedResources", "_links"}),
            ("v2", V2_FIELDS),
            ("v3", V2_FIELDS | RETRIEVAL | {"type", "usn"}),
            ("v8", V8_FIELDS),
            ("v8.1", V8_FIELDS),
        ],
    )
    def test_a_backup_has_the_fields_of_the_version(self, version: str, backup_fields: set[str]) -> None:
        estate = Estate.from_seed(7)
        backup = next(point for point in estate.points if point.backup_destination == "AzureBlob")
        item = json.loads(estate.item(version, backup.id) or b"")
        assert set(item) == backup_fields

    def test_versions_between_only_add_fields(self) -> None:
        estate = Estate.from_seed(7)
        backup = next(point for point in estate.points if point.backup_destination == "AzureBlob")
        fields = [set(json.loads(estate.item(version, backup.id) or b"")) for version in VERSIONS[2:7]]
        for earlier, later in pairwise(fields):
            assert earlier < later
        assert fields[-1] < V8_FIELDS | fields[0]

    def test_v3_says_type_and_retrieval_of_backups_only(self) -> None:
        estate = Estate.from_seed(7)
        snapshot = next(point for point in estate.points if point.backup_destination == "Snapshot")
        item = json.loads(estate.item("v3", snapshot.id) or b"")
        assert set(item) == V2_FIELDS | {"usn"}

    def test_v1_knows_a_session_by_digits_in_the_link_alone(self) -> None:
        estate = Estate.from_seed(7)
        point = estate.points[0]
        v1, v2 = (json.loads(estate.item(version, point.id) or b"") for version in ("v1", "v2"))
        host = estate.identity.host
        assert v1["_links"]["BackupJob"]["href"] == f"https://{host}/api/v1/jobSessions/{point.session.number}"
        assert v2["_links"]["BackupJob"]["href"] == f"https://{host}/api/v2/jobSessions/{v2['jobSessionId']}"
        assert str(uuid.UUID(v2["jobSessionId"])) == point.session.id

    def test_every_version_tells_the_same_points(self) -> None:
        estate = Estate.from_seed(7)
        told = set()
        for version in VERSIONS:
            items = [json.loads(text) for text in estate.page(version, 0, None)[0]]
            told.add(frozenset((i["id"], i["pointInTime"], i["backupSizeBytes"]) for i in items))
        assert len(told) == 1

    def test_v8_tells_the_machine_and_its_local_time(self) -> None:
        estate = Estate.from_seed(7)
        point = next(p for p in estate.points if p.resource.region.time_zone != "Europe/London")
        item = json.loads(estate.item("v8.1", point.id) or b"")
        assert item["vmName"] == point.resource.name
        assert item["resourceHashId"] == point.resource.resource_id
        local = datetime.fromisoformat(item["pointInTimeLocalTime"])
        assert local == datetime.fromisoformat(item["pointInTime"]) == point.point_in_time
        assert local.utcoffset() == local.astimezone(ZoneInfo(point.resource.region.time_zone)).utcoffset()


class TestPaging:
    @pytest.mark.parametrize(
        ("version", "query", "offset", "limit"),
        [
            ("v1", "", 0, 30),
            ("v1", "offset=40&limit=7", 40, 7),
            ("v1", "Offset=40&Limit=7", 0, 30),
            ("v2", "offset=40&limit=7", 40, 7),
            ("v2", "Offset=40&Limit=7", 40, 7),
            ("v3", "", 0, 200),
            ("v3", "offset=40&limit=7", 0, 200),
            ("v3", "Offset=40&Limit=7", 40, 7),
            ("v8.1", "", 0, 100),
            ("v8.1", "offset=40&limit=7", 0, 100),
            ("v8.1", "Offset=40&Limit=7", 40, 7),
            ("v8.1", "OFFSET=40&LIMIT=7", 0, 100),
            ("v8.1", "Offset=9999&Limit=7", 9999, 7),
            ("v8.1", "Limit=0", 0, 0),
            ("v8.1", "Limit=-1", 0, -1),
            ("v8.1", "Limit=-1&Offset=40", 40, -1),
        ],
    )
    def test_a_page_says_what_was_used(self, version: str, query: str, offset: int, limit: int) -> None:
        estate = few(250)
        with simulate(estate, version=version) as appliance, client_of(appliance) as client:
            page = client.get(f"{path_of(version)}?{query}").json()
        expected = estate.items[offset:]
        assert (page["offset"], page["limit"], page["totalCount"]) == (offset, limit, 250)
        assert page["results"] == (expected if limit == -1 else expected[:limit])

    @pytest.mark.parametrize(
        ("query", "wrong"),
        [
            ("Offset=-1", {"Offset"}),
            ("Offset=x", {"Offset"}),
            ("Limit=-2", {"Limit"}),
            ("Limit=2147483648", {"Limit"}),
            ("Limit=x&Offset=", {"Limit", "Offset"}),
            ("OnlyLatest=maybe", {"OnlyLatest"}),
        ],
    )
    def test_nonsense_is_a_bad_request(self, query: str, wrong: set[str]) -> None:
        with simulate(few(1)) as appliance, client_of(appliance) as client:
            answer = client.get(f"{path_of('v8.1')}?{query}")
        assert answer.status_code == 400
        assert set(answer.json()["errors"]) == wrong

    @pytest.mark.parametrize(("limit", "used"), [("20", 20), ("21", 20), ("500", 20), ("-1", 20), ("3", 3)])
    def test_a_cap_bounds_the_page(self, limit: str, used: int) -> None:
        with simulate(few(50), page_cap=20) as appliance, client_of(appliance) as client:
            page = client.get(path_of("v8.1"), params={"Limit": limit}).json()
        assert (page["limit"], len(page["results"])) == (used, used)

    def test_the_total_may_be_null(self) -> None:
        with simulate(few(3), tells_total=False) as appliance, client_of(appliance) as client:
            page = client.get(path_of("v8.1")).json()
        assert (page["totalCount"], len(page["results"])) == (None, 3)

    def test_v1_links_its_neighbours_with_a_port(self) -> None:
        estate = few(50)
        with simulate(estate, version="v1") as appliance, client_of(appliance) as client:
            page = client.get(path_of("v1"), params={"offset": 20, "limit": 10}).json()
        base = f"https://{estate.identity.host}:443/api/v1/restorePoints?onlyLatest=False"
        assert {name: link["href"] for name, link in page["_links"].items()} == {
            "self": f"{base}&offset=20&limit=10",
            "first": f"{base}&offset=0&limit=10",
            "prev": f"{base}&offset=10&limit=10",
            "next": f"{base}&offset=30&limit=10",
        }

    def test_the_vendor_s_sample_is_served_as_it_is(self) -> None:
        sample = json.loads(SAMPLE.read_bytes())
        with (
            simulate(Estate.from_items(sample["results"], version="v1")) as appliance,
            client_of(appliance) as client,
        ):
            page = client.get(path_of("v1")).json()
        assert page["results"] == sample["results"]
        assert {name: page[name] for name in ("offset", "limit", "totalCount")} == {
            name: sample[name] for name in ("offset", "limit", "totalCount")
        }
        assert set(page["_links"]) == set(sample["_links"])

    def test_only_the_latest_or_one_machine_s_points(self) -> None:
        estate = Estate.from_seed(7)
        machine = estate.machines[0]
        with simulate(estate) as appliance, client_of(appliance) as client:
            ask = {"Limit": "-1", "VirtualMachineId": machine.resource_id}
            its = client.get(path_of("v8.1"), params=ask).json()
            latest = client.get(path_of("v8.1"), params=ask | {"OnlyLatest": "true"}).json()
            all_latest = client.get(path_of("v8.1"), params={"OnlyLatest": "True"}).json()
        mine = [point for point in estate.points if point.resource == machine]
        assert {item["id"] for item in its["results"]} == {point.id for point in mine}
        assert its["totalCount"] == len(mine)
        newest = max(mine, key=lambda point: point.point_in_time)
        assert datetime.fromisoformat(latest["results"][0]["pointInTime"]) == newest.point_in_time
        assert latest["totalCount"] == 1
        assert all_latest["totalCount"] == len({point.resource for point in estate.points})


class TestItems:
    @pytest.mark.parametrize("version", ["v1", "v3", "v8.1"])
    def test_one_item_is_the_page_s_item(self, version: str) -> None:
        with simulate(Estate.from_seed(7), version=version) as appliance, client_of(appliance) as client:
            listed = client.get(path_of(version)).json()["results"][5]
            alone = client.get(f"{path_of(version)}/{listed['id']}")
            shouted = client.get(f"{path_of(version)}/{listed['id'].upper()}")
        assert (alone.status_code, alone.json()) == (200, listed)
        assert shouted.json() == listed

    def test_an_unknown_item_is_a_problem_document(self) -> None:
        with simulate(few(1)) as appliance, client_of(appliance) as client:
            answer = client.get(f"{path_of('v8.1')}/{uuid.uuid4()}")
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"
        assert set(answer.json()) == {"type", "title", "status", "detail", "instance", "traceId"}

    def test_v4_withdrew_the_old_path(self) -> None:
        with simulate(few(1), version="v4") as appliance, client_of(appliance) as client:
            assert client.get("/api/v4/restorePoints").status_code == 404
            assert client.get("/api/v3/restorePoints").status_code == 200

    def test_given_items_may_be_any_json(self) -> None:
        bad = [None, 7, "text", [], {}, {"id": None}, {"id": "\ud800"}, {"id": "a", "n": 2**70}, {"id": "a"}]
        with simulate(Estate.from_items(bad)) as appliance, client_of(appliance) as client:
            page = json.loads(client.get(path_of("v8.1")).content)
            assert client.get(f"{path_of('v8.1')}/000000000").status_code == 404
        assert page["results"] == bad
        assert page["totalCount"] == len(bad)


class TestSystemPages:
    def test_about_tells_who_the_appliance_is(self) -> None:
        estate = Estate.from_seed(7)
        with simulate(estate, version="v1") as appliance, client_of(appliance) as client:
            about = client.get("/api/v1/system/about").json()
        names = ("serverVersion", "workerVersion", "flrVersion", "databaseId", "deploymentSubscriptionId")
        assert tuple(about) == names
        assert about["databaseId"] == estate.identity.database_id

    def test_server_info_is_there_from_v2_on(self) -> None:
        with simulate(few(0), version="v1") as appliance, client_of(appliance) as client:
            assert client.get("/api/v1/system/serverInfo").status_code == 404
        with simulate(few(0), version="v2") as appliance, client_of(appliance) as client:
            answer = client.get("/api/v2/system/serverInfo").json()
        assert answer["serverName"] == appliance.estate.identity.server_name

    def test_time_and_status_follow_the_simulated_clock(self) -> None:
        estate = Estate.from_seed(7, machines=0, time_zone="Australia/Sydney")
        with simulate(estate) as appliance, client_of(appliance) as client:
            appliance.clock.advance(hours=6)
            assert client.get("/api/v8.1/system/time").json() == {
                "utcDateTime": "2025-03-31T16:00:00Z",
                "timeZone": "Australia/Sydney",
            }
            assert client.get("/api/v8.1/system/status").json() == {
                "state": "Ready",
                "serverTime": "2025-03-31T16:00:00Z",
            }

    def test_whether_the_service_is_up_can_be_asked_without_a_token(self) -> None:
        with simulate(few(0)) as appliance:
            assert httpx.get(f"{appliance.url}/api/v8.1/system/serviceIsUp").status_code == 200
            assert httpx.get(f"{appliance.url}/api/v8.1/system/status").status_code == 401

    def test_a_role_may_be_kept_from_paths(self) -> None:
        barred = ("/system/serverInfo", NEW_PATH)
        with simulate(few(1), forbidden=barred) as appliance, client_of(appliance) as client:
            answer = client.get(path_of("v8.1"))
            assert answer.status_code == 403
            assert set(answer.json()) == {"type", "title", "status", "extensions"}
            assert client.get(f"{path_of('v8.1')}/{uuid.UUID(int=0)}").status_code == 403
            assert client.get("/api/v8.1/system/serverInfo").status_code == 403
            assert client.get("/api/v8.1/system/about").status_code == 200
