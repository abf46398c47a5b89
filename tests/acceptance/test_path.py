"""The whole path: from an HTTP request to rows in a real MariaDB, and away again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pymysql
import pytest

from tests.acceptance.stack import Api, Stack, eventually

PASSWORD = "pa'ss\"word`%1"


@pytest.fixture(scope="module")
def instance(stack: Stack) -> Iterator[dict[str, Any]]:
    """A healthy instance with a database and a user, and its end checked."""
    api = stack.demo
    instance_id = api.created(
        "path",
        databases=[{"name": "shop", "character_set": "utf8mb4"}],
        users=[{"name": "keeper", "password": PASSWORD, "databases": [{"name": "shop"}]}],
    )
    yield api.healthy(instance_id)
    assert api.delete(instance_id).status_code == 202
    api.wait(instance_id, "GONE")
    stack.assert_owns_nothing(api, instance_id)


def connect(instance: dict[str, Any], user: str, password: str, database: str | None = None) -> Any:
    """A login at the address that the API returned."""
    return closing(
        pymysql.connect(
            host=instance["ip"][0],
            port=3306,
            user=user,
            password=password,
            database=database,
            autocommit=True,
            connect_timeout=10,
        )
    )


def rows(connection: Any, sql: str) -> list[Any]:
    """The rows of a query."""
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall())


def path(api: Api, instance: dict[str, Any], rest: str) -> str:
    """A path below the instance."""
    return f"/instances/{instance['id']}{rest}"


def test_the_database_and_user_of_the_create_work(instance: dict[str, Any]) -> None:
    with connect(instance, "keeper", PASSWORD, "shop") as connection:
        rows(connection, "create table if not exists t (id int primary key, v text)")
        rows(connection, "replace into t values (1, 'kept')")
        assert rows(connection, "select v from t") == [("kept",)]


def test_every_step_of_the_create_is_told_with_its_times(
    stack: Stack, instance: dict[str, Any]
) -> None:
    (operation,) = stack.demo.operations(instance["id"])
    assert operation["status"] == "SUCCEEDED"
    steps = {step["name"]: step for step in operation["steps"]}
    assert list(steps) == ["volume", "network", "message_queue", "server", "prepare", "complete"]
    assert all(step["started"] for step in steps.values())
    assert steps["prepare"]["ended"] > steps["prepare"]["started"]


def test_a_create_is_followed_from_the_request_to_sql_and_back(
    stack: Stack, instance: dict[str, Any]
) -> None:
    (operation,) = stack.demo.operations(instance["id"])
    told = stack.coffer("trace", operation["id"], *stack.guest_logs)
    assert told.count("trace ") == 1
    for part in (
        *("request POST", "operation create_instance", "dispatch", "enrolment"),
        *("step create_instance.volume", "cloud volumes.create", "cloud servers.create"),
        *("guest prepare", "sql", "report result", "step create_instance.complete"),
    ):
        assert f" {part}" in told, told


def test_a_method_that_a_path_has_not_is_told_with_those_that_it_has(stack: Stack) -> None:
    for method in ("DELETE", "PATCH", "OPTIONS"):
        answer = stack.demo.request(method, "/instances")
        assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, POST")
        assert "badMethod" in answer.json()
    assert stack.demo.request("GET", "/nowhere").status_code == 404


def test_what_its_database_counts_is_told(stack: Stack, instance: dict[str, Any]) -> None:
    api = stack.demo

    def told() -> dict[str, Any] | None:
        answer = api.request("GET", path(api, instance, "/metrics"))
        metrics: dict[str, Any] = answer.json()["metrics"]
        return metrics if metrics["per_second"] is not None else None

    with connect(instance, "keeper", PASSWORD):
        metrics = eventually(told, 60, "two reports make a rate")
    assert 1 <= metrics["connections"] < metrics["connection_limit"]
    assert 0 < metrics["volume"]["used"] < metrics["volume"]["total"]


def test_databases_are_created_listed_and_deleted(stack: Stack, instance: dict[str, Any]) -> None:
    api = stack.demo
    body = {"databases": [{"name": "extra", "character_set": "utf8mb4"}]}
    assert api.request("POST", path(api, instance, "/databases"), body).status_code == 202
    listed = api.request("GET", path(api, instance, "/databases")).json()["databases"]
    assert {"shop", "extra"} <= {each["name"] for each in listed}
    assert api.request("DELETE", path(api, instance, "/databases/extra")).status_code == 202
    assert api.request("DELETE", path(api, instance, "/databases/extra")).status_code == 404
    refused = api.request("DELETE", path(api, instance, "/databases/mysql"))
    assert refused.status_code == 400


def test_users_and_their_access(stack: Stack, instance: dict[str, Any]) -> None:
    api = stack.demo
    user = {"name": "o.brien", "password": "s3cret pass", "host": "127.%", "databases": []}
    users = path(api, instance, "/users")
    assert api.request("POST", users, {"users": [user]}).status_code == 202
    assert api.request("POST", users, {"users": [user]}).status_code == 400
    listed = api.request("GET", users).json()["users"]
    assert ("o.brien", "127.%") in {(each["name"], each["host"]) for each in listed}
    assert "os_admin" not in {each["name"] for each in listed}
    one = f"{users}/o%2Ebrien%40127.%25"
    grant = api.request("PUT", f"{one}/databases", {"databases": [{"name": "shop"}]})
    assert grant.status_code == 202, grant.text
    assert api.request("GET", f"{one}/databases").json() == {"databases": [{"name": "shop"}]}
    with connect(instance, "o.brien", "s3cret pass", "shop") as connection:
        assert rows(connection, "select 1") == [(1,)]
    assert api.request("DELETE", f"{one}/databases/shop").status_code == 202
    assert api.request("GET", f"{one}/databases").json() == {"databases": []}
    assert api.request("PUT", one, {"user": {"password": "changed"}}).status_code == 202
    with connect(instance, "o.brien", "changed") as connection:
        assert rows(connection, "select 1") == [(1,)]
    assert api.request("DELETE", one).status_code == 202
    assert api.request("GET", one).status_code == 404


def test_root_is_enabled_and_disabled(stack: Stack, instance: dict[str, Any]) -> None:
    api = stack.demo
    root = path(api, instance, "/root")
    assert api.request("GET", root).json() == {"rootEnabled": False}
    enabled = api.request("POST", root).json()["user"]
    assert enabled["name"] == "root"
    with connect(instance, "root", enabled["password"]) as connection:
        assert rows(connection, "select 1") == [(1,)]
    assert api.request("GET", root).json() == {"rootEnabled": True}
    assert api.request("DELETE", root).status_code in (200, 204)
    with pytest.raises(pymysql.err.OperationalError):
        connect(instance, "root", enabled["password"])


def test_a_restart_keeps_the_rows(stack: Stack, instance: dict[str, Any]) -> None:
    api = stack.demo
    with connect(instance, "keeper", PASSWORD, "shop") as connection:
        rows(connection, "create table if not exists r (v int)")
        rows(connection, "insert into r values (7)")
    restarted = api.request("POST", path(api, instance, "/action"), {"restart": {}})
    assert restarted.status_code == 202, restarted.text
    api.healthy(instance["id"])
    with connect(instance, "keeper", PASSWORD, "shop") as connection:
        assert (7,) in rows(connection, "select v from r")


def test_a_stop_and_a_start_keep_the_rows(stack: Stack, instance: dict[str, Any]) -> None:
    api = stack.demo
    with connect(instance, "keeper", PASSWORD, "shop") as connection:
        rows(connection, "create table if not exists s (v int)")
        rows(connection, "insert into s values (8)")
    action = path(api, instance, "/action")
    assert api.request("POST", action, {"stop": {}}).status_code == 202
    assert api.wait(instance["id"], "STOPPED")["operating_status"] == ""
    with pytest.raises(pymysql.err.OperationalError):
        connect(instance, "keeper", PASSWORD, "shop")
    assert api.request("POST", action, {"start": {}}).status_code == 202
    api.healthy(instance["id"])
    with connect(instance, "keeper", PASSWORD, "shop") as connection:
        assert (8,) in rows(connection, "select v from s")


def test_a_volume_grows_below_its_rows(stack: Stack, instance: dict[str, Any]) -> None:
    api = stack.demo
    size = instance["volume"]["size"] + 1
    with connect(instance, "keeper", PASSWORD, "shop") as connection:
        wanted = {"resize": {"volume": {"size": size}}}
        assert api.request("POST", path(api, instance, "/action"), wanted).status_code == 202
        assert api.wait(instance["id"], "ACTIVE")["volume"]["size"] == size
        assert rows(connection, "select 1") == [(1,)], "the session goes on"


def test_another_tenant_sees_nothing_of_it(stack: Stack, instance: dict[str, Any]) -> None:
    foreign = stack.demo2
    assert foreign.show(instance["id"]) is None
    assert foreign.delete(instance["id"]).status_code == 404
    assert foreign.request("GET", f"/instances/{instance['id']}/users").status_code == 404
    assert foreign.request("GET", "/instances").json()["instances"] == []


def test_a_revoked_token_is_refused(stack: Stack) -> None:
    user = stack.user("demo2")
    api = Api(stack.endpoint, user)
    import requests

    requests.delete(
        f"{user.auth_url}/auth/tokens",
        headers={"X-Auth-Token": user.token, "X-Subject-Token": user.token},
        timeout=10,
    )
    answer = api.request("GET", "/instances")
    assert answer.status_code == 401
    assert answer.json()["unauthorized"]["code"] == 401
