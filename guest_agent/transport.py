"""The wire: SQS with the guest's short-lived credentials, and HTTPS to the control plane.

Nothing here decides anything; errors of the libraries become `Unreachable` or `Denied`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import msgspec
import urllib3
from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from chalicelib import aws
from guest_agent.clock import ServiceClock
from guest_agent.enrolment import Reply, Session
from guest_agent.errors import Denied, Unreachable
from guest_agent.queues import LONG_POLL_SECONDS, VISIBILITY_SECONDS, Message

MESSAGES_AT_ONCE: Final = 10  # SQS's limit for one receive
HTTP_TIMEOUT_SECONDS: Final = 30.0  # API Gateway gives up after 29
_DENIALS: Final = frozenset(
    {
        "AWS.SimpleQueueService.NonExistentQueue",  # deleted with the instance: renewal tells
        "AccessDenied",
        "AccessDeniedException",
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "InvalidSecurity",
        "QueueDoesNotExist",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)


class SqsQueues:
    """`guest_agent.queues.Queues` on SQS."""

    def __init__(self, region: str, endpoint_url: str | None, clock: ServiceClock) -> None:
        self._region = region
        self._endpoint_url = endpoint_url
        self._clock = clock
        self._client: Any = None
        self._session: Session | None = None

    def adopt(self, session: Session) -> None:
        if self._session is None or self._session.credentials != session.credentials:
            self._client = aws.make_client(
                "sqs",
                region_name=self._region,
                endpoint_url=self._endpoint_url,
                aws_access_key_id=session.credentials.access_key_id,
                aws_secret_access_key=session.credentials.secret_access_key,
                aws_session_token=session.credentials.session_token,
                read_timeout=LONG_POLL_SECONDS + 10,
            )
        self._session = session

    def receive(self, seconds: int) -> list[Message]:
        answer = self._call(
            "receive_message",
            QueueUrl=self._current.queues.guest,
            MaxNumberOfMessages=MESSAGES_AT_ONCE,
            WaitTimeSeconds=min(seconds, LONG_POLL_SECONDS),
            VisibilityTimeout=VISIBILITY_SECONDS,
        )
        return [Message(raw["Body"], raw["ReceiptHandle"]) for raw in answer.get("Messages", [])]

    def delete(self, receipt: str) -> None:
        self._call("delete_message", QueueUrl=self._current.queues.guest, ReceiptHandle=receipt)

    def hide(self, receipt: str, seconds: int) -> None:
        self._call(
            "change_message_visibility",
            QueueUrl=self._current.queues.guest,
            ReceiptHandle=receipt,
            VisibilityTimeout=seconds,
        )

    def report(self, body: str) -> None:
        self._call("send_message", QueueUrl=self._current.queues.conductor, MessageBody=body)

    def beat(self, body: str) -> None:
        self._call("send_message", QueueUrl=self._current.queues.heartbeats, MessageBody=body)

    @property
    def _current(self) -> Session:
        assert self._session is not None, "the queues are used before the guest has enrolled"
        return self._session

    def _call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        asked = aws.clock()
        with _as_ours(operation):
            answer: dict[str, Any] = getattr(self._client, operation)(**arguments)
        headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        self._clock.observe(headers.get("date"), asked, aws.clock())
        return answer


@contextmanager
def _as_ours(operation: str) -> Iterator[None]:
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise our_error(error, operation) from None


def our_error(error: ClientError | BotoCoreError, operation: str) -> Unreachable:
    """What an error of boto3 means for the agent."""
    if isinstance(error, BotoCoreError):
        return Unreachable(f"SQS did not answer {operation} ({type(error).__name__}).")
    code = error.response.get("Error", {}).get("Code", "unknown")
    kind = Denied if code in _DENIALS else Unreachable
    return kind(f"SQS answered {code} to {operation}.")


class HttpPost:
    """`Post` on urllib3; certificates are verified against the system's authorities."""

    def __init__(self) -> None:
        self._pool = urllib3.PoolManager(
            timeout=urllib3.Timeout(connect=5.0, read=HTTP_TIMEOUT_SECONDS), retries=False
        )

    def __call__(self, url: str, document: dict[str, Any]) -> Reply:
        try:
            answer = self._pool.request(
                "POST",
                url,
                body=msgspec.json.encode(document),
                headers={"Content-Type": "application/json"},
                redirect=False,
            )
        except HTTPError as error:
            raise Unreachable(
                f"The control plane did not answer ({type(error).__name__})."
            ) from None
        return Reply(answer.status, answer.data, answer.headers.get("Date"))
