"""Whatever is sent: never a 500, always a fault of Trove's form, and nothing happens for it."""

from __future__ import annotations

import json
from typing import Any, Final
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib.api import later
from chalicelib.api.application import ROUTES
from chalicelib.store import making_backups
from chalicelib.store.models import Instance
from tests.api.client import Api
from tests.api.conftest import Guest, Make
from tests.support.bare import World

# fmt: off
FIELDS: Final = (
    "instance", "name", "flavorRef", "volume", "size", "type", "datastore", "version",
    "version_number", "nics", "network_id", "net-id", "subnet_id", "ip_address", "access",
    "is_public", "allowed_cidrs", "databases", "character_set", "collate", "users", "user",
    "password", "host", "availability_zone", "region_name", "replica_of", "replica_count",
    "modules", "configuration", "locality", "restorePoint", "restart", "resize", "reset_status",
    "force_delete", "quotas", "ram", "token", "public_key", "server_id", "instance_id",
    "generation", "issued_at_ms", "start", "signature", "backup", "description", "parent_id",
    "incremental", "swift_container", "restore_from", "backupRef", "backup_id", "backup_schedule",
    "cron", "interval_hours", "time_zone", "full_every", "keep_count", "keep_days", "enabled",
    "values",
)
# fmt: on
TEXT: Final = st.text(max_size=40) | st.sampled_from(["1", "mariadb", "10.11", "%", "root", "a@b"])
SCALAR: Final = st.none() | st.booleans() | st.integers() | st.floats() | TEXT
JSON: Final = st.recursive(
    SCALAR,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(FIELDS) | TEXT, inner, max_size=6)
    ),
    max_leaves=20,
)
USER: Final = st.fixed_dictionaries(
    {"name": SCALAR, "password": SCALAR},
    optional={"host": SCALAR, "databases": st.lists(st.fixed_dictionaries({"name": SCALAR}))},
)
DATABASE: Final = st.fixed_dictionaries(
    {"name": SCALAR}, optional={"character_set": SCALAR, "collate": SCALAR}
)
INSTANCE: Final = st.fixed_dictionaries(
    {"name": TEXT, "flavorRef": st.just("1") | SCALAR, "volume": st.just({"size": 1}) | JSON},
    optional={
        "datastore": st.just({"type": "mariadb"}) | JSON,
        "databases": st.lists(DATABASE, max_size=3) | JSON,
        "users": st.lists(USER, max_size=3) | JSON,
        "nics": st.lists(JSON, max_size=2),
        "access": JSON,
        "availability_zone": SCALAR,
        "region_name": SCALAR,
    },
)
THE_INSTANCE: Final = "the instance"
"""Its id takes the place of this."""
BACKUP: Final = st.fixed_dictionaries(
    {"name": TEXT, "instance": st.just(THE_INSTANCE) | SCALAR},
    optional=dict.fromkeys(("description", "parent_id", "incremental"), SCALAR),
)
TIMES: Final = st.sampled_from(
    ["30 2 * * *", "0 0 29 2 *", "0 0 30 2 *", "*/15 * * * *", "0 */25 * * *", "\t", "1 1 1 1 MON"]
)
SCHEDULE: Final = st.fixed_dictionaries(
    {"name": TEXT, "instance": st.just(THE_INSTANCE) | SCALAR},
    optional={
        "cron": TIMES | SCALAR,
        "interval_hours": st.integers(0, 800) | SCALAR,
        "time_zone": st.sampled_from(["Europe/Berlin", "America", "posix/UTC", "a/" * 30]) | SCALAR,
        **dict.fromkeys(("full_every", "keep_count", "keep_days", "enabled"), SCALAR),
    },
)
CONFIGURATION: Final = st.fixed_dictionaries(
    {"values": st.dictionaries(st.sampled_from(["max_connections", "sql_mode"]) | TEXT, SCALAR)},
    optional={"name": SCALAR, "description": SCALAR, "datastore": JSON},
)
NEAR: Final = (
    st.fixed_dictionaries({"instance": INSTANCE})
    | st.fixed_dictionaries({"users": st.lists(USER, max_size=3)})
    | st.fixed_dictionaries({"user": USER})
    | st.fixed_dictionaries({"databases": st.lists(DATABASE, max_size=3)})
    | st.fixed_dictionaries({"password": SCALAR})
    | st.fixed_dictionaries({"backup": BACKUP})
    | st.fixed_dictionaries({"backup_schedule": SCHEDULE | JSON})
    | st.fixed_dictionaries({"configuration": CONFIGURATION})
    | st.dictionaries(st.sampled_from(["restart", "reset_status", "resize", "dance"]), JSON)
    | st.fixed_dictionaries({"quotas": st.dictionaries(st.sampled_from(["ram", "cpu"]), SCALAR)})
)
SERVED: Final = [route for route in ROUTES if route not in later.ROUTES]
WRITES: Final = [route for route in SERVED if route.method in ("POST", "PUT", "PATCH")]
ANSWERED_WELL: Final = (200, 202, 204)
SAY_NO: Final = (400, 401, 403, 404, 409, 410, 413, 415, 422, 501)
QUICK: Final = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture
def row(make: Make) -> Instance:
    return make()


def new_group(api: Api) -> str:
    """A configuration group."""
    body = {"configuration": {"name": "g", "values": {"max_connections": 40}}}
    return str(api.post("/configurations", body).body["configuration"]["id"])


def new_backup(row: Instance) -> str:
    """A complete backup."""
    backup = making_backups.new_backup(row, "n")
    backup.status, backup.checksum = "COMPLETED", "cd" * 32
    backup.save()
    return str(backup.id)


def new_schedule(api: Api, row: Instance) -> str:
    """A schedule of backups."""
    body = {"backup_schedule": {"name": "n", "instance": row.id, "interval_hours": 24}}
    return str(api.post("/backup_schedules", body).body["backup_schedule"]["id"])


def check(api: Api, method: str, url: str, body: bytes | None) -> None:
    answer = api.raw(method, url, body)
    assert answer.status in (*ANSWERED_WELL, *SAY_NO), (answer.status, answer.body)
    if answer.status not in ANSWERED_WELL:
        answer.fault()


@pytest.mark.parametrize("route", WRITES, ids=[f"{route.method} {route.path}" for route in WRITES])
def test_any_body(admin: Api, row: Instance, guest: Guest, route: Any) -> None:
    values = {"project": admin.project, "instance": row.id, "tenant": "t", "user": "ann"}
    values |= {"configuration": new_group(admin), "schedule": new_schedule(admin, row)}
    values["backup"] = new_backup(row)
    url = route.path.format(**values, version="v-old")

    @QUICK
    @given(st.binary(max_size=50) | (JSON | NEAR).map(lambda data: json.dumps(data).encode()))
    def any_body(body: bytes) -> None:
        check(admin, route.method, url, body.replace(THE_INSTANCE.encode(), row.id.encode()))

    any_body()


READS: Final = [route for route in SERVED if route.method in ("GET", "DELETE")]


@pytest.mark.parametrize("route", READS, ids=[f"{route.method} {route.path}" for route in READS])
def test_any_path_and_query(api: Api, row: Instance, guest: Guest, route: Any) -> None:
    guest.answers = {
        "list_users": {"users": []},
        "list_databases": {"databases": []},
        "list_access": {"databases": []},
        "is_root_enabled": {"enabled": True},
        "get_user": {"user": {"name": "ann"}},
    }
    segment = TEXT.filter(lambda text: text not in ("", ".", ".."))

    @QUICK
    @given(segment, segment, st.booleans(), TEXT, TEXT)
    def any_path(one: str, two: str, known: bool, limit: str, marker: str) -> None:
        values = {
            "project": api.project,
            "instance": row.id if known else quote(one, safe=""),
            "user": quote(one, safe=""),
            "database": quote(two, safe=""),
            "operation": quote(two, safe=""),
            "datastore": quote(one, safe=""),
            "version": quote(two, safe=""),
            "flavor": quote(one, safe=""),
            "tenant": quote(one, safe=""),
            "rollout": quote(one, safe=""),
            "configuration": quote(one, safe=""),
            "backup": quote(one, safe=""),
            "schedule": quote(one, safe=""),
            "parameter": quote(one, safe=""),
        }
        url = route.path.format(**values)
        query = f"?limit={quote(limit)}&marker={quote(marker)}"
        check(api, route.method, url + query, None)

    any_path()


@pytest.mark.parametrize("text", ["x" * 3000, ".json"])
@pytest.mark.parametrize("path", ["/instances/{}", "/instances/{}/users", "/mgmt/quotas/{}"])
def test_what_can_be_no_key_is_not_found(admin: Api, world: World, path: str, text: str) -> None:
    world.log.clear()
    assert admin.get(path.format(text)).status == 404
    assert world.log == []


LONGEST: Final = "\U0001f600" * 1024


@pytest.mark.parametrize(
    ("url", "body"),
    [
        ("/backups", {"backup": {"name": "b", "instance": LONGEST}}),
        ("/backups", {"backup": {"name": "b", "instance": f"http://x/{LONGEST[:1000]}"}}),
        (
            "/instances",
            {
                "instance": {
                    "name": "i",
                    "flavorRef": "1",
                    "volume": {"size": 1},
                    "datastore": {"type": "mariadb"},
                    "restorePoint": {"backupRef": LONGEST},
                }
            },
        ),
    ],
)
def test_a_reference_that_can_be_no_key_is_not_looked_up(api: Api, url: str, body: Any) -> None:
    answer = api.post(url, body)
    assert answer.status == 404, answer.body
    assert answer.fault() == "The resource could not be found."
