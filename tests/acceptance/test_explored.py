"""The API explored by its own document on a running stack: through the front, with a real guest."""

from __future__ import annotations

import os

import pytest
from schemathesis import openapi

from tests.acceptance.stack import Stack
from tests.support.exploring import chosen, explore

pytestmark = [pytest.mark.api, pytest.mark.timeout(3600)]

EXAMPLES = int(os.environ.get("COFFER_API_EXAMPLES", "1"))


def test_nothing_is_met_that_is_not_described(stack: Stack) -> None:
    """The instance is in the path of every request until one of them deletes it."""
    demo = stack.demo
    instance_id = demo.created("explored", databases=[{"name": "web"}])
    demo.healthy(instance_id)
    project = demo.user.project_id
    places = {"project": project, "instance": instance_id, "tenant": project}
    config = chosen(demo.user.token, places, EXAMPLES, thorough=False, strangers=("OPTIONS",))
    outcome = explore(openapi.from_url(f"{stack.endpoint}/v1.0/openapi.json", config=config))
    assert outcome.found == []
    assert outcome.requests > 100
