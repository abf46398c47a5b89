"""The networks of a booted server: QEMU's own, in which this machine's loopback is a host."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, Final, NamedTuple

from simulator.cloud.model.seams import Interface
from tests.image.tunnel import GUEST, Tunnel
from tests.support.loopback import HOST, free_port


class Network(NamedTuple):
    """Where the server finds this machine's `loopback`, its card, and what QEMU is told."""

    host: str
    loopback: str
    card: Interface
    options: str


class Way(NamedTuple):
    """To a server's database by a port of this machine, and to this machine by QEMU's `netdev`.

    `user_data` is what the server has to do for it.
    """

    port: int
    netdev: str
    user_data: dict[str, list[Any]]


_CARD: Final = ("a-port", "fa:16:3e:00:00:01", "n")
_PREFIX: Final = "fd00:c0ff:e::"
NETWORKS: Final = {
    "ipv4": Network(
        "10.0.2.2",
        HOST,
        Interface(*_CARD, "10.0.2.15", "255.255.255.0", "10.0.2.2"),
        "ipv6=off",
    ),
    "ipv6": Network(
        f"{_PREFIX}2",
        "::1",
        Interface(*_CARD, f"{_PREFIX}15", "ffff:ffff:ffff:ffff::", f"{_PREFIX}2", dhcp=False),
        f"ipv4=off,ipv6-prefix={_PREFIX},ipv6-prefixlen=64,ipv6-host={_PREFIX}2",
    ),
}
"""With DHCP, and of IPv6 alone with the address that Nova tells."""


@contextmanager
def way_to(network: Network, database: int) -> Iterator[Way]:
    """For as long as it is open, to the database at that port of a server."""
    port, netdev = free_port(), f"user,id=net,{network.options}"
    if network.loopback == HOST:
        yield Way(port, f"{netdev},hostfwd=tcp:{HOST}:{port}-:{database}", {})
        return
    with closing(Tunnel(port)) as tunnel:
        told = f"{network.host} {tunnel.port} {network.card.address} {database}"
        yield Way(port, netdev, _service("tunnel", GUEST, told))


def _service(name: str, program: str, arguments: str) -> dict[str, list[Any]]:
    """User data that runs a program of Python as long as the server is on."""
    path = f"/opt/{name}.py"
    unit = (
        f"[Service]\nExecStart=/usr/bin/python3 {path} {arguments}\nRestart=always\n"
        "[Install]\nWantedBy=multi-user.target\n"
    )
    files = {path: program, f"/etc/systemd/system/{name}.service": unit}
    return {
        "write_files": [{"path": where, "content": text} for where, text in files.items()],
        "runcmd": [["systemctl", "enable", "--now", name]],
    }
