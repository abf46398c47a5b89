"""Makes the Chalice app: every route, and an answer in Trove's form for what has none.

A factory, since each simulated container needs an app of its own: Chalice keeps the current
request on the app.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from chalice.app import Chalice
from chalice.app import Response as GatewayResponse

from chalicelib.api import (
    actions,
    archives,
    attaching,
    backup_schedules,
    backup_strategies,
    backups,
    configuration_parameters,
    configurations,
    databases,
    datastores,
    events,
    flavors,
    guests,
    instance_metrics,
    instances,
    later,
    limits,
    mgmt,
    mgmt_datastores,
    operations,
    published,
    quotas,
    rollouts,
    root,
    user_access,
    users,
    versions,
)
from chalicelib.api.catalog import Catalog
from chalicelib.api.frame import Route, Services, answer, refuse
from chalicelib.api.rates import Rates
from chalicelib.auth.connection import Connection
from chalicelib.auth.containers import Containers, NoStore, OwnStore
from chalicelib.auth.keystone import Authenticate, Keystone
from chalicelib.auth.networks import Look, Networks, nobody
from chalicelib.errors import CofferError, MethodNotAllowed, NotFound

NAME: Final = "coffer"

ROUTES: Final[tuple[Route, ...]] = (
    *versions.ROUTES,
    *published.ROUTES,
    *datastores.ROUTES,
    *flavors.ROUTES,
    *limits.ROUTES,
    *quotas.ROUTES,
    *instances.ROUTES,
    *actions.ROUTES,
    *mgmt.ROUTES,
    *mgmt_datastores.ROUTES,
    *rollouts.ROUTES,
    *operations.ROUTES,
    *events.ROUTES,
    *instance_metrics.ROUTES,
    *databases.ROUTES,
    *users.ROUTES,
    *user_access.ROUTES,
    *root.ROUTES,
    *configuration_parameters.ROUTES,
    *configurations.ROUTES,
    *attaching.ROUTES,
    *backups.ROUTES,
    *backup_schedules.ROUTES,
    *backup_strategies.ROUTES,
    *archives.ROUTES,
    *guests.ROUTES,
    *later.ROUTES,
)


class Application(Chalice):
    """Chalice with our own answers to unknown paths and methods."""

    def __call__(self, event: Any, context: Any) -> dict[str, Any]:
        gateway = event.get("requestContext") or {}
        headers = event.get("headers") or {}
        method = gateway.get("httpMethod")
        methods = self.routes.get(str(gateway.get("resourcePath")))
        if methods is None:
            told: CofferError = NotFound("The resource could not be found.")
            return _plain(refuse(told, str(method), headers))
        if method not in methods:
            told = MethodNotAllowed("The method is not allowed for this resource.", methods)
            return _plain(refuse(told, str(method), headers))
        answered: dict[str, Any] = super().__call__(event, context)
        return answered


def create_app(
    authenticate: Authenticate | None = None,
    networks: Look | None = None,
    containers: OwnStore | None = None,
) -> Application:
    """The app with all routes; Keystone validates tokens, Neutron shows tenants their networks, and
    Swift their containers, unless told otherwise."""
    app = Application(NAME, configure_logs=False)
    connection = Connection()
    services = Services(
        authenticate or Keystone(connection),
        networks or (nobody if authenticate else Networks(connection)),
        containers or (NoStore() if authenticate else Containers(connection)),
        Catalog(),
        Rates(),
    )
    for route in ROUTES:
        # No content types: a body of another type gets our 415, not Chalice's.
        app.route(route.path, methods=[route.method], content_types=[], name=_name(route))(
            _view(app, route, services)
        )
    return app


def _view(app: Application, route: Route, services: Services) -> Callable[..., GatewayResponse]:
    def view(**_params: str) -> GatewayResponse:
        assert app.current_request is not None, "Chalice sets it before it calls a view"
        return answer(route, app.current_request, services)

    return view


def _name(route: Route) -> str:
    return f"{route.handler.__module__.rpartition('.')[2]}_{route.handler.__name__}"


def _plain(response: GatewayResponse) -> dict[str, Any]:
    answered: dict[str, Any] = response.to_dict()
    return answered
