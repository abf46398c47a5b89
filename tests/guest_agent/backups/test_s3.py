"""How the guest's own client of S3 signs, and how a grant is asked for."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials

from chalicelib import aws
from guest_agent import sigv4
from guest_agent.backups import s3
from guest_agent.backups.calls import HttpSend, Then
from guest_agent.backups.grant import Grant, obtain
from guest_agent.backups.store import Cancelled, StoreFailed
from guest_agent.clock import ServiceClock
from guest_agent.config import AgentFile, GuestConfig
from guest_agent.enrolment import Credentials, Enrolment, Reply
from guest_agent.errors import Retired, Unauthorized, Unreachable
from guest_agent.identity import DiskIdentity
from guest_agent.transport import HttpPost
from tests.guest_agent.backups.objects import BUCKET, ONE, Lender, Objects, VirtualEvent
from tests.guest_agent.control_plane import INSTANCE, TOKEN, ControlPlane
from tests.guest_agent.fakes import World
from tests.support.loopback import HOST

NOW = 1_795_000_000.0
LOCATION = f"tenant/chain/{ONE}"


def _grant() -> Grant:
    grant = Lender(Objects()).ask()
    expires = datetime.now(UTC) + timedelta(hours=1)
    return msgspec.structs.replace(grant, credentials=Credentials("AKID", "s", "t", expires))


@pytest.mark.parametrize(("method", "body"), [("PUT", b"content"), ("GET", b"")])
def test_a_request_is_signed_as_the_sdk_signs_it(method: str, body: bytes) -> None:
    grant = msgspec.structs.replace(_grant(), endpoint=None)
    base, path = s3.place(grant, f"{LOCATION}/a_b-c/0")
    host, digest = base.removeprefix("https://"), hashlib.sha256(body).hexdigest()
    headers = {"Host": host, sigv4.CONTENT_SHA256: digest}
    ours = sigv4.signed(
        headers,
        body,
        credentials=grant.credentials,
        region="us-east-1",
        service="s3",
        now=NOW,
        method=method,
        path=path,
    )
    request = AWSRequest(method, f"{base}{path}", headers, body)
    stamp = datetime.fromtimestamp(NOW, UTC).strftime("%Y%m%dT%H%M%SZ")
    request.context["timestamp"] = stamp
    request.headers["X-Amz-Date"] = stamp
    request.headers["X-Amz-Security-Token"] = grant.credentials.session_token
    signer = S3SigV4Auth(BotoCredentials("AKID", "s", "t"), "s3", "us-east-1")
    canonical = signer.canonical_request(request)
    signature = signer.signature(signer.string_to_sign(request, canonical), request)
    assert ours["Authorization"].endswith(f"Signature={signature}")


def test_a_grant_is_asked_for_with_the_guests_key(tmp_path: Path, control: ControlPlane) -> None:
    agent = AgentFile(INSTANCE, 1, control.url, TOKEN, "mariadb", "10.11", "us-east-1")
    config = GuestConfig(tmp_path, agent, "server-1", HOST)
    enrolment = Enrolment(config, DiskIdentity(tmp_path), HttpPost(), ServiceClock())
    enrolment.begin()
    control.lends = msgspec.to_builtins(_grant())
    found = obtain(lambda: enrolment.storage(ONE), aws.event())
    assert isinstance(found, Grant)
    assert (found.bucket, len(found.key_of(ONE))) == (BUCKET, 32)
    with pytest.raises(StoreFailed, match="no key"):
        found.key_of("another")
    control.lends = None
    with pytest.raises(Cancelled, match="no operation"):
        obtain(lambda: enrolment.storage(ONE), aws.event())


def test_a_control_plane_that_is_away_is_waited_for(world: World) -> None:
    answers: list[Exception | bytes] = [Unreachable("It did not answer.")] * 3
    answers.append(msgspec.json.encode(_grant()))

    def ask() -> bytes:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    stop = VirtualEvent(world)
    began = world.now
    assert obtain(ask, stop).writes
    assert world.now - began < 5
    answers[:] = [Unreachable("Too often.", 40.0), msgspec.json.encode(_grant())]
    assert obtain(ask, stop).writes
    assert 40 < world.now - began < 50
    answers[:] = [Unreachable("It did not answer.")] * 1000
    with pytest.raises(StoreFailed, match="within 300 s: It did not answer"):
        obtain(ask, stop)
    for error, kind in ((Retired("x"), Cancelled), (Unauthorized("x"), StoreFailed)):
        answers[:] = [error]
        with pytest.raises(kind):
            obtain(ask, stop)
    answers[:] = [b"{}"]
    with pytest.raises(StoreFailed, match="not known"):
        obtain(ask, stop)


def test_an_object_in_an_archive_is_told_at_once_and_no_other_credentials_are_asked_for() -> None:
    store = s3.S3Store(_grant, ServiceClock(), aws.event(), HttpSend())
    for code, then in (("InvalidObjectState", Then.END), ("AccessDenied", Then.RENEW)):
        body = f"<Error><Code>{code}</Code></Error>".encode()
        assert store.judged(Reply(403, body)) == (then, f"answered 403 {code}")
