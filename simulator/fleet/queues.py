"""A guest's queues and its way to the control plane: the shipped transport on simulated services.

Only two things differ. A receive does not wait, because an idle guest is woken by an arrival and
must cost no event; and the network in between may be cut.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, Final, Protocol

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from chalicelib import aws
from guest_agent.clock import ServiceClock
from guest_agent.enrolment import Reply, Session
from guest_agent.errors import Denied, Unreachable
from guest_agent.http import CONNECT_SECONDS
from guest_agent.queues import Message
from guest_agent.transport import CALL_SECONDS, HTTP_TIMEOUT_SECONDS, SqsQueues, refused

_METHODS: Final[Mapping[str, str]] = {
    "ReceiveMessage": "receive_message",
    "DeleteMessage": "delete_message",
    "ChangeMessageVisibility": "change_message_visibility",
    "SendMessage": "send_message",
}
_HEADERS: Final[Mapping[str, str]] = {"Content-Type": "application/json"}


class Arrivals(Protocol):
    """Tells of messages, as the simulated SQS does."""

    def on_arrival(self, queue_name: str, callback: Callable[[], None]) -> None:
        """Have a callback whenever a message of the queue becomes visible."""


class Region(Protocol):
    """What a guest reaches of a deployment; the client of SQS it has from `chalicelib.aws`."""

    @property
    def sqs(self) -> Arrivals:
        """The queues."""

    def http(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Call the control plane's API from inside a coroutine: status, headers and body."""


class Wire(Protocol):
    """What the transport has to know of its guest."""

    clock: ServiceClock

    def here(self, life: int) -> None:
        """End, or hold up, a coroutine of a process that died or hangs."""

    def cut(self) -> tuple[bool, bool]:
        """Whether what it sends, and what is sent to it, is lost."""

    def listens(self) -> bool:
        """Whether the Date of an answer can tell it more than its own clock does."""

    def date(self) -> str:
        """The Date header of an answer that is sent now."""

    def share(self, session: Session) -> None:
        """Hold what all sessions have in common once."""

    def start_pulse(self) -> None:
        """See what is due."""


class SimQueues(SqsQueues):
    """`guest_agent.queues.Queues` of one process (`life`) of a guest."""

    def __init__(self, guest: Wire, life: int, region: str, endpoint_url: str | None) -> None:
        super().__init__(region, endpoint_url, guest.clock)
        self._guest = guest
        self._life = life
        self._client: Any = None

    def adopt(self, session: Session) -> None:
        self._guest.share(session)
        self.resume(session)

    def resume(self, session: Session) -> None:
        """Go on with a session that was adopted before."""
        if self._session is None or self._session.credentials != session.credentials:
            self._client = aws.make_client(
                "sqs",
                region_name=self._region,
                endpoint_url=self._endpoint_url,
                aws_access_key_id=session.credentials.access_key_id,
                aws_secret_access_key=session.credentials.secret_access_key,
                aws_session_token=session.credentials.session_token,
            )
        super().adopt(session)

    def receive(self, seconds: int) -> list[Message]:
        try:
            return super().receive(0)
        except Denied:
            self._guest.start_pulse()  # it renews while the loop holds back
            raise

    def _call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        guest = self._guest
        guest.here(self._life)
        lost, deaf = guest.cut()
        asked = aws.clock() if guest.listens() else None
        try:
            if lost:
                aws.sleep(CONNECT_SECONDS)
                raise Unreachable(f"SQS was not reached for {operation}.")
            answer: dict[str, Any] = getattr(self._client, _METHODS[operation])(**arguments)
            if deaf:
                aws.sleep(CALL_SECONDS)
                raise Unreachable(f"SQS's answer to {operation} did not arrive.")
        except ClientError as error:
            raise refused(error.response["Error"]["Code"], operation) from None
        except BotoCoreError as error:
            raise Unreachable(f"SQS did not answer {operation} ({type(error).__name__}).") from None
        if asked is not None:
            guest.clock.observe(guest.date(), asked, aws.clock())
        return answer


class SimPost:
    """`guest_agent.enrolment.Post` of one process of a guest."""

    __slots__ = ("_control_url", "_guest", "_life", "_region")

    def __init__(self, guest: Wire, life: int, region: Region, control_url: str) -> None:
        self._guest = guest
        self._life = life
        self._region = region
        self._control_url = control_url

    def __call__(self, url: str, document: dict[str, Any]) -> Reply:
        self._guest.here(self._life)
        lost, deaf = self._guest.cut()
        if lost:
            aws.sleep(CONNECT_SECONDS)
            raise Unreachable("The control plane did not answer (ConnectTimeoutError).")
        path = url.removeprefix(self._control_url)
        status, headers, body = self._region.http(
            "POST", path, _HEADERS, msgspec.json.encode(document)
        )
        if deaf:
            aws.sleep(HTTP_TIMEOUT_SECONDS)
            raise Unreachable("The control plane did not answer (ReadTimeoutError).")
        self._guest.here(self._life)
        date = headers.get("Date") or (self._guest.date() if self._guest.listens() else None)
        return Reply(status, body, date, headers.get("Retry-After"))


def date_header(now: float) -> str:
    """The Date header of an answer that is sent at that time."""
    return format_datetime(datetime.fromtimestamp(int(now), UTC), usegmt=True)
