"""Rows as the API writes them."""

from __future__ import annotations

from typing import Any

from chalicelib import aws
from chalicelib.bus import keys
from chalicelib.domain.flows import CREATE, DELETE, UPDATE_ACCESS
from chalicelib.domain.quotas import held_by_instance
from chalicelib.lifecycle import Status
from chalicelib.store import accepting
from chalicelib.store.events import Asked
from chalicelib.store.models import Instance, Operation
from chalicelib.store.operations import operation_of

TENANT = "tenant-1"
WHO = Asked("user-1", "req-1", TENANT)
"""Who asks for everything here."""


def new_instance(tenant_id: str = TENANT, **changes: Any) -> Instance:
    """An instance in BUILD that is not stored yet."""
    fields: dict[str, Any] = {
        "id": aws.new_id(),
        "tenant_id": tenant_id,
        "index_tenant": tenant_id,
        "name": "database",
        "status": Status.BUILD,
        "created": aws.clock(),
        "updated": aws.clock(),
        "datastore_version_id": "version-1",
        "datastore_name": "mariadb",
        "datastore_version": "10.11",
        "datastore_version_number": "10.11.6",
        "manager": "mariadb",
        "image": {"id": None, "tags": ["coffer"]},
        "flavor_id": "1",
        "flavor_ram": 512,
        "flavor_vcpus": 1,
        "volume_size": 2,
        "region": "RegionOne",
    }
    return Instance(**(fields | changes))


def create_operation(instance: Instance, sealed: bytes | None = None) -> Operation:
    """Its create operation."""
    operation_id = aws.new_id()
    sealed_args = keys.protect("operation", operation_id, sealed) if sealed else None
    return operation_of(
        instance, CREATE, operation_id=operation_id, sealed_args=sealed_args, asked=WHO
    )


def access_operation(instance: Instance, wanted: dict[str, Any]) -> Operation:
    """A change of its access."""
    return operation_of(instance, UPDATE_ACCESS, arguments=wanted, asked=WHO)


def delete_operation(instance: Instance) -> Operation:
    """A delete operation for it."""
    return operation_of(instance, DELETE, asked=WHO)


def accepted(tenant_id: str = TENANT, **changes: Any) -> tuple[Instance, Operation]:
    """An instance whose create was accepted, and the operation."""
    instance = new_instance(tenant_id, **changes)
    operation = create_operation(instance)
    held = held_by_instance(int(instance.flavor_ram), int(instance.volume_size))
    accepting.accept_create(instance, operation, held)
    return instance, operation
