"""The rings of master keys where they are kept: adds, uses and retires versions, each repeatable.

Every step looks first and changes nothing that is done already, so that a rotation that was
interrupted anywhere is gone on with by the same command. What a step means: chalicelib.bus.keyring.

Of the backups' rings no version is retired: what one has sealed, the key of each backup, and what
the other one has made, the key of a container with backups, live as long as those do.
"""

import secrets
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import msgspec

from chalicelib.bus.envelope import KEY_BYTES
from chalicelib.bus.keyring import MOST_KEPT_VERSIONS, MOST_VERSIONS, KeyRing, TooEarly
from chalicelib.parameters import BACKUP_KEYS, CONTAINER_KEYS, CONTROL_KEYS, GUEST_KEYS
from infra import secret_store
from infra.errors import StackError

RINGS: Final = (GUEST_KEYS, CONTROL_KEYS, BACKUP_KEYS, CONTAINER_KEYS)
KEPT: Final = (BACKUP_KEYS, CONTAINER_KEYS)
"""Those of which no version is retired."""
FRESH_SECONDS: Final = 3600.0
"""A rotation that ended so lately is the one that was asked for: running the command again after it
was cut off at its very end must not begin another one."""

Say = Callable[[str], None]


class KeyRings:
    """The rings of one deployment, below a path of the Parameter Store."""

    def __init__(
        self,
        ssm: Any,
        path: str,
        say: Say,
        new_key: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        """`ssm` is a client of the Parameter Store; `new_key` makes so many random bytes."""
        self._ssm = ssm
        self._path = path
        self._say = say
        self._new_key = new_key

    def distribute(self, now: float, *, again: bool = False) -> float | None:
        """Give each ring a new version that nothing is sealed with yet, unless one waits already.

        Returns from when on it may be used; None when the present version has been in use for less
        than `FRESH_SECONDS` (unless `again`): there is nothing to rotate.
        """
        waiting: list[float] = []
        for name in RINGS:
            stored = self._read(name)
            ring = stored.ring
            if ring.newest == ring.current:
                if not again and ring.current > 1 and now - ring.used < FRESH_SECONDS:
                    self._say(f"{name}: version {ring.current} is in use, and fresh")
                    continue
                if name in KEPT and len(ring.keys) >= MOST_KEPT_VERSIONS:
                    self._say(f"{name}: full; version {ring.current} stays in use")
                    continue
                ring = self._with_new(name, ring, now)
                self._replace(name, stored, ring)
                self._say(f"{name}: version {ring.newest} is distributed")
            else:
                self._say(f"{name}: version {ring.newest} was distributed before")
            waiting.append(ring.usable_at)
        return max(waiting, default=None)

    def use(self, now: float) -> None:
        """Seal with the newest version from now on; raises `TooEarly` before `usable_at`."""
        for name in RINGS:
            stored = self._read(name)
            ring = stored.ring.with_newest_in_use(now)
            if ring != stored.ring:
                self._replace(name, stored, ring)
            self._say(f"{name}: version {ring.current} is in use")

    def retire(self, now: float, *, forced: bool = False) -> None:
        """Remove what is older than the versions in use; raises StackError when it is too early.

        Also `forced` the backups' rings keep all of their versions.
        """
        for name in RINGS:
            stored = self._read(name)
            if name in KEPT:
                self._say(f"{name}: keeps every version, as backups are sealed with them")
                continue
            try:
                ring = stored.ring.without_old(now, forced=forced)
            except TooEarly as early:
                days = (early.until - now) / 86400
                raise StackError(
                    f"{name}: {early}, for {days:.1f} days more.",
                    "Wait that long. --force removes them now: what they have sealed is lost.",
                ) from None
            if ring != stored.ring:
                self._replace(name, stored, ring)
            self._say(f"{name}: has the versions {', '.join(map(str, sorted(ring.keys)))}")

    def _with_new(self, name: str, ring: KeyRing, now: float) -> KeyRing:
        most = MOST_KEPT_VERSIONS if name in KEPT else MOST_VERSIONS
        try:
            return ring.with_new(self._new_key(KEY_BYTES), now, most)
        except ValueError as full:
            raise StackError(f"{full}.", "Run: coffer rotate-key --retire") from None

    def _read(self, name: str, version: int | None = None) -> "_Stored":
        label = f"{self._path}/{name}" + (f":{version}" if version else "")
        try:
            found = self._ssm.get_parameter(Name=label, WithDecryption=True)["Parameter"]
        except self._ssm.exceptions.ParameterNotFound:
            raise StackError(
                f"There is no parameter {label}.",
                "Is Coffer deployed here (see --stack, --region), in this release? If so, put the "
                "ring's copy back; without one coffer deploy makes a new ring.",
            ) from None
        try:
            ring = msgspec.json.decode(found["Value"], type=KeyRing)
        except msgspec.DecodeError as error:
            raise StackError(f"{label} is no ring of keys: {error}", "Restore it first.") from None
        return _Stored(ring, found["Version"])

    def _replace(self, name: str, stored: "_Stored", ring: KeyRing) -> None:
        """Write a ring in the place of what was read; undone when somebody wrote in between.

        The store has no conditional write, but numbers its writes: with a number left out, a write
        of somebody else went lost, and is put back before anything can be sealed with its keys.
        """
        version = self._put(name, ring)
        if version == stored.version + 1:
            return
        theirs = self._read(name, version - 1)
        self._put(name, theirs.ring)
        raise StackError(
            f"{self._path}/{name} was changed by somebody else at the same time.",
            "Nothing is lost; see that one rotation runs at a time, then run the command again.",
        )

    def _put(self, name: str, ring: KeyRing) -> int:
        value = msgspec.json.encode(ring).decode()
        return secret_store.store(self._ssm, f"{self._path}/{name}", value)


class _Stored(NamedTuple):
    """A ring and the number of the write that made it so."""

    ring: KeyRing
    version: int
