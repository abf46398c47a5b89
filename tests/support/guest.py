"""A guest in memory: enrols with the token of its user data, runs commands once, reports."""

from __future__ import annotations

import base64
import json
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from chalicelib.bus import keys, proofs
from chalicelib.bus.envelope import Direction, Envelope, Fault, open_sealed, seal
from chalicelib.conductor import enrolment
from chalicelib.errors import CofferError, Gone
from tests.support.world import Killed, World

ANSWER: Final[dict[str, Any]] = {"status": "healthy", "settings": {}, "version": "10.11.9"}
"""To every method: what one does not ask for is left out."""


class FakeGuest:
    """One agent: what it learnt at enrolment, its journal, and how it answers."""

    def __init__(self, world: World, server_id: str, user_data: str) -> None:
        self.world = world
        self.server_id = server_id
        document = json.loads(user_data.removeprefix("#cloud-config\n"))
        self.configuration = json.loads(document["write_files"][0]["content"])
        self.key = Ed25519PrivateKey.from_private_bytes(world.token_bytes(32))
        self.admission: dict[str, Any] | None = None
        self.refusal: CofferError | None = None
        self.next_try = world.now
        self.issued_at_ms = 0
        self.seq = 0
        self.answers: dict[str, tuple[dict[str, Any] | None, Fault | None]] = {}
        self.runs: list[str] = []
        self.told: list[tuple[str, dict[str, Any]]] = []
        """Each command that was run: its method and its arguments."""
        self.waiting: set[str] = set()
        """Methods whose commands stay on the queue."""
        self.unheard: set[str] = set()
        """Methods whose next command gets lost."""
        self.silent = False
        self.boots = 0
        self.booting = False
        self.status = "healthy"
        self.mute = False
        """Whether its agent does not come up with its server."""
        self.answer: dict[str, Any] = ANSWER
        self.failure: Fault | None = None
        self.failing: dict[str, list[Fault]] = {}
        """What becomes of the next commands of a method; `failure` of every one."""

    @property
    def public_key(self) -> str:
        raw = self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return base64.b64encode(raw).decode()

    def tick(self) -> bool:
        """Do what there is to do; whether there was anything."""
        if self.admission is None:
            return self._enrol()
        if self.booting and not self.mute:
            return self._boot()
        records = self.world.sqs.take(self.admission["queues"]["guest"], 1)
        if not records or self.silent or not self._handle(records[0]["body"]):
            return False
        self.world.sqs.settle(self.admission["queues"]["guest"], [records[0]["receiptHandle"]])
        return True

    def has_booted(self, times: int) -> None:
        """When its server was switched on again, the agent begins another epoch."""
        self.booting = self.booting or (times != self.boots and self.admission is not None)
        self.boots = times

    def _boot(self) -> bool:
        """Say how the database is, in the new epoch."""
        assert self.admission is not None
        who = (self.admission["instance_id"], self.admission["generation"])
        self.issued_at_ms = max(self.issued_at_ms + 1, int(self.world.now * 1000))
        signed = self.sign(proofs.of_renewal(*who, self.issued_at_ms, start=True))
        try:
            self.admission = enrolment.renew(
                enrolment.Renew(*who, self.issued_at_ms, start=True, signature=signed)
            )
            self.seq = 0
            self.send("heartbeat", "heartbeat", {"status": self.status})
        except Gone as error:
            self.refusal = error
        except (Exception, Killed):  # noqa: BLE001 - the answer was lost: ask again
            return True
        self.booting = False
        return True

    def _enrol(self) -> bool:
        if self.world.now < self.next_try or self.refusal is not None:
            return False
        self.next_try = self.world.now + 5
        try:
            self.admission = enrolment.enrol(self.enrolment())
        except CofferError as error:
            self.refusal = error if error.status in (401, 409, 410) else None
        except (Exception, Killed):  # noqa: BLE001 - the answer was lost: ask again
            return True
        return True

    def enrolment(self, **changes: Any) -> enrolment.Enrol:
        """The request with which it enrols; `changes` are signed as well, with its own key."""
        self.issued_at_ms = max(self.issued_at_ms + 1, int(self.world.now * 1000))
        fields: dict[str, Any] = {
            "token": self.configuration["enrolment_token"],
            "public_key": self.public_key,
            "server_id": self.server_id,
            "issued_at_ms": self.issued_at_ms,
        } | changes
        return enrolment.Enrol(**fields, signature=self.sign(proofs.of_enrolment(**fields)))

    def sign(self, text: bytes) -> str:
        return base64.b64encode(self.key.sign(text)).decode()

    def _key(self, direction: Direction) -> bytes:
        assert self.admission is not None
        return base64.b64decode(self.admission["keys"][direction])

    def _handle(self, body: str) -> bool:
        command = open_sealed(body, Direction.TO_GUEST, lambda _: self._key(Direction.TO_GUEST))
        if command.method in self.waiting:
            return False
        if command.method in self.unheard:
            self.unheard.discard(command.method)
            return True
        if command.id not in self.answers:
            self.runs.append(command.method)
            self.told.append((command.method or "", dict(command.args or {})))
            self.send("progress", command.id, {"stage": "starting the database"})
            planned = self.failing.get(command.method or "")
            failure = planned.pop(0) if planned else self.failure
            self.answers[command.id] = (None, failure) if failure else (self.answer, None)
        result, error = self.answers[command.id]
        self.send("result", command.id, result, error)
        self.send("heartbeat", "heartbeat", {"status": "healthy"})
        return True

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
            "issued_at": self.world.now,
            "expires_at": self.world.now + 3600,
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
        key = self._key(Direction.TO_CONTROL)
        given = self.admission["epoch"], self.admission["key_version"]
        if (report.epoch, report.key_version) != given:
            key = keys.guest_key(*guest, Direction.TO_CONTROL, report.key_version, report.epoch)
        return seal(report, Direction.TO_CONTROL, key)

    def send(self, kind: str, *args: Any, **kwargs: Any) -> None:
        """Put a report on the queue it belongs to."""
        assert self.admission is not None
        queue = "heartbeats" if kind == "heartbeat" else "conductor"
        url = self.admission["queues"][queue]
        self.world.sqs.send_message(QueueUrl=url, MessageBody=self.sealed(kind, *args, **kwargs))
