"""A ring of master keys by version, and how it is rotated: distribute, then use, then retire.

    with_new            usable_at              used                     retirable_at       retired
    ────┼───────────────────┼───────────────────┼───────────────────────────┼─────────────────┼──▶
        every container reads the ring again    new messages are sealed     nothing sealed with
        until here, or looks when it meets it   with the new version        the old one is left

No input and output here: `infra/keyrings.py` reads and writes the parameters.
"""

from __future__ import annotations

from typing import Final

import msgspec

from chalicelib.bus.envelope import KEY_BYTES
from chalicelib.parameters import REFRESH_SECONDS

DISTRIBUTE_SECONDS: Final = REFRESH_SECONDS + 60.0
"""From a new version to its use: the age of what a container holds, and an invocation (30 s) that
began just before with a clock that is a little off."""
RETAIN_SECONDS: Final = 15 * 86400.0
"""From the use of a version to the end of those before it: SQS keeps a message for 14 days at most,
an operation or an enrolment token ends within one."""
MOST_VERSIONS: Final = 8
"""A guest is given them all."""
MOST_KEPT_VERSIONS: Final = 64
"""Of a ring that none is retired from: the parameter has room for 4 KB."""


class TooEarly(Exception):
    """The step has to wait; `until` is when it may be taken, in seconds since the epoch."""

    def __init__(self, message: str, until: float) -> None:
        super().__init__(message)
        self.until = until


class KeyRing(msgspec.Struct, frozen=True):
    """The content of a parameter of keys: 32-byte keys (base64 in JSON) by version.

    `current` seals what is new. `added` is when the newest version was added, `used` when the
    current one became so; seconds since the epoch.
    """

    keys: dict[int, bytes]
    current: int
    added: float
    used: float

    def __repr__(self) -> str:
        return f"KeyRing(versions={sorted(self.keys)}, current={self.current})"

    @property
    def newest(self) -> int:
        """The highest version; versions are never used twice, for the newest is never retired."""
        return max(self.keys)

    @property
    def usable_at(self) -> float:
        """When every container can open what the newest version seals."""
        return self.added + DISTRIBUTE_SECONDS

    @property
    def retirable_at(self) -> float:
        """When nothing is left that a version before the current one has sealed."""
        return self.used + RETAIN_SECONDS

    def with_new(self, key: bytes, now: float, most: int = MOST_VERSIONS) -> KeyRing:
        """The ring with one more version, which nothing is sealed with yet.

        Raises ValueError where it has `most` versions already.
        """
        assert len(key) == KEY_BYTES, "a master key is as long as what is derived from it"
        if len(self.keys) >= most:
            raise ValueError(f"the ring is full: {most} versions")
        return KeyRing({**self.keys, self.newest + 1: key}, self.current, now, self.used)

    def with_newest_in_use(self, now: float) -> KeyRing:
        """The ring with its newest version as the current one; `TooEarly` before `usable_at`."""
        if self.newest == self.current:
            return self
        if now < self.usable_at:
            raise TooEarly("not every container can have the newest version yet", self.usable_at)
        return KeyRing(self.keys, self.newest, self.added, now)

    def without_old(self, now: float, *, forced: bool = False) -> KeyRing:
        """The ring without the versions before the current one; `TooEarly` before `retirable_at`.

        Forced, what the old versions have sealed and nobody has opened yet is lost.
        """
        left = {version: key for version, key in self.keys.items() if version >= self.current}
        if left.keys() == self.keys.keys():
            return self
        if not forced and now < self.retirable_at:
            reason = "messages of the old versions may still be on their way"
            raise TooEarly(reason, self.retirable_at)
        return KeyRing(left, self.current, self.added, self.used)


def first(key: bytes, now: float) -> KeyRing:
    """The ring of a new deployment."""
    return KeyRing({1: key}, 1, now, now)
