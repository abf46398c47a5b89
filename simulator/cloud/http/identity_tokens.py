"""Tokens: issued for a password or a token, validated, revoked; what a caller may scope to."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from simulator.cloud.http import identity_views as views
from simulator.cloud.http.identity_base import IdentityRoutes, error_view
from simulator.cloud.http.plumbing import Call, Json, empty, json_response, read_body
from simulator.cloud.model.errors import (
    BadRequest,
    CloudError,
    Forbidden,
    NotFound,
    Unauthorized,
)
from simulator.cloud.model.identity import (
    DEFAULT_DOMAIN_ID,
    ApplicationCredential,
    Project,
    Token,
    User,
)


class Tokens(IdentityRoutes):
    """Routes below `/auth`."""

    def routes(self) -> list[BaseRoute]:
        """All routes of this part."""
        return [
            Route("/v3/auth/tokens", self.tokens, methods=["GET", "HEAD", "POST", "DELETE"]),
            self.route("/v3/auth/catalog", get=self.show_catalog),
            self.route("/v3/auth/projects", get=self.own_projects),
        ]

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
        """Authenticate with a password or a token; scope to the project or the system, if named.

        An application credential says by itself which project.
        """
        with self.cloud.faults.around("identity", "create_token", ""):
            auth = _object(body, "auth")
            identity = _object(auth, "identity")
            methods = identity.get("methods")
            if not isinstance(methods, list) or not methods:
                raise BadRequest("Invalid input for field 'methods': [] is too short")
            parent: Token | None = None
            application: ApplicationCredential | None = None
            scope = auth.get("scope")
            system = isinstance(scope, dict) and "system" in scope
            project = None if system else self._scope(scope)
            if "application_credential" in methods:
                wanted = _object(identity, "application_credential")
                application = self.cloud.identity.application_credential(
                    str(wanted.get("id", "")), str(wanted.get("secret", ""))
                )
                user = self.cloud.identity.user(application.user_id)
                project = self.cloud.identity.project(application.project_id)
            elif "password" in methods:
                user = self._password_user(_object(_object(identity, "password"), "user"))
            elif "token" in methods:
                parent = self.live(str(_object(identity, "token").get("id") or ""))
                user = self.cloud.identity.user(parent.user_id)
            else:
                raise Unauthorized
            used = tuple(dict.fromkeys([*map(str, methods), *(parent.methods if parent else ())]))
            token = self.cloud.identity.issue(
                user, project, used, parent, application, system=system and application is None
            )
        catalog = "nocatalog" not in request.query_params
        headers = {"X-Subject-Token": token.secret, "Vary": "X-Auth-Token"}
        return JSONResponse({"token": self._view(token, catalog)}, 201, headers=headers)

    def _about_token(self, request: Request) -> Response:
        caller = self.live(request.headers.get("x-auth-token")).caller()
        secret = request.headers.get("x-subject-token", "")
        token = self.cloud.identity.token(secret)
        if token is None:
            raise NotFound("Could not find token.")
        if not caller.is_service and token.user_id != caller.user_id:
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
        return json_response({"catalog": entries, "links": self.links("/auth/catalog")})

    def own_projects(self, call: Call) -> Response:
        """GET /v3/auth/projects: those that the caller could scope to."""
        found = self.cloud.identity.projects_of(call.caller.user_id)
        return self.list_of("projects", [views.project(p, self.url) for p in found], call)


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
