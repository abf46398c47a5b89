"""The catalog's entry of type `database`: what clients find the API by.

Keystone lets administrators change it and nobody else; for the others there are the commands.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from infra.deployment.openstack import Cloud

TYPE: Final = "database"
NAME: Final = "coffer"
INTERFACES: Final = ("public", "internal", "admin")
VERSION: Final = "/v1.0"
VERSION_AND_PROJECT: Final = f"{VERSION}/%(tenant_id)s"
"""The path begins with the version: docs/decisions/0023-a-front-for-the-endpoint.md."""


class Entry(NamedTuple):
    """Where the catalog is to lead: the root of the API, and the region of the cloud.

    `mark` says in the service's description which deployment made it.
    """

    root: str
    region: str
    mark: str

    @property
    def url(self) -> str:
        return f"{self.root.rstrip('/')}{VERSION_AND_PROJECT}"


def places(cloud: Cloud) -> set[str]:
    """What the catalog's entries lead to, as `https://host/v1.0`.

    Anybody's token shows them, with a project in the place of the pattern.
    """
    return {url.rpartition("/")[0] for url in cloud.urls(TYPE)}


def place_of(root: str) -> str:
    """The same of an API by its root."""
    return Entry(root, "", "").url.rpartition("/")[0]


def leads_to(cloud: Cloud, root: str) -> bool:
    """Whether the catalog that everybody sees leads to that API, and to no other."""
    return places(cloud) == {place_of(root)}


def register(cloud: Cloud, entry: Entry) -> bool:
    """Make the endpoints of all interfaces say the entry's URL; False when they did already."""
    identity = cloud.connection.identity
    with cloud.answering("change the catalog"):
        service = _service(cloud, entry)
        present = {
            endpoint.interface: endpoint
            for endpoint in identity.endpoints(service_id=service.id)
            if endpoint.region_id == entry.region
        }
        changed = False
        for interface in INTERFACES:
            endpoint = present.get(interface)
            if endpoint is None:
                identity.create_endpoint(
                    service_id=service.id,
                    interface=interface,
                    region_id=entry.region,
                    url=entry.url,
                )
            elif endpoint.url != entry.url:
                identity.update_endpoint(endpoint, url=entry.url)
            else:
                continue
            changed = True
    return changed


def _service(cloud: Cloud, entry: Entry) -> Any:
    identity = cloud.connection.identity
    found = [each for each in identity.services(type=TYPE) if each.type == TYPE]
    # A second service of one type would leave it to chance which of them a client takes.
    return next(iter(found), None) or identity.create_service(
        type=TYPE, name=NAME, description=entry.mark
    )


def remove(cloud: Cloud, entry: Entry) -> int:
    """Remove the endpoints that lead to the entry's URL, and the service if this deployment made
    it and nothing else uses it; returns how many endpoints went."""
    identity = cloud.connection.identity
    gone = 0
    with cloud.answering("change the catalog"):
        for service in [each for each in identity.services(type=TYPE) if each.type == TYPE]:
            endpoints = list(identity.endpoints(service_id=service.id))
            ours = [each for each in endpoints if each.url == entry.url]
            for endpoint in ours:
                identity.delete_endpoint(endpoint)
            if service.description == entry.mark and len(ours) == len(endpoints):
                identity.delete_service(service)
            gone += len(ours)
    return gone


def removal(entry: Entry) -> list[str]:
    """What an administrator runs in the place of `remove`."""
    listed = f"openstack endpoint list --service {TYPE} --region {entry.region} -f value"
    ours = f"{listed} -c ID -c URL | grep -F '{place_of(entry.root)}' | cut -d ' ' -f 1"
    return [f"openstack endpoint delete $({ours})"]


def commands(entry: Entry) -> list[str]:
    """What an administrator runs in the place of `register`."""
    make = f"openstack service create --name {NAME} --description '{entry.mark}' {TYPE}"
    return [f"openstack service show {TYPE} || {make}"] + [
        f"openstack endpoint create --region {entry.region} {TYPE} {interface} '{entry.url}'"
        for interface in INTERFACES
    ]
