"""Swift v1: accounts, containers and objects, by a token or by a temporary URL."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from email.utils import format_datetime
from html import escape
from http import HTTPStatus
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from simulator.cloud.http.plumbing import Service, json_response, open_route
from simulator.cloud.model.cloud import Cloud
from simulator.cloud.model.errors import BadRequest, CloudError, InternalError, Unauthorized
from simulator.cloud.model.object_store import META, MOST_LISTED, OBJECT_META, Signed, StoredObject

METHODS = ["GET", "HEAD", "PUT", "POST", "DELETE"]
INFO = {
    "swift": {"version": "2.38.3", "max_file_size": 5368709122, "container_listing_limit": 10000},
    "tempurl": {
        "methods": ["GET", "HEAD", "PUT", "POST", "DELETE"],
        "allowed_digests": ["sha256", "sha512"],
    },
}

log = logging.getLogger(__name__)


def error_view(error: CloudError) -> Response:
    """Swift answers with a line of HTML."""
    phrase = HTTPStatus(error.status).phrase
    body = f"<html><h1>{phrase}</h1><p>{escape(error.message)}</p></html>"
    realm = {"Www-Authenticate": 'Swift realm="unknown"'} if error.status == 401 else None
    return HTMLResponse(body, error.status, headers=realm)


class ObjectStoreApi(Service):
    """Routes below `/object-store`."""

    def __init__(self, cloud: Cloud, url: str) -> None:
        super().__init__(cloud, url, error_view)
        self._swift = cloud.objects

    def routes(self) -> list[BaseRoute]:
        """All routes of the service."""
        return [
            open_route("/info", lambda: json_response(INFO)),
            Route("/v1/{account}/{container}/{name:path}", self._endpoint, methods=METHODS),
            Route("/v1/{account}/{container}", self._endpoint, methods=METHODS),
            Route("/v1/{account}", self._endpoint, methods=METHODS),
        ]

    async def _endpoint(self, request: Request) -> Response:
        try:
            body = await request.body()
            return await run_in_threadpool(self._answer, request, body)
        except CloudError as error:
            answer = error_view(error)
        except Exception:
            log.exception("%s %s failed", request.method, request.url.path)
            answer = error_view(InternalError("The server has failed."))
        if request.method == "HEAD":
            return Response(status_code=answer.status_code)
        return answer

    def _answer(self, request: Request, body: bytes) -> Response:
        place = request.path_params
        account, container, name = place["account"], place.get("container"), place.get("name")
        self._authorize(request, account, container, name)
        if container is None:
            return self._account(request, account)
        if not name:
            return self._container(request, account, container)
        return self._object(request, account, container, name, body)

    def _authorize(
        self, request: Request, account: str, container: str | None, name: str | None
    ) -> None:
        query = request.query_params
        if "temp_url_sig" in query or "temp_url_expires" in query:
            signature, expires = query.get("temp_url_sig", ""), query.get("temp_url_expires", "")
            if container is None or not name or not expires.isdecimal():
                raise Unauthorized
            url = Signed(signature, int(expires), query.get("temp_url_prefix"))
            self._swift.by_url(request.method, account, container, name, url)
            return
        self._swift.own(self.caller(request.headers.get("x-auth-token")), account)

    def _account(self, request: Request, account: str) -> Response:
        known = self._swift.accounts.get(account, {})
        headers = {
            "X-Account-Container-Count": str(len(known)),
            "X-Account-Object-Count": str(sum(len(each.objects) for each in known.values())),
            "X-Account-Bytes-Used": str(sum(each.used for each in known.values())),
        }
        if request.method == "HEAD":
            return Response(status_code=204, headers=headers)
        if request.method != "GET":
            raise CloudError("The method is not allowed for this resource.", status=405)
        rows = [
            {"name": name, "count": len(each.objects), "bytes": each.used}
            for name, each in sorted(known.items())
        ]
        return _listing(request, rows, headers)

    def _container(self, request: Request, account: str, container: str) -> Response:
        given = {
            name.removeprefix(META): value
            for name, value in request.headers.items()
            if name.startswith(META)
        }
        match request.method:
            case "PUT":
                new = self._swift.put_container(account, container, given)
                return Response(status_code=201 if new else 202)
            case "POST":
                self._swift.post_container(account, container, given)
                return Response(status_code=204)
            case "DELETE":
                self._swift.delete_container(account, container)
                return Response(status_code=204)
        found = self._swift.container(account, container)
        headers = {
            "X-Container-Object-Count": str(len(found.objects)),
            "X-Container-Bytes-Used": str(found.used),
            **{f"{META}{name}".title(): value for name, value in found.meta.items()},
        }
        if request.method == "HEAD":
            return Response(status_code=204, headers=headers)
        query = request.query_params
        names = self._swift.listed(
            account,
            container,
            query.get("prefix", ""),
            query.get("marker", ""),
            _number(query.get("limit", str(MOST_LISTED))),
        )
        rows = [{"name": name, **_row(found.objects[name])} for name in names]
        return _listing(request, rows, headers)

    def _object(
        self, request: Request, account: str, container: str, name: str, body: bytes
    ) -> Response:
        match request.method:
            case "PUT":
                kind = request.headers.get("content-type", "application/octet-stream")
                etag = request.headers.get("etag", "")
                noted = {
                    each: value
                    for each, value in request.headers.items()
                    if each.startswith(OBJECT_META)
                }
                if request.query_params.get("multipart-manifest") == "put":
                    stored = self._swift.put_manifest(account, container, name, body, noted)
                else:
                    stored = self._swift.put(account, container, name, body, etag, kind, noted)
                return Response(status_code=201, headers=_headers(stored))
            case "DELETE":
                self._swift.delete(account, container, name)
                return Response(status_code=204)
            case "POST":
                self._swift.get(account, container, name, "post_object")
                return Response(status_code=202)
        call = "get_object" if request.method == "GET" else "head_object"
        found = self._swift.get(account, container, name, call)
        headers = {**_headers(found), **found.headers, "Accept-Ranges": "bytes"}
        if request.method == "HEAD":
            headers["Content-Length"] = str(len(found.body))
            return Response(headers=headers, media_type=found.content_type)
        status, part = found.part(request.headers.get("range"), request.headers.get("if-match"))
        return Response(part, status, headers=headers, media_type=found.content_type)


def _headers(stored: StoredObject) -> dict[str, str]:
    moment = datetime.fromtimestamp(int(stored.changed_at), UTC)
    return {
        "Etag": stored.etag,
        "Last-Modified": format_datetime(moment, usegmt=True),
        "X-Timestamp": f"{stored.changed_at:.5f}",
    }


def _row(stored: StoredObject) -> dict[str, Any]:
    moment = datetime.fromtimestamp(stored.changed_at, UTC)
    return {
        "bytes": len(stored.body),
        "hash": stored.etag,
        "content_type": stored.content_type,
        "last_modified": moment.strftime("%Y-%m-%dT%H:%M:%S.%f"),
    }


def _listing(request: Request, rows: list[dict[str, Any]], headers: dict[str, str]) -> Response:
    if request.query_params.get("format") == "json":
        return JSONResponse(rows, headers=headers)
    if not rows:
        return Response(status_code=204, headers=headers)
    return PlainTextResponse("".join(f"{row['name']}\n" for row in rows), headers=headers)


def _number(text: str) -> int:
    if not text.isdecimal():
        raise BadRequest("The limit is no number.")
    return int(text)
