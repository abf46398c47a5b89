"""`make test-image`: builds the guest image, boots it, and makes a database on its volume.

    python -m tests.image --bus scsi --image coffer-guest.qcow2

A control plane for one guest sends what the real one does. Needs root and loop devices to build,
QEMU and genisoimage to boot; KVM makes it quick. A disk without a serial stands before the volume,
as an ephemeral disk does, and has to be blank at the end.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
import pymysql

from chalicelib.domain.user_data import GuestConfiguration, for_guest
from chalicelib.service_status import ServiceStatus
from guest_agent.storage.device import APPEAR_SECONDS
from infra.image import bundle, disk
from simulator.cloud.model.seams import GuestSpec, GuestVolume, Interface
from tests.bench.tables import console
from tests.guest_agent.control_plane import INSTANCE, TOKEN, ControlPlane, wait_for
from tests.guest_agent.server import VOLUME, prepare_args
from tests.image.machine import BUSES, HOST, Machine

ROOT: Final = Path(__file__).resolve().parents[2]
BOOT_SECONDS: Final = 1800.0
"""Without KVM, on a machine that is busy."""
REPORT: Final = [
    "systemctl --no-pager status coffer-guest-agent > /dev/ttyS0",
    "journalctl --no-pager -u coffer-guest-agent > /dev/ttyS0",
    "systemctl --no-pager --failed > /dev/ttyS0",
]
"""What the console shows of a first boot: nobody can log in."""


def main() -> int:
    """0 when each bus has its database on the volume, also after a power cut."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="coffer-image-test-") as scratch:
        image = options.image or _build(Path(scratch))
        for bus in options.bus or BUSES:
            _check(bus, image.resolve(), Path(scratch) / bus, options.accel)
    return 0


def _check(bus: str, image: Path, folder: Path, accel: str) -> None:
    control = ControlPlane()
    control.url = control.url.replace("127.0.0.1", HOST)
    with Machine(folder, image, _spec(control.url), bus, accel) as machine:
        try:
            _life(bus, control, machine)
        except AssertionError:
            console.out(machine.console.read_text(errors="replace")[-20_000:])
            raise
        finally:
            control.close()


def _life(bus: str, control: ControlPlane, machine: Machine) -> None:
    def until(condition: Callable[[], object]) -> None:
        def reached() -> object:
            assert machine.runs, "QEMU has ended"
            return condition()

        wait_for(reached, BOOT_SECONDS)

    began = time.monotonic()
    machine.switch_on()
    until(lambda: control.public_key)
    _say(bus, "boots and enrols", began)
    began = time.monotonic()
    sent = control.send(control.command("prepare", prepare_args()))
    answer = control.answer(sent, BOOT_SECONDS + APPEAR_SECONDS)
    assert answer.error is None, answer.error
    _say(bus, "makes its database", began)
    with _connect(machine) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE shop.kept (n INT)")
        cursor.execute("INSERT INTO shop.kept VALUES (42)")
        connection.commit()
    machine.cut()
    assert not any(machine.ephemeral.read_bytes()), "something was written to the ephemeral disk"
    began, epoch = time.monotonic(), control.epoch
    machine.switch_on()
    until(lambda: control.epoch > epoch)
    until(lambda: _reported(control))
    with _connect(machine) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT n FROM shop.kept")
        assert cursor.fetchall() == ((42,),)
    _say(bus, "has its data after a power cut", began)


def _reported(control: ControlPlane) -> bool:
    """Whether the guest of the newest epoch says that its database is well."""
    beats = [each for each in control.reports("heartbeats") if each.epoch == control.epoch]
    return any((beat.result or {}).get("status") == ServiceStatus.HEALTHY for beat in beats)


def _connect(machine: Machine) -> pymysql.Connection[pymysql.cursors.Cursor]:
    return pymysql.connect(
        host="127.0.0.1",
        port=machine.port,
        user="alice",
        password="first-secret",
        ssl_disabled=True,
    )


def _spec(control_url: str) -> GuestSpec:
    configuration = GuestConfiguration(
        INSTANCE, 1, control_url, TOKEN, "mariadb", "10.11", "us-east-1", control_url
    )
    header, _, body = for_guest(configuration).partition("\n")
    document = msgspec.json.decode(body)
    document["runcmd"] += [["sh", "-c", line] for line in REPORT]
    user_data = f"{header}\n{msgspec.json.encode(document).decode()}"
    card = Interface("a-port", "fa:16:3e:00:00:01", "n", "10.0.2.15", "255.255.255.0", "10.0.2.2")
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
    made = bundle.make(ROOT, folder)
    disk.build(ROOT, made.file, image)
    return image


def _say(bus: str, what: str, began: float) -> None:
    console.print(f"{bus:7} {what:32} {time.monotonic() - began:6.1f} s")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.image", description=__doc__)
    parser.add_argument("--image", type=Path, help="an image that is built already")
    parser.add_argument(
        "--accel", default="kvm:tcg", help="QEMU's accelerator [kvm:tcg]; tcg where KVM is broken"
    )
    parser.add_argument("--bus", action="append", choices=sorted(BUSES), help="[all]")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
