"""The connection to the cloud, made at the first call, and the frame of every call."""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

from chalicelib import aws, crash, parameters, tracing, trust
from chalicelib.cloud.errors import CloudAway, CloudError, InUse, OverQuota, Refused
from chalicelib.cloud.refusals import Meaning, meaning_of, resource_in
from chalicelib.parameters import Credential
from chalicelib.settings import settings

if TYPE_CHECKING:
    from openstack.connection import Connection

P = ParamSpec("P")
T = TypeVar("T")

TIMEOUT_SECONDS: Final = 15
TOO_MUCH: Final = "admin"
CONNECTION: Final = "cloud connection"
_VERBS: Final = frozenset(
    {
        *("create", "delete", "extend", "find", "get", "keep", "list", "reclaim"),
        *("attach", "detach", "start", "stop", "update"),
        *("confirm", "migrate", "rebuild", "resize", "revert"),
    }
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
    made = openstack.connect(
        load_yaml_config=False,
        load_envvars=False,
        region_name=chosen.os_region_name,
        interface=chosen.os_interface,
        cacert=trust.authority(),
        api_timeout=TIMEOUT_SECONDS,
        app_name="coffer",
        **credential.login(
            chosen.os_auth_url,
            project_name=chosen.os_project_name,
            user_domain_name=chosen.os_user_domain_name,
            project_domain_name=chosen.os_project_domain_name,
        ),
    )
    plugin: Any = made.session.auth
    if TOO_MUCH in plugin.get_access(made.session).role_names:
        log.error(
            "The user %s has the role %s in the cloud; member and service are enough "
            "(docs/the-cloud.md).",
            credential.username,
            TOO_MUCH,
            extra={"alarm": "cloud.admin"},
        )
    return made


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

        def what() -> str:
            given = inspect.signature(function).bind(*args, **kwargs).arguments
            return spoken(function.__module__, function.__name__, given)

        try:
            with tracing.detail(log, "cloud", method=effect):
                result = function(*args, **kwargs)
        except HttpException as error:
            _look_for_new_password(getattr(error, "status_code", None))
            raise from_http(error, what()) from None
        except (SDKException, ClientException) as error:
            _look_for_new_password(getattr(error, "http_status", None))
            said = f"The cloud could not {what()}: no answer ({type(error).__name__})"
            raise CloudAway(said) from None
        crash.effect(effect)
        return result

    return call


def spoken(module: str, function: str, given: Mapping[str, object]) -> str:
    """What a call does, in words for a tenant: `create the volume coffer-1f…`, `list the ports`."""
    service = module.rsplit(".", 1)[-1].replace("_", " ")
    verb, _, thing = function.partition("_")
    named = thing.replace("_", " ")
    if verb == "page" or named == "all":
        return f"list the {named.removeprefix('of ') if verb == 'page' and named else service}"
    if verb not in _VERBS:
        verb, named = "find", ""
    named = named or service.removesuffix("s")
    return f"{verb} the {named}{_object(named.replace(' ', '_'), given)}"


def _object(thing: str, given: Mapping[str, object]) -> str:
    """Which one: by its own id when that is among what is given, else by what is given first."""
    own = f"{thing}_id"
    names = [name for name in (thing, own, *given) if given.get(name) and name != "description"]
    if not names:
        return ""
    name, value = names[0], given[names[0]]
    if isinstance(value, list):
        return f" {', '.join(map(str, value))}"
    if name in (thing, own, "name", "name_or_id") or name.removesuffix("_id") in given:
        return f" {value}"
    return f" of {name.removesuffix('_id').replace('_', ' ')} {value}"


def _look_for_new_password(status: int | None) -> None:
    """After a 401 the password may have changed: the next call uses what the parameter says then.

    keystoneauth has asked for a new token by now, so that it is the credential that is refused.
    """
    if status == HTTPStatus.UNAUTHORIZED:
        parameters.looked_up(parameters.CLOUD, Credential)


def from_http(error: Exception, what: str) -> CloudError:
    """Our error for an HTTP error of the SDK (`status_code`, `details`, `message`)."""
    status = getattr(error, "status_code", None) or 0
    said = str(getattr(error, "details", None) or getattr(error, "message", "") or status)[:300]
    match meaning_of(status, kind_of(error), said):
        case Meaning.QUOTA:
            # The figures are those of the service's project, which is every tenant's.
            log.warning("over a quota of the cloud: %s: %s", what, said)
            resource = resource_in(said)
            counted = f" for {resource.replace('_', ' ')}" if resource else ""
            return OverQuota(
                f"The deployment has no room to {what}: its quota{counted} in the cloud is used "
                "up; ask the operator.",
                resource,
                said,
            )
        case Meaning.ATTACHED:
            return InUse(f"The cloud refused to {what}: {said}")
        case Meaning.FINAL:
            return Refused(f"The cloud refused to {what}: {said}")
        case Meaning.LATER:
            if status == HTTPStatus.UNAUTHORIZED or not 400 <= status < 500:
                # A proxy's or a service's own words, of its hosts and of our user: for the log.
                log.warning("the cloud could not %s: %s %s", what, status, said)
                said = f"it answered {status or 'nothing'}"
            return CloudAway(f"The cloud could not {what}: {said}")


def kind_of(error: Exception) -> str:
    """Neutron's name for an error, from the body: the SDK keeps the message only."""
    response = getattr(error, "response", None)
    try:
        body = response.json() if response is not None else {}
        return str(body["NeutronError"]["type"])
    except (KeyError, TypeError, ValueError):  # another service's, or no JSON
        return ""
