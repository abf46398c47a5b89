"""The world behind `chalicelib.aws` in tests: a clock that is moved, clients in memory, faults.

Each call of a client and each call of the cloud is one effect. `on_effect` may raise before or
after it, or ask for it to be applied twice.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from datetime import UTC, datetime
from enum import Enum, auto
from typing import Any, Final

import msgspec

from chalicelib.aws import Provider
from chalicelib.bus.keyring import KeyRing
from chalicelib.parameters import Credential
from simulator.aws.dynamodb.service import Chances, DynamoDB
from simulator.aws.errors import client_error
from tests.support.sqs import BASE, MemorySqs

SERVICE_PASSWORD: Final = "service-password-of-the-tests"
START: Final = 1_800_000_000.0

ENVIRONMENT: Final = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "COFFER_SECRETS_PATH": "/coffer",
    "COFFER_TASKMANAGER_QUEUE_URL": f"{BASE}coffer-taskmanager",
    "COFFER_CONDUCTOR_QUEUE_URL": f"{BASE}coffer-conductor",
    "COFFER_HEARTBEATS_QUEUE_URL": f"{BASE}coffer-heartbeats",
    "COFFER_DEAD_LETTERS_QUEUE_URL": f"{BASE}coffer-dead-letters",
    "COFFER_GUEST_ROLE_ARN": "arn:aws:iam::123456789012:role/coffer-guest",
    "COFFER_GUEST_QUEUE_ARN_PREFIX": "arn:aws:sqs:us-east-1:123456789012:coffer-guest-",
    "COFFER_STATE_MACHINE_ARN_PREFIX": "arn:aws:states:us-east-1:123456789012:stateMachine:coffer-",
    "COFFER_CONTROL_URL": "http://127.0.0.1/api",
    "COFFER_NETWORK_ID": "network-1",
    "COFFER_DEPLOYMENT_ID": "deployment-of-the-tests",
}


class Killed(BaseException):
    """The process died here: nothing may catch it."""


class Fault(Enum):
    """What can happen at an effect."""

    KILLED_AFTER = auto()
    REPLY_LOST = auto()
    REFUSED = auto()


class Late(Chances):
    """Reads that are behind, but for consistent ones."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def lag(self, table: str, index: str | None) -> float:
        return self._seconds


class World(Provider):
    """A provider whose clock is moved by hand and whose clients are in memory."""

    def __init__(self, models: Any = ()) -> None:
        super().__init__()
        self.now = START
        self.randomness = random.Random(1)
        self.dynamodb: Any = DynamoDB(lambda: self.now)
        self.dynamodb.create_tables(models)
        self.sqs: Any = MemorySqs(lambda: self.now)
        self.ssm: Any = MemorySsm()
        self.sts: Any = MemorySts(self)
        self.stepfunctions: Any = None
        self.sleeps: list[float] = []
        self.log: list[str] = []
        self.faults: dict[int, Fault] = {}
        self.interruptions: dict[str, Callable[[], object]] = {}
        self.on_sleep: Callable[[], None] = lambda: None
        for name in ("dead-letters", "heartbeats", "taskmanager", "conductor"):
            self.sqs.make(f"coffer-{name}", redrive=name in ("taskmanager", "conductor"))

    def read_late(self, seconds: float, models: Any) -> None:
        """Take empty tables instead, of which all but consistent reads are so far behind."""
        self.dynamodb = DynamoDB(self.clock, Late(seconds))
        self.dynamodb.most_lag_seconds = seconds
        self.dynamodb.create_tables(models)

    def clock(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now

    def new_id(self) -> str:
        raw = self.randomness.getrandbits(128).to_bytes(16, "big").hex()
        return f"{raw[:8]}-{raw[8:12]}-4{raw[13:16]}-8{raw[17:20]}-{raw[20:]}"

    def token_bytes(self, size: int) -> bytes:
        return self.randomness.randbytes(size)

    def random(self) -> float:
        return self.randomness.random()

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now += seconds
        self.on_sleep()

    def client(self, service: str) -> Any:
        return Counted(self, service, getattr(self, service))

    def effect(self, name: str, apply: Callable[[], Any], lost: Exception | None = None) -> Any:
        """Run one effect with the fault that is planned for it, if any.

        A lost reply makes botocore send the call again; the cloud's caller gets the error `lost`.
        """
        if interruption := self.interruptions.pop(name, None):
            interruption()  # somebody else's whole turn, right before this effect
        self.log.append(name)
        match self.faults.get(len(self.log)):
            case None:
                return apply()
            case Fault.KILLED_AFTER:
                apply()
                raise Killed(name)
            case Fault.REPLY_LOST:
                apply()
                if lost is not None:
                    raise lost
                return apply()
            case Fault.REFUSED:
                raise lost or client_error("ThrottlingException", name, "slow down")


class Counted:
    """A client whose every call is an effect of the world."""

    def __init__(self, world: World, service: str, client: Any) -> None:
        self._world, self._service, self._client = world, service, client
        self._request_signer = None
        self.exceptions = getattr(client, "exceptions", None)

    def _make_api_call(self, operation: str, kwargs: dict[str, Any]) -> Any:
        name = f"{self._service}.{operation}"
        return self._world.effect(name, lambda: self._client._make_api_call(operation, kwargs))

    def __getattr__(self, name: str) -> Callable[..., Any]:
        call = getattr(self._client, name)

        def counted(**kwargs: Any) -> Any:
            return self._world.effect(f"{self._service}.{name}", lambda: call(**kwargs))

        return counted


class MemorySsm:
    """The parameters; both rings have the keys of two versions, of which the first is current."""

    def __init__(self) -> None:
        self.ring = KeyRing({n: bytes([n]) * 32 for n in (1, 2)}, 1, START, START)
        self.credential = Credential("coffer", SERVICE_PASSWORD)

    def get_parameter(self, **asked: Any) -> dict[str, Any]:
        """A parameter, decrypted."""
        content = self.ring if asked["Name"].endswith("-keys") else self.credential
        return {"Parameter": {"Value": msgspec.json.encode(content).decode()}}


class MemorySts:
    """Hands out credentials and remembers what was asked."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.asked: list[dict[str, Any]] = []
        self._numbers = itertools.count(1)

    def assume_role(self, **kwargs: Any) -> dict[str, Any]:
        """Credentials for a session."""
        self.asked.append(kwargs)
        ends = datetime.fromtimestamp(self.world.now + kwargs["DurationSeconds"], UTC)
        return {
            "Credentials": {
                "AccessKeyId": f"key-{next(self._numbers)}",
                "SecretAccessKey": "secret",
                "SessionToken": "session",
                "Expiration": ends,
            }
        }
