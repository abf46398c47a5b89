"""Everything the environment decides, read once per container and typed."""

from __future__ import annotations

import os
from typing import Annotated, Final

import msgspec

from chalicelib import aws

API_VERSION: Final = "v1.0"

Positive = Annotated[int, msgspec.Meta(ge=1)]
NotNegative = Annotated[int, msgspec.Meta(ge=0)]
Limit = Annotated[int, msgspec.Meta(ge=-1)]
"""-1 is no limit."""
PageSize = Annotated[int, msgspec.Meta(ge=1, le=1000)]
"""As much as a guest puts into one answer, too."""


class BadSetting(Exception):
    """A variable of the environment that is no setting; the text names it."""


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
    public_endpoint: str = ""
    network_id: str = ""
    public_network_id: str = ""
    image_project_id: str = ""
    os_auth_url: str = ""
    os_project_name: str = "service"
    os_user_domain_name: str = "Default"
    os_project_domain_name: str = "Default"
    os_region_name: str = "RegionOne"
    default_datastore: str = ""
    log_level: str = "INFO"

    page_size: PageSize = 20
    max_volume_size: Positive = 10
    quota_instances: Limit = 10
    quota_ram_mb: Limit = -1
    quota_volumes: Limit = 40
    quota_backups: Limit = 50
    token_cache_seconds: NotNegative = 20
    heartbeat_seconds: Positive = 150
    heartbeat_expiry_seconds: Positive = 360
    guest_call_seconds: Positive = 20
    calls_per_instance: Positive = 4
    calls_per_tenant: Positive = 20
    requests_per_minute: Positive = 200
    guest_credentials_seconds: Positive = 3600
    lease_seconds: Positive = 25
    create_timeout_seconds: Positive = 1800
    delete_timeout_seconds: Positive = 600
    update_timeout_seconds: Positive = 600
    restart_timeout_seconds: Positive = 600
    resize_timeout_seconds: Positive = 3600
    operation_attempts: Positive = 5
    deleted_row_days: Positive = 30

    def table(self, name: str) -> str:
        """The DynamoDB table of that name, e.g. `coffer-instances`."""
        return f"{self.prefix}-{name}"


def settings() -> Settings:
    """The settings of this process: `COFFER_*` and the `OS_*` variables of an OpenStack client.

    They do not age: a changed environment is a new container.
    """
    return aws.remembered("settings", _from_environment)


def _from_environment() -> Settings:
    """Raises `BadSetting`: what makes no sense ends the container before it does anything."""
    fields = {field.name: field for field in msgspec.structs.fields(Settings)}
    values: dict[str, str] = {}
    for name in fields:
        variable = name.upper() if name.startswith("os_") else f"COFFER_{name.upper()}"
        if value := os.environ.get(variable):
            values[name] = value
    values.setdefault("region", os.environ.get("AWS_DEFAULT_REGION", "us-east-1"))
    try:
        return msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise BadSetting(f"COFFER_* cannot be used: {error}") from None
