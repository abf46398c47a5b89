"""The app as an ASGI application, for what explores it by its document."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from chalicelib.api.application import Application
from tests.api.client import gateway_event

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

STAGE = "/api"
NOWHERE: dict[str, Any] = {"requestContext": {"resourcePath": "", "httpMethod": "GET"}}


class Asgi:
    """Stands where API Gateway stands; `asked` counts the requests."""

    def __init__(self, app: Application) -> None:
        self._app = app
        self.asked = 0

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        self.asked += 1
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        target = scope["raw_path"].decode().removeprefix(STAGE) or "/"
        headers = {name.decode().title(): text.decode("latin-1") for name, text in scope["headers"]}
        query = scope["query_string"].decode()
        event = gateway_event(
            self._app, scope["method"], f"{target}?{query}", headers, body or None
        )
        answer = self._app(event or NOWHERE | {"headers": headers}, None)
        told = [(name.encode(), text.encode()) for name, text in answer["headers"].items()]
        start = {"type": "http.response.start", "status": answer["statusCode"], "headers": told}
        await send(start)
        await send({"type": "http.response.body", "body": answer["body"].encode()})
