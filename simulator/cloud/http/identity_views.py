"""How Keystone renders what the model holds."""

from __future__ import annotations

from simulator.cloud.http.plumbing import Json, timestamp
from simulator.cloud.model.catalog import Catalog, Endpoint, Service
from simulator.cloud.model.identity import (
    DEFAULT_DOMAIN_ID,
    Identity,
    Project,
    Role,
    Token,
    User,
)

DOMAIN = {"id": DEFAULT_DOMAIN_ID, "name": "Default"}


def version(url: str) -> Json:
    """The version document of the v3 API."""
    return {
        "id": "v3.14",
        "status": "stable",
        "updated": "2020-04-07T00:00:00Z",
        "links": [{"rel": "self", "href": f"{url}/v3/"}],
        "media-types": [
            {"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}
        ],
    }


def token(identity: Identity, issued: Token, with_catalog: bool) -> Json:
    """A token's document, with the project, roles and catalog when it is scoped."""
    user_name = identity.user(issued.user_id).name
    view: Json = {
        "methods": list(issued.methods),
        "user": {
            "domain": DOMAIN,
            "id": issued.user_id,
            "name": user_name,
            "password_expires_at": None,
        },
        "audit_ids": list(issued.audit_ids),
        "expires_at": timestamp(issued.expires_at, micros=True),
        "issued_at": timestamp(issued.issued_at, micros=True),
    }
    if (application := issued.application_credential) is not None:
        view["application_credential"] = {
            "id": application.id,
            "name": application.name,
            "restricted": True,
        }
    if issued.project_id is not None:
        name = identity.project(issued.project_id).name
        view["is_domain"] = False
        view["project"] = {"domain": DOMAIN, "id": issued.project_id, "name": name}
        view["roles"] = [{"id": role.id, "name": role.name} for role in issued.roles]
        if with_catalog:
            view["catalog"] = catalog(identity.catalog, issued.project_id)
    elif issued.system:
        view["system"] = {"all": True}
        view["roles"] = [{"id": role.id, "name": role.name} for role in issued.roles]
        if with_catalog:
            view["catalog"] = catalog(identity.catalog, "")
    return view


def catalog(source: Catalog, project_id: str) -> list[Json]:
    """The catalog with URLs for one project; a service without endpoints is listed without."""
    entries = {
        service.id: {"id": service.id, "type": service.type, "name": service.name, "endpoints": []}
        for service in source.services.values()
        if service.enabled
    }
    for one in source.endpoints.values():
        if one.enabled and one.service_id in entries:
            entries[one.service_id]["endpoints"].append(  # type: ignore[attr-defined]
                {
                    "id": one.id,
                    "interface": one.interface,
                    "region": one.region,
                    "region_id": one.region,
                    "url": one.expanded(project_id),
                }
            )
    return list(entries.values())


def domain(url: str) -> Json:
    """The one domain."""
    return {
        **DOMAIN,
        "description": "The default domain",
        "enabled": True,
        "options": {},
        "tags": [],
        "links": {"self": f"{url}/v3/domains/{DEFAULT_DOMAIN_ID}"},
    }


def region(name: str, url: str) -> Json:
    """The one region."""
    return {
        "id": name,
        "description": "",
        "parent_region_id": None,
        "links": {"self": f"{url}/v3/regions/{name}"},
    }


def project(one: Project, url: str) -> Json:
    """A project."""
    return {
        "id": one.id,
        "name": one.name,
        "domain_id": DEFAULT_DOMAIN_ID,
        "parent_id": DEFAULT_DOMAIN_ID,
        "description": one.description,
        "enabled": one.enabled,
        "is_domain": False,
        "options": {},
        "tags": [],
        "links": {"self": f"{url}/v3/projects/{one.id}"},
    }


def user(one: User, url: str) -> Json:
    """A user, without anything about the password."""
    return {
        "id": one.id,
        "name": one.name,
        "description": one.description,
        "domain_id": DEFAULT_DOMAIN_ID,
        "enabled": one.enabled,
        "options": {},
        "password_expires_at": None,
        "links": {"self": f"{url}/v3/users/{one.id}"},
    }


def role(one: Role, url: str) -> Json:
    """A role."""
    return {
        "id": one.id,
        "name": one.name,
        "domain_id": None,
        "description": None,
        "options": {},
        "links": {"self": f"{url}/v3/roles/{one.id}"},
    }


def service(one: Service, url: str) -> Json:
    """A service of the catalog."""
    return {
        "id": one.id,
        "type": one.type,
        "name": one.name,
        "description": one.description,
        "enabled": one.enabled,
        "links": {"self": f"{url}/v3/services/{one.id}"},
    }


def endpoint(one: Endpoint, url: str) -> Json:
    """An endpoint of the catalog, with its URL as it was given."""
    return {
        "id": one.id,
        "service_id": one.service_id,
        "interface": one.interface,
        "region": one.region,
        "region_id": one.region,
        "url": one.url,
        "enabled": one.enabled,
        "links": {"self": f"{url}/v3/endpoints/{one.id}"},
    }
