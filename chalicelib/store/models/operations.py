"""What is done, what is asked of guests, and what is told of both."""

from __future__ import annotations

from typing import Any

from pynamodb.attributes import (
    BooleanAttribute,
    JSONAttribute,
    NumberAttribute,
    TTLAttribute,
    UnicodeAttribute,
)
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex, KeysOnlyProjection

from chalicelib.domain.flows import FLOWS
from chalicelib.domain.operations import SubjectKind
from chalicelib.store.base import INDEXES, Table, entries, optional, table_meta
from chalicelib.store.models.subject import Subject


class Rollout(Subject):
    """Instances that are rebuilt on an image; its tenant is the project of who asked for it."""

    kind = SubjectKind.ROLLOUT
    private = True

    class Meta:
        table_name, region = table_meta("rollouts")

    asked = JSONAttribute()  # `chalicelib.domain.rollouts.Wanted`
    progress = optional(JSONAttribute(null=True))  # when it has ended; before, its operation's


class LiveIndex(GlobalSecondaryIndex[Any]):  # type: ignore[no-untyped-call]
    """The operations that are not terminal, by the time at which the sweeper looks at them."""

    class Meta:
        index_name = INDEXES.LIVE
        projection = KeysOnlyProjection()

    live = UnicodeAttribute(hash_key=True)
    check_at = NumberAttribute(range_key=True)


class SubjectIndex(GlobalSecondaryIndex[Any]):  # type: ignore[no-untyped-call]
    """The operations of a subject, by time."""

    class Meta:
        index_name = INDEXES.SUBJECT
        projection = AllProjection()

    subject_id = UnicodeAttribute(attr_name="instance_id", hash_key=True)
    created = NumberAttribute(range_key=True)


class Operation(Table):
    """One accepted change of its subject and how far it has come."""

    class Meta:
        table_name, region = table_meta("operations")

    id = UnicodeAttribute(hash_key=True)
    # The name of the attribute is from when each was an instance's: rows and index keep it.
    subject_id = UnicodeAttribute(attr_name="instance_id")
    tenant_id = UnicodeAttribute()
    subject_index = SubjectIndex()
    action = UnicodeAttribute()
    status = UnicodeAttribute()
    created = NumberAttribute()
    updated = NumberAttribute()
    deadline = NumberAttribute()
    expires = optional(TTLAttribute(null=True))
    live = optional(UnicodeAttribute(null=True))
    check_at = optional(NumberAttribute(null=True))
    live_index = LiveIndex()

    parent_id = optional(UnicodeAttribute(null=True))  # the operation that has begun it
    generation = NumberAttribute(default=1)
    attempt = NumberAttribute(default=0)
    request_id = optional(UnicodeAttribute(null=True))
    user_id = optional(UnicodeAttribute(null=True))
    user_tenant_id = optional(UnicodeAttribute(null=True))  # the project of that user's token
    traceparent = optional(UnicodeAttribute(null=True))  # unless the request has begun the trace
    sealed_args = optional(UnicodeAttribute(null=True))  # in rows of the release before
    secret = BooleanAttribute(default=False)  # what was asked for stands sealed in `arguments`
    arguments = optional(JSONAttribute(null=True))  # what was asked for, when none of it is secret

    cancelled = optional(UnicodeAttribute(null=True))  # why; the next step compensates
    compensating = BooleanAttribute(default=False)
    reason = optional(UnicodeAttribute(null=True))  # why it failed, for the user
    alone = optional(UnicodeAttribute(null=True))  # the step whose guest has no server any more
    enrolled_server = optional(UnicodeAttribute(null=True))  # noted when another was refused

    step = optional(UnicodeAttribute(null=True))
    lease_id = optional(UnicodeAttribute(null=True))
    lease_until = optional(NumberAttribute(null=True))
    # By step; written key by key, so that two writers do not overwrite each other.
    started = entries()
    ended = entries()
    notes = entries()
    resources = entries()

    @property
    def kind(self) -> SubjectKind:
        """The kind of its subject: its flow's, so that no row can tell another one."""
        return FLOWS[self.action].subject

    @property
    def instance_id(self) -> str:
        """The subject of a flow on instances."""
        assert self.kind is SubjectKind.INSTANCE, f"{self.action} is no operation of an instance"
        return self.subject_id


class Arguments(Table):
    """What an operation was asked for, sealed, while it lives: apart, since each lease of a step
    is paid by the size of the operation's row, and it is read once."""

    class Meta:
        table_name, region = table_meta("arguments")

    id = UnicodeAttribute(hash_key=True)
    sealed = UnicodeAttribute()
    expires = TTLAttribute()


class Command(Table):
    """A command to a guest and its answer. `token` is the task token that waits for it."""

    class Meta:
        table_name, region = table_meta("commands")

    id = UnicodeAttribute(hash_key=True)
    instance_id = UnicodeAttribute()
    generation = NumberAttribute()
    method = UnicodeAttribute()
    operation_id = optional(UnicodeAttribute(null=True))
    backwards = BooleanAttribute(default=False)  # its step is one of the operation's undoing
    created = NumberAttribute()
    deadline = NumberAttribute()
    expires = TTLAttribute()
    traceparent = optional(UnicodeAttribute(null=True))  # what has asked for it, in its trace
    token = optional(UnicodeAttribute(null=True))
    answered = optional(NumberAttribute(null=True))
    result = optional(JSONAttribute(null=True))
    error = optional(JSONAttribute(null=True))
    stage = optional(UnicodeAttribute(null=True))  # how far the guest is, while it runs
    progress_epoch = optional(NumberAttribute(null=True))
    progress_seq = optional(NumberAttribute(null=True))
    again = optional(NumberAttribute(null=True))  # by then its guest tells of it again


class CallsRow(Table):
    """The synchronous calls of a tenant that are in flight, by id: instance and deadline."""

    class Meta:
        table_name, region = table_meta("calls")

    tenant_id = UnicodeAttribute(hash_key=True)
    version = NumberAttribute(default=0)  # grows with each slot that is taken
    slots = entries()
    expires = optional(TTLAttribute(null=True))


class KeptReply(Table):
    """What was answered to a POST that had an Idempotency-Key, kept with the key for a day."""

    class Meta:
        table_name, region = table_meta("kept-replies")

    id = UnicodeAttribute(hash_key=True)  # project/key
    sealed = UnicodeAttribute()  # the request's digest and the reply, which may tell a password
    command_id = optional(UnicodeAttribute(null=True))  # of the guest whose result decides
    expires = TTLAttribute()


class FeedIndex(GlobalSecondaryIndex[Any]):  # type: ignore[no-untyped-call]
    """The events that a tenant may read, of all its instances, by time, in some partitions."""

    class Meta:
        index_name = INDEXES.FEED
        projection = AllProjection()

    feed = UnicodeAttribute(hash_key=True)
    id = UnicodeAttribute(range_key=True)


class EventRow(Table):
    """Something an operator or a tenant may want to know later."""

    class Meta:
        table_name, region = table_meta("events")

    scope = UnicodeAttribute(hash_key=True)
    id = UnicodeAttribute(range_key=True)
    tenant_id = optional(UnicodeAttribute(null=True))
    feed = optional(UnicodeAttribute(null=True))
    feed_index = FeedIndex()
    kind = UnicodeAttribute()
    message = UnicodeAttribute()
    created = NumberAttribute()
    expires = TTLAttribute()
    times = optional(NumberAttribute(null=True))  # of a row that counts
    user_id = optional(UnicodeAttribute(null=True))  # who asked for it, and with which request
    user_tenant_id = optional(UnicodeAttribute(null=True))  # the project of that user's token
    request_id = optional(UnicodeAttribute(null=True))


class Job(Table):
    """How far a job has come that goes over the whole fleet, a slice at a time."""

    class Meta:
        table_name, region = table_meta("jobs")

    id = UnicodeAttribute(hash_key=True)
    state = JSONAttribute()
    updated = NumberAttribute()
