"""SQS as the agent speaks it: signed as AWS wants it, with the services' time."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from hypothesis import given
from hypothesis import strategies as st

from chalicelib import aws
from guest_agent import sigv4, transport
from guest_agent.clock import ServiceClock
from guest_agent.enrolment import Credentials, Reply, Session
from guest_agent.errors import Denied, Unreachable
from guest_agent.transport import HttpPost, SqsQueues
from tests.guest_agent.control_plane import ControlPlane

NOW = 1_795_000_000.0
CREDENTIALS = Credentials("AKID", "secret", "token", datetime(2030, 1, 1, tzinfo=UTC))


@given(body=st.binary(max_size=100), target=st.sampled_from(["SendMessage", "ReceiveMessage"]))
def test_a_request_is_signed_as_the_sdk_signs_it(body: bytes, target: str) -> None:
    headers = {
        "Content-Type": "application/x-amz-json-1.0",
        "Host": "sqs.us-east-1.amazonaws.com",
        "X-Amz-Target": f"AmazonSQS.{target}",
    }
    ours = sigv4.signed(
        headers, body, credentials=CREDENTIALS, region="us-east-1", service="sqs", now=NOW
    )
    request = AWSRequest("POST", "https://sqs.us-east-1.amazonaws.com/", headers, body)
    stamp = datetime.fromtimestamp(NOW, UTC).strftime("%Y%m%dT%H%M%SZ")
    request.context["timestamp"] = stamp
    request.headers["X-Amz-Date"] = stamp
    request.headers["X-Amz-Security-Token"] = CREDENTIALS.session_token
    signer = SigV4Auth(BotoCredentials("AKID", "secret", "token"), "sqs", "us-east-1")
    canonical = signer.canonical_request(request)
    signature = signer.signature(signer.string_to_sign(request, canonical), request)
    assert ours["Authorization"].endswith(f"Signature={signature}")


@pytest.fixture
def session(control: ControlPlane) -> Session:
    return msgspec.json.decode(json.dumps(control.session()), type=Session)


@pytest.fixture
def queues(control: ControlPlane, session: Session) -> SqsQueues:
    made = SqsQueues("us-east-1", control.url, ServiceClock())
    made.adopt(session)
    return made


def test_requests_are_signed_with_the_services_time(
    control: ControlPlane, queues: SqsQueues
) -> None:
    """The services' clock is ten minutes ahead; the first reply teaches it, even a refusal."""
    control.clock_offset = 600.0
    control.oldest_signature_seconds = 300.0
    queues.report("body")
    assert control.queues["conductor"].history == ["body"]
    early, late = (control.signed_at[0], control.signed_at[-1])
    assert len(control.signed_at) == 2
    assert abs(early + 600 - control.now()) < 30, "as the local clock has it"
    assert abs(late - control.now()) < 30, "as the services have it"


def test_a_refusal_of_the_time_that_teaches_nothing_is_a_denial(
    control: ControlPlane, queues: SqsQueues
) -> None:
    control.oldest_signature_seconds = -1.0
    with pytest.raises(Denied, match="SignatureDoesNotMatch to SendMessage"):
        queues.report("body")


def test_what_is_sent_comes_back(control: ControlPlane, queues: SqsQueues) -> None:
    control.queues["guest"].send("grüße")
    (message,) = queues.receive(1)
    assert message.body == "grüße"
    queues.hide(message.receipt, 0)
    (again,) = queues.receive(1)
    queues.delete(again.receipt)
    assert queues.receive(0) == []


@pytest.fixture
def answers(
    queues: SqsQueues, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[list[Reply | None]], None]]:
    """Have SQS give these answers, and no time pass between them."""
    left: list[Reply | None] = []
    monkeypatch.setattr(aws, "sleep", lambda seconds: None)

    def post(operation: str, body: bytes, seconds: float) -> Reply | None:
        return left.pop(0)

    monkeypatch.setattr(queues, "_post", post)
    yield left.extend
    assert left == []


def test_a_busy_or_silent_service_is_asked_again(
    queues: SqsQueues, answers: Callable[[list[Any]], None]
) -> None:
    answers([None, Reply(503, b""), Reply(429, b"{}"), Reply(200, b"{}")])
    queues.report("body")


def test_asking_again_has_a_bound(queues: SqsQueues, answers: Callable[[list[Any]], None]) -> None:
    answers([None] * transport.ATTEMPTS)
    with pytest.raises(Unreachable, match="did not answer SendMessage in time or in 4 attempts"):
        queues.report("body")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"__type": "com.amazonaws.sqs#QueueDoesNotExist"}', Denied),
        (b'{"__type": "com.amazon.coral.service#ExpiredTokenException"}', Denied),
        (b'{"__type": "InvalidMessageContents"}', Unreachable),
        (b"<html>", Unreachable),
        (b"[1]", Unreachable),
    ],
)
def test_a_refusal_is_told_by_its_code(
    queues: SqsQueues, answers: Callable[[list[Any]], None], body: bytes, kind: type[Unreachable]
) -> None:
    answers([Reply(400, body)])
    with pytest.raises(Unreachable) as refused:
        queues.report("body")
    assert type(refused.value) is kind


@pytest.mark.parametrize("found", ['"x"', "[1]", '[{"Body": "x"}]', '{"Body": 1}'])
def test_messages_that_cannot_be_read_are_no_bug_of_the_agent(
    queues: SqsQueues, answers: Callable[[list[Any]], None], found: str
) -> None:
    answers([Reply(200, b'{"Messages": ' + found.encode() + b"}")])
    with pytest.raises(Unreachable, match="ReceiveMessage cannot be read"):
        queues.receive(0)


def test_nobody_at_the_address_is_unreachable() -> None:
    with pytest.raises(Unreachable, match="did not answer"):
        HttpPost()("http://127.0.0.1:9/enrol", {})


def test_the_agent_starts_without_an_sdk() -> None:
    """It is most of the price of a create: what it loads it has to use."""
    script = "import sys, guest_agent.__main__; print(*sys.modules)"
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stdout
    loaded = set(said.decode().split())
    assert "guest_agent.loop" in loaded
    assert loaded.isdisjoint({"boto3", "botocore", "pymysql", "requests"})
