"""Unmodified OpenStack clients: `openstack database …` and openstacksdk."""

from __future__ import annotations

import json
import os
import socket
from typing import Any

import openstack

from tests.acceptance.commands import give
from tests.acceptance.stack import Stack, eventually


def variables(stack: Stack, user: str, password: str) -> dict[str, str]:
    """The environment of an OpenStack client."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": "/nonexistent",
        "OS_AUTH_URL": stack.settings.auth_url,
        "OS_IDENTITY_API_VERSION": "3",
        "OS_USERNAME": user,
        "OS_PASSWORD": password,
        "OS_PROJECT_NAME": user,
        "OS_USER_DOMAIN_NAME": "Default",
        "OS_PROJECT_DOMAIN_NAME": "Default",
        "OS_REGION_NAME": "RegionOne",
    }


def trove(stack: Stack, *arguments: str) -> str:
    """Run Trove's legacy client; what it printed."""
    ended = give("trove", arguments, variables(stack, "demo", stack.secrets.demo_password))
    assert not ended.code, f"{arguments}: {ended.said}\n{ended.complained}"
    return ended.said


def run(stack: Stack, *arguments: str, user: str = "demo") -> Any:
    """Run `openstack …` as a user of the stack; its JSON output, or None."""
    password = stack.secrets.admin_password if user == "admin" else stack.secrets.demo_password
    environment = variables(stack, user, password)
    reads = bool({"list", "show", "default", "instances"} & set(arguments[:4]))
    ended = give("openstack", (*arguments, *(("-f", "json") if reads else ())), environment)
    assert not ended.code, f"{arguments}: {ended.said}\n{ended.complained}"
    if not reads:
        return None
    document = ended.said
    if document.startswith("+"):  # `limit list` prints a table of its own first
        document = document[document.index("\n[") :]
    return json.loads(document)


def test_openstack_database_commands_work_unmodified(stack: Stack) -> None:
    database = ("database",)
    run(
        stack, *database, "instance", "create", "cli", "--flavor", "1", "--size", "1",
        "--datastore", "mariadb", "--datastore-version", "10.11",
        "--databases", "first", "--users", "amy:secret-of-amy",
    )  # fmt: skip
    (listed,) = [
        each for each in run(stack, *database, "instance", "list") if each["Name"] == "cli"
    ]
    instance_id = listed["ID"]
    try:
        stack.demo.healthy(instance_id)
        shown = run(stack, *database, "instance", "show", "cli")
        assert shown["status"] == "ACTIVE"
        run(stack, *database, "db", "create", instance_id, "second")
        names = {each["Name"] for each in run(stack, *database, "db", "list", instance_id)}
        assert {"first", "second"} <= names
        run(stack, *database, "user", "create", instance_id, "bob", "secret-of-bob",
            "--databases", "second")  # fmt: skip
        users = run(stack, *database, "user", "list", instance_id)
        assert {"amy", "bob"} <= {each["Name"] for each in users}
        run(stack, *database, "user", "delete", instance_id, "bob")
        run(stack, *database, "db", "delete", instance_id, "second")
        run(stack, *database, "root", "enable", instance_id)
        root = run(stack, *database, "root", "show", instance_id)
        assert str(root["is_root_enabled"]) == "True"
        run(stack, *database, "root", "disable", instance_id)
        run(stack, *database, "instance", "resize", "volume", instance_id, "2")
        assert stack.demo.wait(instance_id, "ACTIVE")["volume"]["size"] == 2
        run(stack, *database, "instance", "resize", "flavor", instance_id, "4")
        assert stack.demo.wait(instance_id, "ACTIVE")["flavor"]["id"] == "4"
        run(stack, *database, "instance", "restart", instance_id)
        stack.demo.wait(instance_id, "ACTIVE")
        everybodys = run(stack, *database, "instance", "list", "--all-projects", user="admin")
        assert instance_id in {each["ID"] for each in everybodys}
        run(stack, *database, "instance", "reboot", instance_id, user="admin")
        stack.demo.wait(instance_id, "ACTIVE")
        assert run(stack, *database, "flavor", "list")
        assert run(stack, "datastore", "list")
        assert run(stack, "datastore", "version", "list", "mariadb")
        run(stack, *database, "limit", "list")
    finally:
        run(stack, *database, "instance", "delete", instance_id)
    stack.demo.wait(instance_id, "GONE")
    stack.assert_owns_nothing(stack.demo, instance_id)


def reached(address: str) -> bool:
    """Whether a database answers there."""
    with socket.create_connection((address, 3306), timeout=10) as connection:
        return b"MariaDB" in connection.recv(256)


def test_a_public_instance_is_reached_and_its_access_is_changed(stack: Stack) -> None:
    run(
        stack, "database", "instance", "create", "open", "--flavor", "1", "--size", "1",
        "--datastore", "mariadb", "--datastore-version", "10.11",
        "--is-public", "--allowed-cidr", "192.0.2.0/25", "--allowed-cidr", "192.0.2.128/25",
    )  # fmt: skip
    listed = run(stack, "database", "instance", "list")
    (instance_id,) = (each["ID"] for each in listed if each["Name"] == "open")
    update = ("database", "instance", "update", instance_id)

    def changed(**access: Any) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            shown = stack.demo.show(instance_id)
            return shown if shown is not None and shown["access"] == access else None

        return eventually(look, 60, f"the access is {access}")

    def rules() -> set[str]:
        (group,) = stack.things_of(instance_id, "security_groups")
        return set(group["sources"])

    try:
        shown = stack.demo.healthy(instance_id)
        assert shown["access"]["is_public"]
        assert [each["type"] for each in shown["addresses"]] == ["private", "public"]
        assert reached(shown["addresses"][1]["address"])
        assert rules() == {"192.0.2.0/24"}
        run(stack, *update, "--allowed-cidr", "10.0.0.0/8")
        changed(is_public=True, allowed_cidrs=["10.0.0.0/8"])
        assert rules() == {"10.0.0.0/8"}
        run(stack, *update, "--is-private")
        shown = changed(is_public=False, allowed_cidrs=["10.0.0.0/8"])
        assert [each["type"] for each in shown["addresses"]] == ["private"]
        assert stack.things_of(instance_id, "floating_ips") == []
        run(stack, *update, "--is-public")
        shown = changed(is_public=True, allowed_cidrs=["10.0.0.0/8"])
        assert (shown["status"], "fault" in shown) == ("ACTIVE", False)
    finally:
        stack.demo.delete(instance_id)
    stack.demo.wait(instance_id, "GONE")
    stack.assert_owns_nothing(stack.demo, instance_id)


def test_troves_legacy_client_creates_lists_and_deletes(stack: Stack) -> None:
    """It takes the first segment of the endpoint's path for the API's version."""
    trove(
        stack, "create", "legacy", "1", "--size", "1",
        "--datastore", "mariadb", "--datastore_version", "10.11",
    )  # fmt: skip
    # Under Python 3 it shows some cells as b'…'.
    (listed,) = [line for line in trove(stack, "list").splitlines() if "legacy" in line]
    instance_id = listed.split("|")[1].strip().removeprefix("b").strip("'")
    try:
        stack.demo.healthy(instance_id)
        assert instance_id in trove(stack, "show", "legacy")
        trove(stack, "database-create", instance_id, "shop")
        assert "shop" in trove(stack, "database-list", instance_id)
        trove(stack, "user-create", instance_id, "ann", "secret-of-ann", "--databases", "shop")
        assert "ann" in trove(stack, "user-list", instance_id)
        assert "ID" in trove(stack, "flavor-list")
    finally:
        trove(stack, "delete", instance_id)
    stack.demo.wait(instance_id, "GONE")


def test_links_lead_to_the_endpoint_of_the_catalog(stack: Stack) -> None:
    links = stack.demo.request("GET", "/flavors/1").json()["flavor"]["links"]
    assert links[0]["href"] == f"{stack.endpoint}/v1.0/{stack.demo.user.project_id}/flavors/1"


def test_a_forced_delete_by_an_administrator_of_the_project(stack: Stack) -> None:
    made = stack.admin.created("force-me")
    run(stack, "database", "instance", "force", "delete", made, user="admin")
    stack.admin.wait(made, "GONE", within=120)
    stack.assert_owns_nothing(stack.admin, made)


def test_openstacksdk_creates_waits_and_deletes(stack: Stack) -> None:
    with openstack.connect(
        load_yaml_config=False,
        load_envvars=False,
        auth_url=stack.settings.auth_url,
        username="demo",
        password=stack.secrets.demo_password,
        project_name="demo",
        user_domain_name="Default",
        project_domain_name="Default",
        region_name="RegionOne",
    ) as connection:
        # The SDK's Instance has no flavorRef, so its own create cannot make one on Trove either.
        wanted = {
            "name": "sdk",
            "flavorRef": "1",
            "volume": {"size": 1},
            "datastore": {"type": "mysql", "version": "10.11"},
        }
        answer = connection.database.post("/instances", json={"instance": wanted})
        made = connection.database.get_instance(answer.json()["instance"]["id"])
        active = connection.database.wait_for_status(made, "ACTIVE", interval=1, wait=90)
        assert active.name == "sdk"
        stack.demo.healthy(made.id)
        # Its creates of databases and users send a body that Trove refuses too.
        body = {"databases": [{"name": "d"}]}
        connection.database.post(f"/instances/{made.id}/databases", json=body)
        assert "d" in {each.name for each in connection.database.databases(made)}
        assert list(connection.database.users(made)) == []
        connection.database.delete_instance(made)
        stack.demo.wait(made.id, "GONE")
        stack.assert_owns_nothing(stack.demo, made.id)
