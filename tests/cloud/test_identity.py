"""Tokens and the catalog: password and token methods, scope, validation, revocation, expiry."""

from __future__ import annotations

from typing import Any

import pytest
from openstack import exceptions

from tests.cloud.served import PASSWORDS, ServedCloud, Tenant


def log_in(cloud: ServedCloud, name: str, password: str, **scope: Any) -> Any:
    user = {"name": name, "domain": {"name": "Default"}, "password": password}
    auth: dict[str, Any] = {"identity": {"methods": ["password"], "password": {"user": user}}}
    if scope:
        auth["scope"] = scope
    return cloud.call("POST", "/identity/v3/auth/tokens", json={"auth": auth})


def project(name: str) -> dict[str, Any]:
    return {"name": name, "domain": {"id": "default"}}


def validate(cloud: ServedCloud, token: str, subject: str, method: str = "GET") -> Any:
    headers = {"X-Subject-Token": subject}
    return cloud.call(method, "/identity/v3/auth/tokens", token, headers=headers)


@pytest.fixture
def demo_token(cloud: ServedCloud) -> str:
    answer = log_in(cloud, "demo", PASSWORDS["demo_password"], project=project("demo"))
    return str(answer.headers["X-Subject-Token"])


def test_a_password_gives_a_scoped_token_with_roles_and_catalog(cloud: ServedCloud) -> None:
    answer = log_in(cloud, "demo", PASSWORDS["demo_password"], project=project("demo"))
    token = answer.json()["token"]
    assert answer.status_code == 201
    assert [role["name"] for role in token["roles"]] == ["member"]
    urls = {entry["type"]: entry["endpoints"] for entry in token["catalog"]}
    assert urls["volumev3"][0]["url"] == f"{cloud.url}/volume/v3/{token['project']['id']}"
    assert urls["database"] == []
    by_id = log_in(
        cloud, "demo", PASSWORDS["demo_password"], project={"id": token["project"]["id"]}
    )
    assert by_id.json()["token"]["project"]["name"] == "demo"


@pytest.mark.parametrize(
    ("name", "password", "scope"),
    [
        ("demo", "wrong", {}),
        ("nobody", PASSWORDS["demo_password"], {}),
        ("demo", PASSWORDS["demo_password"], {"project": project("demo2")}),
        ("demo", PASSWORDS["demo_password"], {"project": project("nowhere")}),
    ],
)
def test_what_is_wrong_with_a_log_in_is_not_told(
    cloud: ServedCloud, name: str, password: str, scope: dict[str, Any]
) -> None:
    answer = log_in(cloud, name, password, **scope)
    assert answer.status_code == 401
    assert answer.json()["error"]["title"] == "Unauthorized"
    assert answer.json()["error"]["message"].startswith("The request you have made requires")


def test_an_unscoped_token_sees_its_projects_and_can_be_scoped_but_not_used(
    cloud: ServedCloud,
) -> None:
    token = log_in(cloud, "demo", PASSWORDS["demo_password"]).headers["X-Subject-Token"]
    assert cloud.call("GET", "/compute/v2.1/servers", token).status_code == 401
    projects = cloud.call("GET", "/identity/v3/auth/projects", token).json()["projects"]
    assert [one["name"] for one in projects] == ["demo"]
    identity = {"methods": ["token"], "token": {"id": token}}
    body = {"auth": {"identity": identity, "scope": {"project": {"id": projects[0]["id"]}}}}
    scoped = cloud.call("POST", "/identity/v3/auth/tokens", json=body)
    assert scoped.status_code == 201
    assert scoped.json()["token"]["methods"] == ["token", "password"]


def test_a_service_validates_a_token_of_another_user_and_a_member_does_not(
    cloud: ServedCloud, service: Tenant, demo_token: str
) -> None:
    answer = validate(cloud, service.token, demo_token)
    assert answer.status_code == 200
    assert answer.json()["token"]["user"]["name"] == "demo"
    assert validate(cloud, service.token, demo_token, "HEAD").status_code == 200
    assert validate(cloud, demo_token, demo_token).status_code == 200
    assert validate(cloud, demo_token, service.token).status_code == 403
    assert validate(cloud, "no-token", demo_token).status_code == 401
    missing = validate(cloud, service.token, "no-token")
    assert missing.status_code == 404
    assert missing.json()["error"]["code"] == 404


def test_a_revoked_token_is_refused_everywhere(
    cloud: ServedCloud, service: Tenant, demo_token: str
) -> None:
    assert cloud.call("GET", "/compute/v2.1/servers", demo_token).status_code == 200
    assert validate(cloud, demo_token, demo_token, "DELETE").status_code == 204
    assert validate(cloud, service.token, demo_token).status_code == 404
    for path in ("/compute/v2.1/servers", "/network/v2.0/ports", "/image/v2/images"):
        answer = cloud.call("GET", path, demo_token)
        assert answer.status_code == 401
        assert answer.json()["error"]["code"] == 401
        assert "Keystone" in answer.headers["WWW-Authenticate"]


def test_an_admin_sets_the_database_endpoint_and_every_catalog_has_it(
    cloud: ServedCloud, admin: Tenant, demo: Tenant
) -> None:
    identity = admin.api.identity
    database = next(iter(identity.services(type="database")))
    endpoint = identity.create_endpoint(
        service_id=database.id,
        interface="public",
        region_id="RegionOne",
        url="http://x/%(tenant_id)s",
    )
    identity.update_endpoint(endpoint, url="http://api/v1.0/%(project_id)s")
    found = list(identity.endpoints(service_id=database.id))
    assert [one.id for one in found] == [endpoint.id]
    fresh = cloud.connect("demo")
    expected = f"http://api/v1.0/{fresh.current_project_id}"
    assert fresh.session.get_endpoint(service_type="database", interface="public") == expected
    identity.delete_endpoint(endpoint)
    with pytest.raises(exceptions.ForbiddenException):
        demo.api.identity.create_service(type="x", name="y")


def test_ids_made_at_start_are_the_same_in_every_run(admin: Tenant) -> None:
    assert admin.network.id == "79c988dd-531d-5cdc-9b14-c5811a309dfc"


@pytest.mark.parametrize(
    "body", ["{", "[]", '{"auth": 1}', '{"auth": {"identity": {"methods": []}}}']
)
def test_a_malformed_log_in_is_a_bad_request(cloud: ServedCloud, body: str) -> None:
    answer = cloud.call("POST", "/identity/v3/auth/tokens", data=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["title"] == "Bad Request"
