"""What an emulator has left out of the API's definition; AWS has taken it from there."""

from typing import Any

from infra.package.build import CHALICE_STAGE
from infra.package.methods import ANY_METHOD
from infra.package.template import Document
from infra.target import Target

ANY = "ANY"


def ensure(target: Target, api_id: str, template: Document) -> None:
    """Put what the API lacks, and deploy it again if anything was lacking.

    MiniStack 1.5.33 reads neither gateway responses nor the method that stands for any other.
    """
    gateway = target.client("apigateway")
    wanted = template["Resources"]["RestAPI"]["Properties"]
    lacked = _put_responses(gateway, api_id, wanted.get("GatewayResponses", {}))
    lacked |= _put_methods(gateway, api_id, wanted.get("DefinitionBody", {}).get("paths", {}))
    if lacked:
        gateway.create_deployment(restApiId=api_id, stageName=CHALICE_STAGE)


def _put_responses(gateway: Any, api_id: str, wanted: Document) -> bool:
    """What API Gateway says by itself."""
    present = {
        item["responseType"]: item.get("responseTemplates", {})
        for item in gateway.get_gateway_responses(restApiId=api_id, limit=500)["items"]
    }
    lacking = {
        kind: response
        for kind, response in wanted.items()
        if present.get(kind, {}) != response["ResponseTemplates"]
    }
    for kind, response in lacking.items():
        headers = response.get("ResponseParameters", {}).get("Headers", {})
        gateway.put_gateway_response(
            restApiId=api_id,
            responseType=kind,
            statusCode=str(response["StatusCode"]),
            responseTemplates=response["ResponseTemplates"],
            responseParameters={f"gatewayresponse.header.{k}": v for k, v in headers.items()},
        )
    return bool(lacking)


def _put_methods(gateway: Any, api_id: str, paths: Document) -> bool:
    """The method of each path that stands for any other, which leads where its others do."""
    found = gateway.get_resources(restApiId=api_id, limit=500, embed=["methods"])["items"]
    lacking = [
        resource
        for resource in found
        if ANY_METHOD in paths.get(resource["path"], {})
        and ANY not in resource.get("resourceMethods", {})
    ]
    for resource in lacking:
        of_resource = {"restApiId": api_id, "resourceId": resource["id"], "httpMethod": ANY}
        present = next(iter(resource["resourceMethods"].values()))["methodIntegration"]
        gateway.put_method(**of_resource, authorizationType="NONE")
        gateway.put_integration(
            **of_resource,
            type=present["type"],
            integrationHttpMethod=present["httpMethod"],
            uri=present["uri"],
        )
    return bool(lacking)
