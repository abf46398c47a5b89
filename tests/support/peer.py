"""A guest by hand: it signs, seals and opens as an agent does, whenever a test says so."""

from __future__ import annotations

import base64
import json
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from chalicelib import aws
from chalicelib.bus import keys, proofs
from chalicelib.bus.envelope import Direction, Envelope, Fault, seal
from chalicelib.conductor import enrolment


class Peer:
    """One guest: its key, what it learnt when it was let in, the number of its last report."""

    def __init__(self, server_id: str, user_data: str) -> None:
        self.server_id = server_id
        document = json.loads(user_data.removeprefix("#cloud-config\n"))
        self.configuration = json.loads(document["write_files"][0]["content"])
        self.key = Ed25519PrivateKey.from_private_bytes(aws.token_bytes(32))
        self.admission: dict[str, Any] | None = None
        self.issued_at_ms = 0
        self.seq = 0

    @property
    def public_key(self) -> str:
        raw = self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return base64.b64encode(raw).decode()

    def enrol(self) -> None:
        """Be let in."""
        self.admission = msgspec.to_builtins(enrolment.enrol(self.enrolment()))

    def enrolment(self, **changes: Any) -> enrolment.Enrol:
        """The request with which it enrols; `changes` are signed as well, with its own key."""
        self.issued_at_ms = max(self.issued_at_ms + 1, int(aws.clock() * 1000))
        fields: dict[str, Any] = {
            "token": self.configuration["enrolment_token"],
            "public_key": self.public_key,
            "server_id": self.server_id,
            "issued_at_ms": self.issued_at_ms,
        } | changes
        return enrolment.Enrol(**fields, signature=self.sign(proofs.of_enrolment(**fields)))

    def sign(self, text: bytes) -> str:
        return base64.b64encode(self.key.sign(text)).decode()

    def key_of(self, direction: Direction) -> bytes:
        assert self.admission is not None
        return base64.b64decode(self.admission["keys"][direction])

    def envelope(
        self,
        kind: str,
        command_id: str,
        result: dict[str, Any] | None,
        error: Fault | None = None,
        **changes: Any,
    ) -> Envelope:
        """A report as this guest would send it."""
        assert self.admission is not None
        self.seq += 1
        fields: dict[str, Any] = {
            "id": command_id,
            "instance_id": self.admission["instance_id"],
            "generation": self.admission["generation"],
            "epoch": self.admission["epoch"],
            "seq": self.seq,
            "kind": kind,
            "result": result,
            "error": error,
            "issued_at": aws.clock(),
            "expires_at": aws.clock() + 3600,
            "key_version": self.admission["key_version"],
        }
        return Envelope(**(fields | changes))

    def sealed(self, *args: Any, **kwargs: Any) -> str:
        """The message body of such a report."""
        return self.seal(self.envelope(*args, **kwargs))

    def seal(self, report: Envelope) -> str:
        """Seal with the key that the report names, as if this guest had been given that one."""
        assert self.admission is not None
        guest = self.admission["instance_id"], self.admission["generation"]
        key = self.key_of(Direction.TO_CONTROL)
        given = self.admission["epoch"], self.admission["key_version"]
        if (report.epoch, report.key_version) != given:
            key = keys.guest_key(*guest, Direction.TO_CONTROL, report.key_version, report.epoch)
        return seal(report, Direction.TO_CONTROL, key)
