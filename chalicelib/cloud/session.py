"""The connection to the cloud, made at the first call, and the frame of every call."""

from __future__ import annotations

import functools
import logging
import re
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

from chalicelib import aws, crash, parameters
from chalicelib.cloud.errors import CloudAway, CloudError, InUse, Refused
from chalicelib.parameters import Credential
from chalicelib.settings import settings

if TYPE_CHECKING:
    from openstack.connection import Connection

P = ParamSpec("P")
T = TypeVar("T")

TIMEOUT_SECONDS: Final = 15
CONNECTION: Final = "cloud connection"
_LATER: Final = frozenset({401, 408, 409, 425, 429})
_NEVER: Final = frozenset(
    {
        "IpAddressAlreadyAllocated",
        "IpAddressInUse",
        "IpAddressGenerationFailure",
        "MacAddressInUse",
        "ExternalIpAddressExhausted",
    }
)
"""Neutron's 409s for which somebody else has to make room; its other ones pass by themselves."""

_ATTACHED: Final = re.compile(
    "must be 'available' to extend, currently in-use|volume:extend_attached_volume"
)
"""Cinder's refusal to extend a volume in a server: of its API before 3.42, and of its policy."""

_VERBS: Final = frozenset(
    {
        *("create", "delete", "extend", "find", "get", "list", "start", "stop", "update"),
        *("attach", "detach"),
        *("confirm", "migrate", "rebuild", "resize", "revert"),
    }
)
_COUNTED: Final = re.compile(
    "security_group_rule|security_group|floatingip|port|instances|cores|ram|gigabytes|volumes"
)

log = logging.getLogger(__name__)


def connection() -> Connection:
    """The service's own connection, its token renewed by keystoneauth.

    One per container and credential: a changed password is a new connection.
    """
    credential = parameters.held(parameters.CLOUD, Credential)
    used, made = aws.remembered(CONNECTION, lambda: (credential, _connect(credential)))
    if used != credential:
        made.close()
        aws.forget(CONNECTION)
        return connection()
    return made


def _connect(credential: Credential) -> Connection:
    import openstack

    chosen = settings()
    return openstack.connect(
        load_yaml_config=False,
        load_envvars=False,
        region_name=chosen.os_region_name,
        api_timeout=TIMEOUT_SECONDS,
        app_name="coffer",
        **credential.login(
            chosen.os_auth_url,
            project_name=chosen.os_project_name,
            user_domain_name=chosen.os_user_domain_name,
            project_domain_name=chosen.os_project_domain_name,
        ),
    )


def own_project() -> str:
    """The service's project: what is elsewhere is nobody's but a tenant's."""
    return str(connection().current_project_id)


def cloud_call(function: Callable[P, T]) -> Callable[P, T]:
    """Turn the SDK's errors into ours, and count the call as one effect."""

    effect = f"{function.__module__.rsplit('.', 1)[-1]}.{function.__name__}"

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        from keystoneauth1.exceptions import ClientException
        from openstack.exceptions import HttpException, SDKException

        what = spoken(function.__module__, function.__name__)
        try:
            result = function(*args, **kwargs)
        except HttpException as error:
            _look_for_new_password(getattr(error, "status_code", None))
            raise from_http(error, what) from None
        except (SDKException, ClientException) as error:
            _look_for_new_password(getattr(error, "http_status", None))
            raise CloudAway(f"{what}: the cloud gave no answer ({type(error).__name__})") from None
        crash.effect(effect)
        return result

    return call


def spoken(module: str, function: str) -> str:
    """What a function does, in words for a tenant: `create the volume`, `list the ports`."""
    service = module.rsplit(".", 1)[-1].replace("_", " ")
    verb, _, thing = function.partition("_")
    named = thing.replace("_", " ")
    if verb == "page" or named == "all":
        return f"list the {named.removeprefix('of ') if verb == 'page' and named else service}"
    if verb not in _VERBS:
        return f"find the {service.removesuffix('s')}"
    return f"{verb} the {named or service.removesuffix('s')}"


def _look_for_new_password(status: int | None) -> None:
    """After a 401 the password may have changed: the next call uses what the parameter says then.

    keystoneauth has asked for a new token by now, so that it is the credential that is refused.
    """
    if status == HTTPStatus.UNAUTHORIZED:
        parameters.looked_up(parameters.CLOUD, Credential)


def over_quota(error: Exception) -> bool:
    """Whether a refusal is a quota's: a 409 of Neutron, as for what may pass by itself."""
    said = str(getattr(error, "details", None) or getattr(error, "message", ""))
    return "quota" in said.lower()


def from_http(error: Exception, what: str) -> CloudError:
    """Our error for an HTTP error of the SDK (`status_code`, `details`, `message`)."""
    status = getattr(error, "status_code", None) or 0
    said = str(getattr(error, "details", None) or getattr(error, "message", "") or status)[:300]
    if over_quota(error):
        # The figures are those of the service's project, which is every tenant's.
        log.warning("over a quota of the cloud: %s: %s", what, said)
        counted = _COUNTED.search(said)
        name = f" for {counted[0].replace('_', ' ')}" if counted else ""
        return Refused(
            f"The cloud refused to {what}: its quota{name} is exhausted; ask the operator."
        )
    if _ATTACHED.search(said):
        return InUse(f"The cloud refused to {what}: {said}")
    if _kind(error) in _NEVER or (400 <= status < 500 and status not in _LATER):
        return Refused(f"The cloud refused to {what}: {said}")
    if status == HTTPStatus.UNAUTHORIZED or not 400 <= status < 500:
        # A proxy's or a service's own words, of its hosts and of our user: not for a tenant.
        log.warning("the cloud could not %s: %s %s", what, status, said)
        return CloudAway(f"The cloud could not {what}: it answered {status or 'nothing'}")
    return CloudAway(f"The cloud could not {what}: {said}")


def _kind(error: Exception) -> str:
    """Neutron's name for an error, from the body: the SDK keeps the message only."""
    response = getattr(error, "response", None)
    try:
        body = response.json() if response is not None else {}
        return str(body["NeutronError"]["type"])
    except (KeyError, TypeError, ValueError):  # another service's, or no JSON
        return ""
