"""Trove's routes that this release does not serve: each says so with 501 and a sentence.

A bare 404 would be read as an answer: clients make of it "No module with a name or ID of …".
A list of what cannot exist is refused too, since an empty one would say that nothing was found.
The token, the project and the instance in the path are checked first, as on every other route.

Sources: Trove 26's API, and every URL that python-troveclient 8.11 can ask for.
"""

from __future__ import annotations

from typing import Final

import msgspec

from chalicelib.api.frame import Request, Response, Route
from chalicelib.api.guest_calls import instance_of
from chalicelib.auth import policy
from chalicelib.errors import NotSupported
from chalicelib.settings import API_VERSION

PROJECT: Final = f"/{API_VERSION}/{{project}}"


class Subject(msgspec.Struct, frozen=True):
    """Routes that one sentence is true of; each is its methods, a space, and its path.

    With `admin`, others get Trove's 401.
    """

    sentence: str
    routes: tuple[str, ...]
    admin: bool = False


SUBJECTS: Final = (
    Subject(
        "Logs of databases are not supported yet.",
        ("GET,POST /instances/{instance}/log",),
    ),
    Subject(
        "Certificates of databases are not supported yet.",
        ("GET,POST /instances/{instance}/ssl",),
    ),
    Subject(
        "Modules are not supported.",
        (
            "GET,POST /modules",
            "GET,PUT,DELETE /modules/{module}",
            "GET,PUT /modules/{module}/instances",
            "GET,POST /instances/{instance}/modules",
            "DELETE /instances/{instance}/modules/{module}",
        ),
    ),
    Subject(
        "Clusters are not supported.",
        (
            "GET,POST /clusters",
            "GET,POST,DELETE /clusters/{cluster}",
            "GET /clusters/{cluster}/instances/{member}",
            "GET,POST,DELETE /clusters/{cluster}/root",
        ),
    ),
    Subject(
        "Clusters are not supported.",
        (
            "GET /mgmt/clusters",
            "GET /mgmt/clusters/{cluster}",
            "POST /mgmt/clusters/{cluster}/action",
        ),
        admin=True,
    ),
    Subject(
        "What an administrator may ask of a guest's server is not supported yet.",
        (
            "GET /mgmt/instances/{instance}/hwinfo",
            "GET /mgmt/instances/{instance}/diagnostics",
            "GET /mgmt/instances/{instance}/rpc_ping",
            "POST /mgmt/instances/{instance}/upgrade",
        ),
        admin=True,
    ),
    Subject(
        "What may be set of an engine is in the release's rule files, which are compared with the "
        "engine itself: a parameter made by hand could undo what is fixed for safety.",
        (
            "POST /mgmt/datastores/versions/{version}/parameters",
            "PUT,DELETE /mgmt/datastores/versions/{version}/parameters/{parameter}",
        ),
        admin=True,
    ),
    Subject(
        "Trove no longer has this, although its client still asks for it.",
        (
            "GET /volume-types",
            "GET /volume-types/{volume_type}",
            "GET /security-groups",
            "GET /security-groups/{group}",
            "POST /security-group-rules",
            "DELETE /security-group-rules/{rule}",
            "GET /instances/{instance}/metadata",
            "GET,POST,PUT,PATCH,DELETE /instances/{instance}/metadata/{key}",
        ),
    ),
    Subject(
        "Trove no longer has this, although its client still asks for it.",
        (
            "GET /mgmt/accounts",
            "GET /mgmt/accounts/{account}",
            "GET /mgmt/hosts",
            "GET /mgmt/hosts/{host}",
            "POST /mgmt/hosts/{host}/instances/action",
            "GET /mgmt/storage",
            "POST /mgmt/flavors",
            "PUT /mgmt/datastores/{datastore}/versions/{version}",
            "GET,POST /mgmt/datastores/{datastore}/versions/{version}/members",
            "GET,DELETE /mgmt/datastores/{datastore}/versions/{version}/members/{member}",
            "GET /mgmt/datastores/{datastore}/versions/members/{member}",
        ),
        admin=True,
    ),
)
_SUBJECT_OF: Final = {
    (method, PROJECT + path): subject
    for subject in SUBJECTS
    for methods, _, path in (route.partition(" ") for route in subject.routes)
    for method in methods.split(",")
}


def refuse(request: Request) -> Response:
    """Not served: always 501, unless the caller may not even ask."""
    subject = _SUBJECT_OF[request.method, request.place.template]
    if subject.admin:
        policy.require_admin(request.context)
    elif "instance" in request.params:
        instance_of(request)
    raise NotSupported(subject.sentence)


ROUTES: Final = tuple(
    Route(method, path, refuse, status=NotSupported.status) for method, path in _SUBJECT_OF
)
