"""Server groups."""

from __future__ import annotations

from starlette.responses import Response
from starlette.routing import BaseRoute

from simulator.cloud.http.compute_base import ComputeRoutes, microversion
from simulator.cloud.http.plumbing import Call, Json, empty, json_response, names_of, text_of
from simulator.cloud.model.errors import BadRequest
from simulator.cloud.model.server_groups import ServerGroup

ONE_POLICY = (2, 64)
"""From here on a group has a `policy`, before that a list of one."""
WITH_PROJECT = (2, 13)


class ServerGroups(ComputeRoutes):
    """Routes below `/os-server-groups`."""

    def routes(self) -> list[BaseRoute]:
        """All routes of this part."""
        path = "/v2.1/os-server-groups"
        return [
            self.route(path, get=self.list_groups, post=self.create_group),
            self.route(path + "/{group_id}", get=self.show_group, delete=self.delete_group),
        ]

    def list_groups(self, call: Call) -> Response:
        """GET: the project's, cut by `limit` and `offset`; Nova knows no marker here.

        Administrators are shown all with `all_projects`, whatever its value; from others Nova
        takes it without a word.
        """
        found = self.nova.groups.of_project(call.caller, every="all_projects" in call.query)
        offset = int(call.query.get("offset", "0"))
        limit = int(call.query.get("limit", "1000"))
        shown = [self._view(each, call) for each in found[offset : offset + limit]]
        return json_response({"server_groups": shown})

    def create_group(self, call: Call) -> Response:
        """POST."""
        wanted = call.item("server_group")
        name = text_of(wanted, "name")
        if not name.strip() or len(name) > 255:
            raise BadRequest("Invalid input for field/attribute name.")
        policy = text_of(wanted, "policy")
        if microversion(call) < ONE_POLICY:
            (policy, *_) = [*names_of(wanted, "policies"), ""]
        group = self.nova.groups.create(call.caller, name, policy)
        return json_response({"server_group": self._view(group, call)})

    def show_group(self, call: Call) -> Response:
        """GET of one."""
        group = self.nova.groups.get(call.caller, call.path["group_id"])
        return json_response({"server_group": self._view(group, call)})

    def delete_group(self, call: Call) -> Response:
        """DELETE: 204."""
        self.nova.groups.delete(call.caller, call.path["group_id"])
        return empty()

    def _view(self, group: ServerGroup, call: Call) -> Json:
        version = microversion(call)
        view: Json = {
            "id": group.id,
            "name": group.name,
            "members": [each.id for each in self.nova.groups.members(group)],
        }
        if version >= WITH_PROJECT:
            view |= {"project_id": group.project_id, "user_id": group.user_id}
        if version >= ONE_POLICY:
            return {**view, "policy": group.policy, "rules": {}}
        return {**view, "policies": [group.policy], "metadata": {}}
