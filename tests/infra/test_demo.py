"""`coffer demo`: on which deployment it plays, on which flavor, and why it does not."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from infra.cli import demo, demo_place
from infra.deploy import Stack
from infra.deployment.openstack import Cloud
from infra.deployment.survey import Survey, Wanted
from infra.errors import StackError
from infra.target import Target

HERE = "https://here.example.org"
PRESENT = Stack("CREATE_COMPLETE", {"Prefix": "dbs", "PublicEndpoint": HERE}, {})


def cloud(root: str) -> Cloud:
    """A cloud whose catalog leads to an API there, for the project of its token."""
    endpoint = {"url": f"{root}/v1.0/p", "interface": "public", "region_id": "RegionOne"}
    listed = [{"type": "database", "endpoints": [endpoint]}]
    connection: Any = SimpleNamespace(
        config=SimpleNamespace(get_region_name=lambda: "RegionOne"),
        session=SimpleNamespace(get_token=lambda: "token"),
    )
    made = Cloud(connection)
    vars(made)["access"] = SimpleNamespace(
        project_id="p", service_catalog=SimpleNamespace(catalog=listed)
    )
    return made


def survey(root: str, present: Stack | None) -> Survey:
    made = Survey(Wanted("dbs"), lambda: Target("us-east-1"), lambda: cloud(root))
    vars(made)["present"] = present
    return made


def test_it_plays_where_the_catalog_leads() -> None:
    place = demo_place.deployed(survey(HERE, PRESENT))
    assert (place.api.url, place.api.project_id) == (f"{HERE}/v1.0/p", "p")
    assert (place.target, place.prefix) == (Target("us-east-1"), "dbs")


@pytest.mark.parametrize(
    ("root", "present", "told"),
    [
        (HERE, None, "no stack dbs"),
        ("https://trove.example.org", PRESENT, r"leads to https://trove.*answers at https://here"),
    ],
)
def test_it_says_where_it_cannot_play(root: str, present: Stack | None, told: str) -> None:
    with pytest.raises(StackError, match=told):
        demo_place.deployed(survey(root, present))


def test_it_takes_the_smallest_flavor_that_the_engine_starts_on() -> None:
    offered = [{"id": "big", "ram": 2048}, {"id": "tiny", "ram": 64}, {"id": "fits", "ram": 512}]
    assert demo._smallest(offered) == "fits"
    with pytest.raises(StackError, match="512 MiB"):
        demo._smallest(offered[1:2])
