"""`make test-image`: builds the guest image, boots it, and tries what an instance needs of it.

    python -m tests.image --engine postgresql --bus scsi --image coffer-guest.qcow2

A control plane for one guest sends what the real one does. Each server makes its database on the
volume, is backed up, goes on below another release of its agent, comes back from a broken one, and
has its data after a power cut. Needs root and loop devices to build, QEMU and genisoimage to boot;
KVM makes it quick. A disk without a serial stands before the volume, as an ephemeral disk does, and
has to be blank at the end.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from types import FrameType
from typing import Any, Final, NamedTuple

import msgspec

from chalicelib.domain.user_data import GuestConfiguration, for_guest
from infra.image import bundle, disk
from infra.image.bundle import Bundle
from simulator.cloud.model.seams import GuestSpec, GuestVolume, Interface
from tests.bench.tables import console
from tests.guest_agent.control_plane import INSTANCE, TOKEN, ControlPlane
from tests.guest_agent.server import VOLUME
from tests.image import machine, releases
from tests.image.container import CUT, Container, own_network
from tests.image.life import Life
from tests.image.machine import BUSES, Machine
from tests.image.networks import NETWORKS, way_to
from tests.image.tenants import TENANTS, Tenant
from tests.support.loopback import HOST

TO_THE_CONSOLE: Final = {
    "write_files": [
        {
            "path": "/etc/systemd/journald.conf.d/console.conf",
            "content": "[Journal]\nForwardToConsole=yes\nTTYPath=/dev/ttyS0\n",
        }
    ],
    "runcmd": [["systemctl", "restart", "systemd-journald"]],
}
"""Nobody can log in: the console shows what the agent says."""
LAST_CHARACTERS: Final = 20_000
"""Of the console of a server that failed."""


class Server(NamedTuple):
    """One that is to be tried."""

    engine: str
    bus: str
    network: str


class Releases(NamedTuple):
    """What an agent is told to become."""

    sound: Bundle
    broken: Bundle


def main() -> int:
    """0 when each server did all that it had to."""
    options = _options()
    signal.signal(signal.SIGTERM, _interrupt)
    with tempfile.TemporaryDirectory(prefix="coffer-image-test-") as scratch:
        folder = Path(scratch)
        image = options.image or _build(folder)
        offered = Releases(
            releases.make(folder / "sound", releases.SOUND),
            releases.make(folder / "broken", releases.BROKEN),
        )
        for number, server in enumerate(_servers(options)):
            place = folder / str(number)
            if options.container:
                _try_in_container(server, image.resolve(), place, offered)
            else:
                _try(server, image.resolve(), place, offered, options.accel)
    return 0


def _interrupt(number: int, frame: FrameType | None) -> None:
    """End as by Ctrl-C: nothing is left running, mounted or on a loop device."""
    raise KeyboardInterrupt


def _servers(options: argparse.Namespace) -> list[Server]:
    """Every engine once, the first one on every bus, and the last one again by IPv6."""
    buses = ["-"] if options.container else options.bus or list(BUSES)
    engines = options.engine or list(TENANTS)
    networks = options.network or list(NETWORKS)
    first = networks[0]
    return [
        *(Server(engines[0], bus, first) for bus in buses),
        *(Server(engine, buses[0], first) for engine in engines[1:]),
        *(Server(engines[-1], buses[0], network) for network in networks[1:]),
    ]


def _try(server: Server, image: Path, folder: Path, offered: Releases, accel: str) -> None:
    kind, network = TENANTS[server.engine], NETWORKS[server.network]
    with closing(ControlPlane(network.loopback)) as control, way_to(network, kind.PORT) as way:
        control.url = control.url.replace(network.loopback, network.host)
        spec = _spec(network.card, _user_data(kind, control.url, TO_THE_CONSOLE, way.user_data))
        with Machine(folder, image, spec, way.netdev, server.bus, accel) as booted:
            _live(Life(" ".join(server), lambda: kind(way.port), control, booted), kind, offered)
            booted.cut()
            booted.require_blank_disk()


def _try_in_container(server: Server, image: Path, folder: Path, offered: Releases) -> None:
    kind, network = TENANTS[server.engine], NETWORKS[server.network]
    own_network(ipv6_only=network.loopback != HOST)
    with closing(ControlPlane(network.loopback)) as control:
        user_data = _user_data(kind, control.url)
        spec = _spec(network.card, user_data)
        files = msgspec.json.decode(user_data.partition("\n")[2])["write_files"]
        with Container(folder, image, spec, files) as container:
            name = f"{server.engine} {server.network}"
            life = Life(name, lambda: kind(kind.PORT, network.loopback), control, container)
            _live(life, kind, offered, CUT)


def _live(life: Life, kind: type[Tenant], offered: Releases, cut: str = machine.CUT) -> None:
    try:
        life.boots()
        life.makes_its_database(kind.order())
        life.is_backed_up()
        life.goes_on_as(offered.sound)
        life.comes_back_from(offered.broken)
        life.outlives(cut)
    except BaseException:
        console.out(life.said()[-LAST_CHARACTERS:])
        raise


def _user_data(kind: type[Tenant], control_url: str, *more: dict[str, Any]) -> str:
    configuration = GuestConfiguration(
        INSTANCE, 1, control_url, TOKEN, kind.MANAGER, kind.VERSION, "us-east-1", control_url
    )
    header, _, body = for_guest(configuration).partition("\n")
    document = msgspec.json.decode(body)
    for each in more:
        document = {name: each.get(name, []) + document[name] for name in document}
    return f"{header}\n{msgspec.json.encode(document).decode()}"


def _spec(card: Interface, user_data: str) -> GuestSpec:
    return GuestSpec(
        server_id="11111111-2222-4333-8444-555555555555",
        name="db",
        hostname="db",
        project_id="p",
        metadata={},
        user_data=user_data.encode(),
        interfaces=[card],
        volumes=[GuestVolume(VOLUME, "/dev/vdc")],
    )


def _build(folder: Path) -> Path:
    image = folder / "coffer-guest.qcow2"
    made = bundle.make(releases.ROOT, folder)
    disk.build(releases.ROOT, made.file, image)
    return image


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.image",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--image", type=Path, help="an image that is built already")
    parser.add_argument(
        "--accel", default="kvm:tcg", help="QEMU's accelerator [kvm:tcg]; tcg where KVM is broken"
    )
    parser.add_argument(
        "--container",
        action="store_true",
        help="the image's systemd in namespaces instead of QEMU: seconds, without KVM",
    )
    for name, choices, help_text in (
        ("--engine", TENANTS, "[all]"),
        ("--bus", BUSES, "of the volume [all: the first engine on each, the others on the first]"),
        ("--network", NETWORKS, "[both: all servers in the first, one more in the other]"),
    ):
        parser.add_argument(name, action="append", choices=list(choices), help=help_text)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
