"""A client that stands where API Gateway stands: it finds the resource and makes its events."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from chalicelib.api.application import Application
from simulator.described import published

HOST = "abc123.execute-api.us-east-1.amazonaws.com"


class Answer(msgspec.Struct):
    """What came back; `body` is None when it was empty."""

    status: int
    body: Any
    headers: dict[str, str]

    def fault(self) -> str:
        """The message of a fault, checked to be one of Trove's form."""
        assert isinstance(self.body, dict), self.body
        assert len(self.body) == 1, self.body
        (fault,) = self.body.values()
        assert fault["code"] == self.status
        assert set(fault) == {"code", "message"}
        return str(fault["message"])


def gateway_event(
    app: Application, method: str, url: str, headers: dict[str, str], body: bytes | None
) -> dict[str, Any] | None:
    """The proxy event for a request; None when no resource has the path."""
    parts = urlsplit(url)
    found = _resource(app, [segment for segment in parts.path.split("/") if segment])
    if found is None:
        return None
    template, params = found
    query = parse_qs(parts.query, keep_blank_values=True)
    return {
        "resource": template,
        "path": parts.path,
        "httpMethod": method,
        "headers": {"Host": HOST, "X-Forwarded-Proto": "https", **headers},
        "pathParameters": params or None,
        "multiValueQueryStringParameters": query or None,
        "stageVariables": None,
        "requestContext": {
            "httpMethod": method,
            "resourcePath": template,
            "path": "/api" + parts.path,
            "stage": "api",
            "apiId": "abc123",
        },
        "body": body.decode("utf-8", "replace") if body is not None else None,
        "isBase64Encoded": False,
    }


def _resource(app: Application, segments: list[str]) -> tuple[str, dict[str, str]] | None:
    """The resource of a path; a literal wins over a parameter. Nothing is decoded."""
    found = []
    for template in app.routes:
        wanted = [segment for segment in template.split("/") if segment]
        if len(wanted) != len(segments):
            continue
        params = {}
        for want, segment in zip(wanted, segments, strict=True):
            if want.startswith("{"):
                params[want[1:-1]] = segment
            elif want != segment:
                break
        else:
            found.append((len(params), template, params))
    return min(found)[1:] if found else None


class Api:
    """Requests of one user of one project; paths are below `/v1.0/<project>`."""

    def __init__(self, app: Application, project: str, roles: str = "member") -> None:
        self.app = app
        self.project = project
        self.token = f"token-{project}-{roles}"

    def get(self, path: str, **options: Any) -> Answer:
        return self.ask("GET", path, **options)

    def post(self, path: str, body: Any = None, **options: Any) -> Answer:
        return self.ask("POST", path, body, **options)

    def put(self, path: str, body: Any = None, **options: Any) -> Answer:
        return self.ask("PUT", path, body, **options)

    def patch(self, path: str, body: Any = None, **options: Any) -> Answer:
        return self.ask("PATCH", path, body, **options)

    def delete(self, path: str, **options: Any) -> Answer:
        return self.ask("DELETE", path, **options)

    def ask(self, method: str, path: str, body: Any = None, **options: Any) -> Answer:
        """One request; a body that is no bytes is sent as JSON."""
        return self.raw(method, f"/v1.0/{self.project}{path}", body, **options)

    def raw(
        self, method: str, url: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """A request to any URL of the API."""
        sent = {"X-Auth-Token": self.token, "Content-Type": "application/json", **(headers or {})}
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        event = gateway_event(self.app, method, url, sent, data)
        assert event is not None, f"no resource for {url}"
        raw = self.app(event, None)
        text, told = raw["body"], raw["headers"]["Content-Type"]
        complaint = published().complaint(method, url, raw["statusCode"], told, text)
        assert complaint is None, f"{method} {url}: {raw['statusCode']} {text[:200]}: {complaint}"
        return Answer(raw["statusCode"], json.loads(text) if text else None, raw["headers"])
