"""Glance v2: images by name and tag, their tags."""

from __future__ import annotations

from dataclasses import fields
from html import escape
from http import HTTPStatus

from starlette.datastructures import QueryParams
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute

from simulator.cloud.http.lists import page, sort
from simulator.cloud.http.plumbing import (
    Call,
    Json,
    Service,
    empty,
    json_response,
    names_of,
    open_route,
    text_of,
    timestamp,
    unauthorized_view,
)
from simulator.cloud.model.cloud import Cloud
from simulator.cloud.model.errors import CloudError
from simulator.cloud.model.image import Image

VERSIONS = ("v2.17", "v2.16", "v2.9", "v2.7", "v2.5", "v2.2", "v2.1", "v2.0")
EXACT_FILTERS = ("id", "name", "status", "owner", "visibility", "disk_format", "container_format")


def error_view(error: CloudError) -> Response:
    """Glance answers with a small HTML page."""
    if error.status == 401:
        return unauthorized_view(error)
    title = f"{error.status} {HTTPStatus(error.status).phrase}"
    body = (
        f"<html>\n <head>\n  <title>{title}</title>\n </head>\n <body>\n  <h1>{title}</h1>\n"
        f"  {escape(error.message)}<br /><br />\n\n\n </body>\n</html>"
    )
    return HTMLResponse(body, error.status)


class ImageApi(Service):
    """Routes below `/image`."""

    def __init__(self, cloud: Cloud, url: str) -> None:
        super().__init__(cloud, url, error_view)
        self._glance = cloud.image

    def routes(self) -> list[BaseRoute]:
        """All routes of the service."""
        versions = {"versions": [_version(name, self.url) for name in VERSIONS]}
        return [
            open_route("/", lambda: json_response(versions, 300)),
            open_route("/versions", lambda: json_response(versions)),
            self.route("/v2/images", get=self.list_images, post=self.create),
            self.route("/v2/images/{id}", get=self.show, delete=self.delete),
            self.route("/v2/images/{id}/tags/{tag}", put=self.add_tag, delete=self.remove_tag),
        ]

    def list_images(self, call: Call) -> Response:
        """GET /v2/images, by name, tag and other attributes."""
        community = call.query.get("visibility") in ("community", "all")
        images = self._glance.list(call.caller, community=community)
        kept = [_view(image) for image in images if _passes(image, call.query)]
        rows, following = page(sort(kept, call.query), call.query, "/v2/images")
        extra = {"next": following[0]["href"]} if following else {}
        return json_response({"images": rows, "first": "/v2/images", **_SCHEMA, **extra})

    def create(self, call: Call) -> Response:
        """POST /v2/images: the record only; an image's data plays no part here."""
        image = self._glance.create(
            call.caller,
            text_of(call.body, "name"),
            visibility=text_of(call.body, "visibility", "private"),
            tags=names_of(call.body, "tags"),
            image_id=text_of(call.body, "id") or None,
            properties={
                name: text_of(call.body, name) for name in call.body if name not in ATTRIBUTES
            },
        )
        return json_response(_view(image), 201)

    def show(self, call: Call) -> Response:
        """GET /v2/images/{id}."""
        return json_response(_view(self._glance.show(call.caller, call.path["id"])))

    def delete(self, call: Call) -> Response:
        """DELETE /v2/images/{id}."""
        self._glance.delete(call.caller, call.path["id"])
        return empty()

    def add_tag(self, call: Call) -> Response:
        """PUT /v2/images/{id}/tags/{tag}."""
        self._glance.tag(call.caller, call.path["id"], call.path["tag"], present=True)
        return empty()

    def remove_tag(self, call: Call) -> Response:
        """DELETE /v2/images/{id}/tags/{tag}."""
        self._glance.tag(call.caller, call.path["id"], call.path["tag"], present=False)
        return empty()


ATTRIBUTES = {field.name for field in fields(Image)}
"""What a request names besides is a property, such as `hw_disk_bus`."""
_SCHEMA = {"schema": "/v2/schemas/images"}


def _passes(image: Image, query: QueryParams) -> bool:
    if not set(query.getlist("tag")) <= set(image.tags):
        return False
    for name in EXACT_FILTERS:
        wanted = query.get(name)
        if wanted is None or (name == "visibility" and wanted == "all"):
            continue
        choices = wanted[3:].split(",") if wanted.startswith("in:") else [wanted]
        if str(getattr(image, name)) not in [choice.strip('"') for choice in choices]:
            return False
    return True


def _view(image: Image) -> Json:
    return {
        "id": image.id,
        "name": image.name,
        "owner": image.owner,
        "status": image.status,
        "visibility": image.visibility,
        "tags": image.tags,
        "protected": image.protected,
        "os_hidden": False,
        "size": image.size,
        "virtual_size": None,
        "min_disk": image.min_disk,
        "min_ram": image.min_ram,
        "disk_format": image.disk_format,
        "container_format": image.container_format,
        "checksum": None,
        "os_hash_algo": None,
        "os_hash_value": None,
        "created_at": timestamp(image.created_at),
        "updated_at": timestamp(image.updated_at),
        "self": f"/v2/images/{image.id}",
        "file": f"/v2/images/{image.id}/file",
        "schema": "/v2/schemas/image",
        **image.properties,
    }


def _version(name: str, url: str) -> Json:
    status = "CURRENT" if name == VERSIONS[0] else "SUPPORTED"
    return {"id": name, "status": status, "links": [{"rel": "self", "href": f"{url}/v2/"}]}
