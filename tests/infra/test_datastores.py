"""`coffer datastores`: what is on offer beside what is proposed."""

from __future__ import annotations

from typing import Any

from infra.cli.datastores import compared
from infra.seed import proposals

ABOUT: dict[str, Any] = {"manager": "mariadb", "version": "10.11", "image_tags": ["coffer"]}


def test_each_version_says_what_an_operator_has_made_of_it() -> None:
    names = ("same", "changed", "withdrawn")
    file = {"mariadb": {"default": "same", "versions": dict.fromkeys(names, ABOUT)}}
    same = {
        "name": "same",
        "version": "10.11",
        "datastore_name": "mariadb",
        "datastore_manager": "mariadb",
        "image": "",
        "image_tags": ["coffer"],
        "active": True,
        "default": True,
    }
    changed = same | {"name": "changed", "image": "an-image", "active": False}
    own = same | {"datastore_name": "mine", "default": False}
    rows = list(compared([same, changed, own], list(proposals(file))))
    told = {(row["datastore"], row["version"]): (row["on offer"], row["proposed"]) for row in rows}
    assert told == {
        ("mariadb", "same"): ("active, default", "the same"),
        ("mariadb", "changed"): (
            "not active, default",
            "image null, active true, default false",
        ),
        ("mine", "same"): ("active", "made here"),
        ("mariadb", "withdrawn"): ("no", "not on offer"),
    }
