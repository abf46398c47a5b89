"""What a datastore can do, and what the guest of an instance knows: the rest is 501; and whether
it is heard.

Looked at before anything is written, sent or held.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from chalicelib import aws, engines, lifecycle
from chalicelib.bus import contract
from chalicelib.bus.contract import Method
from chalicelib.errors import NotSupported, Unprocessable
from chalicelib.lifecycle import ServiceStatus
from chalicelib.settings import settings
from chalicelib.store.instances import service_status
from chalicelib.store.models import DatastoreVersion, Instance

Methods = Iterable[Method[Any, Any]]


def require_offered(subject: Instance | DatastoreVersion, methods: Methods) -> None:
    """Refuse, in Trove's words, what the datastore has no such part for."""
    for method in methods:
        if not engines.can(subject.manager, method.part):
            raise NotSupported(
                f"The '{method.name}' operation is not supported for the "
                f"'{subject.datastore_name}' datastore."
            )


def require_able(instance: Instance, methods: Methods) -> None:
    """The same, and what the guest's release does not know yet.

    Of a guest that has told nothing in its generation it is not known: it answers for itself.
    """
    methods = list(methods)
    require_offered(instance, methods)
    newer = [method for method in methods if method.since > contract.FIRST_RELEASE]
    reported = service_status(instance.id) if newer else None
    if reported is None or not reported.epoch:
        return
    release = int(reported.agent_release) or contract.FIRST_RELEASE
    for method in newer:
        if method.since > release:
            raise NotSupported(
                f"The guest agent of instance {instance.id} is of an older release, which has no "
                f"'{method.name}'; rebuild the instance."
            )


def require_heard(instance: Instance) -> str:
    """What the guest reported last; `Unprocessable` (422) when that is too long ago to call it.

    Who calls a guest that does not live waits for all of the call's deadline.
    """
    reported = service_status(instance.id)
    if reported is None:
        return ServiceStatus.NEW
    if aws.clock() - reported.updated >= settings().heartbeat_expiry_seconds:
        raise not_ready(instance, lifecycle.UNHEARD)
    return reported.status


def not_ready(instance: Instance, status: str) -> Unprocessable:
    """What is told of an instance whose database does not answer."""
    return Unprocessable(f"Instance {instance.id} is not ready, status: {status}.")
