"""A bundle of the guest agent, as an administrator names it."""

from __future__ import annotations

import msgspec


class AgentBundle(msgspec.Struct, frozen=True):
    """A bundle as `coffer image` makes it: its version, its SHA-256 in hex, its size in bytes."""

    version: str
    sha256: str
    size: int
