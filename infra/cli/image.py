"""`coffer image`: the guest agent as one file, and a disk for Glance that boots with it."""

from pathlib import Path
from typing import Annotated

import typer

from infra.cli.console import ConsoleProgress, out
from infra.image import bundle, disk
from infra.package.sources import PROJECT_ROOT


def command(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the files go.")],
    debian: Annotated[
        bool,
        typer.Option(
            "--debian",
            help="Also build a Debian 12 disk with it (coffer-guest.qcow2). Needs root, loop "
            "devices and debootstrap, fdisk, extlinux, e2fsprogs, qemu-utils; about ten minutes.",
        ),
    ] = False,
    python: Annotated[
        str, typer.Option(metavar="3.N", help="The Python of the image that it is for.")
    ] = bundle.PYTHON_VERSION,
) -> None:
    """Make the bundle of the guest agent, and a guest image.

    The bundle holds the agent, what it needs, its systemd unit and an installer, which runs on any
    Linux with systemd, Python 3.11 and the database's server: in a cloud image of your choice, in a
    chroot, in an element of diskimage-builder. No secret is in it.

    What comes next: docs/guest-images.md says how to upload an image, and which tags and
    properties it wants.
    """
    progress = ConsoleProgress()
    with progress.step("The guest agent's bundle"):
        made = bundle.make(PROJECT_ROOT, folder, python)
    out.print(f"{made.file}\n  version {made.version}\n  sha256  {made.sha256}")
    if debian:
        image = folder / "coffer-guest.qcow2"
        with progress.step("A Debian disk with it"):
            disk.build(PROJECT_ROOT, made.file, image)
        out.print(f"{image}")
        out.print(
            "Next: openstack image create --disk-format qcow2 --container-format bare "
            f"--tag coffer --file {image} coffer-guest"
        )
