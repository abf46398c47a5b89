"""A fleet with a control plane of a few lines beside it: it lets guests in and collects reports."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from chalicelib import aws
from chalicelib.bus import proofs
from chalicelib.bus.envelope import Direction, Envelope, open_sealed, seal
from chalicelib.domain.user_data import GuestConfiguration, for_guest
from simulator.aws.client import Client
from simulator.aws.sqs.service import Sqs
from simulator.cloud.model.seams import GuestSpec, GuestVolume, Interface
from simulator.effects import Effects
from simulator.fleet.fleet import Fleet
from simulator.fleet.guest import Guest
from simulator.kernel import START, Kernel
from simulator.provider import SimProvider

PERIOD = 60.0
LIFE_SECONDS = 3600.0
PREPARE: dict[str, Any] = {
    "datastore": {"manager": "mariadb", "version": "10.11"},
    "flavor": {"ram": 512, "vcpus": 1},
    "device_path": "/dev/vdb",
    "mount_point": "/var/lib/mysql",
    "databases": [{"name": "shop"}],
    "users": [{"name": "alice", "password": "secret", "databases": [{"name": "shop"}]}],
}


class World:
    """Virtual time, queues, and who may enrol. `status` is what every request is answered."""

    def __init__(self, seed: int = 1) -> None:
        self.kernel = Kernel(seed)
        self.effects = Effects(self.kernel)
        self.sqs = Sqs(self.kernel)
        client = Client("sqs", self.sqs, self.effects)
        self.provider = SimProvider(self.kernel, {"sqs": client})
        self.fleet = Fleet(self.kernel, self, self.provider.skew, self.effects)
        self.said: list[tuple[float, str]] = []
        self.fleet.watch(lambda server, text: self.said.append((self.now, text)))
        self.status = 200
        self.key_version = 1
        self.calls: list[str] = []
        self.keys: dict[str, bytes] = {}
        self.issued: dict[str, int] = {}
        self.epochs: dict[str, int] = {}
        self.generations: dict[str, int] = {}
        self.reports: list[Envelope] = []
        for name in ("conductor", "heartbeats"):
            self.sqs.create_queue(QueueName=name)

    @property
    def now(self) -> float:
        """Virtual seconds since the start."""
        return self.kernel.now - START

    def run(self, seconds: float) -> None:
        """Let time pass; what reached the control plane is opened."""
        self.kernel.run(self.kernel.now + seconds, most_events=2_000_000)
        self._collect()

    # ------------------------------------------------------------------------- servers

    def spec(self, number: int = 1, generation: int = 1) -> GuestSpec:
        """A server with its user data, a port and a volume."""
        instance = f"00000000-0000-4000-8000-{number:012d}"
        name = f"guest-{instance}-{generation}"
        if name not in self.sqs.queues:
            self.sqs.create_queue(QueueName=name)
        self.generations[instance] = generation
        configuration = GuestConfiguration(
            instance_id=instance,
            generation=generation,
            control_url="https://control/api",
            enrolment_token=f"token-{instance}-{generation}",
            datastore_manager="mariadb",
            datastore_version="10.11",
            region="us-east-1",
            aws_endpoint_url=None,
        )
        volume = f"volume-{number}"
        if volume not in self.fleet.volumes:
            self.fleet.create_volume(volume, 2, None, lambda error: None)
        address = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
        return GuestSpec(
            server_id=f"11111111-0000-4000-8000-{number:012d}",
            name=name,
            hostname=name,
            project_id="p",
            metadata={},
            user_data=for_guest(configuration).encode(),
            interfaces=[Interface("port", "mac", "net", address, "255.0.0.0", None)],
            volumes=[GuestVolume(volume, "/dev/vdb")],
        )

    def boot(self, number: int = 1, generation: int = 1) -> Guest:
        """A server that was just created."""
        spec = self.spec(number, generation)
        self.fleet.boot(spec, lambda error: None)
        return self.fleet.guests[spec.server_id]

    def prepared(self, number: int = 1) -> Guest:
        """A guest that has enrolled and prepared."""
        guest = self.boot(number)
        self.run(40)
        self.send(guest, "prepare", PREPARE, life=600)
        self.run(60)
        assert self.statuses()[-1] == "healthy"
        self.reports.clear()
        self.said.clear()
        return guest

    # ------------------------------------------------------------------- control plane

    def http(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Enrolment and renewal as the contract has them."""
        return self.effects.perform(
            "api", path, lambda: self._answer(path, msgspec.json.decode(body))
        )

    def _answer(self, path: str, document: Any) -> tuple[int, Mapping[str, str], bytes]:
        self.calls.append(path.rsplit("/", 1)[1])
        if self.status != 200:
            return self.status, {}, b"{}"
        if path == "/guest/v1/enrol":
            instance, _, generation = document["token"].removeprefix("token-").rpartition("-")
            key = base64.b64decode(document["public_key"])
            if self.keys.setdefault(f"{instance}-{generation}", key) != key:
                return 409, {}, b"{}"
            fields = ("token", "public_key", "server_id", "issued_at_ms")
            text = proofs.of_enrolment(*(document[name] for name in fields))
        else:
            instance, generation = document["instance_id"], str(document["generation"])
            fields = ("instance_id", "generation", "issued_at_ms", "start")
            text = proofs.of_renewal(*(document[name] for name in fields))
        guest, issued = f"{instance}-{generation}", document["issued_at_ms"]
        if not self._proven(guest, document, text):
            return 401, {}, b"{}"
        if issued <= self.issued.get(guest, 0):
            return 400, {}, b"{}"
        self.issued[guest] = issued
        if int(generation) != self.generations.get(instance):
            return 410, {}, b"{}"
        if path == "/guest/v1/enrol" or document["start"]:
            self.epochs[instance] = self.epochs.get(instance, 0) + 1
        return 200, {}, msgspec.json.encode(self.admission(instance, int(generation)))

    def _proven(self, guest: str, document: Any, text: bytes) -> bool:
        if guest not in self.keys:
            return False
        try:
            Ed25519PublicKey.from_public_bytes(self.keys[guest]).verify(
                base64.b64decode(document["signature"]), text
            )
        except InvalidSignature:
            return False
        return True

    def admission(self, instance: str, generation: int) -> dict[str, Any]:
        """What a guest that is let in gets to know."""
        expires = datetime.fromtimestamp(int(self.kernel.now), UTC) + timedelta(0, LIFE_SECONDS)
        return {
            "instance_id": instance,
            "generation": generation,
            "epoch": self.epochs.get(instance, 1),
            "key_version": self.key_version,
            "keys": {
                str(way): base64.b64encode(self.key(instance, generation, way)).decode()
                for way in Direction
            },
            "credentials": {
                "access_key_id": "ASIA0000000000000001",
                "secret_access_key": "secret-of-ASIA0000000000000001",
                "session_token": "token-of-ASIA0000000000000001",
                "expires_at": expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
            },
            "queues": {
                "guest": self.sqs.url(f"guest-{instance}-{generation}"),
                "conductor": self.sqs.url("conductor"),
                "heartbeats": self.sqs.url("heartbeats"),
            },
            "heartbeat_seconds": PERIOD,
        }

    def key(self, instance: str, generation: int, way: Direction) -> bytes:
        """The key of one direction."""
        text = f"{instance}/{generation}/{way}/{self.key_version}"
        return hashlib.sha256(text.encode()).digest()

    def send(
        self,
        guest: Guest,
        method: str,
        args: dict[str, Any] | None = None,
        *,
        life: float = 60.0,
        command_id: str | None = None,
    ) -> str:
        """Put a command on a guest's queue; its id."""
        file = guest.agent_file
        assert file is not None
        command = Envelope(
            id=command_id or aws.new_id(),
            instance_id=file.instance_id,
            generation=file.generation,
            kind="command",
            method=method,
            args=args or {},
            issued_at=self.kernel.now,
            expires_at=self.kernel.now + life,
            key_version=self.key_version,
        )
        key = self.key(file.instance_id, file.generation, Direction.TO_GUEST)
        url = self.sqs.url(f"guest-{file.instance_id}-{file.generation}")
        self.sqs.send_message(QueueUrl=url, MessageBody=seal(command, Direction.TO_GUEST, key))
        return command.id

    def _collect(self) -> None:
        for name in ("conductor", "heartbeats"):
            while records := self.sqs.take(name, 10):
                for record in records:
                    self.reports.append(
                        open_sealed(
                            record["body"],
                            Direction.TO_CONTROL,
                            lambda header: self.key(
                                header.instance_id, header.generation, Direction.TO_CONTROL
                            ),
                        )
                    )
                self.sqs.settle(name, [record["receiptHandle"] for record in records])

    def of(self, kind: str) -> list[Envelope]:
        """The reports of a kind."""
        return [report for report in self.reports if report.kind == kind]

    def statuses(self) -> list[str]:
        """What the heartbeats said."""
        return [(report.result or {})["status"] for report in self.of("heartbeat")]

    def results(self, command_id: str) -> list[Envelope]:
        """The answers to a command."""
        return [report for report in self.of("result") if report.id == command_id]
