"""A backup in Trove's container, as somebody who comes from there has it."""

from __future__ import annotations

from typing import Final

from simulator.cloud.model.object_store import REALM
from simulator.fleet.datastore import NOTHING, Contents, Database, User
from simulator.fleet.troves import packed
from simulator.swift import URL
from tests.simulator.deployment import TENANT, Deployment

ACCOUNT: Final = f"{REALM}{TENANT}"
CONTAINER: Final = "database_backups"
NAME: Final = "of-trove.xbstream.gz"
KEPT: Final = (
    NOTHING.with_database("shop", Database())
    .with_row("shop", "1", "kept")
    .with_user(("carol", "%"), User("pw", frozenset({"shop"})))
)
"""What its customer has had."""


def put_by_trove(deployment: Deployment, contents: Contents = KEPT) -> str:
    """Its URL; what lay there before is gone."""
    store = deployment.region.swift.store
    store.put_container(ACCOUNT, CONTAINER, {})
    store.put(ACCOUNT, CONTAINER, NAME, packed(contents), "", "application/gzip")
    return f"{URL}/v1/{ACCOUNT}/{CONTAINER}/{NAME}"
