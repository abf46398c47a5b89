"""What API Gateway says by itself, where an emulator has left it out of the API's definition."""

from infra.package.build import CHALICE_STAGE
from infra.package.template import Document
from infra.target import Target


def ensure(target: Target, api_id: str, template: Document) -> None:
    """Put the gateway responses that the API lacks, and deploy it again if any was lacking.

    AWS has taken them from the API's definition; MiniStack 1.5.33 leaves them out there.
    """
    wanted = template["Resources"]["RestAPI"]["Properties"].get("GatewayResponses", {})
    gateway = target.client("apigateway")
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
    if lacking:
        gateway.create_deployment(restApiId=api_id, stageName=CHALICE_STAGE)
