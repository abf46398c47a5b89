"""Keystone v3: tokens, the catalog, and as much of projects, users and roles as clients ask for."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from simulator.cloud.http import identity_views as views
from simulator.cloud.http.lists import matches
from simulator.cloud.http.plumbing import (
    Call,
    Json,
    Service,
    empty,
    json_response,
    open_route,
    read_body,
    text_of,
    truth,
    unauthorized_view,
)
from simulator.cloud.model.caller import Caller
from simulator.cloud.model.cloud import Cloud
from simulator.cloud.model.errors import (
    BadRequest,
    CloudError,
    Forbidden,
    NotFound,
    Unauthorized,
)
from simulator.cloud.model.identity import DEFAULT_DOMAIN_ID, Project, Token, User

_TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    409: "Conflict",
}


def error_view(error: CloudError) -> Response:
    """Keystone's body: `{"error": {"code", "message", "title"}}`."""
    if error.status == 401:
        return unauthorized_view(error)
    title = _TITLES.get(error.status, "Internal Server Error")
    content = {"error": {"code": error.status, "message": error.message, "title": title}}
    return JSONResponse(content, error.status)


class IdentityApi(Service):
    """Routes below `/identity`."""

    def __init__(self, cloud: Cloud, url: str) -> None:
        super().__init__(cloud, url, error_view)

    def routes(self) -> list[BaseRoute]:
        """All routes of the service."""
        version = views.version(self.url)
        versions = {"versions": {"values": [version]}}
        return [
            open_route("/", lambda: json_response(versions, 300)),
            open_route("/v3", lambda: json_response({"version": version})),
            open_route("/v3/", lambda: json_response({"version": version})),
            Route("/v3/auth/tokens", self.tokens, methods=["GET", "HEAD", "POST", "DELETE"]),
            self.route("/v3/auth/catalog", get=self.show_catalog),
            self.route("/v3/auth/projects", get=self.own_projects),
            self.route("/v3/auth/domains", get=self.list_domains),
            self.route("/v3/domains", get=self.list_domains),
            self.route("/v3/domains/{domain_id}", get=self.show_domain),
            self.route("/v3/regions", get=self.list_regions),
            self.route("/v3/regions/{region_id}", get=self.show_region),
            self.route("/v3/services", get=self.list_services, post=self.create_service),
            self.route(
                "/v3/services/{service_id}",
                get=self.show_service,
                patch=self.update_service,
                delete=self.delete_service,
            ),
            self.route("/v3/endpoints", get=self.list_endpoints, post=self.create_endpoint),
            self.route(
                "/v3/endpoints/{endpoint_id}",
                get=self.show_endpoint,
                patch=self.update_endpoint,
                delete=self.delete_endpoint,
            ),
            *self._people_routes(),
        ]

    def _people_routes(self) -> list[BaseRoute]:
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

    def caller(self, secret: str | None) -> Caller:
        """Keystone takes unscoped tokens as well."""
        return self._live(secret).caller()

    async def tokens(self, request: Request) -> Response:
        """POST issues a token; GET and HEAD validate the one in X-Subject-Token; DELETE revokes."""
        try:
            if request.method == "POST":
                return self.issue(await read_body(request), request)
            with self.cloud.faults.around("identity", "validate_token", ""):
                return self._about_token(request)
        except CloudError as error:
            return error_view(error)

    def issue(self, body: Json, request: Request) -> Response:
        """Authenticate with a password or a token, and scope to a project if one is named."""
        with self.cloud.faults.around("identity", "create_token", ""):
            auth = _object(body, "auth")
            identity = _object(auth, "identity")
            methods = identity.get("methods")
            if not isinstance(methods, list) or not methods:
                raise BadRequest("Invalid input for field 'methods': [] is too short")
            parent: Token | None = None
            if "password" in methods:
                user = self._password_user(_object(_object(identity, "password"), "user"))
            elif "token" in methods:
                parent = self._live(str(_object(identity, "token").get("id") or ""))
                user = self.cloud.identity.user(parent.user_id)
            else:
                raise Unauthorized
            project = self._scope(auth.get("scope"))
            used = tuple(dict.fromkeys([*map(str, methods), *(parent.methods if parent else ())]))
            token = self.cloud.identity.issue(user, project, used, parent)
        catalog = "nocatalog" not in request.query_params
        headers = {"X-Subject-Token": token.secret, "Vary": "X-Auth-Token"}
        return JSONResponse({"token": self._view(token, catalog)}, 201, headers=headers)

    def _about_token(self, request: Request) -> Response:
        caller = self._live(request.headers.get("x-auth-token")).caller()
        secret = request.headers.get("x-subject-token", "")
        token = self.cloud.identity.token(secret)
        if token is None:
            raise NotFound("Could not find token.")
        if not caller.is_admin and token.user_id != caller.user_id:
            raise Forbidden(
                "You are not authorized to perform the requested action: identity:validate_token."
            )
        if request.method == "DELETE":
            self.cloud.identity.revoke(secret)
            return empty()
        catalog = "nocatalog" not in request.query_params
        headers = {"X-Subject-Token": secret, "Vary": "X-Auth-Token"}
        return JSONResponse({"token": self._view(token, catalog)}, headers=headers)

    def _view(self, token: Token, catalog: bool) -> Json:
        return views.token(self.cloud.identity, token, catalog)

    def _live(self, secret: str | None) -> Token:
        token = self.cloud.identity.token(secret) if secret else None
        if token is None:
            raise Unauthorized
        return token

    def _password_user(self, wanted: Json) -> User:
        users = self.cloud.identity.users
        if "id" in wanted:
            user = users.get(str(wanted["id"]))
        else:
            _check_domain(wanted.get("domain"))
            user = next((u for u in users.values() if u.name == wanted.get("name")), None)
        return self.cloud.identity.authenticate(user, str(wanted.get("password", "")))

    def _scope(self, scope: object) -> Project | None:
        if scope is None or scope == "unscoped" or not isinstance(scope, dict):
            return None
        if "project" not in scope:
            return None if "unscoped" in scope else _raise_unauthorized()
        wanted = _object(scope, "project")
        projects = self.cloud.identity.projects
        if "id" in wanted:
            project = projects.get(str(wanted["id"]))
        else:
            _check_domain(wanted.get("domain"))
            project = next((p for p in projects.values() if p.name == wanted.get("name")), None)
        return project or _raise_unauthorized()

    def show_catalog(self, call: Call) -> Response:
        """GET /v3/auth/catalog."""
        entries = views.catalog(self.cloud.identity.catalog, call.caller.project_id)
        return json_response({"catalog": entries, "links": self._links("/auth/catalog")})

    def own_projects(self, call: Call) -> Response:
        """GET /v3/auth/projects: those that the caller could scope to."""
        found = self.cloud.identity.projects_of(call.caller.user_id)
        return self._list("projects", [views.project(p, self.url) for p in found], call)

    def list_domains(self, call: Call) -> Response:
        """GET /v3/domains: there is one."""
        return self._list("domains", [views.domain(self.url)], call)

    def show_domain(self, call: Call) -> Response:
        """GET /v3/domains/{id}."""
        if call.path["domain_id"] != DEFAULT_DOMAIN_ID:
            raise NotFound(f"Could not find domain: {call.path['domain_id']}.")
        return json_response({"domain": views.domain(self.url)})

    def list_regions(self, call: Call) -> Response:
        """GET /v3/regions: there is one."""
        return self._list("regions", [views.region(self.cloud.settings.region, self.url)], call)

    def show_region(self, call: Call) -> Response:
        """GET /v3/regions/{id}."""
        if call.path["region_id"] != self.cloud.settings.region:
            raise NotFound(f"Could not find region: {call.path['region_id']}.")
        return json_response({"region": views.region(self.cloud.settings.region, self.url)})

    def list_services(self, call: Call) -> Response:
        """GET /v3/services, by type or name."""
        call.caller.require_admin("identity:list_services")
        found = self.cloud.identity.catalog.services.values()
        return self._list("services", [views.service(s, self.url) for s in found], call)

    def create_service(self, call: Call) -> Response:
        """POST /v3/services."""
        call.caller.require_admin("identity:create_service")
        wanted = call.item("service")
        service = self.cloud.identity.catalog.add_service(
            text_of(wanted, "type"), text_of(wanted, "name"), text_of(wanted, "description")
        )
        return json_response({"service": views.service(service, self.url)}, 201)

    def show_service(self, call: Call) -> Response:
        """GET /v3/services/{id}."""
        call.caller.require_admin("identity:get_service")
        service = self.cloud.identity.catalog.service(call.path["service_id"])
        return json_response({"service": views.service(service, self.url)})

    def update_service(self, call: Call) -> Response:
        """PATCH /v3/services/{id}."""
        call.caller.require_admin("identity:update_service")
        service = self.cloud.identity.catalog.service(call.path["service_id"])
        wanted = call.item("service")
        service.type = text_of(wanted, "type", service.type)
        service.name = text_of(wanted, "name", service.name)
        service.description = text_of(wanted, "description", service.description)
        service.enabled = truth(wanted.get("enabled", service.enabled))
        return json_response({"service": views.service(service, self.url)})

    def delete_service(self, call: Call) -> Response:
        """DELETE /v3/services/{id}."""
        call.caller.require_admin("identity:delete_service")
        self.cloud.identity.catalog.delete_service(call.path["service_id"])
        return empty()

    def list_endpoints(self, call: Call) -> Response:
        """GET /v3/endpoints, by service_id, interface or region_id."""
        call.caller.require_admin("identity:list_endpoints")
        found = self.cloud.identity.catalog.endpoints.values()
        return self._list("endpoints", [views.endpoint(e, self.url) for e in found], call)

    def create_endpoint(self, call: Call) -> Response:
        """POST /v3/endpoints."""
        call.caller.require_admin("identity:create_endpoint")
        wanted = call.item("endpoint")
        endpoint = self.cloud.identity.catalog.add_endpoint(
            text_of(wanted, "service_id"),
            text_of(wanted, "interface"),
            text_of(wanted, "url"),
            wanted.get("region_id") or wanted.get("region"),
        )
        return json_response({"endpoint": views.endpoint(endpoint, self.url)}, 201)

    def show_endpoint(self, call: Call) -> Response:
        """GET /v3/endpoints/{id}."""
        call.caller.require_admin("identity:get_endpoint")
        endpoint = self.cloud.identity.catalog.endpoint(call.path["endpoint_id"])
        return json_response({"endpoint": views.endpoint(endpoint, self.url)})

    def update_endpoint(self, call: Call) -> Response:
        """PATCH /v3/endpoints/{id}."""
        call.caller.require_admin("identity:update_endpoint")
        changes = call.item("endpoint")
        endpoint = self.cloud.identity.catalog.update_endpoint(call.path["endpoint_id"], changes)
        return json_response({"endpoint": views.endpoint(endpoint, self.url)})

    def delete_endpoint(self, call: Call) -> Response:
        """DELETE /v3/endpoints/{id}."""
        call.caller.require_admin("identity:delete_endpoint")
        self.cloud.identity.catalog.delete_endpoint(call.path["endpoint_id"])
        return empty()

    def list_projects(self, call: Call) -> Response:
        """GET /v3/projects."""
        call.caller.require_admin("identity:list_projects")
        found = self.cloud.identity.projects.values()
        return self._list("projects", [views.project(p, self.url) for p in found], call)

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
        return self._list("users", [views.user(u, self.url) for u in found], call)

    def create_user(self, call: Call) -> Response:
        """POST /v3/users."""
        call.caller.require_admin("identity:create_user")
        wanted = call.item("user")
        user = self.cloud.identity.add_user(text_of(wanted, "name"), text_of(wanted, "password"))
        return json_response({"user": views.user(user, self.url)}, 201)

    def show_user(self, call: Call) -> Response:
        """GET /v3/users/{id}: the caller itself, or any for an admin."""
        self._require_self_or_admin(call, "identity:get_user")
        user = self.cloud.identity.user(call.path["user_id"])
        return json_response({"user": views.user(user, self.url)})

    def update_user(self, call: Call) -> Response:
        """PATCH /v3/users/{id}: enable or disable."""
        call.caller.require_admin("identity:update_user")
        user = self.cloud.identity.user(call.path["user_id"])
        wanted = call.item("user")
        if "enabled" in wanted:
            self.cloud.identity.set_enabled(user, truth(wanted["enabled"]))
        return json_response({"user": views.user(user, self.url)})

    def delete_user(self, call: Call) -> Response:
        """DELETE /v3/users/{id}."""
        call.caller.require_admin("identity:delete_user")
        self.cloud.identity.delete_user(call.path["user_id"])
        return empty()

    def projects_of_user(self, call: Call) -> Response:
        """GET /v3/users/{id}/projects."""
        self._require_self_or_admin(call, "identity:list_user_projects")
        found = self.cloud.identity.projects_of(call.path["user_id"])
        return self._list("projects", [views.project(p, self.url) for p in found], call)

    def list_roles(self, call: Call) -> Response:
        """GET /v3/roles."""
        call.caller.require_admin("identity:list_roles")
        found = self.cloud.identity.roles.values()
        return self._list("roles", [views.role(r, self.url) for r in found], call)

    def show_role(self, call: Call) -> Response:
        """GET /v3/roles/{id}."""
        call.caller.require_admin("identity:get_role")
        role = self.cloud.identity.role(call.path["role_id"])
        return json_response({"role": views.role(role, self.url)})

    def roles_of_user(self, call: Call) -> Response:
        """GET the roles of a user on a project."""
        call.caller.require_admin("identity:list_grants")
        found = self.cloud.identity.roles_of(call.path["user_id"], call.path["project_id"])
        return self._list("roles", [views.role(r, self.url) for r in found], call)

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
        links = self._links("/role_assignments")
        return json_response({"role_assignments": rows, "links": links})

    @staticmethod
    def _require_self_or_admin(call: Call, rule: str) -> None:
        if call.caller.user_id != call.path["user_id"]:
            call.caller.require_admin(rule)

    def _list(self, name: str, documents: list[Json], call: Call) -> Response:
        rows = [document for document in documents if matches(document, call.query)]
        return json_response({name: rows, "links": self._links(f"/{name}")})

    def _links(self, path: str) -> Json:
        return {"self": f"{self.url}/v3{path}", "previous": None, "next": None}


def _object(document: Json, name: str) -> Json:
    value = document.get(name)
    if not isinstance(value, dict):
        raise BadRequest(f"{name!r} is a required property")
    return value


def _check_domain(domain: Any) -> None:
    wanted = domain if isinstance(domain, dict) else {}
    names = {wanted.get("id", DEFAULT_DOMAIN_ID), str(wanted.get("name", "default")).lower()}
    if names != {DEFAULT_DOMAIN_ID}:
        raise Unauthorized


def _raise_unauthorized() -> Project:
    raise Unauthorized
