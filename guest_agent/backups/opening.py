"""Which store a backup lies in: what the control plane lends for it tells."""

from __future__ import annotations

from typing import Final, Protocol

from chalicelib import aws
from guest_agent.backups.calls import HttpSend, Send
from guest_agent.backups.grant import AnyGrant, ContainerGrant, Grant, ObjectGrant, obtain
from guest_agent.backups.imported import ImportedStore
from guest_agent.backups.s3 import S3Store
from guest_agent.backups.store import OpenStore, Store, StoreFailed
from guest_agent.backups.swift import SwiftStore
from guest_agent.clock import ServiceClock

CHANGED: Final = "the control plane lends another store than before"


class Ask(Protocol):
    """`Enrolment.storage`."""

    def __call__(self, backup_id: str, attempt: str | None = None) -> bytes: ...


def opener(ask: Ask, clock: ServiceClock, send: Send | None = None) -> OpenStore:
    """What opens the store of a backup."""

    def open_store(backup_id: str, stop: aws.Event) -> Store:
        def lent(attempt: str | None = None) -> AnyGrant:
            return obtain(lambda: ask(backup_id, attempt), stop)

        def in_bucket() -> Grant:
            grant = lent()
            if not isinstance(grant, Grant):
                raise StoreFailed(CHANGED)
            return grant

        def in_container(attempt: str | None) -> ContainerGrant:
            grant = lent(attempt)
            if not isinstance(grant, ContainerGrant):
                raise StoreFailed(CHANGED)
            return grant

        def of_object() -> ObjectGrant:
            grant = lent()
            if not isinstance(grant, ObjectGrant):
                raise StoreFailed(CHANGED)
            return grant

        first, sending = lent(), send or HttpSend()
        if isinstance(first, ObjectGrant):
            return ImportedStore(of_object, clock, stop, sending, first)
        if isinstance(first, Grant):
            return S3Store(in_bucket, clock, stop, sending, first)
        return SwiftStore(in_container, clock, stop, sending, first)

    return open_store
