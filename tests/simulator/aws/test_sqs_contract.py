"""The same calls to the simulated SQS, to moto and to MiniStack: the same outcomes.

Where an emulator is known to be wrong, the call is judged as docs/simulator/differences.md says.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any, Final

import boto3
import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from moto import mock_aws

from simulator.aws.sqs.delivery import Chances
from simulator.aws.sqs.service import Sqs
from simulator.kernel import Kernel

UNHURRIED = settings(max_examples=100, suppress_health_check=list(HealthCheck))
_numbers = itertools.count()

Call = tuple[str, dict[str, Any]]
"""A method and its arguments; `receipt` is a place in the list of the receipts so far."""

BODIES: Final = st.sampled_from(["a", "b", "ü", "x" * 300])
ATTRIBUTES: Final = st.sampled_from(
    [{}, {"reason": {"DataType": "String", "StringValue": "because"}}]
)
RECEIPT: Final = st.integers(0, 5)
SEND: Final = st.builds(
    lambda body, attributes: (
        "send_message",
        {"MessageBody": body, "MessageAttributes": attributes},
    ),
    BODIES,
    ATTRIBUTES,
)
RECEIVE: Final = st.sampled_from([0, 600]).map(
    lambda seconds: ("receive_message", {"VisibilityTimeout": seconds})
)
DELETE: Final = RECEIPT.map(lambda place: ("delete_message", {"receipt": place}))
HIDE: Final = st.builds(
    lambda place, seconds: (
        "change_message_visibility",
        {"receipt": place, "VisibilityTimeout": seconds},
    ),
    RECEIPT,
    st.sampled_from([0, 600, 50_000]),
)
BATCH: Final = st.lists(BODIES, max_size=3).map(
    lambda bodies: (
        "send_message_batch",
        {"Entries": [{"Id": str(i), "MessageBody": body} for i, body in enumerate(bodies)]},
    )
)
RARE: Final = st.one_of(
    BATCH,
    st.sampled_from(
        [
            ("receive_message", {"MaxNumberOfMessages": 11}),
            ("receive_message", {"WaitTimeSeconds": 21}),
            ("send_message", {"MessageBody": ""}),
            ("delete_message", {"receipt": "not a handle"}),
            ("delete_queue", {}),
            ("create_queue", {"Attributes": {"VisibilityTimeout": "30"}}),
            ("create_queue", {"Attributes": {"VisibilityTimeout": "31"}}),
            ("set_queue_attributes", {"Attributes": {"VisibilityTimeout": "31"}}),
            ("set_queue_attributes", {"Attributes": {"VisibilityTimeout": "50000"}}),
            ("get_queue_attributes", {"AttributeNames": ["All"]}),
        ]
    ),
)
COUNT: Final = st.just(("get_queue_attributes", {"AttributeNames": ["All"]}))
CALLS: Final[st.SearchStrategy[Call]] = st.one_of(
    RECEIVE, DELETE, HIDE, RECEIVE, DELETE, HIDE, SEND, COUNT, RARE
)
SEQUENCES: Final = st.builds(
    lambda sent, rest: [*sent, *rest],
    st.lists(SEND, min_size=1, max_size=2),
    st.lists(CALLS, min_size=1, max_size=10),
)
COMPARED: Final = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "MaximumMessageSize",
    "MessageRetentionPeriod",
    "VisibilityTimeout",
)


class BothDelete(Chances):
    """A receipt that is not the last one "might not" delete; with the emulators it does."""

    def stale_receipt_deletes(self, queue: str) -> bool:
        return True


class Side:
    """One of the two under comparison: a client, its queue and the receipts it gave."""

    def __init__(self, client: Any, name: str) -> None:
        self.client = client
        self.name = name
        self.url = client.create_queue(QueueName=name)["QueueUrl"]
        self.receipts: list[str] = []

    def outcome(self, method: str, arguments: dict[str, Any]) -> Any:
        """What a call came to, in a form that can be compared."""
        asked = {name: value for name, value in arguments.items() if name != "receipt"}
        if method == "create_queue":
            asked["QueueName"] = self.name
        else:
            asked["QueueUrl"] = self.url
        place = arguments.get("receipt")
        if place is not None:
            asked["ReceiptHandle"] = place if isinstance(place, str) else self.receipts[place]
        if method == "receive_message":
            asked = {"MaxNumberOfMessages": 10, "WaitTimeSeconds": 0, **asked}
            asked |= {"MessageAttributeNames": ["All"], "AttributeNames": ["All"]}
        try:
            answer = getattr(self.client, method)(**asked)
        except ClientError as error:
            return error.response["Error"]["Code"]
        return self._shown(method, answer)

    def _shown(self, method: str, answer: Any) -> Any:
        if method == "receive_message":
            # By content: what is equal in all of it may stand in any order on either side.
            messages = sorted(answer.get("Messages", ()), key=_content)
            self.receipts += [each["ReceiptHandle"] for each in messages]
            return [
                (
                    each["Body"],
                    each["MD5OfBody"],
                    each["Attributes"]["ApproximateReceiveCount"],
                    each.get("MessageAttributes", {}),
                )
                for each in messages
            ]
        if method == "get_queue_attributes":
            return {name: answer["Attributes"][name] for name in COMPARED}
        if method == "send_message_batch":
            return [each["Id"] for each in answer["Successful"]]
        return answer.get("MD5OfMessageBody")


def _content(message: Any) -> tuple[str, str, str]:
    attributes = message.get("MessageAttributes", {})
    return message["Body"], repr(attributes), message["Attributes"]["ApproximateReceiveCount"]


Known = Callable[[str, Any, Any], bool]
"""Whether an emulator's outcome is a known mistake: method, its outcome, ours."""


def compare(client: Any, sequence: list[Call], wrong: Known) -> None:
    """Run a sequence on both, on a fresh queue, until the emulator makes a known mistake."""
    name = f"queue-{next(_numbers)}"
    theirs, ours = Side(client, name), Side(Sqs(Kernel(1), BothDelete()), name)
    for number, (method, arguments) in enumerate(sequence):
        place = arguments.get("receipt")
        if isinstance(place, int) and place >= len(ours.receipts):
            continue
        found, expected = ours.outcome(method, arguments), theirs.outcome(method, arguments)
        if found != expected and wrong(method, expected, found):
            return
        assert found == expected, (number, method, arguments)
        if method == "delete_queue":
            return  # what comes after within a minute is open


@pytest.fixture(scope="module")
def moto() -> Iterator[Any]:
    """moto's SQS."""
    with mock_aws():
        yield boto3.client("sqs", region_name="us-east-1")


@pytest.fixture(scope="module")
def emulated(ministack: dict[str, Any]) -> Any:
    """MiniStack's SQS."""
    return boto3.client("sqs", **ministack)


def ministack_is_wrong(method: str, theirs: Any, ours: Any) -> bool:
    if method == "receive_message":
        return bool(ours == "InvalidParameterValue")  # a wait of more than 20 s
    if method == "delete_message":
        return theirs == "ReceiptHandleIsInvalid" and ours is None  # deleted before
    # Of a message that is gone or visible again, or for too long.
    return method == "change_message_visibility" and isinstance(ours, str)


def moto_is_wrong(method: str, theirs: Any, ours: Any) -> bool:
    if method == "change_message_visibility":  # of a message that is visible or deleted
        return theirs in (None, "ReceiptHandleIsInvalid") and ours is not None
    if method == "set_queue_attributes":
        return bool(ours == "InvalidAttributeValue")
    return method == "send_message" and bool(ours == "MissingParameter")


@UNHURRIED
@given(sequence=SEQUENCES)
def test_ministack_answers_alike(emulated: Any, sequence: list[Call]) -> None:
    compare(emulated, sequence, ministack_is_wrong)


@UNHURRIED
@given(sequence=SEQUENCES)
def test_moto_answers_alike(moto: Any, sequence: list[Call]) -> None:
    compare(moto, sequence, moto_is_wrong)
