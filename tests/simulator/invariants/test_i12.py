"""I12, broken on purpose, is told."""

from __future__ import annotations

from typing import Any

from chalicelib import aws
from chalicelib.store.models import Backup
from simulator.template import BACKUPS_BUCKET
from tests.simulator.deployment import Deployment
from tests.simulator.invariants.breaking import instance, told_by
from tests.support import damage


def _backup(deployment: Deployment, backup_id: str, **more: Any) -> Backup:
    """A backup of the instance, as its row says complete; nothing lies in the store."""
    row = instance(deployment)
    given = {
        "id": backup_id,
        "tenant_id": row.tenant_id,
        "index_tenant": row.tenant_id,
        "instance_id": row.id,
        "index_source": row.id,
        "status": "COMPLETED",
        "name": "b",
        "held": {"backups": 1},
        "created": aws.clock(),
        "updated": aws.clock(),
        "datastore_version_id": "v",
        "datastore_name": "mariadb",
        "datastore_version": "10.11",
        "datastore_version_number": "10.11",
        "manager": "mariadb",
        "checksum": "0" * 64,
        "location": f"{row.tenant_id}/{backup_id}/{backup_id}",
    }
    return Backup(**{**given, **more})


def complete_without_objects(deployment: Deployment) -> None:
    _backup(deployment, "b").save()


def built_on_what_is_lost(deployment: Deployment) -> None:
    deployment.invariants.hub.spoiled["b"] = None  # its own objects are no matter here
    _backup(deployment, "b", parents=["lost"]).save()


def deleted_below_a_child(deployment: Deployment) -> None:
    parent = _backup(deployment, "parent", status="DELETE_FAILED", children=1)
    parent.save()
    _backup(deployment, "child", parents=["parent"], status="BUILDING").save()
    parent.update(actions=[Backup.status.set("DELETING")])


def built_on_what_is_going(deployment: Deployment) -> None:
    deployment.invariants.hub.spoiled["leaf"] = None
    _backup(deployment, "top", status="DELETING", children=1).save()
    leaf = _backup(deployment, "leaf", parents=["top"], status="BUILDING")
    leaf.save()
    leaf.update(actions=[Backup.status.set("COMPLETED")])


def counts_children_that_are_none(deployment: Deployment) -> None:
    _backup(deployment, "b", status="FAILED", children=1).save()


test_a_broken_promise_is_told = told_by(
    "I12",
    complete_without_objects,
    built_on_what_is_lost,
    deleted_below_a_child,
    built_on_what_is_going,
    counts_children_that_are_none,
)


def test_what_was_whole_is_looked_at_again(deployment: Deployment) -> None:
    row, body = instance(deployment), {"name": "b", "instance": deployment.instances()[0]["id"]}
    deployment.do(lambda: deployment.tenant("POST", "/backups", {"backup": body}))
    deployment.settle()
    chains, store = deployment.invariants.each["I12"], deployment.region.s3.buckets[BACKUPS_BUCKET]
    chains.check()
    assert chains.exercised
    assert not chains.violations
    lying = {key: store.get(key) for key, _ in store.behind("", "")}
    assert any(row.tenant_id in key for key in lying)
    for key, found in lying.items():
        assert found is not None
        told = len(chains.violations)
        store.put(key, found._replace(body=damage.changed(found.body)))
        chains.check()
        assert len(chains.violations) == told + 1, key
        store.put(key, found)
        chains.check()
        assert len(chains.violations) == told + 1, key
