"""Cinder's snapshots: `/snapshots` below a project."""

from __future__ import annotations

from starlette.responses import Response

from simulator.cloud.http.lists import page, sort
from simulator.cloud.http.plumbing import (
    Call,
    Json,
    empty,
    json_response,
    strings_of,
    text_of,
    timestamp,
)
from simulator.cloud.model.errors import BadRequest
from simulator.cloud.model.snapshot import Snapshot
from simulator.cloud.model.volume import VolumeService


class SnapshotApi:
    """Their handlers; `url` is the service's."""

    def __init__(self, cinder: VolumeService, url: str) -> None:
        self._cinder, self._url = cinder, url

    def create(self, call: Call) -> Response:
        """POST /snapshots: 202."""
        wanted = call.item("snapshot")
        volume = self._cinder.get(call.caller, text_of(wanted, "volume_id"))
        made = self._cinder.snapshots.create(
            call.caller,
            volume,
            name=text_of(wanted, "name"),
            description=text_of(wanted, "description") or None,
            metadata=strings_of(wanted, "metadata"),
            force=str(wanted.get("force", "")).lower() in ("true", "1"),
        )
        return json_response({"snapshot": _view(made)}, 202)

    def index(self, call: Call) -> Response:
        """GET /snapshots: without what is told in detail."""
        rows, links = self._page(call, "")
        told = ("id", "name", "status", "size", "volume_id", "metadata", "description")
        short = [{key: row[key] for key in (*told, "created_at")} for row in rows]
        return json_response({"snapshots": short, **links})

    def detail(self, call: Call) -> Response:
        """GET /snapshots/detail."""
        rows, links = self._page(call, "/detail")
        return json_response({"snapshots": rows, **links})

    def show(self, call: Call) -> Response:
        """GET /snapshots/{id}."""
        found = self._cinder.snapshots.get(call.caller, call.path["id"])
        return json_response({"snapshot": _view(found)})

    def delete(self, call: Call) -> Response:
        """DELETE /snapshots/{id}: 202."""
        self._cinder.snapshots.delete(call.caller, call.path["id"])
        return empty(202)

    def action(self, call: Call) -> Response:
        """POST /snapshots/{id}/action."""
        if "os-reset_status" not in call.body:
            raise BadRequest(f"There is no such action: {', '.join(call.body) or 'none'}")
        status = text_of(call.item("os-reset_status"), "status")
        self._cinder.snapshots.reset_status(call.caller, call.path["id"], status)
        return empty(202)

    def _page(self, call: Call, path: str) -> tuple[list[Json], Json]:
        query = call.query
        found = self._cinder.snapshots.visible(call.caller, all_tenants=call.flag("all_tenants"))
        rows = [_view(each) for each in found]
        for name in ("name", "status", "volume_id"):
            rows = [row for row in rows if query.get(name) in (None, row[name])]
        url = f"{self._url}/v3/{call.caller.project_id}/snapshots{path}"
        kept, following = page(sort(rows, query), query, url)
        return kept, {"snapshots_links": following} if following else {}


def _view(one: Snapshot) -> Json:
    return {
        "id": one.id,
        "name": one.name,
        "description": one.description,
        "status": one.status,
        "size": one.size,
        "volume_id": one.volume_id,
        "user_id": one.user_id,
        "metadata": one.metadata,
        "created_at": timestamp(one.created_at, zone=False, micros=True),
        "updated_at": timestamp(one.updated_at, zone=False, micros=True),
        "os-extended-snapshot-attributes:project_id": one.project_id,
        "os-extended-snapshot-attributes:progress": "100%" if one.status == "available" else "0%",
    }
