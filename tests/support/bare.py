"""The simulator's services with no function on them: a test is who calls, and time is its to spend.

Each call of a client is an effect, also the test's own: it can be refused, lose its answer, or have
somebody come between.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum, auto
from typing import Any, Final

import msgspec
from botocore.exceptions import ConnectionClosedError

from chalicelib import parameters
from chalicelib.bus.keyring import KeyRing
from simulator.aws.dynamodb.account import Chances
from simulator.aws.dynamodb.client import DynamoDBClient
from simulator.aws.errors import client_error
from simulator.effects import Effect, Effects
from simulator.kernel import START, Kernel
from simulator.provider import SimProvider
from simulator.services import SECRETS_PATH, Services

CALLER: Final = "test"


class Fault(Enum):
    """What can happen at a call."""

    REPLY_LOST = auto()
    """It took effect, and is made again: botocore does so."""
    REFUSED = auto()
    """It is throttled, as often as it is made."""


class Late(Chances):
    """Reads that are behind, but for consistent ones."""

    seconds = 0.0

    def lag(self, table: str, index: str | None) -> float:
        return self.seconds


class Patient(SimProvider):
    """Remembers how long somebody slept, and lets a test do something after each time."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.sleeps: list[float] = []
        self.on_sleep: Callable[[], object] = lambda: None

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        super().sleep(seconds)
        self.on_sleep()


class World(Services):
    """Services, clock and faults. `close` gives the process back."""

    def __init__(self, latency_seconds: float = 0.0) -> None:
        """A call takes half to one and a half times `latency_seconds`."""
        self._late = Late()
        effects = Effects(Kernel(1), latency_seconds)
        effects.outsider = CALLER
        super().__init__(effects, network_id="network-1", data_chances=self._late)
        self.provider: Patient = Patient(self.kernel, self.clients, self._guest_client)
        effects.hooks.append(self)
        self.log: list[str] = []
        """Every call that was made."""
        self.faults: dict[int, Fault] = {}
        """By the number of the call, from 1."""
        self.interruptions: dict[str, Callable[[], object]] = {}
        """What happens right before the next call of that name, once: somebody else's turn."""
        self.assumed: list[dict[str, Any]] = []
        """What STS was asked."""
        self.bodies: list[str] = []
        """Every message that was sent."""
        self.sqs.watchers.append(lambda _, message: self.bodies.append(message.body))
        self._last: Effect | None = None
        self.ring = KeyRing({n: bytes([n]) * 32 for n in (1, 2)}, 1, START, START)

    # ------------------------------------------------------------------------------- time

    @property
    def now(self) -> float:
        """Seconds since the epoch."""
        return self.kernel.now

    def run(self, seconds: float) -> None:
        """Let time pass."""
        self.kernel.run(self.kernel.now + seconds)

    def run_until(self, when: float) -> None:
        """Let time pass until then."""
        self.kernel.run(when)

    # --------------------------------------------------------------------------- services

    @property
    def ring(self) -> KeyRing:
        """The keys of guests and of the control plane: two versions; the first is used."""
        name = f"{SECRETS_PATH}/{parameters.GUEST_KEYS}"
        found = self.ssm.get_parameter(Name=name, WithDecryption=True)
        return msgspec.json.decode(found["Parameter"]["Value"], type=KeyRing)

    @ring.setter
    def ring(self, ring: KeyRing) -> None:
        for name in (parameters.GUEST_KEYS, parameters.CONTROL_KEYS):
            self.put(name, ring)

    def put(self, name: str, content: Any) -> None:
        """Give a parameter another content."""
        text = msgspec.json.encode(content).decode()
        self.ssm.put_parameter(Name=f"{SECRETS_PATH}/{name}", Value=text, Overwrite=True)

    def use_dynamodb(self, client: Any) -> None:
        """Have the tables of another DynamoDB."""
        self.clients["dynamodb"] = DynamoDBClient(client, self.effects)

    def read_late(self, seconds: float) -> None:
        """All but consistent reads are so far behind."""
        self._late.seconds = self.dynamodb.most_lag_seconds = seconds
        for table in self.dynamodb.tables.values():
            table.most_lag_seconds = seconds

    @property
    def calls(self) -> Counter[str]:
        """How often each call was made."""
        return Counter(self.log)

    # ------------------------------------------------------------------------------ hooks

    def before(self, effect: Effect) -> None:
        name = f"{effect.service}.{effect.call}"
        if effect is not self._last:
            if interruption := self.interruptions.pop(name, None):
                interruption()
            self.log.append(name)
            self._last = effect
            if effect.service == "sts":
                self.assumed.append(effect.what)
        if self.faults.get(len(self.log)) is Fault.REFUSED:
            raise client_error("ThrottlingException", name, "slow down")

    def after(self, effect: Effect) -> None:
        number = len(self.log)
        if self.faults.get(number) is Fault.REPLY_LOST:
            del self.faults[number]
            raise ConnectionClosedError(endpoint_url=f"https://{effect.service}")


@contextmanager
def fresh(latency_seconds: float = 0.0) -> Iterator[World]:
    """Empty tables, empty queues, and a clock that moves with calls, or when it is moved."""
    made = World(latency_seconds)
    made.deploy()
    try:
        yield made
    finally:
        made.close()
