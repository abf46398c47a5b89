"""A guest's way to the object store: the shipped client, whose requests go to the simulated ones.

It is let in there by the credentials that it was lent, and the network in between may be cut.
"""

from __future__ import annotations

import base64
import re
from typing import Final
from urllib.parse import urlsplit

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError, ClientError

from chalicelib import aws
from guest_agent import sigv4
from guest_agent.backups import opening
from guest_agent.backups.calls import ATTEMPT_SECONDS
from guest_agent.backups.store import OpenStore
from guest_agent.enrolment import Enrolment, Reply
from simulator.aws.sts import secret_of
from simulator.fleet.queues import Wire
from simulator.swift import URL as SWIFT_URL

_SIGNED: Final = re.compile(r"Credential=([^/]+)/\d+/([^/]+)/s3/.*Signature=([0-9a-f]+)")


def opener(guest: Wire, life: int, enrolment: Enrolment) -> OpenStore:
    """What opens the store for the backups of one process (`life`) of a guest."""
    return opening.opener(enrolment.storage, guest.clock, SimSend(guest, life))


class SimSend:
    """`guest_agent.backups.s3.Send` of one process of a guest."""

    def __init__(self, guest: Wire, life: int) -> None:
        self._guest = guest
        self._life = life

    def __call__(
        self, method: str, url: str, body: bytes | None, headers: dict[str, str]
    ) -> Reply | None:
        self._guest.here(self._life)
        lost, deaf = self._guest.cut()
        reply = None if lost else self._answer(method, url, body, headers)
        if lost or deaf:
            aws.sleep(ATTEMPT_SECONDS)
            reply = None
        self._guest.here(self._life)
        return reply

    def _answer(
        self, method: str, url: str, body: bytes | None, headers: dict[str, str]
    ) -> Reply | None:
        """S3's answer, as it has it on the wire, or Swift's; None when the connection ends without
        one."""
        address = urlsplit(url)
        if url.startswith(SWIFT_URL):
            answered = aws.client("swift").sent(method, url, body or b"", headers)
            if answered is None:
                return None
            status, content = answered
            return Reply(status, content, self._date())
        found = _SIGNED.search(headers["Authorization"])
        assert found is not None, "a guest signs what it asks for"
        key, region, signature = found.groups()
        if signature != _signature_of(method, url, headers, key, region):
            return Reply(403, b"<Error><Code>SignatureDoesNotMatch</Code></Error>", self._date())
        client = aws.make_client(
            "s3", aws_access_key_id=key, aws_session_token=headers["X-Amz-Security-Token"]
        )
        where = {"Bucket": address.netloc.partition(".s3.")[0], "Key": address.path[1:]}
        try:
            if method == "PUT":
                digest = bytes.fromhex(headers[sigv4.CONTENT_SHA256])
                sha256 = base64.b64encode(digest).decode()
                client.put_object(**where, Body=body, ChecksumSHA256=sha256)
                content = b""
            else:
                content = client.get_object(**where)["Body"].read()
        except ClientError as error:
            code = error.response["Error"]["Code"]
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            return Reply(status, f"<Error><Code>{code}</Code></Error>".encode(), self._date())
        except BotoCoreError:
            return None
        return Reply(200, content, self._date())

    def _date(self) -> str | None:
        return self._guest.date() if self._guest.listens() else None


def _signature_of(
    method: str, url: str, headers: dict[str, str], access_key: str, region: str
) -> str:
    """What S3 works out for a request: by the SDK's code, which is not the agent's.

    S3 believes no header but those that were signed; a guest signs all that it sends.
    """
    signer = S3SigV4Auth(Credentials(access_key, secret_of(access_key)), "s3", region)
    request = AWSRequest(method, url, headers)
    request.context["timestamp"] = headers["X-Amz-Date"]
    del request.headers["Authorization"]
    text = signer.string_to_sign(request, signer.canonical_request(request))
    return str(signer.signature(text, request))
