"""The wire: SQS with the guest's short-lived credentials, and HTTPS to the control plane.

Nothing here decides anything; what goes wrong becomes `Unreachable` or `Denied`.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from urllib3.exceptions import HTTPError

from chalicelib import aws, crash
from guest_agent import sigv4
from guest_agent.clock import ServiceClock
from guest_agent.enrolment import Reply, Session
from guest_agent.errors import Denied, Unreachable
from guest_agent.http import Http
from guest_agent.queues import LONG_POLL_SECONDS, VISIBILITY_SECONDS, Message

MESSAGES_AT_ONCE: Final = 10  # SQS's limit for one receive
HTTP_TIMEOUT_SECONDS: Final = 30.0  # API Gateway gives up after 29
CALL_SECONDS: Final = 12.0
"""All attempts of a call, beside the wait of a long poll: so long may one hold the pulse."""
ATTEMPT_SECONDS: Final = 5.0
"""One attempt, on a connection that may have died unnoticed; the next one makes another."""
LEAST_SECONDS: Final = 0.5
"""An attempt is not begun with less."""
ATTEMPTS: Final = 4
FIRST_PAUSE_SECONDS: Final = 0.2
SKEW_SECONDS: Final = 60.0
"""A reply that moves the measured time by more tells that the request was signed with a wrong one.
"""
_TOO_OFTEN: Final = 429
_BROKEN: Final = 500
_DONE: Final = 200
_DENIALS: Final = frozenset(
    {
        "AWS.SimpleQueueService.NonExistentQueue",  # deleted with the instance: renewal tells
        "AccessDenied",
        "AccessDeniedException",
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "InvalidSecurity",
        "InvalidSignatureException",
        "QueueDoesNotExist",
        "RequestExpired",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_SERVICE: Final = "sqs"
_TYPE: Final = "application/x-amz-json-1.0"


class _Refusal(msgspec.Struct):
    type: str = msgspec.field(name="__type", default="unknown")


class _Message(msgspec.Struct):
    body: str = msgspec.field(name="Body")
    receipt: str = msgspec.field(name="ReceiptHandle")


class _Received(msgspec.Struct):
    messages: list[_Message] | None = msgspec.field(name="Messages", default=None)


class SqsQueues:
    """`guest_agent.queues.Queues` on SQS's JSON protocol, signed with the services' time."""

    def __init__(self, region: str, endpoint_url: str | None, clock: ServiceClock) -> None:
        self._region = region
        self._endpoint_url = endpoint_url
        self._clock = clock
        self._session: Session | None = None
        self._http = Http()

    def adopt(self, session: Session) -> None:
        self._session = session

    def receive(self, seconds: int) -> list[Message]:
        answer = self._call(
            "ReceiveMessage",
            QueueUrl=self._current.queues.guest,
            MaxNumberOfMessages=MESSAGES_AT_ONCE,
            WaitTimeSeconds=min(seconds, LONG_POLL_SECONDS),
            VisibilityTimeout=VISIBILITY_SECONDS,
        )
        try:
            found = msgspec.convert(answer, _Received).messages or []
        except msgspec.ValidationError:
            raise Unreachable("SQS's answer to ReceiveMessage cannot be read.") from None
        return [Message(raw.body, raw.receipt) for raw in found]

    def delete(self, receipt: str) -> None:
        self._call("DeleteMessage", QueueUrl=self._current.queues.guest, ReceiptHandle=receipt)

    def hide(self, receipt: str, seconds: int) -> None:
        self._call(
            "ChangeMessageVisibility",
            QueueUrl=self._current.queues.guest,
            ReceiptHandle=receipt,
            VisibilityTimeout=seconds,
        )

    def report(self, body: str) -> None:
        self._call("SendMessage", QueueUrl=self._current.queues.conductor, MessageBody=body)

    def beat(self, body: str) -> None:
        self._call("SendMessage", QueueUrl=self._current.queues.heartbeats, MessageBody=body)

    @property
    def _current(self) -> Session:
        assert self._session is not None, "the queues are used before the guest has enrolled"
        return self._session

    def _call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """The answer to one call; tried again when none came, when SQS is busy, and once when the
        reply has shown that the request was signed with a wrong time.

        All within `CALL_SECONDS`, beside the wait that it asks for: a service that hangs, or sends
        a byte now and then, holds nobody for longer.
        """
        body = msgspec.json.encode(arguments)
        wait = float(arguments.get("WaitTimeSeconds", 0))
        until = aws.monotonic() + wait + CALL_SECONDS
        may_correct = True
        for attempt in range(ATTEMPTS):
            pause = pause_before(attempt)
            left = until - aws.monotonic() - pause
            if left < wait + LEAST_SECONDS:
                break
            aws.sleep(pause)
            before = self._clock.offset
            reply = self._post(operation, body, min(left, wait + ATTEMPT_SECONDS))
            if reply is None or reply.status == _TOO_OFTEN or reply.status >= _BROKEN:
                continue
            if reply.status == _DONE:
                crash.effect(operation)
                return _decoded(reply.body, operation)
            if may_correct and abs(self._clock.offset - before) > SKEW_SECONDS:
                may_correct = False
                continue
            raise _refusal(reply.body, operation)
        raise Unreachable(f"SQS did not answer {operation} in time or in {ATTEMPTS} attempts.")

    def _post(self, operation: str, body: bytes, seconds: float) -> Reply | None:
        session = self._current
        endpoint = urlsplit(self._endpoint_url or session.queues.guest)
        headers = {
            "Content-Type": _TYPE,
            "Host": endpoint.netloc,
            "X-Amz-Target": f"AmazonSQS.{operation}",
        }
        signed = sigv4.signed(
            headers,
            body,
            credentials=session.credentials,
            region=self._region,
            service=_SERVICE,
            now=self._clock.now(),
        )
        asked = aws.clock()
        try:
            reply = self._http.post(
                f"{endpoint.scheme}://{endpoint.netloc}/", body, signed, seconds
            )
        except HTTPError:
            return None
        self._clock.observe(reply.date, asked, aws.clock())
        return reply


def pause_before(attempt: int) -> float:
    """Seconds to wait before an attempt, the first of which is 0: doubling, with jitter."""
    longest = FIRST_PAUSE_SECONDS * 2.0 ** (attempt - 1) if attempt else 0.0
    return longest * (0.5 + aws.random() / 2)


def _decoded(body: bytes, operation: str) -> dict[str, Any]:
    if not body:
        return {}
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError:
        raise Unreachable(f"SQS's answer to {operation} cannot be read.") from None


def _refusal(body: bytes, operation: str) -> Unreachable:
    """The error in the body of an answer."""
    try:
        code = msgspec.json.decode(body, type=_Refusal).type.rsplit("#", 1)[-1]
    except msgspec.DecodeError:
        code = "unknown"
    return refused(code, operation)


def refused(code: str, operation: str) -> Unreachable:
    """What an error code of SQS means for the agent."""
    kind = Denied if code in _DENIALS else Unreachable
    return kind(f"SQS answered {code} to {operation}.")


class HttpPost:
    """`Post` on HTTPS; it bounds the whole of a request."""

    def __init__(self) -> None:
        self._http = Http()

    def __call__(self, url: str, document: dict[str, Any]) -> Reply:
        body = msgspec.json.encode(document)
        headers = {"Content-Type": "application/json"}
        try:
            return self._http.post(url, body, headers, HTTP_TIMEOUT_SECONDS)
        except HTTPError as error:
            raise Unreachable(
                f"The control plane did not answer ({type(error).__name__})."
            ) from None
