"""Whom the functions are in the cloud: a user that is given, the deployer, or users that are made.

Two groups of functions have a credential each (docs/decisions/0017-secrets-apart.md): `cloud` makes
servers and volumes, `identity` validates tokens. An administrator's run makes a user for each; of
a credential that is given there is but one, for both.

The password goes from where it was found into its encrypted parameter, and nowhere else.
"""

from __future__ import annotations

import secrets
from typing import Any, Final, NamedTuple

import msgspec

from chalicelib import parameters
from chalicelib.parameters import Credential
from infra.deployment.openstack import Cloud, CloudError
from infra.errors import StackError
from infra.target import Target

ROLES: Final = {
    parameters.CLOUD: ("member", "service"),
    parameters.IDENTITY: ("service",),
}
"""What OpenStack's default policies ask of each, on the service's project."""
TOO_MUCH: Final = "admin"
PASSWORD_BYTES: Final = 24


class Users(NamedTuple):
    """The names of the users and of their project; `mark` is how we know those that we made."""

    names: dict[str, str]
    project: str
    domain: str
    mark: str


def stored(target: Target, path: str, name: str) -> Credential | None:
    """The credential that the functions have now, or None when there is none."""
    ssm = target.client("ssm")
    try:
        found = ssm.get_parameter(Name=f"{path}/{name}", WithDecryption=True)["Parameter"]["Value"]
        return msgspec.json.decode(found, type=Credential)
    except ssm.exceptions.ParameterNotFound:
        return None
    except msgspec.DecodeError as error:
        raise StackError(
            f"{path}/{name} holds no credential: {error}",
            "Write it again: coffer deploy --service-user … --service-password-file …",
        ) from None


def of_that_name(cloud: Cloud, name: str) -> Any | None:
    """Keystone's user of that name in the deployer's domain, or None."""
    with cloud.answering("find a user"):
        domain = cloud.access.user_domain_id
        found = cloud.connection.identity.users(name=name, domain_id=domain)
        return next((user for user in found if user.name == name), None)


def strangers(cloud: Cloud, users: Users) -> list[str]:
    """Names that are taken by users whom this deployment has not made."""
    found = {name: of_that_name(cloud, name) for name in users.names.values()}
    return [
        name
        for name, user in found.items()
        if user is not None and (user.description or "") != users.mark
    ]


def make(cloud: Cloud, users: Users) -> dict[str, Credential]:
    """Make the users with fresh passwords and give them their roles; returns the credentials.

    One that an interrupted run has made gets another password: nobody knows the first.
    """
    identity = cloud.connection.identity
    with cloud.answering("make the service's users"):
        project = _project(cloud, users)
        roles = {role.name: role for role in identity.roles()}
        if lacking := {name for names in ROLES.values() for name in names} - roles.keys():
            raise CloudError(
                f"Keystone has no role {' and no role '.join(sorted(lacking))}.",
                "openstack role create service   (Keystone's own bootstrap makes it since 2023.1)",
            )
        made = {}
        for group, name in users.names.items():
            password = secrets.token_urlsafe(PASSWORD_BYTES)
            user = of_that_name(cloud, name)
            if user is None:
                user = identity.create_user(
                    name=name,
                    password=password,
                    description=users.mark,
                    domain_id=cloud.access.user_domain_id,
                    default_project_id=project.id,
                )
            else:
                identity.update_user(user, password=password)
            for role in ROLES[group]:
                identity.assign_project_role_to_user(project, user, roles[role])
            made[group] = Credential(name, password)
    return made


def _project(cloud: Cloud, users: Users) -> Any:
    found = cloud.connection.identity.projects(name=users.project)
    project = next((each for each in found if each.name == users.project), None)
    if project is None:
        raise CloudError(
            f"The cloud has no project {users.project}.",
            f"openstack project create {users.project}, or name another: --service-project NAME",
        )
    return project


def remove(cloud: Cloud, users: Users) -> list[str]:
    """Remove the users that this deployment has made; returns their names."""
    gone = []
    with cloud.answering("remove the service's users"):
        for name in users.names.values():
            user = of_that_name(cloud, name)
            if user is not None and user.description == users.mark:
                cloud.connection.identity.delete_user(user)
                gone.append(name)
    return gone
