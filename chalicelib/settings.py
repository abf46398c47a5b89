"""Everything the environment decides, read once per container and typed."""

from __future__ import annotations

import os
from typing import Annotated, Any, Final, Literal

import msgspec

from chalicelib import aws
from chalicelib.domain import zones

API_VERSION: Final = "v1.0"

_MONTH: Final = 31 * 86400
Seconds = Annotated[int, msgspec.Meta(ge=1, le=_MONTH)]
Count = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
Limit = Annotated[int, msgspec.Meta(ge=-1, le=2**31)]
"""Of a quota; -1 is none."""
VolumeZones = Annotated[str, msgspec.Meta(pattern=zones.PATTERN)]
"""Which of Cinder's zones a volume goes to, by Nova's."""
PageSize = Annotated[int, msgspec.Meta(ge=1, le=1000)]
"""As much as a guest puts into one answer, too."""

Certificate = Annotated[
    str,
    msgspec.Meta(pattern="^(-----BEGIN CERTIFICATE-----\n|[0-9A-Za-z!#$%&()*+;<=>?@^_`{|}~-]*$)"),
]
"""In PEM, with its lines, or packed (`chalicelib.trust`)."""


TIMEOUTS: Final = "COFFER_TIMEOUTS"
"""All timeouts in one variable ("create=1800 delete=600"): Lambda has 4 KB for all of them."""
_TIMEOUT: Final = "_timeout_seconds"
LIMITS: Final = "COFFER_LIMITS"
"""The limits that a deployment may choose, likewise ("quota_instances=50 max_volume_size=1000")."""
CHOSEN_LIMITS: Final = frozenset(
    {
        *("page_size", "max_volume_size", "configurations_per_tenant"),
        *("quota_instances", "quota_ram_mb", "quota_volumes", "quota_backups"),
        *("token_cache_seconds", "guest_call_seconds", "calls_per_instance", "calls_per_tenant"),
    }
)


class BadSetting(Exception):
    """The environment says what no deployment can run with."""


class Settings(msgspec.Struct, frozen=True):
    """Names, bounds and endpoints. Times are seconds, sizes GiB unless the name says otherwise."""

    prefix: str = "coffer"
    deployment_id: str = ""
    region: str = "us-east-1"
    secrets_path: str = "/coffer"
    taskmanager_queue_url: str = ""
    conductor_queue_url: str = ""
    heartbeats_queue_url: str = ""
    dead_letters_queue_url: str = ""
    guest_role_arn: str = ""
    guest_queue_arn_prefix: str = ""
    state_machine_arn_prefix: str = ""
    control_url: str = ""
    guest_endpoint_url: str = ""
    packages_bucket: str = ""
    backups_bucket: str = ""
    seal_backups_with: Literal["key", "ring"] = "ring"
    backup_bytes_per_second: Annotated[int, msgspec.Meta(ge=0, le=10**11)] = 0
    public_endpoint: str = ""
    network_id: str = ""
    ipv6_only_networks: bool = False
    public_network_id: str = ""
    image_project_id: str = ""
    volume_zones: VolumeZones = ""
    os_auth_url: str = ""
    os_project_name: str = "service"
    os_user_domain_name: str = "Default"
    os_project_domain_name: str = "Default"
    os_region_name: str = "RegionOne"
    os_interface: Literal["public", "internal", "admin"] = "public"
    os_cacert: Certificate = ""
    default_datastore: str = ""
    instance_metrics: bool = False
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    page_size: PageSize = 20
    max_volume_size: Count = 10
    quota_instances: Limit = 10
    quota_ram_mb: Limit = -1
    quota_volumes: Limit = 40
    quota_backups: Limit = 50
    token_cache_seconds: Annotated[int, msgspec.Meta(ge=0, le=3600)] = 20
    heartbeat_seconds: Seconds = 150
    archive_seconds: Annotated[int, msgspec.Meta(ge=1, le=86400)] = 60
    heartbeat_expiry_seconds: Annotated[int, msgspec.Meta(ge=2, le=3 * _MONTH)] = 360
    # A request may take 29 s in API Gateway, and has more to do than to wait for its guest.
    guest_call_seconds: Annotated[int, msgspec.Meta(ge=1, le=27)] = 20
    calls_per_instance: Count = 4
    calls_per_tenant: Count = 20
    requests_per_minute: Count = 200
    configurations_per_tenant: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 100
    # STS's bounds of a session; one hour where a role assumes the next one.
    guest_credentials_seconds: Annotated[int, msgspec.Meta(ge=900, le=3600)] = 3600
    # Longer than a step's function may run (20 s), else two work on one step.
    lease_seconds: Annotated[int, msgspec.Meta(ge=21, le=900)] = 25
    create_timeout_seconds: Seconds = 1800
    delete_timeout_seconds: Seconds = 600
    update_timeout_seconds: Seconds = 600
    restart_timeout_seconds: Seconds = 900
    resize_timeout_seconds: Seconds = 3600
    power_timeout_seconds: Seconds = 900
    rebuild_timeout_seconds: Seconds = 3600
    rollout_timeout_seconds: Seconds = 86400
    backup_timeout_seconds: Seconds = 86400
    restore_timeout_seconds: Seconds = 86400
    drain_timeout_seconds: Seconds = 7200
    removal_timeout_seconds: Seconds = 7200
    operation_attempts: Count = 5
    deleted_row_days: Annotated[int, msgspec.Meta(ge=1, le=3650)] = 30

    def table(self, name: str) -> str:
        """The DynamoDB table of that name, e.g. `coffer-instances`."""
        return f"{self.prefix}-{name}"


def settings() -> Settings:
    """The settings of this process: `COFFER_*` and the `OS_*` variables of an OpenStack client.

    They do not age: a changed environment is a new container.
    """
    return aws.remembered("settings", _from_environment)


def _from_environment() -> Settings:
    values = _timeouts(os.environ.get(TIMEOUTS, "")) | _limits(os.environ.get(LIMITS, ""))
    for name in Settings.__struct_fields__:
        if value := os.environ.get(_variable(name)):
            values[name] = value
    values.setdefault("region", os.environ.get("AWS_DEFAULT_REGION", "us-east-1"))
    try:
        return msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError:
        raise BadSetting(" ".join(_refusals(values))) from None


def require_limits(told: str) -> None:
    """Raise BadSetting unless functions would start with these limits."""
    if refused := _refusals(_limits(told)):
        raise BadSetting(" ".join(refused))


def _timeouts(told: str) -> dict[str, str]:
    """What the one variable says of all timeouts; each may have one of its own, which counts."""
    return _of_one(TIMEOUTS, told, frozenset(Settings.__struct_fields__), _TIMEOUT)


def _limits(told: str) -> dict[str, str]:
    """The same of the limits that a deployment may choose."""
    return _of_one(LIMITS, told, CHOSEN_LIMITS, "")


def _of_one(variable: str, told: str, known: frozenset[str], suffix: str) -> dict[str, str]:
    found = {}
    for each in told.split():
        name, _, value = each.partition("=")
        field = f"{name}{suffix}"
        if field not in known:
            raise BadSetting(f"{variable} names '{name[:80]}', and there is no {field[:100]}.")
        found[field] = value
    return found


def _variable(name: str) -> str:
    return name.upper() if name.startswith("os_") else f"COFFER_{name.upper()}"


def _refusals(values: dict[str, str]) -> list[str]:
    """A sentence for each value that does not do."""
    types: dict[str, Any] = {each.name: each.type for each in msgspec.structs.fields(Settings)}
    found = []
    for name, value in values.items():
        try:
            msgspec.convert(value, types[name], strict=False)
        except msgspec.ValidationError as error:
            wanted = str(error).removeprefix("Expected ").partition(",")[0]
            found.append(f"{_said_by(name)} is {value[:80]!r} and has to be {wanted}.")
    return found


def _said_by(name: str) -> str:
    """Where the environment has a value: who mends it looks for that."""
    own = _variable(name)
    if name.endswith(_TIMEOUT) and not os.environ.get(own):
        return f"{name.removesuffix(_TIMEOUT)} in {TIMEOUTS}"
    if name in CHOSEN_LIMITS and not os.environ.get(own):
        return f"{name} in {LIMITS}"
    return own
