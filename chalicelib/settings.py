"""Everything the environment decides, read once per container and typed."""

from __future__ import annotations

import os
from typing import Final

import msgspec

from chalicelib import aws

API_VERSION: Final = "v1.0"


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

    page_size: int = 20
    max_volume_size: int = 10
    quota_instances: int = 10
    quota_ram_mb: int = -1
    quota_volumes: int = 40
    quota_backups: int = 50
    token_cache_seconds: int = 20
    heartbeat_seconds: int = 150
    heartbeat_expiry_seconds: int = 360
    guest_call_seconds: int = 20
    calls_per_instance: int = 4
    calls_per_tenant: int = 20
    requests_per_minute: int = 200
    guest_credentials_seconds: int = 3600
    lease_seconds: int = 25
    create_timeout_seconds: int = 1800
    delete_timeout_seconds: int = 600
    update_timeout_seconds: int = 600
    restart_timeout_seconds: int = 600
    operation_attempts: int = 5
    deleted_row_days: int = 30

    def table(self, name: str) -> str:
        """The DynamoDB table of that name, e.g. `coffer-instances`."""
        return f"{self.prefix}-{name}"


def settings() -> Settings:
    """The settings of this process: `COFFER_*` and the `OS_*` variables of an OpenStack client.

    They do not age: a changed environment is a new container.
    """
    return aws.remembered("settings", _from_environment)


def _from_environment() -> Settings:
    fields = {field.name: field for field in msgspec.structs.fields(Settings)}
    values: dict[str, str] = {}
    for name in fields:
        variable = name.upper() if name.startswith("os_") else f"COFFER_{name.upper()}"
        if value := os.environ.get(variable):
            values[name] = value
    values.setdefault("region", os.environ.get("AWS_DEFAULT_REGION", "us-east-1"))
    return msgspec.convert(values, Settings, strict=False)
