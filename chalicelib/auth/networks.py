"""Asks Neutron, with a tenant's own token, whether the tenant may use a network.

A network may be shared with some projects only (RBAC). Neutron shows that to those projects and to
administrators: neither its policies nor `shared` tell it to a service with the roles {member,
service}. So the API asks with the token of the request, which it neither keeps nor hands on, and
with no more rights than the tenant's (docs/decisions/0049-the-cloud-as-it-is.md).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import quote

import msgspec

from chalicelib.auth.connection import Connection
from chalicelib.errors import BadRequest
from chalicelib.settings import settings

Look = Callable[[str, str, Mapping[str, str]], str | None]
"""The network of a nic that the holder of a token may use, by token, project and nic. None: nobody
could be asked, or the network is the operator's; then the flow decides by what the service sees.
Raises `BadRequest` for one that is not there for the project."""

VERSION: Final = "/v2.0"

log = logging.getLogger(__name__)


class _Subnet(msgspec.Struct, frozen=True):
    network_id: str


class _Network(msgspec.Struct, frozen=True):
    project_id: str = ""
    shared: bool = False


class _Answer(msgspec.Struct, frozen=True):
    subnet: _Subnet | None = None
    network: _Network | None = None


def nobody(token: str, project_id: str, nic: Mapping[str, str]) -> str | None:
    """A `Look` where there is no Neutron to ask."""
    return None


class Networks:
    """The look over HTTP."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __call__(self, token: str, project_id: str, nic: Mapping[str, str]) -> str | None:
        """See `Look`."""
        network_id: str | None = nic.get("network_id")
        if network_id is None:
            status, answer = self._ask(token, f"subnets/{quote(nic['subnet_id'], safe='')}")
            network_id = answer.subnet.network_id if status == 200 and answer.subnet else None
        if network_id in (None, settings().network_id):
            return (
                None  # a subnet that the tenant does not see may be one of the operator's network
            )
        status, answer = self._ask(token, f"networks/{quote(network_id, safe='')}")
        found = answer.network
        if status == 404 or (found and not (found.shared or found.project_id == project_id)):
            raise BadRequest(f"Network {network_id} cannot be found.")
        return network_id if found else None

    def _ask(self, token: str, path: str) -> tuple[int, _Answer]:
        """Neutron's status and answer; 0 when there is none."""
        from keystoneauth1.exceptions import ClientException

        session = self._connection.session()
        try:
            url = session.get_endpoint(
                service_type="network",
                interface=settings().os_interface,
                region_name=settings().os_region_name,
                skip_discovery=True,
            )
            if url is None:
                return 0, _Answer()
            answer: Any = session.get(
                f"{url.rstrip('/').removesuffix(VERSION)}{VERSION}/{path}",
                headers={"X-Auth-Token": token, "Accept": "application/json"},
                authenticated=False,
                raise_exc=False,
                log=False,
            )
            found = msgspec.json.decode(answer.content, type=_Answer) if answer.ok else _Answer()
        except (ClientException, msgspec.DecodeError) as error:
            log.warning("Neutron cannot be asked for a tenant: %s", type(error).__name__)
            return 0, _Answer()
        return int(answer.status_code), found
