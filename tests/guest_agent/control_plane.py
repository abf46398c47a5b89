"""A control plane for one guest, over real HTTP: enrolment, renewal, and the SQS calls it makes."""

from __future__ import annotations

import base64
import contextlib
import json
import select
import socket
import threading
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from chalicelib.bus import envelope as bus
from chalicelib.bus import proofs
from chalicelib.bus.envelope import Direction, Envelope

INSTANCE = "9a0f3c1e-1111-4222-8333-444455556666"
TOKEN = "enrolment-token"
TO_GUEST = bytes(range(32))
TO_CONTROL = bytes(range(32, 64))
CLOCK_SKEW_SECONDS = 300.0
WAIT_SECONDS = 200.0
"""A bound for what must come; a loaded machine is no failure."""


class Queue:
    """Messages with visibility, as SQS has them."""

    def __init__(self) -> None:
        self.condition = threading.Condition()
        self.messages: dict[str, dict[str, Any]] = {}
        self.history: list[str] = []

    def send(self, body: str) -> str:
        message_id = str(uuid.uuid4())
        with self.condition:
            self.messages[message_id] = {"body": body, "visible_at": 0.0, "receipts": []}
            self.history.append(body)
            self.condition.notify_all()
        return message_id

    def receive(
        self, wait: float, visibility: float, limit: int, gone: Callable[[], bool]
    ) -> list[dict[str, str]]:
        deadline = time.monotonic() + wait
        with self.condition:
            while not (ready := self._ready()[:limit]) or gone():
                left = deadline - time.monotonic()
                if left <= 0 or gone():
                    return []
                self.condition.wait(min(left, 0.05))
            received = []
            for message_id in ready:
                message = self.messages[message_id]
                receipt = f"{message_id}/{uuid.uuid4()}"
                message["visible_at"] = time.monotonic() + visibility
                message["receipts"].append(receipt)
                received.append(
                    {
                        "MessageId": message_id,
                        "ReceiptHandle": receipt,
                        "Body": message["body"],
                    }
                )
            return received

    def delete(self, receipt: str) -> None:
        with self.condition:
            self.messages.pop(receipt.split("/")[0], None)

    def hide(self, receipt: str, seconds: float) -> None:
        with self.condition:
            message = self.messages.get(receipt.split("/")[0])
            if message:
                message["visible_at"] = time.monotonic() + seconds

    def show_all(self) -> None:
        """End every visibility timeout now."""
        with self.condition:
            for message in self.messages.values():
                message["visible_at"] = 0.0
            self.condition.notify_all()

    def _ready(self) -> list[str]:
        now = time.monotonic()
        return [key for key, message in self.messages.items() if message["visible_at"] <= now]


class _Server6(ThreadingHTTPServer):
    address_family = socket.AF_INET6


class ControlPlane:
    """Serves one guest on a loopback port; `refusals` are statuses to answer first."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.queues = {"guest": Queue(), "conductor": Queue(), "heartbeats": Queue()}
        self.epoch = 0
        self.public_key: bytes | None = None
        self.token_valid = True
        self.issued_at_ms = 0
        self.calls: list[str] = []
        self.refusals: list[int] = []
        self.retry_after: str | None = None
        self.clock_offset = 0.0
        self.oldest_signature_seconds: float | None = None
        self.signed_at: list[float] = []
        self.credentials_seconds = 3600.0
        self.generation = 1
        self.files: dict[str, bytes] = {}
        """What there is to fetch, and what was put, by path."""
        self.lends: dict[str, Any] | None = None
        """What is lent for a backup, to write below any path, or to read."""
        self.put, self.puts = threading.Event(), threading.Event()
        """Whether somebody puts an object, and whether that goes on."""
        self.puts.set()
        handler = type("Handler", (_Handler,), {"control": self})
        self.server = (_Server6 if ":" in host else ThreadingHTTPServer)((host, 0), handler)
        self.server.daemon_threads = True
        in_url = f"[{host}]" if ":" in host else host
        self.url = f"http://{in_url}:{self.server.server_address[1]}"
        self._thread = threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()

    def now(self) -> float:
        return time.time() + self.clock_offset

    def accepts(self, stamp: str) -> bool:
        """Whether a signature is young enough, where somebody looks."""
        signed = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
        self.signed_at.append(signed)
        oldest = self.oldest_signature_seconds
        return oldest is None or abs(self.now() - signed) <= oldest

    def session(self) -> dict[str, Any]:
        expires = datetime.now(UTC) + timedelta(seconds=self.credentials_seconds)
        return {
            "instance_id": INSTANCE,
            "generation": self.generation,
            "epoch": self.epoch,
            "key_version": 1,
            "keys": {
                "to_guest": base64.b64encode(TO_GUEST).decode(),
                "to_control": base64.b64encode(TO_CONTROL).decode(),
            },
            "credentials": {
                "access_key_id": "test",
                "secret_access_key": "test",
                "session_token": "test",
                "expires_at": expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
            },
            "queues": {name: f"{self.url}/000000000000/{name}" for name in self.queues},
            "heartbeat_seconds": 30,
        }

    def enrol(self, document: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        self.calls.append("enrol")
        if document["token"] != TOKEN or not self.token_valid:
            return 401, {}
        key = base64.b64decode(document["public_key"])
        fields = ("token", "public_key", "server_id", "issued_at_ms")
        text = proofs.of_enrolment(*(document[name] for name in fields))
        if not _fits(key, document["signature"], text):
            return 401, {}
        if abs(document["issued_at_ms"] / 1000 - self.now()) > CLOCK_SKEW_SECONDS:
            return 400, {}
        if self.public_key not in (None, key):
            return 409, {}
        if document["issued_at_ms"] <= self.issued_at_ms:
            return 400, {}
        self.public_key, self.issued_at_ms = key, document["issued_at_ms"]
        self.epoch += 1
        return 200, self.session()

    def renew(self, document: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        self.calls.append("renew+start" if document["start"] else "renew")
        fields = ("instance_id", "generation", "issued_at_ms", "start")
        text = proofs.of_renewal(*(document[name] for name in fields))
        if self.public_key is None or not _fits(self.public_key, document["signature"], text):
            return 401, {}
        if document["issued_at_ms"] <= self.issued_at_ms:
            return 400, {}
        self.issued_at_ms = document["issued_at_ms"]
        self.epoch += int(document["start"])
        return 200, self.session()

    def storage(self, document: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        self.calls.append("storage")
        fields = ("instance_id", "generation", "issued_at_ms", "backup_id")
        text = proofs.of_storage(*(document[name] for name in fields))
        if self.public_key is None or not _fits(self.public_key, document["signature"], text):
            return 401, {}
        if document["issued_at_ms"] <= self.issued_at_ms:
            return 400, {}
        self.issued_at_ms = document["issued_at_ms"]
        return (410, {}) if self.lends is None else (200, self.lends)

    def command(self, method: str, args: dict[str, Any] | None = None, **changes: Any) -> Envelope:
        """A command as the control plane would send it."""
        now = self.now()
        fields: dict[str, Any] = {
            "id": str(uuid.uuid4()),
            "instance_id": INSTANCE,
            "generation": self.generation,
            "kind": "command",
            "method": method,
            "args": args or {},
            "issued_at": now,
            "expires_at": now + 60,
        }
        return Envelope(**(fields | changes))

    def send(self, command: Envelope, key: bytes = TO_GUEST) -> str:
        self.queues["guest"].send(bus.seal(command, Direction.TO_GUEST, key))
        return command.id

    def reports(self, queue: str = "conductor") -> list[Envelope]:
        """Everything that was sent on a queue, opened."""
        bodies = list(self.queues[queue].history)
        return [
            bus.open_sealed(body, Direction.TO_CONTROL, lambda _: TO_CONTROL) for body in bodies
        ]

    def results(self, command_id: str) -> list[Envelope]:
        return [r for r in self.reports() if r.kind == "result" and r.id == command_id]

    def answer(self, command_id: str, seconds: float = WAIT_SECONDS) -> Envelope:
        """The result of a command, within a deadline."""
        return wait_for(lambda: self.results(command_id), seconds)[0]

    def ask(
        self, method: str, args: dict[str, Any] | None = None, seconds: float = WAIT_SECONDS
    ) -> Envelope:
        return self.answer(self.send(self.command(method, args)), seconds)


def _fits(public_key: bytes, signature: str, text: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(base64.b64decode(signature), text)
    except InvalidSignature:
        return False
    return True


T = TypeVar("T")


def wait_for(found: Callable[[], T], seconds: float = WAIT_SECONDS) -> T:
    """The first true value of a condition; fails at the deadline."""
    deadline = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < deadline, f"did not come true within {seconds} s"
        time.sleep(0.005)
    return value


class _Handler(BaseHTTPRequestHandler):
    control: ControlPlane
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        document = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"{}")
        target = self.headers.get("X-Amz-Target")
        if target and not self.control.accepts(self.headers["X-Amz-Date"]):
            status, answer = 403, {"__type": "com.amazon.coral.service#SignatureDoesNotMatch"}
        elif target:
            status, answer = self._sqs(target.split(".")[1], document)
        elif self.control.refusals:
            status, answer = self.control.refusals.pop(0), {}
        elif self.path.endswith("/enrol"):
            status, answer = self.control.enrol(document)
        elif self.path.endswith("/storage"):
            status, answer = self.control.storage(document)
        else:
            status, answer = self.control.renew(document)
        body = json.dumps(answer).encode()
        self.send_response_only(status)
        self.send_header("Date", formatdate(self.control.now(), usegmt=True))
        if status == 413 and self.control.retry_after is not None:
            self.send_header("Retry-After", self.control.retry_after)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            self.wfile.write(body)

    def do_GET(self) -> None:
        """A file, or the piece of it that is asked for."""
        found = self.control.files.get(self.path)
        first, _, last = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
        body = (found or b"")[int(first) : int(last) + 1 if last else None]
        self.send_response_only(404 if found is None else 206 if "Range" in self.headers else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            self.wfile.write(body)

    def do_PUT(self) -> None:
        """An object of a backup."""
        self.control.put.set()
        self.control.puts.wait(WAIT_SECONDS)
        self.control.files[self.path] = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response_only(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _client_is_gone(self) -> bool:
        """Whether the agent that polls was killed; its poll must not take a message along."""
        readable, _, _ = select.select([self.connection], [], [], 0)
        return bool(readable) and not self.connection.recv(1, socket.MSG_PEEK)

    def _sqs(self, call: str, asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        queue = self.control.queues[asked["QueueUrl"].rsplit("/", 1)[1]]
        match call:
            case "ReceiveMessage":
                messages = queue.receive(
                    asked["WaitTimeSeconds"],
                    asked["VisibilityTimeout"],
                    asked["MaxNumberOfMessages"],
                    self._client_is_gone,
                )
                return 200, {"Messages": messages} if messages else {}
            case "SendMessage":
                return 200, {"MessageId": queue.send(asked["MessageBody"])}
            case "DeleteMessage":
                queue.delete(asked["ReceiptHandle"])
            case "ChangeMessageVisibility":
                queue.hide(asked["ReceiptHandle"], asked["VisibilityTimeout"])
        return 200, {}

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Quiet."""
