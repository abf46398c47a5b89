"""Guests as real processes: one folder is a server's disk, another a volume, an agent runs on it.

Layout below the state folder: `servers/<server id>/`, `volumes/<volume id>/` and
`snapshots/<snapshot id>/`. The folders are
0755, because a database runs as a user of its own and has to reach its data; the secrets in them
are 0600. The servers share one kernel, so each has a number of its own for that user, in the
`etc/passwd` of its disk: no database can read another's files.
"""

from __future__ import annotations

import asyncio
import logging
import os
import pwd
import random
import shutil
import signal
import subprocess
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simulator.cloud import cloud_init, config_drive, processes
from simulator.cloud.model.seams import Done, GuestSpec, GuestVolume

FOLDER_MODE = 0o755
LOG_MODE = 0o600
RESTART_SECONDS = 1.0
RESTART_SECONDS_MOST = 8.0
HEALTHY_SECONDS = 30.0
USERS = range(20_000, 60_000)
"""Below what containers map, above the users that people and packages have."""
USER_ATTEMPTS = 100
SERIAL_CHARACTERS = 20
REPOSITORY = Path(__file__).resolve().parents[2]

log = logging.getLogger(__name__)


@dataclass
class Guest:
    """A server that this process has booted; `agent` is the running agent, if any."""

    root: Path
    user: int
    """The number of its database's operating system user: no other server's."""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    supervisor: asyncio.Task[None] | None = None
    agent: asyncio.subprocess.Process | None = None


class ProcessHypervisor:
    """Boots servers as processes on this machine. Lives on one event loop."""

    def __init__(self, state: Path, agent_command: Sequence[str]) -> None:
        self._servers = state / "servers"
        self._volumes = state / "volumes"
        self._snapshots = state / "snapshots"
        self._agent_command = list(agent_command)
        self._guests: dict[str, Guest] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    def clean(self) -> int:
        """Kill what a previous run left and remove its folders; how many processes it killed.

        Only servers with a folder in this state folder are touched, never another cloud's.
        """
        killed = 0
        if self._servers.is_dir():
            killed = processes.kill_servers([folder.name for folder in self._servers.iterdir()])
        for folder in (self._servers, self._volumes, self._snapshots):
            shutil.rmtree(folder, ignore_errors=True)
            _make_folder(folder)
        return killed

    async def close(self) -> None:
        """Kill every guest and refuse new ones; folders stay for a look at the logs."""
        self._closed = True
        for guest in self._guests.values():
            await _stop_supervisor(guest)
        await asyncio.to_thread(processes.kill_servers, list(self._guests))

    def boot(self, spec: GuestSpec, done: Done) -> None:
        """Make the root folder from the spec and start the agent."""
        self._on_guest(spec.server_id, lambda guest: self._boot(guest, spec), done)

    def rebuild(self, spec: GuestSpec, done: Done) -> None:
        """Stop, wipe the root folder (volumes are only linked from it) and boot."""

        async def work(guest: Guest) -> None:
            await self._stop(spec.server_id, guest)
            await asyncio.to_thread(shutil.rmtree, guest.root, True)
            await self._boot(guest, spec)

        self._on_guest(spec.server_id, work, done)

    def stop(self, server_id: str, done: Done) -> None:
        """Kill every process of the server."""
        self._on_guest(server_id, lambda guest: self._stop(server_id, guest), done)

    def start(self, server_id: str, done: Done) -> None:
        """Start the agent on the root folder that is there."""

        async def work(guest: Guest) -> None:
            if not guest.root.is_dir():
                raise FileNotFoundError("the server has no disk")
            if guest.supervisor is None:
                self._start(server_id, guest)

        self._on_guest(server_id, work, done)

    def destroy(self, server_id: str, done: Done) -> None:
        """Kill every process of the server and remove its root folder."""

        async def work(guest: Guest) -> None:
            await self._stop(server_id, guest)
            await asyncio.to_thread(shutil.rmtree, guest.root, True)
            self._guests.pop(server_id, None)

        self._on_guest(server_id, work, done)

    def attach_volume(self, server_id: str, volume: GuestVolume, done: Done) -> None:
        """Link the volume's folder into the root folder, by letter and by id."""

        async def work(guest: Guest) -> None:
            self._link(guest, volume)

        self._on_guest(server_id, work, done)

    def detach_volume(self, server_id: str, volume: GuestVolume, done: Done) -> None:
        """Remove the link."""

        async def work(guest: Guest) -> None:
            for link in _links(guest.root, volume):
                link.unlink(missing_ok=True)

        self._on_guest(server_id, work, done)

    def create_volume(
        self, volume_id: str, size_gib: int, snapshot_id: str | None, done: Done
    ) -> None:
        """Make the volume's folder. Its size is not enforced."""

        async def work() -> None:
            if snapshot_id is None:
                _make_folder(self._volumes / volume_id)
            else:
                await asyncio.to_thread(
                    _copy, self._snapshots / snapshot_id, self._volumes / volume_id
                )

        self._run(work(), done)

    def extend_volume(self, volume_id: str, size_gib: int) -> None:
        """Nothing: its size is not enforced."""

    def delete_volume(self, volume_id: str, done: Done) -> None:
        """Remove the volume's folder."""

        async def work() -> None:
            await asyncio.to_thread(shutil.rmtree, self._volumes / volume_id, True)

        self._run(work(), done)

    def create_snapshot(self, snapshot_id: str, volume_id: str, done: Done) -> None:
        """Copy the volume's folder while every process of its server stands still, which none of
        them notices: what is there then is what a power cut would leave, and what was not yet
        synced besides."""

        def copy(server_ids: list[str]) -> None:
            with processes.standing_still(server_ids):
                _copy(self._volumes / volume_id, self._snapshots / snapshot_id)

        async def work() -> None:
            await asyncio.to_thread(copy, self._servers_with(volume_id))

        self._run(work(), done)

    def delete_snapshot(self, snapshot_id: str, done: Done) -> None:
        """Remove the snapshot's folder."""

        async def work() -> None:
            await asyncio.to_thread(shutil.rmtree, self._snapshots / snapshot_id, True)

        self._run(work(), done)

    def _servers_with(self, volume_id: str) -> list[str]:
        folder = self._volumes / volume_id
        return [
            server_id
            for server_id, guest in self._guests.items()
            if any(link.readlink() == folder for link in guest.root.glob("dev/disk/by-id/*"))
        ]

    def signal_agent(self, server_id: str, number: signal.Signals) -> bool:
        """Send a signal to the agent alone, not to its database; False when it is not running."""
        guest = self._guests.get(server_id)
        if guest is None or guest.agent is None or guest.agent.returncode is not None:
            return False
        return processes.signal_process(guest.agent.pid, number)

    async def _boot(self, guest: Guest, spec: GuestSpec) -> None:
        if self._closed:
            raise RuntimeError("the hypervisor is shutting down")
        _make_folder(guest.root)
        self._write_config_drive(guest, spec)
        cloud_init.write_users(guest.root, guest.user)
        for number, disk in enumerate(spec.local_disks):
            _make_local_disk(guest.root, number, disk)
        for volume in spec.volumes:
            self._link(guest, volume)
        try:
            cloud_init.write_files(guest.root, spec.user_data)
        except (OSError, ValueError) as error:
            # As with Nova, the server runs whatever cloud-init makes of it. The error's text may
            # quote the user data, so only its kind is logged.
            log.warning("server %s: bad user data: %s", spec.server_id, type(error).__name__)
        self._start(spec.server_id, guest)

    def _write_config_drive(self, guest: Guest, spec: GuestSpec) -> None:
        if spec.config_drive:
            config_drive.write(guest.root, spec)

    def _link(self, guest: Guest, volume: GuestVolume) -> None:
        for link in _links(guest.root, volume):
            link.parent.mkdir(parents=True, exist_ok=True)
            link.unlink(missing_ok=True)
            link.symlink_to(self._volumes / volume.volume_id, target_is_directory=True)

    def _start(self, server_id: str, guest: Guest) -> None:
        guest.supervisor = asyncio.create_task(self._supervise(server_id, guest))

    async def _supervise(self, server_id: str, guest: Guest) -> None:
        """Keep the agent running, as systemd would in a guest image; ends when it is cancelled."""
        loop = asyncio.get_running_loop()
        pause = RESTART_SECONDS
        while not self._closed:
            started = loop.time()
            try:
                guest.agent = await self._spawn(server_id, guest.root)
            except OSError as error:
                log.warning("server %s: the agent cannot be started: %s", server_id, error)
            else:
                code = await guest.agent.wait()
                log.info("server %s: the agent ended with code %s", server_id, code)
            if loop.time() - started > HEALTHY_SECONDS:
                pause = RESTART_SECONDS
            await asyncio.sleep(pause)
            pause = min(pause * 2, RESTART_SECONDS_MOST)

    async def _spawn(self, server_id: str, root: Path) -> asyncio.subprocess.Process:
        log_file = root / "var" / "log" / "guest-agent.log"
        log_file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, LOG_MODE)
        try:
            return await asyncio.create_subprocess_exec(
                *self._agent_command,
                "--root",
                str(root),
                cwd=REPOSITORY,
                env=_environment(server_id),
                stdin=subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                start_new_session=True,
            )
        finally:
            os.close(descriptor)

    async def _stop(self, server_id: str, guest: Guest) -> None:
        await _stop_supervisor(guest)
        await asyncio.to_thread(processes.kill_servers, [server_id])

    def _on_guest(
        self, server_id: str, work: Callable[[Guest], Coroutine[Any, Any, None]], done: Done
    ) -> None:
        """Run work on a server, one at a time for each server."""
        guest = self._guests.get(server_id)
        if guest is None:
            guest = self._guests[server_id] = Guest(self._servers / server_id, self._free_user())

        async def locked() -> None:
            async with guest.lock:
                await work(guest)

        self._run(locked(), done)

    def _free_user(self) -> int:
        """A number that neither a server of this cloud nor anybody on this machine has.

        Drawn by chance, because other clouds on the machine draw from the same range.
        """
        taken = {guest.user for guest in self._guests.values()}
        for number in random.sample(USERS, min(len(taken) + USER_ATTEMPTS, len(USERS))):
            if number not in taken and not _is_somebody(number):
                return number
        raise RuntimeError("no number is free for another server's database user")

    def _run(self, work: Coroutine[Any, Any, None], done: Done) -> None:
        async def report() -> None:
            error: str | None = None
            try:
                await work
            except (OSError, RuntimeError, ValueError) as problem:
                error = str(problem) or type(problem).__name__
                log.warning("hypervisor: %s", error)
            done(error)

        task = asyncio.create_task(report())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _stop_supervisor(guest: Guest) -> None:
    """Stop restarting the agent, before it is killed."""
    supervisor, guest.supervisor, guest.agent = guest.supervisor, None, None
    if supervisor is not None:
        supervisor.cancel()
        await asyncio.wait([supervisor])


def _environment(server_id: str) -> dict[str, str]:
    """The little that a guest inherits: nothing of the cloud's own secrets or settings."""
    passed = ("PATH", "HOME", "LANG", "COFFER_CRASH_PLAN")
    kept = {name: os.environ[name] for name in passed if name in os.environ}
    return {
        "PATH": os.defpath,
        "HOME": "/",
        "LANG": "C.UTF-8",
        **kept,
        "PYTHONPATH": str(REPOSITORY),
        "PYTHONUNBUFFERED": "1",
        processes.SERVER_VARIABLE: server_id,
    }


def _links(root: Path, volume: GuestVolume) -> tuple[Path, Path]:
    """A disk's letter, and the name that udev makes of its serial, which is the volume's id."""
    short = volume.volume_id[:SERIAL_CHARACTERS]
    name = {
        "virtio": f"virtio-{short}",
        "scsi": f"scsi-0QEMU_QEMU_HARDDISK_{volume.volume_id}",
    }.get(volume.bus, f"ata-QEMU_HARDDISK_{short}")
    return root / "dev" / Path(volume.device).name, root / "dev/disk/by-id" / name


def _make_local_disk(root: Path, number: int, device: str) -> None:
    """A disk that ends with the server's root: nothing says whose it is."""
    folder = root / "local-disks" / str(number)
    _make_folder(folder)
    link = root / "dev" / Path(device).name
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(folder, target_is_directory=True)


def _copy(folder: Path, target: Path) -> None:
    """All of a folder, with owners and holes; a tool of many years knows more kinds of files."""
    shutil.rmtree(target, ignore_errors=True)
    command = ["cp", "--archive", "--sparse=auto", "--reflink=auto", str(folder), str(target)]
    copied = subprocess.run(command, capture_output=True, text=True, check=False)
    if copied.returncode:
        raise OSError(f"{folder.name} was not copied: {copied.stderr.strip()}")


def _is_somebody(number: int) -> bool:
    try:
        pwd.getpwuid(number)
    except KeyError:
        return False
    return True


def _make_folder(folder: Path) -> None:
    folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    folder.chmod(FOLDER_MODE)
