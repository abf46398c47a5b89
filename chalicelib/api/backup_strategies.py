"""Backup strategies as Trove has them: which container of Swift the backups go to that name no
place, of a project or of an instance. No schedule, no retention (`backup_schedules`)."""

from __future__ import annotations

from typing import ClassVar, Final

from chalicelib.api.backup_places import SWIFT, ContainerName
from chalicelib.api.frame import Request, Response, Route
from chalicelib.api.listing import LONGEST, Short
from chalicelib.api.response import View
from chalicelib.api.schema import Body, Examples, Query, Text
from chalicelib.errors import BadRequest, Conflict, Forbidden, NotFound, NotSupported
from chalicelib.settings import API_VERSION
from chalicelib.store import instances
from chalicelib.store import strategies as store
from chalicelib.store.models import Instance
from chalicelib.store.strategies import Strategy

PATH: Final = f"/{API_VERSION}/{{project}}/backup_strategies"


class StrategyBody(Body, frozen=True):
    """The container for the backups of an instance, or of all of the project."""

    swift_container: ContainerName
    instance_id: Text | None = None


class NewStrategy(Body, frozen=True):
    """A strategy to make, or to change."""

    EXAMPLES: ClassVar[Examples] = ({"backup_strategy": {"swift_container": "backups"}},)

    backup_strategy: StrategyBody


class Chosen(Query, frozen=True):
    """Whose strategies are meant; those of other projects are administrators' to see."""

    instance_id: Short | None = None
    project_id: Short | None = None


class StrategyView(View, frozen=True):
    """A strategy; without an instance it is the project's."""

    project_id: str
    instance_id: str
    backend: str
    swift_container: str


class StrategyList(View, frozen=True):
    """The strategies of a project."""

    backup_strategies: list[StrategyView]


class OneStrategy(View, frozen=True):
    """One strategy."""

    backup_strategy: StrategyView


def index(request: Request) -> Response:
    """The strategies of the project, or that of an instance."""
    found = store.of_tenant(_project_of(request), request.query.get("instance_id"))
    return Response(200, StrategyList([_view(each) for each in found]))


def create(request: Request) -> Response:
    """Have the backups of the project, or of an instance, go to a container; it is made when it is
    not there, and takes the place of another one."""
    asked = request.json(NewStrategy).backup_strategy
    project_id = request.context.project_id
    instance = _instance_of(request, asked.instance_id, project_id) if asked.instance_id else None
    container = request.container(asked.swift_container, make=True)
    assert container is not None, "it was to be made"
    if instance is not None:
        store.of_instance(instance, container)
    else:
        store.of_project(project_id, container)
    made = Strategy(project_id, instance.id if instance else None, container)
    return Response(202, OneStrategy(_view(made)))


def delete(request: Request) -> Response:
    """Take a strategy away, if there is one; the backups stay where they are."""
    project_id, instance_id = _project_of(request), request.query.get("instance_id")
    if instance_id is not None:
        store.of_instance(_instance_of(request, instance_id, project_id), None)
    else:
        store.of_project(project_id, None)
    return Response(202)


def _instance_of(request: Request, instance_id: str, project_id: str) -> Instance:
    """An instance of that project: its container is the project's."""
    row = instances.get_instance(instance_id, project_id)
    request.audit.of_instance(row.id, row.tenant_id)
    return row


def _project_of(request: Request) -> str:
    """Whose strategies are meant; refuses those of others but to an administrator, as Trove."""
    query, context = request.query, request.context
    for name in ("instance_id", "project_id"):
        if len(query.get(name, "")) > LONGEST:
            raise BadRequest(f"The '{name}' is too long.")
    project_id = query.get("project_id", context.project_id)
    if project_id != context.project_id and not context.is_admin:
        raise Forbidden(f"User does not have access to the strategies of project {project_id}.")
    return project_id


def _view(strategy: Strategy) -> StrategyView:
    return StrategyView(
        project_id=strategy.tenant_id,
        instance_id=strategy.instance_id or "",
        backend=SWIFT,
        swift_container=strategy.container.name,
    )


ROUTES: Final = (
    Route("GET", PATH, index, "backup_strategy:index", query=Chosen, answers=StrategyList),
    Route(
        "POST",
        PATH,
        create,
        "backup_strategy:create",
        reads=NewStrategy,
        answers=OneStrategy,
        status=202,
        refuses=(NotFound, Conflict, NotSupported),
    ),
    Route(
        "DELETE",
        PATH,
        delete,
        "backup_strategy:delete",
        query=Chosen,
        status=202,
        refuses=(NotFound,),
    ),
)
"""Where backups go that name no place."""
