"""Ports and addresses of loopback that no other worker and no other run beside this one is given.

A port asked of the system (0) is anybody's again once it is closed, and an address where nobody
listens now may be that of a database that a test has stopped for a moment. So what is given is
claimed: by a name among Linux's abstract Unix sockets, which one process has, until its end.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
from collections.abc import Iterator
from typing import Final

HOST: Final = "127.0.0.1"
DATABASE_PORT: Final = 3306
PORTS: Final = range(10_000, 32_000)
"""Below those that Linux gives to clients (`ip_local_port_range`, from 32,768 on)."""
NETWORKS: Final = range(100, 250)
"""The second number of 127.N.0.0/16; 77 is a developer's own stack."""

_claims: list[socket.socket] = []


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on and that no other test is given."""
    for port in _from_here(PORTS):
        if _is_free(HOST, port) and _claimed(f"port {port}"):
            return port
    raise AssertionError("no port is free")


def own_network() -> str:
    """A network of loopback, 127.N.0.0/16, for the guests of one cloud."""
    for number in _from_here(NETWORKS):
        if _claimed(f"network 127.{number}"):
            return f"127.{number}.0.0/16"
    raise AssertionError("no network is free")


def free_address() -> str:
    """An address of this process's own network, given once, where nobody serves databases."""
    return next(address for address in _addresses if _is_free(address, DATABASE_PORT))


def _own_addresses() -> Iterator[str]:
    start = own_network().removesuffix(".0.0/16")
    for third, fourth in itertools.product(range(1, 251), repeat=2):
        yield f"{start}.{third}.{fourth}"


_addresses = _own_addresses()


def _from_here(numbers: range) -> Iterator[int]:
    """All of them, each process from another one on: what a killed run left is met less often."""
    start = os.getpid() * 7 % len(numbers)
    yield from numbers[start:]
    yield from numbers[:start]


def _claimed(name: str) -> bool:
    claim = socket.socket(socket.AF_UNIX)
    try:
        claim.bind(f"\0coffer-tests/{name}")
    except OSError:
        claim.close()
        return False
    _claims.append(claim)
    return True


def _is_free(address: str, port: int) -> bool:
    with contextlib.suppress(OSError), socket.socket() as tried:
        tried.bind((address, port))
        return True
    return False
