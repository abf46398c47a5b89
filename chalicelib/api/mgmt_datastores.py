"""Datastores and their versions as operators keep them: on offer at once, without a deployment.

Source: Trove 26's `mgmt/datastore-versions`. `flavors` and `volume_types` are ours: Trove binds
them with a command of its servers. Decision 55 says what this and `infra/datastores.yaml` are to
each other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, ClassVar, Final, TypeVar

import msgspec

from chalicelib import aws, engines
from chalicelib.api.frame import Request, Response, Route, for_administrators
from chalicelib.api.response import View
from chalicelib.api.schema import Body, Examples, Given, Name, Text
from chalicelib.auth import policy
from chalicelib.errors import BadRequest, NotFound
from chalicelib.settings import API_VERSION
from chalicelib.store import attachments, backups
from chalicelib.store import datastores as store
from chalicelib.store.base import Contended, races
from chalicelib.store.datastores import MOST_VERSIONS, Offered
from chalicelib.store.models import Datastore, DatastoreVersion

PATH: Final = f"/{API_VERSION}/{{project}}/mgmt/datastore-versions"

Few = Annotated[list[Given], msgspec.Meta(max_length=20)]
Bound = Annotated[list[Given], msgspec.Meta(max_length=200)]

R = TypeVar("R")


class VersionBody(Body, frozen=True):
    """A new version of a datastore, which is made with it if need be.

    Its images are one of Glance by its id (`image`), or the newest that has all `image_tags`.
    `version` is the number of its engine, the name unless it is given: upgrades compare it. Empty
    `flavors` and `volume_types` allow any.
    """

    name: Name
    datastore_name: Name
    datastore_manager: Given
    active: bool
    image: Text | None = None
    image_tags: Few = msgspec.field(default_factory=list)
    packages: Few = msgspec.field(default_factory=list)
    default: bool = False
    version: Given | None = None
    registry_ext: Text | None = None
    repl_strategy: Text | None = None
    flavors: Bound = msgspec.field(default_factory=list)
    volume_types: Bound = msgspec.field(default_factory=list)


class NewVersion(Body, frozen=True):
    """A version to offer."""

    EXAMPLES: ClassVar[Examples] = (
        {
            "version": {
                "name": "10.11.9",
                "datastore_name": "mariadb",
                "datastore_manager": "mariadb",
                "image_tags": ["coffer", "mariadb-10.11.9"],
                "active": True,
                "default": True,
                "flavors": ["1", "2"],
            }
        },
    )

    version: VersionBody


class VersionChanges(Body, frozen=True):
    """What is to change of a version; what is not named stays.

    `image_tags` without an `image` take the place of the image that was named by its id.
    """

    EXAMPLES: ClassVar[Examples] = ({"active": False}, {"default": True, "flavors": []})

    name: Name | None = None
    datastore_manager: Given | None = None
    image: Text | None = None
    image_tags: Few | None = None
    packages: Few | None = None
    active: bool | None = None
    default: bool | None = None
    registry_ext: Text | None = None
    repl_strategy: Text | None = None
    flavors: Bound | None = None
    volume_types: Bound | None = None


class ManagedVersion(View, frozen=True):
    """A version as operators see it."""

    id: str
    name: str
    version: str
    datastore_id: str
    datastore_name: str
    datastore_manager: str
    image: str
    image_tags: list[str]
    packages: list[str]
    active: bool
    default: bool
    flavors: list[str]
    volume_types: list[str]


class ManagedVersionList(View, frozen=True):
    """Every version of every datastore."""

    versions: list[ManagedVersion]


class OneManagedVersion(View, frozen=True):
    """One version."""

    version: ManagedVersion


def index(request: Request) -> Response:
    """Every version of every datastore, active or not; a few hundred at most, without pages."""
    policy.require_admin(request.context)
    found = store.offered()
    return Response(200, ManagedVersionList([_view(found, row) for row in found.versions]))


def show(request: Request) -> Response:
    """A version, by its id."""
    policy.require_admin(request.context)
    found = store.offered(consistent=True)
    return Response(200, OneManagedVersion(_view(found, _version(found, request))))


def create(request: Request) -> Response:
    """Offer a version; its datastore is made if there is none of that name."""
    policy.require_admin(request.context)
    wanted = request.json(NewVersion).version
    number = wanted.version or wanted.name
    _require_known(wanted.datastore_manager, wanted.registry_ext, wanted.repl_strategy)
    _require_number(wanted.datastore_manager, number)
    _require_image(wanted.image, wanted.image_tags)
    if wanted.default and not wanted.active:
        raise _inactive(wanted.name)
    made = aws.new_id()

    def decide(found: Offered) -> bool:
        name = wanted.datastore_name
        datastore = found.datastore(name) or store.new_datastore(name)
        _require_free(found, datastore, wanted.name, number)
        if len(found.versions) >= MOST_VERSIONS:
            raise BadRequest(f"There are {MOST_VERSIONS} versions already; delete what is unused.")
        values = {
            **_values(wanted),
            "datastore_id": datastore.id,
            "datastore_name": datastore.name,
            "version": number,
        }
        default = made if wanted.default else msgspec.UNSET
        claim = request.keeping(Response(202))
        return store.change(datastore, {made: values}, default=default, claim=claim)

    return _changing(request, decide)


def edit(request: Request) -> Response:
    """Change a version. Instances keep what they were made with until they are upgraded."""
    policy.require_admin(request.context)
    wanted = request.json(VersionChanges)

    def decide(found: Offered) -> bool:
        row = _version(found, request)
        datastore = _datastore_of(found, row)
        values = _values(wanted)
        if wanted.image_tags is not None:
            values.setdefault("image_id", None)
        manager = wanted.datastore_manager or row.manager
        _require_known(manager, wanted.registry_ext, wanted.repl_strategy)
        _require_number(manager, row.version)
        _require_image(
            values.get("image_id", row.image_id), values.get("image_tags", row.image_tags)
        )
        other = manager != row.manager
        if other and (what := _used_by(row)):
            raise BadRequest(f"The manager of a version that {what}s have cannot be changed.")
        if wanted.name not in (None, row.name):
            _require_free(found, datastore, wanted.name or "", row.version)
        if wanted.default and not values.get("active", row.active):
            raise _inactive(row.name)
        written = {row.id: values} if values else None
        alone = row if other else None
        default = _default(wanted, datastore, row)
        return store.change(datastore, written, ungrouped=alone, default=default)

    return _changing(request, decide)


def delete(request: Request) -> Response:
    """Withdraw a version that no instance, no backup and no configuration group has."""
    policy.require_admin(request.context)

    def decide(found: Offered) -> bool:
        row = _version(found, request)
        datastore = _datastore_of(found, row)
        if what := _used_by(row):
            raise BadRequest(f"Datastore version is in use by {what}.")
        is_default = datastore.default_version_id == row.id
        default = None if is_default else msgspec.UNSET
        return store.change(datastore, removed=row, default=default)

    return _changing(request, decide)


def delete_datastore(request: Request) -> Response:
    """Withdraw a datastore that has no versions any more, by its name or id."""
    name_or_id = request.id_of("datastore")

    def decide(found: Offered) -> bool:
        datastore = found.datastore(name_or_id)
        if datastore is None:
            raise NotFound(f"Datastore '{name_or_id}' cannot be found.")
        if found.versions_of(datastore):
            raise BadRequest(f"Datastore '{name_or_id}' has versions; delete them first.")
        return store.withdraw(datastore)

    return _changing(request, decide)


def _changing(request: Request, decide: Callable[[Offered], bool]) -> Response:
    """Decide by what is on offer, and again when it was changed before that could be written."""
    for _ in races():
        if decide(store.offered(consistent=True)):
            request.catalog.forget()
            return Response(202)
    raise Contended("The datastore is being changed by others at the moment; try again.")


def _values(wanted: VersionBody | VersionChanges) -> dict[str, Any]:
    """The attributes of the row that a body names."""
    named: dict[str, Any] = {
        "name": wanted.name,
        "manager": wanted.datastore_manager,
        "image_tags": wanted.image_tags,
        "packages": None if wanted.packages is None else ",".join(wanted.packages),
        "active": wanted.active,
        "flavors": wanted.flavors,
        "volume_types": wanted.volume_types,
    }
    values = {name: value for name, value in named.items() if value is not None}
    return values if wanted.image is None else {**values, "image_id": wanted.image or None}


def _default(
    wanted: VersionChanges, datastore: Datastore, row: DatastoreVersion
) -> str | msgspec.UnsetType | None:
    """What becomes of the datastore's default version."""
    if wanted.default:
        return str(row.id)
    if wanted.default is False and datastore.default_version_id == row.id:
        return None
    return msgspec.UNSET


def _used_by(row: DatastoreVersion) -> str | None:
    """What has a version, in Trove's words for it. Instances first: what is made of one that is on
    its way to another version, or out, is there when the rest is looked for."""
    if store.is_used(row.id):
        return "instance"
    if backups.any_of_version(row.id):
        return "backup"
    return "configuration" if attachments.any_group_of(row.id) else None


def _require_known(manager: str, registry_ext: str | None, repl_strategy: str | None) -> None:
    if manager not in engines.ENGINES:
        known = ", ".join(sorted(engines.ENGINES))
        raise BadRequest(f"There is no datastore manager '{manager[:64]}'; there are {known}.")
    if registry_ext or repl_strategy:
        raise BadRequest(
            "'registry_ext' and 'repl_strategy' name classes to load, and nothing is loaded here: "
            "the managers are those of the guest agent."
        )


def _require_number(manager: str, number: str) -> None:
    """Upgrades compare numbers, and the guest its engine's with it."""
    if engines.series_of(manager, engines.numbers_of(number)) is None:
        raise BadRequest(
            f"'{number[:64]}' does not begin with the number of a major version of {manager}; "
            "give the engine's number as 'version'."
        )


def _require_image(image: str | None, tags: Sequence[str]) -> None:
    if not image and not tags:
        raise BadRequest("Image must be specified.")


def _require_free(found: Offered, datastore: Datastore, name: str, number: str) -> None:
    taken = {(row.name, row.version) for row in found.versions_of(datastore)}
    if (name, number) in taken:
        raise BadRequest(
            f"A datastore version with the name '{name}' and version '{number}' already exists."
        )


def _inactive(name: str) -> BadRequest:
    return BadRequest(f"Datastore version '{name}' is not active, and so can be no default.")


def _version(found: Offered, request: Request) -> DatastoreVersion:
    version_id = request.id_of("version")
    row = found.version(version_id)
    if row is None:
        raise NotFound(f"Datastore version '{version_id}' cannot be found.")
    return row


def _datastore_of(found: Offered, row: DatastoreVersion) -> Datastore:
    """A datastore goes after its versions, so it is there unless a table was restored alone."""
    return found.datastore(row.datastore_id) or Datastore(row.datastore_id, name=row.datastore_name)


def _view(found: Offered, row: DatastoreVersion) -> ManagedVersion:
    return ManagedVersion(
        id=row.id,
        name=row.name,
        version=row.version,
        datastore_id=row.datastore_id,
        datastore_name=row.datastore_name,
        datastore_manager=row.manager,
        image=row.image_id or "",
        image_tags=list(row.image_tags),
        packages=[each for each in row.packages.split(",") if each],
        active=row.active,
        default=_datastore_of(found, row).default_version_id == row.id,
        flavors=list(row.flavors),
        volume_types=list(row.volume_types),
    )


ROUTES: Final = (
    Route("GET", PATH, index, answers=ManagedVersionList),
    Route("POST", PATH, create, permits=for_administrators, reads=NewVersion, status=202),
    Route("GET", f"{PATH}/{{version}}", show, answers=OneManagedVersion),
    Route("PATCH", f"{PATH}/{{version}}", edit, reads=VersionChanges, status=202),
    Route("DELETE", f"{PATH}/{{version}}", delete, status=202),
    Route(
        "DELETE",
        f"/{API_VERSION}/{{project}}/datastores/{{datastore}}",
        delete_datastore,
        "datastore:delete",
        status=202,
    ),
)
