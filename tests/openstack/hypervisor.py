"""The local cloud's hypervisor behind HTTP, for the drivers in Nova and Cinder, and the router.

`python -m tests.openstack.hypervisor STATE PORT`. A server boots from the config drive that Nova
made of it, byte for byte. The hosts of compute may be killed and start again: the guests stay.
"""

from __future__ import annotations

import asyncio
import base64
import shlex
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from simulator.cloud import config_drive
from simulator.cloud.hypervisor import Guest, ProcessHypervisor
from simulator.cloud.model.seams import Done, GuestSpec, GuestVolume
from tests.openstack.router import Router

USER_DATA = "openstack/latest/user_data"
NUMBERS = {
    "kill_agent": signal.SIGKILL,
    "pause_agent": signal.SIGSTOP,
    "resume_agent": signal.SIGCONT,
}


@dataclass(frozen=True)
class NovaSpec(GuestSpec):
    """A server as Nova describes it: by the files of its config drive."""

    drive: Mapping[str, bytes] = field(default_factory=dict)


class NovaHypervisor(ProcessHypervisor):
    """Boots servers from what Nova wrote, where the local cloud's writes it itself."""

    def servers(self) -> dict[str, bool]:
        """The servers that have a disk, and whether each runs."""
        return {
            server_id: guest.supervisor is not None for server_id, guest in self._guests.items()
        }

    def _write_config_drive(self, guest: Guest, spec: GuestSpec) -> None:
        assert isinstance(spec, NovaSpec)
        for path, content in spec.drive.items():
            file = guest.root / config_drive.FOLDER / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch(mode=config_drive.SECRET_MODE)
            file.write_bytes(content)


class Served:
    """The calls of the drivers, and those by which a test hurts a guest."""

    def __init__(self, hypervisor: NovaHypervisor, router: Router) -> None:
        self._hypervisor = hypervisor
        self._router = router

    async def list_servers(self, request: Request) -> JSONResponse:
        return JSONResponse(self._hypervisor.servers())

    async def act_on_server(self, request: Request) -> JSONResponse:
        server_id, action = request.path_params["server_id"], request.path_params["action"]
        if action in NUMBERS:
            done = self._hypervisor.signal_agent(server_id, NUMBERS[action])
            return JSONResponse({"done": done})
        body = await request.json()
        volumes = [GuestVolume(**each) for each in body.get("volumes", [])]
        if action == "boot":
            spec = _spec(server_id, body, volumes)
            await _done(lambda done: self._hypervisor.rebuild(spec, done))
        elif action in ("attach", "detach"):
            await self._plug(action, server_id, GuestVolume(**body))
        elif action in ("start", "stop", "destroy"):
            for volume in volumes:
                await self._plug("attach", server_id, volume)
            await _done(lambda done: getattr(self._hypervisor, action)(server_id, done))
        else:
            return JSONResponse({"error": f"no action {action}"}, status_code=404)
        return JSONResponse({})

    async def _plug(self, action: str, server_id: str, volume: GuestVolume) -> None:
        plug = getattr(self._hypervisor, f"{action}_volume")
        await _done(lambda done: plug(server_id, volume, done))

    async def make_volume(self, request: Request) -> JSONResponse:
        volume_id, body = request.path_params["volume_id"], await request.json()
        size, snapshot_id = body["size"], body.get("snapshot_id")
        await _done(lambda done: self._hypervisor.create_volume(volume_id, size, snapshot_id, done))
        return JSONResponse({})

    async def remove_volume(self, request: Request) -> JSONResponse:
        volume_id = request.path_params["volume_id"]
        await _done(lambda done: self._hypervisor.delete_volume(volume_id, done))
        return JSONResponse({})

    async def make_snapshot(self, request: Request) -> JSONResponse:
        snapshot_id, body = request.path_params["snapshot_id"], await request.json()
        volume_id = body["volume_id"]
        await _done(lambda done: self._hypervisor.create_snapshot(snapshot_id, volume_id, done))
        return JSONResponse({})

    async def remove_snapshot(self, request: Request) -> JSONResponse:
        snapshot_id = request.path_params["snapshot_id"]
        await _done(lambda done: self._hypervisor.delete_snapshot(snapshot_id, done))
        return JSONResponse({})

    async def lead_address(self, request: Request) -> JSONResponse:
        body = await request.json()
        await self._router.lead(request.path_params["address"], body["fixed"])
        return JSONResponse({})


def _spec(server_id: str, body: Mapping[str, Any], volumes: list[GuestVolume]) -> NovaSpec:
    drive = {path: base64.b64decode(content) for path, content in body["drive"].items()}
    return NovaSpec(
        server_id=server_id,
        name="",
        hostname="",
        project_id="",
        metadata={},
        user_data=drive.get(USER_DATA, b""),
        interfaces=[],
        volumes=volumes,
        drive=drive,
    )


async def _done(begin: Callable[[Done], None]) -> None:
    """Wait for the end of a piece of work; raises RuntimeError with its reason when it failed."""
    ended: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
    begin(ended.set_result)
    if (reason := await ended) is not None:
        raise RuntimeError(reason)


def main(state: Path, port: int) -> None:
    """Serve until SIGTERM; every guest is killed at the end."""
    command = shlex.split(f"{shlex.quote(sys.executable)} -m guest_agent")
    hypervisor = NovaHypervisor(state, command)
    hypervisor.clean()
    router = Router()
    served = Served(hypervisor, router)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        await router.close()
        await hypervisor.close()

    act, volume = "/servers/{server_id}/{action}", "/volumes/{volume_id}"
    snapshot = "/snapshots/{snapshot_id}"
    routes = [
        Route("/servers", served.list_servers, methods=["GET"]),
        Route(act, served.act_on_server, methods=["POST"]),
        Route(volume, served.make_volume, methods=["PUT"]),
        Route(volume, served.remove_volume, methods=["DELETE"]),
        Route(snapshot, served.make_snapshot, methods=["PUT"]),
        Route(snapshot, served.remove_snapshot, methods=["DELETE"]),
        Route("/addresses/{address}", served.lead_address, methods=["PUT"]),
    ]
    uvicorn.run(
        Starlette(routes=routes, lifespan=lifespan),
        host="127.0.0.1",
        port=port,
        access_log=False,
        timeout_graceful_shutdown=2,
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
