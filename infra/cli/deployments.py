"""The deployment that a command means: one of `coffer deploy`, by its name, or the local stack."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from infra.cli import options
from infra.cli.trove import Api
from infra.deployment.catalog import VERSION
from infra.deployment.openstack import Cloud
from infra.deployment.survey import Survey, Wanted
from infra.errors import StackError, UnusableInputError
from infra.local import stack as local
from infra.local.settings import SECRETS_PATH, STACK_NAME, load_secrets, resolve
from infra.target import Target


class Session(Protocol):
    """An administrator's with the Trove API: `infra.cli.trove.Api`."""

    def call(self, method: str, path: str, *, json: Any = None) -> dict[str, Any]:
        """One request; its answer."""


@dataclass(frozen=True)
class Deployment:
    """What an operator's commands work on. `log_in` makes an administrator's session with its API.

    `guest_logs` are those of the guests that run on this machine.
    """

    name: str
    target: Target
    secrets_path: str
    log_in: Callable[[], Session]
    guest_logs: tuple[Path, ...] = ()


def chosen(
    stack: str | None, profile: str | None, region: str | None, os_cloud: str | None
) -> Deployment:
    """The deployment of that name, else the local stack; raises StackError when it is not there."""
    found = named(stack, profile, region, os_cloud)
    return _local() if found is None else _deployed(found)


def named(
    stack: str | None, profile: str | None, region: str | None, os_cloud: str | None
) -> Survey | None:
    """The survey of a deployment that is there; None is the local stack.

    Raises UnusableInputError for options that mean a deployment where none is named, and
    StackError where there is none of that name.
    """
    given = {"--profile": profile, "--region": region, "--os-cloud": os_cloud}
    if stack is None:
        if alone := [name for name, value in given.items() if value is not None]:
            raise UnusableInputError(
                f"{' and '.join(alone)} without --stack: the local stack has none.",
                "Name the deployment, too: --stack NAME (`coffer deploy` calls it coffer).",
            )
        return None
    found = survey(stack, profile, region, os_cloud)
    if found.present is None:
        raise StackError(
            f"There is no stack {stack} in {found.target.place}.",
            "Run: coffer deploy. Or is it another --stack, --profile or --region?",
        )
    return found


def survey(
    stack: str,
    profile: str | None,
    region: str | None,
    os_cloud: str | None,
    wanted: Wanted | None = None,
) -> Survey:
    """Its survey, whether it is there or not; `wanted` is what a deployer asks of it."""
    return Survey(
        wanted or Wanted(stack=stack),
        lambda: Target.configured(profile, region),
        lambda: Cloud.configured(os_cloud, options.ask),
    )


def _deployed(found: Survey) -> Deployment:
    name = found.wanted.stack
    path = found.present_parameters.get("SecretsPath", found.wanted.secrets_path)

    def log_in() -> Api:
        cloud = found.cloud
        with cloud.answering("give a token"):
            token = cloud.connection.auth_token
        project = str(cloud.access.project_id)
        return Api(f"{found.present_root}{VERSION}/{project}", project, token)

    return Deployment(name, found.target, path, log_in)


def _local() -> Deployment:
    settings = resolve()
    local.require_running(settings)
    password = load_secrets(settings).admin_password
    return Deployment(
        STACK_NAME,
        settings.target,
        SECRETS_PATH,
        lambda: Api.log_in(settings.auth_url, "admin", password),
        tuple(sorted(settings.cloud.glob("servers/*/var/log/guest-agent.log"))),
    )
