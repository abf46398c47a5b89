"""The deployment's secrets: one encrypted parameter (SSM) for each group of functions.

    guest-keys      what messages of guests are sealed with       API, task manager, conductor,
                                                                  heartbeats, dead letters
    control-keys    what the control plane seals for itself       API, both task managers
    backup-keys     what the keys of backups are sealed with      API
    container-keys  what URLs of tenants' containers are signed   API, the task manager
                    with
    cloud           the user that makes servers and volumes       the task manager of the cloud
    identity        the user that may validate tokens             API

A container reads a parameter at its first need and again when what it holds is old, or when it
meets something that points to newer content, so that a change reaches every container in
`REFRESH_SECONDS` without a deploy, and nobody can turn forged messages into calls of SSM.
"""

from __future__ import annotations

import logging
from typing import Any, Final, TypeVar

import msgspec

from chalicelib import aws
from chalicelib.outages import OUTAGES
from chalicelib.settings import settings

GUEST_KEYS: Final = "guest-keys"
CONTROL_KEYS: Final = "control-keys"
BACKUP_KEYS: Final = "backup-keys"
CONTAINER_KEYS: Final = "container-keys"
CLOUD: Final = "cloud"
IDENTITY: Final = "identity"
NAMES: Final = (GUEST_KEYS, CONTROL_KEYS, BACKUP_KEYS, CONTAINER_KEYS, CLOUD, IDENTITY)

REFRESH_SECONDS: Final = 300.0
"""What a container holds is never older, unless SSM is away."""
LOOK_SECONDS: Final = 10.0
"""The shortest time between two looks of one container at one parameter."""

T = TypeVar("T")

log = logging.getLogger(__name__)


class Credential(msgspec.Struct, frozen=True, omit_defaults=True):
    """A user of the cloud; both in one parameter, so that a change is seen as a whole.

    With `application` they are the id and the secret of an application credential, which names
    its user, project and roles by itself.
    """

    username: str
    password: str
    application: bool = False

    def __repr__(self) -> str:
        return f"Credential({self.username!r})"

    def login(self, auth_url: str, **scope: str) -> dict[str, Any]:
        """The arguments of openstacksdk's `connect`; `scope` names the project and the domains."""
        if not self.application:
            auth = {"username": self.username, "password": self.password, **scope}
            return {"auth_type": "password", "auth": {"auth_url": auth_url, **auth}}
        auth = {
            "application_credential_id": self.username,
            "application_credential_secret": self.password,
        }
        return {"auth_type": "v3applicationcredential", "auth": {"auth_url": auth_url, **auth}}


class _Held:
    """What a container holds of a parameter, and when it looked last (whether answered or not)."""

    __slots__ = ("looked", "value")

    def __init__(self, value: Any) -> None:
        self.value = value
        self.looked = aws.clock()


def held(name: str, kind: type[T]) -> T:
    """The content of a parameter, at most `REFRESH_SECONDS` old; raises what the first look meets.

    While SSM is away, or the new content cannot be read, the old one goes on being used.
    """
    kept = _kept(name, kind)
    if aws.clock() - kept.looked >= REFRESH_SECONDS:
        _look(name, kind, kept)
    value: T = kept.value
    return value


def looked_up(name: str, kind: type[T]) -> T:
    """The same, for someone who met a sign of newer content: looked up again unless just done."""
    kept = _kept(name, kind)
    if aws.clock() - kept.looked >= LOOK_SECONDS:
        _look(name, kind, kept)
    value: T = kept.value
    return value


def _kept(name: str, kind: type[Any]) -> _Held:
    return aws.remembered(f"parameter {name}", lambda: _Held(_read(name, kind)))


def _look(name: str, kind: type[Any], kept: _Held) -> None:
    kept.looked = aws.clock()  # first: a look that fails is one too
    try:
        kept.value = _read(name, kind)
    except (msgspec.DecodeError, *OUTAGES):
        log.exception("the parameter %s was not read again", name)


def _read(name: str, kind: type[Any]) -> Any:
    path = f"{settings().secrets_path}/{name}"
    answer = aws.client("ssm").get_parameter(Name=path, WithDecryption=True)
    return msgspec.json.decode(answer["Parameter"]["Value"], type=kind)
