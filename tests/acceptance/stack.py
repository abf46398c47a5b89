"""A running local stack as the acceptance tests see it: its API, its cloud, its AWS, its kills."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final, TypeVar

import openstack
import requests

from infra.local.settings import STACK_NAME, StackSettings, load_secrets
from simulator.cloud.model.cloud import PRIVATE_NETWORK

T = TypeVar("T")
TIMEOUT_SECONDS = 80
"""Longer than the front takes: 35 s until it is a request's turn, and as long for its answer."""
COMMAND_SECONDS = 600
"""The longest: a rotation of the keys waits for six minutes by itself."""
FLAVOR = "1"
ENDPOINT_VARIABLE = "COFFER_WIRE_ENDPOINT"
"""Names an AWS that is there already: the same tests run on it, on LocalStack for example."""


SETTLED_SECONDS: Final = 60.0


def eventually(look: Callable[[], T | None], within: float, what: str) -> T:
    """The first truthy value of `look`; fails with what was waited for."""
    deadline = time.monotonic() + within
    while True:
        if found := look():
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within} s: {what}")
        time.sleep(0.25)


def coffer(environment: dict[str, str], *arguments: str) -> str:
    """Run the command line as a person would; what it printed."""
    command = [str(Path(sys.executable).with_name("coffer")), *arguments]
    done = subprocess.run(
        command,
        env=environment,
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{arguments}: {done.stdout}\n{done.stderr}"
    return done.stdout


@dataclass
class User:
    """A user with a token of their project."""

    auth_url: str
    name: str
    password: str
    project: str
    token: str = field(init=False)
    project_id: str = field(init=False)
    catalog: list[dict[str, Any]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Get a token."""
        domain = {"name": "Default"}
        body = {
            "auth": {
                "identity": {
                    "methods": ["password"],
                    "password": {
                        "user": {"name": self.name, "domain": domain, "password": self.password}
                    },
                },
                "scope": {"project": {"name": self.project, "domain": domain}},
            }
        }
        answer = requests.post(f"{self.auth_url}/auth/tokens", json=body, timeout=TIMEOUT_SECONDS)
        answer.raise_for_status()
        token = answer.json()["token"]
        self.token, self.project_id = answer.headers["X-Subject-Token"], token["project"]["id"]
        self.catalog = token["catalog"]

    def listed(self, service: str, path: str, kind: str) -> list[dict[str, Any]]:
        """What a service of the cloud lists, by the public address in the catalog."""
        (url,) = (
            endpoint["url"]
            for each in self.catalog
            for endpoint in each["endpoints"]
            if each["type"] == service and endpoint["interface"] == "public"
        )
        headers = {"X-Auth-Token": self.token}
        answer = requests.get(f"{url}{path}", headers=headers, timeout=TIMEOUT_SECONDS)
        answer.raise_for_status()
        found: list[dict[str, Any]] = answer.json()[kind]
        return found


@dataclass
class Api:
    """Coffer's API as one user."""

    endpoint: str
    user: User

    def request(
        self, method: str, path: str, body: Any = None, **options: Any
    ) -> requests.Response:
        """Call a path below the user's project."""
        headers = {"X-Auth-Token": self.user.token, **options.pop("headers", {})}
        url = f"{self.endpoint}/v1.0/{self.user.project_id}{path}"
        return requests.request(
            method, url, json=body, headers=headers, timeout=TIMEOUT_SECONDS, **options
        )

    def create(self, name: str, **fields: Any) -> requests.Response:
        """Ask for a small MariaDB instance."""
        instance = {
            "name": name,
            "flavorRef": FLAVOR,
            "volume": {"size": 1},
            "datastore": {"type": "mariadb", "version": "10.11"},
            **fields,
        }
        return self.request("POST", "/instances", {"instance": instance})

    def created(self, name: str, **fields: Any) -> str:
        """The id of an instance that was accepted."""
        answer = self.create(name, **fields)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["instance"]["id"])

    def show(self, instance_id: str) -> dict[str, Any] | None:
        """The instance as it is shown, or None when it is gone."""
        answer = self.request("GET", f"/instances/{instance_id}")
        if answer.status_code == 404:
            return None
        assert answer.status_code == 200, answer.text
        shown: dict[str, Any] = answer.json()["instance"]
        return shown

    def wait(self, instance_id: str, *statuses: str, within: float = 240) -> dict[str, Any]:
        """The instance once it has one of the statuses; "GONE" is a 404."""

        def look() -> dict[str, Any] | None:
            shown = self.show(instance_id)
            if shown is None:
                return {"status": "GONE"} if "GONE" in statuses else None
            return shown if shown["status"] in statuses else None

        return eventually(look, within, f"{instance_id} in {statuses}: {self.show(instance_id)}")

    def healthy(self, instance_id: str, within: float = 240) -> dict[str, Any]:
        """The instance once it is ACTIVE and its database HEALTHY."""
        self.wait(instance_id, "ACTIVE", within=within)

        def look() -> dict[str, Any] | None:
            shown = self.show(instance_id)
            return shown if shown and shown["operating_status"] == "HEALTHY" else None

        return eventually(look, within, f"{instance_id} HEALTHY")

    def delete(self, instance_id: str) -> requests.Response:
        """Ask for an instance to be deleted."""
        return self.request("DELETE", f"/instances/{instance_id}")

    def operations(self, instance_id: str) -> list[dict[str, Any]]:
        """The operations of an instance, newest first."""
        answer = self.request("GET", f"/instances/{instance_id}/operations")
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["operations"]
        return found


class Stack:
    """The stack under test."""

    def __init__(self, settings: StackSettings, endpoint: str, crash_plan: Path) -> None:
        self.settings = settings
        self.endpoint = endpoint
        self.crash_plan = crash_plan
        self.secrets = load_secrets(settings)

    def user(self, name: str) -> User:
        """`demo`, `demo2` or `admin`, each in the project of that name."""
        password = self.secrets.admin_password if name == "admin" else self.secrets.demo_password
        return User(self.settings.auth_url, name, password, name)

    @cached_property
    def demo(self) -> Api:
        return Api(self.endpoint, self.user("demo"))

    @cached_property
    def demo2(self) -> Api:
        return Api(self.endpoint, self.user("demo2"))

    @cached_property
    def admin(self) -> Api:
        """An administrator; the project in the path is the admin's own."""
        return Api(self.endpoint, self.user("admin"))

    def image_id(self) -> str:
        """The image that guests boot from."""
        (image,) = self.admin.user.listed("image", "/v2/images", "images")
        return str(image["id"])

    def network_id(self) -> str:
        """The network of instances that name none."""
        path = f"/v2.0/networks?name={PRIVATE_NETWORK}"
        (network,) = self.admin.user.listed("network", path, "networks")
        return str(network["id"])

    def coffer(self, *arguments: str) -> str:
        """Run a command of the command line on this stack; what it printed."""
        return coffer({**os.environ, "COFFER_STATE": str(self.settings.state)}, *arguments)

    @property
    def guest_logs(self) -> tuple[str, ...]:
        """What `coffer trace` has to be told of the agents' logs; a local stack finds them."""
        return ()

    def aws(self, service: str) -> Any:
        """A boto3 client of the stack's AWS."""
        return self.settings.target.client(service)

    def cloud(self, method: str, path: str, body: Any = None) -> Any:
        """Call the local cloud's test controls as an administrator."""
        answer = requests.request(
            method,
            f"{self.settings.cloud_url}/_simulator{path}",
            json=body,
            headers={"X-Auth-Token": self.admin.user.token},
            timeout=TIMEOUT_SECONDS,
        )
        assert answer.ok, answer.text
        return answer.json() if answer.content else None

    def grant(self, user: str, role: str) -> None:
        """Give the service's user one more role on its project, as an operator would."""
        admin = self.admin.user
        connection: Any = openstack.connect(
            auth_url=self.settings.auth_url,
            username=admin.name,
            password=admin.password,
            project_name=admin.project,
            user_domain_name="Default",
            project_domain_name="Default",
            load_yaml_config=False,
            load_envvars=False,
        )
        identity = connection.identity
        identity.assign_project_role_to_user(
            identity.find_project("service"), identity.find_user(user), identity.find_role(role)
        )

    def things_of(self, instance_id: str, kind: str) -> list[dict[str, Any]]:
        """The cloud's servers, volumes, ports or security_groups in the name of an instance."""
        things: list[dict[str, Any]] = self.cloud("GET", "/inventory")[kind]
        return [thing for thing in things if instance_id in str(thing.get("name"))]

    def left_of(self, instance_id: str) -> list[str]:
        """What the cloud and the bus hold in the name of an instance."""
        found = [
            f"{kind} {thing['name']}"
            for kind in ("servers", "volumes", "ports", "security_groups", "floating_ips")
            for thing in self.things_of(instance_id, kind)
        ]
        queues = self.aws("sqs").list_queues(QueueNamePrefix=f"{STACK_NAME}-guest-{instance_id}")
        found += queues.get("QueueUrls", [])
        keys = self.aws("dynamodb").query(
            TableName=f"{STACK_NAME}-guests",
            KeyConditionExpression="instance_id = :i",
            ExpressionAttributeValues={":i": {"S": instance_id}},
        )["Items"]
        found += [f"key of generation {key['generation']['N']}" for key in keys]
        return found

    def quota_in_use(self, api: Api) -> dict[str, int]:
        """What a project uses, as the quota row says."""
        item = (
            self.aws("dynamodb")
            .get_item(
                TableName=f"{STACK_NAME}-quotas",
                Key={"tenant_id": {"S": api.user.project_id}},
                ConsistentRead=True,
            )
            .get("Item", {})
        )
        return {
            name: int(item.get(name, {}).get("N", "0")) for name in ("instances", "ram", "volumes")
        }

    def quota_expected(self, api: Api) -> dict[str, int]:
        """The sum of what the project's live rows hold."""
        held = {"instances": 0, "ram": 0, "volumes": 0}
        pages = (
            self.aws("dynamodb")
            .get_paginator("query")
            .paginate(
                TableName=f"{STACK_NAME}-instances",
                IndexName="tenant-index",
                KeyConditionExpression="index_tenant = :t",
                ExpressionAttributeValues={":t": {"S": api.user.project_id}},
            )
        )
        for page in pages:
            for item in page["Items"]:
                for name, amount in json.loads(item["held"]["S"]).items():
                    held[name] += amount
        return held

    def assert_owns_nothing(self, api: Api, instance_id: str) -> None:
        """Nothing of the instance is left anywhere, and the quota is exact."""
        assert self.left_of(instance_id) == []

        def same() -> bool:
            return self.quota_in_use(api) == self.quota_expected(api)

        # The two are read one after the other, and others of the project may be at work between.
        eventually(lambda: same() or None, SETTLED_SECONDS, f"the quota of {api.user.name} exact")
