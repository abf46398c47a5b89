"""How a promise is broken on purpose, and that it is told: for one file of tests each invariant."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from chalicelib import aws
from chalicelib.bus.envelope import Direction, Envelope, seal
from chalicelib.store.models import Command, Instance, Operation
from simulator.kernel import Coroutine
from simulator.region import Reply
from tests.simulator.deployment import Deployment

OTHER = "0badc0de-0000-4000-a000-000000000000"


def instance(deployment: Deployment) -> Instance:
    return Instance.get(deployment.instances()[0]["id"])


def operation(deployment: Deployment) -> Operation:
    return next(iter(Operation.scan()))


def command(deployment: Deployment) -> Command:
    return next(iter(Command.scan()))


def as_handler(deployment: Deployment, name: str, work: Callable[[], Any]) -> None:
    """Do something in a coroutine that has the name of a handler."""
    ended: list[Coroutine] = []
    deployment.kernel.spawn(work, name, None, ended.append)
    deployment.run(5)
    assert ended[0].error is None, ended[0].error


def replied(
    deployment: Deployment,
    method: str,
    path: str,
    reply: Reply,
    body: bytes = b"",
    more: dict[str, str] | None = None,
) -> None:
    """Let the invariants see a reply that no handler gave."""
    tenant = path.split("/")[2]
    headers = {"X-Auth-Token": deployment.region.log_in(tenant, "member"), **(more or {})}
    for watch in deployment.region.replied:
        watch(method, path, headers, body, reply)


def as_guest(
    deployment: Deployment,
    kind: str,
    command_id: str,
    result: dict[str, str] | None = None,
    work: str | None = None,
) -> None:
    """Let the instance's own agent send a report of generation 1; `work` is a `traceparent`."""
    guest = next(iter(deployment.fleet))
    session = guest.memory.session
    assert session is not None
    report = Envelope(
        id=command_id,
        instance_id=session.instance_id,
        generation=1,
        epoch=session.epoch,
        seq=1000,
        kind=kind,
        result=result or {},
        issued_at=aws.clock(),
        expires_at=aws.clock() + 600,
        key_version=session.key_version,
        traceparent=work,
    )
    key = deployment.invariants.each["I8"]._mail._derive  # type: ignore[attr-defined]
    body = seal(
        report,
        Direction.TO_CONTROL,
        key(session.instance_id, 1, Direction.TO_CONTROL, session.key_version, session.epoch),
    )

    def send() -> None:
        deployment.region.sqs.send_message(
            QueueUrl=deployment.region.sqs.url("coffer-conductor"), MessageBody=body
        )

    deployment.kernel.spawn(send, "guest.tick", guest.server_id)
    deployment.run(5)


Break = Callable[[Deployment], None]


def told_by(name: str, *breaks: Break) -> Callable[[Deployment, Break], None]:
    """A test that each of these breaks an invariant, which says so."""

    @pytest.mark.parametrize("break_it", breaks, ids=lambda each: each.__name__)
    def test(deployment: Deployment, break_it: Break) -> None:
        break_it(deployment)
        deployment.run(0)
        deployment.invariants.check_healed()
        broken = {each.invariant for each in deployment.invariants.violations}
        assert name in broken, deployment.explain()
        assert deployment.invariants.results()[name].verdict == "broken"

    return test
