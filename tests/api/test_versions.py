"""The version documents and where their links lead."""

from __future__ import annotations

import pytest

from chalicelib.api import links
from chalicelib.settings import Settings
from tests.api.client import HOST, Api

ROOT = f"https://{HOST}/api/v1.0/"


def test_the_versions_need_no_token(api: Api) -> None:
    answer = api.raw("GET", "/", headers={"X-Auth-Token": ""})
    assert answer.status == 200
    (version,) = answer.body["versions"]
    assert (version["id"], version["status"]) == ("v1.0", "CURRENT")
    assert version["links"] == [{"rel": "self", "href": ROOT}]


@pytest.mark.parametrize("path", ["/v1.0", "/v1.0/"])
def test_the_one_version(api: Api, path: str) -> None:
    answer = api.raw("GET", path, headers={"X-Auth-Token": ""})
    assert answer.body["version"]["links"] == [{"rel": "self", "href": ROOT}]


def test_another_version_is_not_acceptable(api: Api) -> None:
    accept = {"Accept": "application/vnd.openstack.trove;version=9.0"}
    answer = api.raw("GET", "/", headers=accept)
    assert answer.body == {"notAcceptable": {"code": 406, "message": "version not supported"}}
    accept = {"Accept": "application/vnd.openstack.trove; version=1.0"}
    assert api.raw("GET", "/", headers=accept).status == 200


CONTEXT = {"apiId": "abc", "stage": "api"}


@pytest.mark.parametrize(
    ("chosen", "headers", "context", "base"),
    [
        (
            {},
            {"host": "abc.execute-api.eu-west-1.amazonaws.com", "x-forwarded-proto": "https"},
            {**CONTEXT, "path": "/api/v1.0/p/instances"},
            "https://abc.execute-api.eu-west-1.amazonaws.com/api",
        ),
        (
            {},
            {"host": "db.example.org", "x-forwarded-proto": "https"},
            {**CONTEXT, "path": "/cloud/v1.0/p/instances"},
            "https://db.example.org/cloud",
        ),
        (
            {"guest_endpoint_url": "http://127.0.0.1:4566"},
            {"host": "127.0.0.1:4566"},
            {**CONTEXT, "path": "/api/v1.0/p/instances"},
            "http://127.0.0.1:4566/_aws/execute-api/abc/api",
        ),
        (
            {"public_endpoint": "https://db.example.org/"},
            {"host": "abc.execute-api.eu-west-1.amazonaws.com"},
            {**CONTEXT, "path": "/api/"},
            "https://db.example.org",
        ),
    ],
    ids=["AWS", "own domain with a base path", "emulator", "configured"],
)
def test_links_lead_to_where_the_client_is(
    monkeypatch: pytest.MonkeyPatch,
    chosen: dict[str, str],
    headers: dict[str, str],
    context: dict[str, str],
    base: str,
) -> None:
    monkeypatch.setattr(links, "settings", lambda: Settings(**chosen))  # type: ignore[arg-type]
    assert links.base_url(headers, context) == base
