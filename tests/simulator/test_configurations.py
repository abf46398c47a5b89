"""Configuration groups on simulated guests: attached, changed, taken away, in each order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from simulator.versions import FIRST
from tests.simulator.deployment import Deployment

VALUES = {"max_connections": 40}
FIRST_LATER = {"max_connections": 50}
AT_A_START = {"innodb_sort_buffer_size": 2**21}


@pytest.fixture
def deployment() -> Iterator[Deployment]:
    made = Deployment()
    try:
        yield made
        made.run(300.0)
        made.invariants.check_healed()
        assert not made.explain()
    finally:
        made.close()


class Groups:
    """What a tenant does with groups; each waits for what it has asked for."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment

    def ask(self, method: str, path: str, body: Any, status: int) -> Any:
        reply = self.deployment.tenant(method, path, body)
        assert reply.status == status, (method, path, reply.body)
        return reply.document if reply.body else None

    def fleet(self, size: int) -> list[str]:
        for _ in range(size):
            self.deployment.create(self.deployment.tenant)
        self.deployment.wait()
        self.deployment.kernel.sleep(200.0)
        return sorted(row["id"] for row in self.deployment.instances())

    def new(self, values: dict[str, Any] = VALUES) -> str:
        body = {"configuration": {"name": "g", "values": values}}
        return str(self.ask("POST", "/configurations", body, 200)["configuration"]["id"])

    def attach(self, instance_id: str, group: str | None, *, waits: bool = True) -> None:
        body = {"instance": {"configuration": group}}
        self.ask("PUT", f"/instances/{instance_id}", body, 202)
        if waits:
            self.deployment.idle()

    def change(self, group: str, values: dict[str, Any]) -> None:
        self.ask("PATCH", f"/configurations/{group}", {"configuration": {"values": values}}, 200)

    def act(self, instance_id: str, action: dict[str, Any]) -> None:
        self.ask("POST", f"/instances/{instance_id}/action", action, 202)
        self.deployment.idle()

    def shown(self, group: str) -> Any:
        return self.ask("GET", f"/configurations/{group}", None, 200)["configuration"]

    def instance(self, instance_id: str) -> Any:
        return self.ask("GET", f"/instances/{instance_id}", None, 200)["instance"]

    def held(self, instance_id: str) -> dict[str, Any]:
        """What the guest has written for its engine."""
        (guest,) = self.deployment.fleet.of_instance(instance_id)
        return dict(guest.disk.configuration)


def test_a_group_is_attached_changed_and_detached(deployment: Deployment) -> None:
    groups = Groups(deployment)

    def work() -> None:
        first, second = groups.fleet(2)
        made = groups.new()
        for each in (first, second):
            groups.attach(each, made)
            assert groups.held(each) == VALUES
        groups.change(made, {**FIRST_LATER, "wait_timeout": 60})
        deployment.idle()
        assert groups.held(first) == groups.held(second) == {**FIRST_LATER, "wait_timeout": 60}
        shown = groups.shown(made)
        assert (shown["status"], shown["application"]["done"], shown["fault"]) == (
            "ACTIVE",
            2,
            None,
        )
        groups.attach(first, None)
        assert (groups.held(first), groups.held(second)["wait_timeout"]) == ({}, 60)
        groups.ask("DELETE", f"/configurations/{made}", None, 400)
        groups.ask("DELETE", f"/instances/{second}", None, 202)
        deployment.idle()
        groups.ask("DELETE", f"/configurations/{made}", None, 202)

    deployment.do(work)


def test_what_needs_a_start_waits_for_one(deployment: Deployment) -> None:
    groups = Groups(deployment)

    def work() -> None:
        (one,) = groups.fleet(1)
        groups.attach(one, groups.new(AT_A_START))
        assert groups.instance(one)["status"] == "RESTART_REQUIRED"
        groups.ask("GET", f"/instances/{one}/users", None, 200)
        groups.act(one, {"restart": {}})
        assert groups.instance(one)["status"] == "ACTIVE"
        assert groups.held(one) == AT_A_START

    deployment.do(work)


def test_an_instance_is_made_with_a_group_and_keeps_it(deployment: Deployment) -> None:
    groups = Groups(deployment)

    def work() -> None:
        body = {"name": "x", "flavorRef": "1", "volume": {"size": 1}, "configuration": groups.new()}
        one = groups.ask("POST", "/instances", {"instance": body}, 200)["instance"]["id"]
        deployment.wait()
        assert groups.held(one) == VALUES
        deployment.kernel.sleep(200.0)
        groups.act(one, {"resize": {"flavorRef": "4"}})
        assert groups.held(one) == VALUES
        path = f"/mgmt/instances/{one}/action"
        body = {"rebuild": {"image_id": FIRST["mariadb"].image_id}}
        assert deployment.admin("POST", path, body).status == 202
        deployment.idle()
        assert groups.held(one) == VALUES
        assert groups.instance(one)["status"] == "ACTIVE"

    deployment.do(work)


def test_one_that_is_off_takes_it_with_its_start(deployment: Deployment) -> None:
    groups = Groups(deployment)

    def work() -> None:
        first, second = groups.fleet(2)
        made = groups.new()
        for each in (first, second):
            groups.attach(each, made)
        groups.act(first, {"stop": {}})
        groups.change(made, FIRST_LATER)
        deployment.idle()
        assert (groups.held(first), groups.held(second)) == (VALUES, FIRST_LATER)
        told = groups.shown(made)["application"]
        assert told["passed_over_instances"] == [first]
        groups.act(first, {"start": {}})
        assert groups.held(first) == FIRST_LATER

    deployment.do(work)


def test_one_that_is_busy_is_waited_for(deployment: Deployment) -> None:
    groups = Groups(deployment)

    def work() -> None:
        first, second = groups.fleet(2)
        made = groups.new()
        for each in (first, second):
            groups.attach(each, made)
        groups.ask("POST", f"/instances/{first}/action", {"restart": {}}, 202)
        groups.change(made, FIRST_LATER)
        deployment.idle()
        assert groups.held(first) == groups.held(second) == FIRST_LATER
        assert groups.shown(made)["application"]["done"] == 2

    deployment.do(work)


def test_the_newest_of_many_changes_wins_on_each(deployment: Deployment) -> None:
    groups = Groups(deployment)

    def work() -> None:
        ids = groups.fleet(2)
        made = groups.new()
        for each in ids:
            groups.attach(each, made, waits=False)
        for number in range(51, 60):
            groups.change(made, {"max_connections": number})
            deployment.kernel.sleep(0.7)
        deployment.idle()
        assert [groups.held(each) for each in ids] == [{"max_connections": 59}] * 2

    deployment.do(work)


def test_one_that_fails_stops_no_other(deployment: Deployment) -> None:
    groups = Groups(deployment)

    def work() -> None:
        first, second = groups.fleet(2)
        made = groups.new()
        for each in (first, second):
            groups.attach(each, made)
        (broken,) = deployment.fleet.of_instance(first)
        broken.disk.full = True
        groups.change(made, FIRST_LATER)
        deployment.idle()
        broken.disk.full = False
        assert (groups.held(first), groups.held(second)) == (VALUES, FIRST_LATER)
        shown = groups.shown(made)
        assert shown["application"]["failed_instances"] == [first]
        assert first in shown["fault"]["message"]
        assert "next restart" in groups.instance(first)["fault"]["message"]
        groups.act(first, {"restart": {}})
        assert groups.held(first) == FIRST_LATER

    deployment.do(work)
