"""Who this guest is: its key pair and the few facts that outlive the process, on its own disk."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Protocol

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from chalicelib import aws
from guest_agent.errors import ConfigurationMissing
from guest_agent.files import own_folder, write_whole

KEY_FILE: Final = "key.pem"
STATE_FILE: Final = "enrolled.json"
AHEAD_MS: Final = 300_000  # how far from its own clock the control plane accepts a request


class Identity(Protocol):
    """What enrolment needs of it; the simulator keeps one in memory."""

    @property
    def public_key(self) -> bytes: ...

    def sign(self, message: bytes) -> bytes: ...

    def enrolled_generation(self) -> int:
        """The generation that has enrolled with this key; 0 when none has."""
        ...

    def remember_accepted(self, generation: int, issued_at_ms: int) -> None:
        """The control plane accepted a request of that time: the generation is enrolled."""
        ...

    def next_issue(self, now_ms: int) -> int:
        """A time in milliseconds, later than any that was accepted before."""
        ...


def next_time(now_ms: int, used_ms: int, accepted_ms: int) -> int:
    """The time of the next request: later than any that may have been accepted.

    One that was used far ahead of now was signed by a wrong clock and refused; what was accepted
    counts in its place, since the corrected clock may be half a second behind it.
    """
    if used_ms > now_ms + AHEAD_MS:
        used_ms = accepted_ms
    return max(now_ms, used_ms + 1)


class _State(msgspec.Struct):
    generation: int = 0
    issued_at_ms: int = 0
    accepted_at_ms: int = 0


class DiskIdentity:
    """An Ed25519 key pair, made on first use and persisted before anyone hears of it."""

    def __init__(self, folder: Path) -> None:
        with own_folder(folder, 0o700):
            pass
        self._folder = folder
        self._lock = aws.lock()  # the loop and the pulse may both renew
        self._key = self._load_or_make_key()
        self._state = self._load_state()

    @property
    def public_key(self) -> bytes:
        return self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)

    def enrolled_generation(self) -> int:
        return self._state.generation

    def remember_accepted(self, generation: int, issued_at_ms: int) -> None:
        with self._lock:
            accepted = max(issued_at_ms, self._state.accepted_at_ms)
            self._save(
                msgspec.structs.replace(self._state, generation=generation, accepted_at_ms=accepted)
            )

    def next_issue(self, now_ms: int) -> int:
        with self._lock:
            issued = next_time(now_ms, self._state.issued_at_ms, self._state.accepted_at_ms)
            self._save(msgspec.structs.replace(self._state, issued_at_ms=issued))
            return issued

    def _load_or_make_key(self) -> Ed25519PrivateKey:
        path = self._folder / KEY_FILE
        if not path.exists():
            made = Ed25519PrivateKey.generate()
            pem = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            write_whole(path, pem)
        try:
            key = load_pem_private_key(path.read_bytes(), password=None)
        except (OSError, ValueError) as error:
            raise ConfigurationMissing(
                f"{path} is not a readable private key ({type(error).__name__}); this guest cannot "
                "prove who it is: rebuild the server"
            ) from None
        if not isinstance(key, Ed25519PrivateKey):
            raise ConfigurationMissing(f"{path} is not an Ed25519 key: rebuild the server")
        return key

    def _load_state(self) -> _State:
        try:
            return msgspec.json.decode((self._folder / STATE_FILE).read_bytes(), type=_State)
        except (FileNotFoundError, msgspec.DecodeError):
            return _State()  # enrolling again with the same key is safe

    def _save(self, state: _State) -> None:
        write_whole(self._folder / STATE_FILE, msgspec.json.encode(state))
        self._state = state
