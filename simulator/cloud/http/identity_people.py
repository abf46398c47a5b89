"""Projects, users, roles, and who holds which where."""

from __future__ import annotations

from starlette.responses import Response
from starlette.routing import BaseRoute

from simulator.cloud.http import identity_views as views
from simulator.cloud.http.identity_base import IdentityRoutes
from simulator.cloud.http.plumbing import Call, empty, json_response, text_of, truth
from simulator.cloud.model.errors import Forbidden, NotFound


class People(IdentityRoutes):
    """Routes below `/projects`, `/users`, `/roles` and `/role_assignments`."""

    def routes(self) -> list[BaseRoute]:
        """All routes of this part."""
        return [
            self.route("/v3/projects", get=self.list_projects, post=self.create_project),
            self.route(
                "/v3/projects/{project_id}",
                get=self.show_project,
                patch=self.update_project,
                delete=self.delete_project,
            ),
            self.route("/v3/users", get=self.list_users, post=self.create_user),
            self.route(
                "/v3/users/{user_id}",
                get=self.show_user,
                patch=self.update_user,
                delete=self.delete_user,
            ),
            self.route("/v3/users/{user_id}/projects", get=self.projects_of_user),
            self.route(
                "/v3/users/{user_id}/application_credentials",
                post=self.create_application_credential,
            ),
            self.route("/v3/roles", get=self.list_roles),
            self.route("/v3/roles/{role_id}", get=self.show_role),
            self.route("/v3/projects/{project_id}/users/{user_id}/roles", get=self.roles_of_user),
            self.route(
                "/v3/projects/{project_id}/users/{user_id}/roles/{role_id}",
                get=self.check_role,
                put=self.grant_role,
                delete=self.revoke_role,
            ),
            self.route("/v3/role_assignments", get=self.role_assignments),
        ]

    def list_projects(self, call: Call) -> Response:
        """GET /v3/projects."""
        call.caller.require_admin("identity:list_projects")
        found = self.cloud.identity.projects.values()
        return self.list_of("projects", [views.project(p, self.url) for p in found], call)

    def create_project(self, call: Call) -> Response:
        """POST /v3/projects."""
        call.caller.require_admin("identity:create_project")
        wanted = call.item("project")
        project = self.cloud.identity.add_project(text_of(wanted, "name"))
        project.description = text_of(wanted, "description")
        return json_response({"project": views.project(project, self.url)}, 201)

    def show_project(self, call: Call) -> Response:
        """GET /v3/projects/{id}: the caller's own, or any for an admin."""
        if call.caller.project_id != call.path["project_id"]:
            call.caller.require_admin("identity:get_project")
        project = self.cloud.identity.project(call.path["project_id"])
        return json_response({"project": views.project(project, self.url)})

    def update_project(self, call: Call) -> Response:
        """PATCH /v3/projects/{id}."""
        call.caller.require_admin("identity:update_project")
        project = self.cloud.identity.project(call.path["project_id"])
        wanted = call.item("project")
        project.name = text_of(wanted, "name", project.name)
        project.description = text_of(wanted, "description", project.description)
        if "enabled" in wanted:
            self.cloud.identity.set_enabled(project, truth(wanted["enabled"]))
        return json_response({"project": views.project(project, self.url)})

    def delete_project(self, call: Call) -> Response:
        """DELETE /v3/projects/{id}."""
        call.caller.require_admin("identity:delete_project")
        self.cloud.identity.delete_project(call.path["project_id"])
        return empty()

    def list_users(self, call: Call) -> Response:
        """GET /v3/users."""
        call.caller.require_admin("identity:list_users")
        found = self.cloud.identity.users.values()
        return self.list_of("users", [views.user(u, self.url) for u in found], call)

    def create_user(self, call: Call) -> Response:
        """POST /v3/users."""
        call.caller.require_admin("identity:create_user")
        wanted = call.item("user")
        user = self.cloud.identity.add_user(text_of(wanted, "name"), text_of(wanted, "password"))
        user.description = text_of(wanted, "description")
        return json_response({"user": views.user(user, self.url)}, 201)

    def show_user(self, call: Call) -> Response:
        """GET /v3/users/{id}: the caller itself, or any for an admin."""
        self._require_self_or_admin(call, "identity:get_user")
        user = self.cloud.identity.user(call.path["user_id"])
        return json_response({"user": views.user(user, self.url)})

    def update_user(self, call: Call) -> Response:
        """PATCH /v3/users/{id}: enable or disable, describe, give another password."""
        call.caller.require_admin("identity:update_user")
        user = self.cloud.identity.user(call.path["user_id"])
        wanted = call.item("user")
        if "enabled" in wanted:
            self.cloud.identity.set_enabled(user, truth(wanted["enabled"]))
        user.description = text_of(wanted, "description", user.description)
        if "password" in wanted:
            self.cloud.identity.set_password(user, text_of(wanted, "password"))
        return json_response({"user": views.user(user, self.url)})

    def delete_user(self, call: Call) -> Response:
        """DELETE /v3/users/{id}."""
        call.caller.require_admin("identity:delete_user")
        self.cloud.identity.delete_user(call.path["user_id"])
        return empty()

    def create_application_credential(self, call: Call) -> Response:
        """POST /v3/users/{id}/application_credentials: the user's own, for its token's project."""
        if call.caller.user_id != call.path["user_id"]:
            raise Forbidden(
                "You are not authorized to perform the requested action: "
                "identity:create_application_credential."
            )
        wanted = call.item("application_credential")
        made, secret = self.cloud.identity.add_application_credential(
            call.caller.user_id, call.caller.project_id, text_of(wanted, "name")
        )
        document = {
            "id": made.id,
            "name": made.name,
            "project_id": made.project_id,
            "secret": secret,
            "unrestricted": False,
        }
        return json_response({"application_credential": document}, 201)

    def projects_of_user(self, call: Call) -> Response:
        """GET /v3/users/{id}/projects."""
        self._require_self_or_admin(call, "identity:list_user_projects")
        found = self.cloud.identity.projects_of(call.path["user_id"])
        return self.list_of("projects", [views.project(p, self.url) for p in found], call)

    def list_roles(self, call: Call) -> Response:
        """GET /v3/roles."""
        call.caller.require_admin("identity:list_roles")
        found = self.cloud.identity.roles.values()
        return self.list_of("roles", [views.role(r, self.url) for r in found], call)

    def show_role(self, call: Call) -> Response:
        """GET /v3/roles/{id}."""
        call.caller.require_admin("identity:get_role")
        role = self.cloud.identity.role(call.path["role_id"])
        return json_response({"role": views.role(role, self.url)})

    def roles_of_user(self, call: Call) -> Response:
        """GET the roles of a user on a project."""
        call.caller.require_admin("identity:list_grants")
        found = self.cloud.identity.roles_of(call.path["user_id"], call.path["project_id"])
        return self.list_of("roles", [views.role(r, self.url) for r in found], call)

    def check_role(self, call: Call) -> Response:
        """HEAD or GET one role of a user on a project."""
        call.caller.require_admin("identity:check_grant")
        held = self.cloud.identity.roles_of(call.path["user_id"], call.path["project_id"])
        if all(role.id != call.path["role_id"] for role in held):
            raise NotFound(f"Could not find role assignment with role: {call.path['role_id']}.")
        return empty()

    def grant_role(self, call: Call) -> Response:
        """PUT a role of a user on a project."""
        call.caller.require_admin("identity:create_grant")
        path = call.path
        self.cloud.identity.grant(path["user_id"], path["project_id"], path["role_id"])
        return empty()

    def revoke_role(self, call: Call) -> Response:
        """DELETE a role of a user on a project."""
        call.caller.require_admin("identity:revoke_grant")
        path = call.path
        self.cloud.identity.revoke_grant(path["user_id"], path["project_id"], path["role_id"])
        return empty()

    def role_assignments(self, call: Call) -> Response:
        """GET /v3/role_assignments."""
        call.caller.require_admin("identity:list_role_assignments")
        found = sorted(self.cloud.identity.assignments)
        user, project = call.query.get("user.id"), call.query.get("scope.project.id")
        rows = [
            {"role": {"id": r}, "user": {"id": u}, "scope": {"project": {"id": p}}, "links": {}}
            for u, p, r in found
            if user in (None, u) and project in (None, p)
        ]
        links = self.links("/role_assignments")
        return json_response({"role_assignments": rows, "links": links})

    @staticmethod
    def _require_self_or_admin(call: Call, rule: str) -> None:
        if call.caller.user_id != call.path["user_id"]:
            call.caller.require_admin(rule)
