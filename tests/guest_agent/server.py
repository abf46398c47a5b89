"""A server of the local hypervisor in miniature: a root directory, a volume, the real agent."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path
from typing import Any

from simulator.cloud import processes
from tests.guest_agent.control_plane import INSTANCE, TOKEN, ControlPlane, wait_for

REPOSITORY = Path(__file__).parents[2]
PASSWORD = "first-secret"
"""Of alice, whom `prepare_args` makes."""
VOLUME = "5d3c1f5e-0c7b-4f4e-9d5c-3f2a7d7e8a90"
FLAVOR = {"ram": 512, "vcpus": 1}


def suspend(pid: int) -> None:
    """Stop a process where it is, and wait until each of its threads has stopped.

    The signal reaches a thread on another core a moment later; until then it may still answer.
    """
    os.kill(pid, signal.SIGSTOP)
    wait_for(lambda: all(_state(task) == "T" for task in Path(f"/proc/{pid}/task").iterdir()))


def _state(task: Path) -> str:
    return (task / "stat").read_text().rpartition(")")[2].split()[0]


class Server:
    """Everything it starts carries its id in the environment, and `close` ends exactly that."""

    def __init__(self, address: str, control_url: str, **agent_file: Any) -> None:
        self.address = address
        self.id = str(uuid.uuid4())
        self.root = Path(tempfile.mkdtemp(prefix="coffer-guest-"))
        self.root.chmod(0o755)
        self.volume = self.root / "volume"
        self.volume.mkdir(mode=0o755)
        disk = self.root / f"dev/disk/by-id/virtio-{VOLUME[:20]}"
        disk.parent.mkdir(parents=True)
        disk.symlink_to(self.volume)
        self.log = self.root / "agent.log"
        self.agent: subprocess.Popen[bytes] | None = None
        self.program = ["-m", "guest_agent"]
        drive = "config-drive/openstack/latest"
        self.write(f"{drive}/meta_data.json", {"uuid": self.id, "name": "guest", "meta": {}})
        networks = [{"id": "network0", "type": "ipv4", "ip_address": address, "link": "tap0"}]
        self.write(f"{drive}/network_data.json", {"networks": networks, "links": []})
        self.write(
            "etc/coffer/guest-agent.json",
            {
                "instance_id": INSTANCE,
                "generation": 1,
                "control_url": control_url,
                "enrolment_token": TOKEN,
                "datastore_manager": "mariadb",
                "datastore_version": "10.11",
                "region": "us-east-1",
                "aws_endpoint_url": control_url,
                **agent_file,
            },
        )

    def write(self, path: str, document: Any) -> None:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(document))
        target.chmod(0o600)

    def start_agent(self) -> subprocess.Popen[bytes]:
        environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        environment |= {"COFFER_SERVER_ID": self.id, "LANG": "C.UTF-8"}
        with self.log.open("ab") as stream:
            self.agent = subprocess.Popen(
                [sys.executable, *self.program, "--root", str(self.root)],
                cwd=REPOSITORY,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )
        return self.agent

    def said(self) -> str:
        """What the agent has logged so far."""
        return self.log.read_text() if self.log.exists() else ""

    def kill_agent(self) -> None:
        """As a crash: nothing is cleaned up, and what the agent started lives on."""
        assert self.agent is not None
        self.agent.kill()
        self.agent.wait()
        self.agent = None

    def processes(self) -> dict[int, str]:
        """Ids and command lines of what belongs to this server, zombies left out."""
        mark = f"COFFER_SERVER_ID={self.id}".encode()
        found = {}
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdecimal() and mark in (entry / "environ").read_bytes().split(b"\0"):
                    line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                    found[int(entry.name)] = line
        return found

    def database(self) -> int | None:
        """The id of the running server process; numbers may begin anew, and a tool's be lower."""
        marks = ("--defaults-file=/", "config_file=/", "coffer-redis/")
        others = ("--defaults-file=/proc/", "config_file=/dev/null")
        named = (
            pid
            for pid, line in self.processes().items()
            if any(mark in line for mark in marks) and not any(mark in line for mark in others)
        )
        return next(named, None)

    def kill_everything(self) -> None:
        """As the power cut of a server."""
        if self.agent is not None:
            self.kill_agent()  # one that just loads its program is found by no environment
        processes.kill_servers([self.id])

    def close(self) -> None:
        self.kill_everything()
        shutil.rmtree(self.root)


def prepare_args(**changes: Any) -> dict[str, Any]:
    """The arguments of `prepare` as the create flow sends them."""
    return {
        "datastore": {"manager": "mariadb", "version": "10.11"},
        "flavor": FLAVOR,
        "volume_id": VOLUME,
        "mount_point": "/var/lib/mysql",
        "databases": [{"name": "shop"}],
        "users": [{"name": "alice", "password": PASSWORD, "databases": [{"name": "shop"}]}],
        "root_password": None,
        **changes,
    }


def ask_prepare(control: ControlPlane) -> str:
    return control.send(control.command("prepare", prepare_args()))
