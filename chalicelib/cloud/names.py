"""The names and marks by which the control plane finds what belongs to an instance.

Nova and Cinder have no client token, so the name is what makes a create repeatable. A name proves
nothing: a tenant, or a second deployment in the same project, may use the same one. What is ours is
in the service's own project (`session.own_project`) and carries a mark with this deployment's id:
servers and volumes in their metadata, ports and security groups in their descriptions, which can be
given with the create.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from chalicelib.settings import settings

DEPLOYMENT_KEY: Final = "coffer_deployment_id"
INSTANCE_KEY: Final = "coffer_instance_id"
GENERATION_KEY: Final = "coffer_generation"
BACKUP_KEY: Final = "coffer_backup_id"
TENANT_KEY: Final = "coffer_tenant_id"
KEPT_KEY: Final = "coffer_kept_for_snapshots"

VALUE_CHARACTERS: Final = 255
"""The most that Nova and Cinder take as a value of the metadata; Nova takes 128 of them."""
SERVER_NAME_CHARACTERS: Final = 255
"""The most that Nova takes."""
_UNFIT: Final = re.compile(r"[^A-Za-z0-9._ -]+")
_RECORD: Final = "coffer_row_"
_UUID: Final = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_NUMBERED: Final = re.compile(f"{_RECORD}[0-9]+")
_DESCRIPTION: Final = re.compile(f"Database instance ({_UUID}) of deployment (.+)")


def server(instance_id: str, generation: int, called: str) -> str:
    """The name of the server of one generation, of an instance that its tenant has so `called`.

    That comes last, where Nova's list finds it and `server_pattern` does not ask for it: it may
    have changed since. Nova makes the host's name of it, which Neutron may take into the DNS, so
    that there is only ASCII in it.
    """
    name = f"{settings().prefix}-{instance_id}-{generation} {_UNFIT.sub('-', called)}"
    return name[:SERVER_NAME_CHARACTERS].rstrip()


def server_pattern(instance_id: str) -> str:
    """A regular expression (Nova's `name` filter) for the servers of all generations.

    Nova takes a "|" for the character.
    """
    return f"^{settings().prefix}-{instance_id}-[0-9]+"


def volume(instance_id: str) -> str:
    """The name of the data volume; it outlives generations."""
    return f"{settings().prefix}-{instance_id}"


def snapshot(backup_id: str) -> str:
    """The name of the snapshot that a backup is."""
    return f"{settings().prefix}-{backup_id}"


def network(instance_id: str) -> str:
    """The name of the port and of the security group."""
    return f"{settings().prefix}-{instance_id}"


def metadata(
    instance_id: str, generation: int, record: Mapping[str, Any] | None = None
) -> dict[str, str]:
    """What marks a server or volume as an instance's, with a record to make its row again from."""
    return {
        DEPLOYMENT_KEY: _deployment(),
        INSTANCE_KEY: instance_id,
        GENERATION_KEY: str(generation),
        **_values_of(record),
    }


def _values_of(record: Mapping[str, Any] | None) -> dict[str, str]:
    """A record as JSON in ASCII and without spaces, in as many values as it needs."""
    text = json.dumps(record, separators=(",", ":")).replace(" ", "\\u0020") if record else ""
    pieces = range(0, len(text), VALUE_CHARACTERS)
    return {f"{_RECORD}{n}": text[at : at + VALUE_CHARACTERS] for n, at in enumerate(pieces)}


def snapshot_metadata(
    backup_id: str, instance_id: str, tenant_id: str, record: Mapping[str, Any] | None = None
) -> dict[str, str]:
    """What marks a snapshot as a backup's, with a record to make its row again from; whose it is,
    too, for whoever reads Cinder's list."""
    return {
        DEPLOYMENT_KEY: _deployment(),
        BACKUP_KEY: backup_id,
        INSTANCE_KEY: instance_id,
        TENANT_KEY: tenant_id,
        **_values_of(record),
    }


def record_in(found: Mapping[str, str]) -> dict[str, Any] | None:
    """The record that the metadata holds, or None when it holds none that is whole."""
    numbers = sorted(int(key.removeprefix(_RECORD)) for key in found if _NUMBERED.fullmatch(key))
    try:
        record = json.loads("".join(found[f"{_RECORD}{number}"] for number in numbers))
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def description(instance_id: str) -> str:
    """What marks a port or security group as an instance's."""
    return f"Database instance {instance_id} of deployment {_deployment()}"


def marked_in_metadata(found: Mapping[str, str]) -> str | None:
    """The instance of this deployment that the metadata names, or None."""
    return found.get(INSTANCE_KEY) if found.get(DEPLOYMENT_KEY) == _deployment() else None


def backup_in_metadata(found: Mapping[str, str]) -> str | None:
    """The backup of this deployment that a snapshot's metadata name, or None."""
    return found.get(BACKUP_KEY) if found.get(DEPLOYMENT_KEY) == _deployment() else None


def marked_in_description(text: str) -> str | None:
    """The instance of this deployment that the description names, or None."""
    found = _DESCRIPTION.fullmatch(text)
    return found[1] if found and found[2] == _deployment() else None


def _deployment() -> str:
    """This deployment's id; without one, nothing in the cloud could be told from another's."""
    assert settings().deployment_id, "COFFER_DEPLOYMENT_ID is not set"
    return settings().deployment_id
