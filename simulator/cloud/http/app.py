"""Puts the services together into one ASGI application, each below its prefix."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount

from simulator.cloud.http.compute import ComputeApi
from simulator.cloud.http.control import Agents, ControlApi
from simulator.cloud.http.identity import IdentityApi
from simulator.cloud.http.image import ImageApi
from simulator.cloud.http.metadata import MetadataApi
from simulator.cloud.http.network import NetworkApi
from simulator.cloud.http.object_store import ObjectStoreApi
from simulator.cloud.http.plumbing import json_response, open_route
from simulator.cloud.http.volume import VolumeApi
from simulator.cloud.model.cloud import Cloud

PREFIXES = ("identity", "compute", "network", "volume", "image", "object-store")

Lifespan = Callable[[Starlette], AbstractAsyncContextManager[None]]


def make_app(cloud: Cloud, url: str, agents: Agents, lifespan: Lifespan) -> Starlette:
    """The application; `url` is how clients reach it, without a slash at the end."""
    welcome = {
        "name": "coffer local cloud",
        "services": {name: f"{url}/{name}" for name in PREFIXES},
    }
    apis = {
        "/identity": IdentityApi(cloud, f"{url}/identity").routes(),
        "/compute": ComputeApi(cloud, f"{url}/compute").routes(),
        "/network": NetworkApi(cloud, f"{url}/network").routes(),
        "/volume": VolumeApi(cloud, f"{url}/volume").routes(),
        "/image": ImageApi(cloud, f"{url}/image").routes(),
        "/object-store": ObjectStoreApi(cloud, f"{url}/object-store").routes(),
        "/_simulator": ControlApi(cloud, f"{url}/_simulator", agents).routes(),
    }
    return Starlette(
        routes=[
            open_route("/", lambda: json_response(welcome)),
            open_route("/healthz", lambda: json_response({"status": "ok"})),
            *MetadataApi(cloud).routes(),
            *(Mount(prefix, routes=routes) for prefix, routes in apis.items()),
        ],
        exception_handlers={404: _not_found, 405: _bad_method},
        lifespan=lifespan,
    )


async def _not_found(request: Request, error: Exception) -> Response:
    content = {"error": {"code": 404, "message": "No such path here.", "title": "Not Found"}}
    return JSONResponse(content, 404)


async def _bad_method(request: Request, error: Exception) -> Response:
    content = {"error": {"code": 405, "message": "Not here.", "title": "Method Not Allowed"}}
    return JSONResponse(content, 405)
