"""F16: what nobody should accept: broken, forged, replayed, too large messages; forged requests."""

from __future__ import annotations

import base64
import json
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from chalicelib.bus import keys, proofs
from chalicelib.bus.envelope import MAX_BODY_BYTES, Direction, Envelope, seal
from simulator.aws.sqs.queues import Message
from simulator.faults.base import Fault
from simulator.invariants.marks import FORGED_HEADER, FORGED_MARK, FORGED_NUMBER, FORGER
from simulator.region import Reply

ENROLMENTS: Final = (
    "stolen token",
    "stolen token, same server",
    "stolen token, the guest's public key",
    "replayed enrolment",
)
SIGNED: Final[dict[str, Callable[..., bytes]]] = {
    "renew": proofs.of_renewal,
    "storage": proofs.of_storage,
    "pieces": proofs.of_pieces,
}
"""The text of each of an enrolled guest's requests, by the end of its path."""
REQUESTS: Final = ("replayed {}", "{} signed by another")
MORE_REQUESTS: Final = 10
"""For one message there is a tenth of a request."""
KEPT: Final = 200
STOLEN_SECONDS: Final = 10.0
"""After its guest; while that one is being prepared, a create still waits."""
PATIENT_SECONDS: Final = 1800.0
"""And once more, when its guest may be silent."""
FORGED: Final = f"{FORGED_MARK}by-the-simulation"


class Poison(Fault):
    """Follows a share of the messages that are sent with one of its own on the same queue, and a
    share of the guests' requests with one of its own.
    """

    id = "F16"
    title = "poison"
    range = (0.0, 0.03)
    unit = "share of the messages"
    fair = True

    def install(self) -> None:
        self.on = True
        self._old: dict[str, deque[str]] = {}
        self.sent: dict[str, str] = {}
        """Bodies that were sent, and of which form."""
        self._sent_at: dict[str, float] = {}
        self.world.region.sqs.watchers.append(self._watch)
        self.world.region.replied.append(self._overhear)

    def heal(self) -> None:
        self.on = False
        self.world.region.sqs.watchers.remove(self._watch)
        self.world.region.replied.remove(self._overhear)

    def _watch(self, queue: str, message: Message) -> None:
        if queue.endswith("-dead-letters") or message.body in self.sent:
            return
        kept = self._old.setdefault("guest" if "-guest-" in queue else queue, deque(maxlen=KEPT))
        if len(kept) == KEPT:
            self._sent_at.pop(kept[0], None)
        kept.append(message.body)
        self._sent_at[message.body] = self.world.kernel.now
        if self.hits():
            form = self.stream.choice(list(FORMS))
            self.world.kernel.call_later(self.later(20.0), self._send, queue, message.body, form)

    def _send(self, queue: str, body: str, form: str) -> None:
        if not self.on or queue not in self.world.region.sqs.queues:
            return
        if form == "replay":
            body = self.stream.choice(self._old["guest" if "-guest-" in queue else queue])
            if self.world.invariants is not None:
                self.world.invariants.hub.first_sent[body] = self._sent_at.get(body, 0.0)
        poison = FORMS[form](self, body)
        if poison is None:
            return
        self.sent[poison] = form
        self.inject(f"{form} on {queue}")
        self.world.region.sqs.send_message(QueueUrl=queue, MessageBody=poison)

    # --------------------------------------------------------------- requests of its own

    def _overhear(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes, reply: Reply
    ) -> None:
        """A guest has enrolled, or renewed: a token that is used up, a signature that is seen."""
        if reply.status != 200 or FORGED_HEADER in headers or not path.startswith("/guest/"):
            return
        if not self.hits(self.strength * MORE_REQUESTS):
            return
        name = path.rpartition("/")[2]
        if name == "enrol":
            form = self.stream.choice(ENROLMENTS)
        else:
            form = self.stream.choice(REQUESTS).format(name)
        for mean in (STOLEN_SECONDS, PATIENT_SECONDS):
            self.world.kernel.call_later(self.later(mean), self._ask, path, body, form)

    def _signed_by_another(self, path: str, body: bytes) -> bytes:
        """The request of an enrolled guest, asked now by somebody who has not its key."""
        document = json.loads(body)
        document["issued_at_ms"] = max(
            document["issued_at_ms"] + 1, int(self.world.kernel.now * 1000)
        )
        said = {name: value for name, value in document.items() if name != "signature"}
        key = Ed25519PrivateKey.from_private_bytes(self.stream.randbytes(32))
        signature = key.sign(SIGNED[path.rpartition("/")[2]](**said))
        document["signature"] = base64.b64encode(signature).decode()
        return json.dumps(document).encode()

    def _forged(self, body: bytes, form: str) -> bytes:
        """An enrolment by the token of another, made now and signed with a key of its own.

        It also fits the public key that it names, unless that is the guest's.
        """
        document = json.loads(body)
        key = Ed25519PrivateKey.from_private_bytes(self.stream.randbytes(32))
        if form != "stolen token, the guest's public key":
            own = key.public_key().public_bytes_raw()
            document["public_key"] = base64.b64encode(own).decode()
        if form == "stolen token":
            document["server_id"] = f"thief-{self.stream.getrandbits(32):08x}"
        now_ms = int(self.world.kernel.now * 1000)
        document["issued_at_ms"] = max(document["issued_at_ms"] + 1, now_ms)
        signed = {name: value for name, value in document.items() if name != "signature"}
        signature = key.sign(proofs.of_enrolment(**signed))
        document["signature"] = base64.b64encode(signature).decode()
        return json.dumps(document).encode()

    def _ask(self, path: str, body: bytes, form: str) -> None:
        if not self.on:
            return
        if form.startswith("stolen"):
            body = self._forged(body, form)
        elif form.endswith("signed by another"):
            body = self._signed_by_another(path, body)
        self.inject(f"{form} at {path}")
        headers = {"Content-Type": "application/json", FORGED_HEADER: "1"}
        request = partial(self.world.region.http, "POST", path, headers, body)
        self.world.kernel.spawn(request, FORGER, None, None)

    # ---------------------------------------------------------------------------- forms

    def bad_json(self, body: str) -> str:
        return body[: max(1, len(body) // 2)]

    def not_json(self, body: str) -> str:
        return "\u20ac poison, which is no JSON"

    def unknown_version(self, body: str) -> str | None:
        return self._changed(body, "v", 99)

    def wrong_signature(self, body: str) -> str | None:
        document = _sealed(body)
        if document is None:
            return None
        content = bytearray(base64.b64decode(document["content"]))
        content[self.stream.randrange(len(content))] ^= 1 << self.stream.randrange(8)
        document["content"] = base64.b64encode(bytes(content)).decode()
        return json.dumps(document, separators=(",", ":"))

    def wrong_direction(self, body: str) -> str | None:
        document = _sealed(body)
        if document is None:
            return None
        other = {"to_guest": "to_control", "to_control": "to_guest"}
        return self._changed(body, "direction", other[document["header"]["direction"]])

    def other_guest(self, body: str) -> str | None:
        """A message of one guest under the name of another."""
        return self._changed(body, "instance_id", self._other(body))

    def other_key(self, body: str) -> str | None:
        """A report on one guest, sealed with the key of another."""
        document = _sealed(body)
        other = self._other(body)
        if document is None or other is None:
            return None
        header = document["header"]
        now = self.world.kernel.now
        direction = Direction(header["direction"])
        envelope = Envelope(
            id=FORGED,
            instance_id=header["instance_id"],
            generation=header["generation"],
            epoch=FORGED_NUMBER,
            seq=FORGED_NUMBER,
            kind="heartbeat" if direction is Direction.TO_CONTROL else "command",
            method="enable_root",
            args={"root_password": FORGED},
            result={"status": "failed", "stage": FORGED},
            issued_at=now,
            expires_at=now + 3600,
        )
        return seal(envelope, direction, keys.guest_key(other, 1, direction, 1, FORGED_NUMBER))

    def replay(self, body: str) -> str:
        return body

    def over_size(self, body: str) -> str:
        return json.dumps({"operation_id": "x" * (MAX_BODY_BYTES + 1)})

    def wrong_shape(self, body: str) -> str:
        return self.stream.choice(('{"operation_id": 7}', "[]", "null", '{"header": {"v": 1}}'))

    def _changed(self, body: str, name: str, value: Any) -> str | None:
        document = _sealed(body)
        if document is None or value is None:
            return None
        document["header"][name] = value
        return json.dumps(document, separators=(",", ":"))

    def _other(self, body: str) -> str | None:
        """The id of another guest that has been heard of."""
        own = (_sealed(body) or {"header": {}})["header"].get("instance_id")
        heard = (_sealed(each) for bodies in self._old.values() for each in bodies)
        others = dict.fromkeys(
            each["header"]["instance_id"]
            for each in heard
            if each is not None and each["header"].get("instance_id") != own
        )
        return self.stream.choice(list(others)) if others else None


FORMS: Final[dict[str, Callable[[Poison, str], str | None]]] = {
    "bad JSON": Poison.bad_json,
    "no JSON": Poison.not_json,
    "unknown version": Poison.unknown_version,
    "wrong signature": Poison.wrong_signature,
    "wrong direction": Poison.wrong_direction,
    "another guest's name": Poison.other_guest,
    "another guest's key": Poison.other_key,
    "replay": Poison.replay,
    "over the size limit": Poison.over_size,
    "wrong shape": Poison.wrong_shape,
}


def _sealed(body: str) -> dict[str, Any] | None:
    """A sealed message, or None for a hint and what is none."""
    try:
        document = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return None
    if isinstance(document, dict) and isinstance(document.get("header"), dict):
        return document
    return None
