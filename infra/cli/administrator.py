"""Where an administrator's commands go: the local stack, or an AWS account."""

import os
from typing import Final

from infra.cli.trove import Api
from infra.errors import UnusableInputError
from infra.local import stack
from infra.local.cloud import authenticate
from infra.local.settings import load_secrets, resolve
from infra.target import Target

VARIABLES: Final = ("OS_AUTH_URL", "OS_USERNAME", "OS_PROJECT_NAME", "OS_PASSWORD")
REGION_HELP: Final = (
    "An AWS account, with the environment's credentials, and an administrator's OS_* "
    "variables; else the local stack."
)


def deployment(region: str | None) -> tuple[Target, Api]:
    """Where the functions are, and the Trove API for an administrator."""
    if region is None:
        settings = resolve()
        stack.require_running(settings)
        password = load_secrets(settings).admin_password
        return settings.target, Api.log_in(settings.auth_url, "admin", password)
    missing = [name for name in VARIABLES if not os.environ.get(name)]
    if missing:
        raise UnusableInputError(f"--region goes with {', '.join(missing)} in the environment.")
    token = authenticate(*(os.environ[name] for name in VARIABLES))
    return Target(region), Api(token.endpoint("database"), token.project_id, token.id)
