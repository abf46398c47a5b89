"""I36, broken on purpose, is told."""

from __future__ import annotations

from typing import Any

from chalicelib.store.configurations import new_configuration
from chalicelib.store.models import Attachment, Configuration, DatastoreVersion, Instance
from tests.simulator.deployment import Deployment
from tests.simulator.invariants.breaking import instance, told_by


def group(deployment: Deployment, **more: Any) -> str:
    """A configuration group that the instance has, and that its guest is told to hold."""
    row = instance(deployment)
    version = DatastoreVersion("v", name="10.11", datastore_name="mariadb", version="10.11.6")
    version.manager = "mariadb"
    made = new_configuration(row.tenant_id, "g", None, version)
    made.wanted = {"max_connections": 40}
    for name, value in more.items():
        setattr(made, name, value)
    made.save()
    Attachment(made.id, row.id).save()
    held = Instance.configuration_held.set(f"{made.id}/1")
    row.update(actions=[Instance.configuration_id.set(made.id), held])
    return str(made.id)


def deleted_below_an_instance(deployment: Deployment) -> None:
    row = Configuration(group(deployment))
    row.update(actions=[Configuration.status.set("DELETED")])


def listed_when_it_is_deleted(deployment: Deployment) -> None:
    row = Configuration(group(deployment))
    row.update(actions=[Configuration.status.set("DELETED"), Configuration.updated.set(1.0)])
    texts = [each.text for each in deployment.invariants.each["I36"].violations]
    assert any("stays in its tenant's list" in each for each in texts), texts


def another_tenants(deployment: Deployment) -> None:
    group(deployment, tenant_id="another")


def not_known_to_its_group(deployment: Deployment) -> None:
    Attachment(group(deployment), instance(deployment).id).delete()


def a_revision_left_out(deployment: Deployment) -> None:
    Configuration(group(deployment)).update(actions=[Configuration.revision.set(3)])


def a_change_at_no_time(deployment: Deployment) -> None:
    Configuration(group(deployment)).update(actions=[Configuration.revision.set(2)])


def other_values(deployment: Deployment) -> None:
    """The guest was never told."""
    group(deployment)


def an_older_revision(deployment: Deployment) -> None:
    """Each is said to have been told."""
    row = Configuration(group(deployment))
    row.update(actions=[Configuration.revision.set(2), Configuration.applied.set(2)])
    for guest in deployment.fleet:
        guest.disk.configuration = {"max_connections": 40}


test_a_broken_promise_is_told = told_by(
    "I36",
    deleted_below_an_instance,
    listed_when_it_is_deleted,
    another_tenants,
    not_known_to_its_group,
    a_revision_left_out,
    a_change_at_no_time,
    other_values,
    an_older_revision,
)
