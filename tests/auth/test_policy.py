"""The default rules, by name."""

from __future__ import annotations

import pytest

from chalicelib.api.application import ROUTES
from chalicelib.auth import policy
from chalicelib.auth.context import Context
from chalicelib.errors import AdminRequired, Forbidden

FOR_ADMINISTRATORS = {
    *("datastore:delete", "instance:reset_status"),
    *("instance:expel", "instance:rebuild", "instance:migrate", "instance:ignore_protection"),
    *("instance:upgrade_agent", "backup:index:all_projects"),
}

OF_THE_CATALOG = ("datastore:", "flavor:", "configuration-parameter:")


def context(*roles: str) -> Context:
    return Context("user", "name", "mine", frozenset(roles))


@pytest.mark.parametrize("name", sorted(policy.RULES))
def test_administrators_may_do_everything(name: str) -> None:
    policy.authorize(context("admin"), name, "another")


@pytest.mark.parametrize("name", sorted(policy.RULES))
def test_owners_may_do_everything_that_is_not_for_administrators(name: str) -> None:
    if name in FOR_ADMINISTRATORS:
        with pytest.raises(Forbidden):
            policy.authorize(context("member"), name, "mine")
    else:
        policy.authorize(context("member"), name, "mine")


def test_others_may_read_the_catalog_only() -> None:
    for name in policy.RULES:
        if name not in FOR_ADMINISTRATORS and name.startswith(OF_THE_CATALOG):
            policy.authorize(context("member"), name, "another")
        else:
            with pytest.raises(Forbidden, match=name):
                policy.authorize(context("member"), name, "another")


def test_an_admin_route_refuses_with_401() -> None:
    policy.require_admin(context("admin"))
    with pytest.raises(AdminRequired, match="admin privileges"):
        policy.require_admin(context("member", "reader"))


def test_every_routes_policy_exists() -> None:
    assert {route.policy for route in ROUTES if route.policy} <= set(policy.RULES)
