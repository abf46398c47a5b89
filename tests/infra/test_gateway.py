"""What the API's definition lacks in an emulator is put there; every path knows every method."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from infra import gateway
from infra.local.settings import cache_folder
from infra.package.build import build
from infra.package.methods import ANY_METHOD
from infra.package.sources import PROJECT_ROOT
from infra.target import Target

REGION = "us-east-1"
URI = f"arn:aws:apigateway:{REGION}:lambda:path/2015-03-31/functions/arn:f/invocations"
SAID = {"StatusCode": 404, "ResponseTemplates": {"application/json": "{}"}}


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, str]]:
    """An API with one method of one path, as an emulator has made it; with its client."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        client = boto3.client("apigateway", region_name=REGION)
        api_id = client.create_rest_api(name="coffer")["id"]
        (root,) = client.get_resources(restApiId=api_id)["items"]
        made = client.create_resource(restApiId=api_id, parentId=root["id"], pathPart="flavors")
        asked = {"restApiId": api_id, "resourceId": made["id"], "httpMethod": "GET"}
        client.put_method(**asked, authorizationType="NONE")
        client.put_integration(**asked, type="AWS_PROXY", integrationHttpMethod="POST", uri=URI)
        yield client, api_id


def test_what_is_lacking_is_put_once(api: tuple[Any, str]) -> None:
    client, api_id = api
    body: dict[str, Any] = {"paths": {"/flavors": {"get": {}, ANY_METHOD: {}}}}
    properties = {"DefinitionBody": body, "GatewayResponses": {"THROTTLED": SAID}}
    template = {"Resources": {"RestAPI": {"Properties": properties}}}
    for _ in range(2):
        gateway.ensure(Target(REGION), api_id, template)
        root, flavors = client.get_resources(restApiId=api_id, embed=["methods"])["items"]
        assert "resourceMethods" not in root
        assert set(flavors["resourceMethods"]) == {"GET", "ANY"}
        assert flavors["resourceMethods"]["ANY"]["methodIntegration"]["uri"] == URI
        (put,) = client.get_gateway_responses(restApiId=api_id)["items"]
        assert put["responseType"] == "THROTTLED"
        assert len(client.get_deployments(restApiId=api_id)["items"]) == 1


def test_every_path_of_the_api_leads_any_method_where_its_own_lead() -> None:
    template = json.loads(build(PROJECT_ROOT, cache_folder()).template.read_text())
    paths = template["Resources"]["RestAPI"]["Properties"]["DefinitionBody"]["paths"]
    targets = {
        json.dumps(method["x-amazon-apigateway-integration"]["uri"])
        for methods in paths.values()
        for method in methods.values()
    }
    assert len(targets) == 1
    for path, methods in paths.items():
        assert ANY_METHOD in methods, path
        assert len(methods) > 1, path
