"""What is not built yet says so on every route that python-troveclient can ask for."""

from __future__ import annotations

import contextlib
import inspect
import json
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from troveclient import base
from troveclient.v1 import (
    accounts,
    client,
    datastores,
    diagnostics,
    hosts,
    management,
    storage,
)

from chalicelib.api import later
from chalicelib.api.application import ROUTES
from chalicelib.api.frame import Route
from tests.api.client import Api, gateway_event
from tests.api.conftest import Guest, Make
from tests.api.test_frame import ask, names

MORE = (
    accounts.Accounts,
    datastores.DatastoreVersionMembers,
    diagnostics.DiagnosticsInterrogator,
    diagnostics.HwInfoInterrogator,
    hosts.Hosts,
    management.MgmtClusters,
    management.MgmtConfigurationParameters,
    management.MgmtFlavors,
    storage.StorageInfo,
)
# The helpers that all managers have.
HELPERS = {
    *("run_hooks", "add_hook", "completion_cache", "write_to_completion_cache"),
    *("find", "findall", "resource_class", "api", "HOOKS"),
}
# They ask Mistral or Swift, or nothing at all: a `list` that its class had to have.
ELSEWHERE = {
    *(f"backups.schedule_{verb}" for verb in ("create", "delete", "list", "show")),
    *("backups.execution_list", "backups.execution_delete"),
    *("instances.log_generator", "instances.log_save", "databases.get_detailed"),
    *(
        f"{name}.list"
        for name in (
            *("root", "security_group_rules", "configuration_parameters", "quota", "Accounts"),
            *("DiagnosticsInterrogator", "HwInfoInterrogator", "Hosts", "MgmtClusters"),
            *("MgmtConfigurationParameters", "MgmtFlavors", "StorageInfo"),
        )
    ),
}
SPECIAL: dict[str, Any] = {
    "instance": "INSTANCE",
    "instance_id": "INSTANCE",
    "databases": [{"name": "web"}],
    "users": [{"name": "ann", "password": "p", "host": "%"}],
    "modules": ["m1"],
    "values": "{}",
    "instances": [{"id": "INSTANCE"}],
    "quotas": {"ram": 1},
    "restart_required": 1,
}


class Recorder:
    """Stands where the client has its HTTP session, in front of the app."""

    def __init__(self, api: Api, instance_id: str) -> None:
        self.api = api
        self.instance_id = instance_id
        self.asked: list[tuple[str, str, int]] = []

    def __getattr__(self, method: str) -> Callable[..., tuple[Any, Any]]:
        if method not in ("get", "post", "put", "patch", "delete"):
            raise AttributeError(method)

        def ask(path: str, body: Any = None, **_: Any) -> tuple[Any, Any]:
            path = path.replace("INSTANCE", self.instance_id)
            data = json.dumps(body).encode() if body is not None else None
            headers = {"X-Auth-Token": self.api.token, "Content-Type": "application/json"}
            url = f"/v1.0/{self.api.project}{path}"
            event = gateway_event(self.api.app, method.upper(), url, headers, data)
            if event is None:
                self.asked.append((method, path, 0))
                raise LookupError(path)
            raw = self.api.app(event, None)
            answered = json.loads(raw["body"]) if raw["body"] else None
            self.asked.append((method, path, raw["statusCode"]))
            return SimpleNamespace(status_code=raw["statusCode"]), answered

        return ask


def managers(recorder: Recorder) -> Iterator[tuple[str, Any]]:
    made = client.Client("user", "password", project_id="p", auth_url="http://127.0.0.1/v3")
    made.client = recorder
    for name, value in vars(made).items():
        if isinstance(value, base.Manager):
            yield name, value
    for kind in MORE:
        yield kind.__name__, kind(made)


def call(method: Callable[..., Any]) -> Any:
    """Call a manager's method with something plausible for what it demands."""
    demanded = [
        parameter
        for parameter in inspect.signature(method).parameters.values()
        if parameter.default is parameter.empty
        and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    ]
    if method.__name__ == "update_attributes":
        return method("INSTANCE", "ann", {"password": "p"})
    return method(*(SPECIAL.get(parameter.name, "some") for parameter in demanded))


def test_no_command_of_troves_client_meets_a_path_that_is_not_there(
    admin: Api, make: Make, guest: Guest
) -> None:
    """404 is for things: each path is known, with each method that the client uses on it."""
    guest.answers = {
        "list_users": {"users": []},
        "list_databases": {"databases": []},
        "list_access": {"databases": []},
        "get_user": {"user": {"name": "ann"}},
        "is_root_enabled": {"enabled": False},
    }
    recorder = Recorder(admin, make().id)
    silent = []
    for name, manager in managers(recorder):
        for verb, method in inspect.getmembers(manager, callable):
            if verb.startswith("_") or verb in HELPERS or f"{name}.{verb}" in ELSEWHERE:
                continue
            before = len(recorder.asked)
            with contextlib.suppress(Exception):  # what it makes of the answers is not judged
                call(method)
            if len(recorder.asked) == before:
                silent.append(f"{name}.{verb}")
    assert not silent, "\n".join(silent)
    assert len({(method, path) for method, path, _ in recorder.asked}) > 100
    assert [asked for asked in recorder.asked if asked[2] in (0, 405)] == []
    assert [asked for asked in recorder.asked if asked[2] >= 500 and asked[2] != 501] == []


@pytest.mark.parametrize("route", later.ROUTES, ids=names(list(later.ROUTES)))
def test_a_route_to_come_is_501_with_a_sentence(admin: Api, make: Make, route: Route) -> None:
    answer = ask(admin, route, values={"instance": make().id})
    assert answer.status == 501
    assert "notImplemented" in answer.body
    assert answer.fault().endswith((".", "…"))


MGMT = [route for route in later.ROUTES if "/mgmt/" in route.path]


@pytest.mark.parametrize("route", MGMT, ids=names(MGMT))
def test_an_administrators_route_is_401_for_others_first(api: Api, route: Route) -> None:
    answer = ask(api, route)
    assert answer.status == 401
    assert answer.fault() == "User does not have admin privileges."


def test_who_may_not_remove_a_datastore_is_told_so_first(api: Api) -> None:
    assert api.delete("/datastores/mariadb").status == 403


MOST_RESOURCES = 300  # of one REST API: the quota of an account


def test_the_gateway_can_have_all_paths() -> None:
    """Below one path it takes one parameter, whatever its name; each segment is a resource."""
    children: dict[str, set[str]] = {}
    for route in ROUTES:
        parent = ""
        for segment in route.path.strip("/").split("/"):
            children.setdefault(parent, set()).add(segment)
            parent = f"{parent}/{segment}"
    assert sum(len(each) for each in children.values()) < MOST_RESOURCES
    for parent, each in children.items():
        assert len([segment for segment in each if segment.startswith("{")]) <= 1, parent
