"""Servers: list, create, show, change, delete, and their actions."""

from __future__ import annotations

import re

from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from simulator.cloud.http import compute_views as views
from simulator.cloud.http.compute_base import ComputeRoutes
from simulator.cloud.http.compute_bodies import check_name, server_wish
from simulator.cloud.http.lists import page, sort
from simulator.cloud.http.plumbing import (
    Call,
    Json,
    empty,
    json_response,
    strings_of,
    text_of,
    truth,
)
from simulator.cloud.model.errors import BadRequest
from simulator.cloud.model.server import Server

HINTS = "OS-SCH-HNT:scheduler_hints"


class Servers(ComputeRoutes):
    """Routes below `/servers`, for a server as a whole."""

    def routes(self) -> list[BaseRoute]:
        """All routes of this part."""
        return [
            self.route("/v2.1/servers", get=self.list_servers, post=self.create),
            self.route("/v2.1/servers/detail", get=self.list_servers_detail),
            self.route(
                "/v2.1/servers/{server_id}",
                get=self.show,
                put=self.update,
                delete=self.delete,
            ),
            self.route("/v2.1/servers/{server_id}/action", post=self.action),
        ]

    def create(self, call: Call) -> Response:
        """POST /servers: 202 with the id and the links."""
        hints = call.body.get("os:scheduler_hints") or call.body.get(HINTS) or {}
        wish = server_wish(call.item("server"), hints)
        server = self.nova.create(call.caller, wish)
        view = {
            "id": server.id,
            "links": views.links(self.url, "servers", server.id),
            "OS-DCF:diskConfig": "MANUAL",
            "security_groups": [{"name": name} for name in wish.security_groups or ("default",)],
            "adminPass": self.cloud.ids.token()[:12],
        }
        location = f"{self.url}/v2.1/servers/{server.id}"
        return JSONResponse({"server": view}, 202, headers={"Location": location})

    def list_servers(self, call: Call) -> Response:
        """GET /servers: id, name and links."""
        return self._list(call, [views.server_summary(s, self.url) for s in self._found(call)], "")

    def list_servers_detail(self, call: Call) -> Response:
        """GET /servers/detail."""
        return self._list(call, [self.view(s, call) for s in self._found(call)], "/detail")

    def show(self, call: Call) -> Response:
        """GET /servers/{id}."""
        server = self.nova.show(call.caller, call.path["server_id"])
        return json_response({"server": self.view(server, call)})

    def update(self, call: Call) -> Response:
        """PUT /servers/{id}: name or description."""
        changes = call.item("server")
        if "name" in changes:
            check_name(changes["name"])
        server = self.nova.update(call.caller, call.path["server_id"], changes)
        return json_response({"server": self.view(server, call)})

    def delete(self, call: Call) -> Response:
        """DELETE /servers/{id}."""
        self.nova.delete(call.caller, call.path["server_id"])
        return empty()

    def action(self, call: Call) -> Response:
        """POST /servers/{id}/action."""
        server_id, caller = call.path["server_id"], call.caller
        if "reboot" in call.body:
            kind = text_of(call.item("reboot"), "type").upper()
            self.nova.reboot(caller, server_id, kind)
        elif "rebuild" in call.body:
            return self._rebuild(call)
        elif "resize" in call.body:
            self.nova.resize(caller, server_id, text_of(call.item("resize"), "flavorRef"))
        elif "migrate" in call.body:
            wanted = call.item("migrate") if call.body["migrate"] is not None else {}
            self.nova.migrate(caller, server_id, text_of(wanted, "host") or None)
        elif "confirmResize" in call.body:
            self.nova.confirm_resize(caller, server_id)
            return empty()
        elif "revertResize" in call.body:
            self.nova.revert_resize(caller, server_id)
        elif "os-stop" in call.body:
            self.nova.stop(caller, server_id)
        elif "os-start" in call.body:
            self.nova.start(caller, server_id)
        elif "os-resetState" in call.body:
            self.nova.reset_state(caller, server_id, text_of(call.item("os-resetState"), "state"))
        elif "forceDelete" in call.body:
            self.nova.delete(caller, server_id, force=True)
        else:
            raise BadRequest(f"There is no such action: {', '.join(call.body) or 'none'}")
        return empty(202)

    def _rebuild(self, call: Call) -> Response:
        wanted = call.item("rebuild")
        server = self.nova.rebuild(
            call.caller,
            call.path["server_id"],
            text_of(wanted, "imageRef"),
            name=text_of(wanted, "name") or None,
            metadata=strings_of(wanted, "metadata") if "metadata" in wanted else None,
            user_data=wanted.get("user_data"),
            keep_user_data="user_data" not in wanted,
        )
        return json_response({"server": self.view(server, call)}, 202)

    def _found(self, call: Call) -> list[Server]:
        """The servers that pass the filters; the name is a regular expression, as in Nova."""
        query = call.query
        everything = truth(query.get("all_tenants", "")) or query.get("all_tenants") == ""
        servers = self.nova.list(call.caller, all_tenants=everything)
        name = _pattern(query.get("name"))
        address = _pattern(query.get("ip"))
        project = query.get("project_id") or query.get("tenant_id")
        tags = set(filter(None, query.get("tags", "").split(",")))
        exact = {
            "id": query.get("uuid"),
            "status": (query.get("status") or "").upper() or None,
            "image_id": query.get("image"),
            "project_id": project if everything else None,
        }
        return [
            server
            for server in servers
            if (name is None or name.search(server.name))
            and all(value in (None, getattr(server, key)) for key, value in exact.items())
            and query.get("flavor") in (None, server.flavor.id)
            and tags <= set(server.tags)
            and (address is None or self._has_address(server, address))
        ]

    def _has_address(self, server: Server, pattern: re.Pattern[str]) -> bool:
        networks = views.addresses(server, self.cloud.network).values()
        return any(pattern.search(row["addr"]) for rows in networks for row in rows)

    def _list(self, call: Call, rows: list[Json], path: str) -> Response:
        url = f"{self.url}/v2.1/servers{path}"
        rows, following = page(sort(rows, call.query), call.query, url)
        extra = {"servers_links": following} if following else {}
        return json_response({"servers": rows, **extra})


def _pattern(text: str | None) -> re.Pattern[str] | None:
    if not text:
        return None
    try:
        return re.compile(text)
    except re.error as error:
        raise BadRequest(f"Invalid regular expression {text!r}.") from error
