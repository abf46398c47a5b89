"""The parameters of a datastore version that a configuration group may set, and their bounds."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from chalicelib.api.datastores import PATH, VERSIONS, version_by_uuid, version_of
from chalicelib.api.frame import Request, Response, Route
from chalicelib.api.response import View, one_of
from chalicelib.auth import policy
from chalicelib.bus import contract
from chalicelib.bus.ability import require_offered
from chalicelib.domain.configurations import rules_of
from chalicelib.engines.parameter import Kind, Parameter
from chalicelib.errors import NotFound, NotSupported
from chalicelib.settings import API_VERSION
from chalicelib.store.models import DatastoreVersion

MANAGED: Final = f"/{API_VERSION}/{{project}}/mgmt/datastores/versions/{{version}}"

Bound = int | float | msgspec.UnsetType


class ParameterView(View, frozen=True):
    """A parameter; a number is between `min` and `max`, where it has them, both included."""

    name: str
    datastore_version_id: str
    restart_required: bool
    type: Annotated[str, one_of(Kind)]
    min: Bound = msgspec.UNSET
    max: Bound = msgspec.UNSET
    allowed: list[str] | msgspec.UnsetType = msgspec.UNSET


class ParameterList(View, frozen=True, rename={"parameters": "configuration-parameters"}):
    """All parameters of a version."""

    parameters: list[ParameterView]


def index(request: Request) -> Response:
    """The parameters of a datastore version, both by name or id."""
    return _list(version_of(request))


def show(request: Request) -> Response:
    """A parameter of a datastore version."""
    return _show(request, version_of(request))


def index_by_version(request: Request) -> Response:
    """The parameters of a version by its id, of whichever datastore."""
    return _list(version_by_uuid(request))


def show_by_version(request: Request) -> Response:
    """A parameter of a version by its id."""
    return _show(request, version_by_uuid(request))


def managed_index(request: Request) -> Response:
    """The parameters of a version by its id, active or not; for administrators."""
    policy.require_admin(request.context)
    return index_by_version(request)


def managed_show(request: Request) -> Response:
    """A parameter of a version by its id, active or not; for administrators."""
    policy.require_admin(request.context)
    return show_by_version(request)


def _list(version: DatastoreVersion) -> Response:
    require_offered(version, [contract.UPDATE_OVERRIDES])
    known = rules_of(version.manager, version.version)
    return Response(200, ParameterList([_view(version, known[name]) for name in sorted(known)]))


def _show(request: Request, version: DatastoreVersion) -> Response:
    require_offered(version, [contract.UPDATE_OVERRIDES])
    name = request.id_of("parameter")
    rule = rules_of(version.manager, version.version).get(name.lower())
    if rule is None:
        raise NotFound(f"Configuration parameter '{name}' cannot be found.")
    return Response(200, _view(version, rule))


def _view(version: DatastoreVersion, rule: Parameter) -> ParameterView:
    return ParameterView(
        name=rule.name,
        datastore_version_id=version.id,
        restart_required=rule.restart_required,
        type=rule.kind,
        min=msgspec.UNSET if rule.min is None else rule.min,
        max=msgspec.UNSET if rule.max is None else rule.max,
        allowed=list(rule.allowed) or msgspec.UNSET,
    )


ROUTES: Final = tuple(
    Route(
        "GET",
        path,
        handler,
        f"configuration-parameter:{named}" if named else None,
        answers=answers,
        refuses=(NotSupported,),
    )
    for path, handler, named, answers in (
        (f"{VERSIONS}/{{version}}/parameters", index, "index", ParameterList),
        (f"{VERSIONS}/{{version}}/parameters/{{parameter}}", show, "show", ParameterView),
        (
            f"{PATH}/versions/{{version}}/parameters",
            index_by_version,
            "index_by_version",
            ParameterList,
        ),
        (
            f"{PATH}/versions/{{version}}/parameters/{{parameter}}",
            show_by_version,
            "show_by_version",
            ParameterView,
        ),
        (f"{MANAGED}/parameters", managed_index, None, ParameterList),
        (f"{MANAGED}/parameters/{{parameter}}", managed_show, None, ParameterView),
    )
)
