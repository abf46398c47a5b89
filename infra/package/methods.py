"""A method of each path that stands for those that it has not, and leads to the API.

API Gateway itself would say 403 ("Missing Authentication Token") for one; the API says 405, with
what is allowed there.
"""

from typing import Any, Final

ANY_METHOD: Final = "x-amazon-apigateway-any-method"
"""In an imported definition: any method that is not named beside it."""


def resources() -> dict[str, Any]:
    """What the API's definition, as Chalice writes it, lacks of that."""
    # The whole API with its tables: most commands compose no template.
    from chalicelib.api.application import ROUTES

    handler = "${APIHandler.Arn}/invocations"
    api = "arn:${AWS::Partition}:apigateway:${AWS::Region}:lambda:path/2015-03-31/functions/"
    integration = {"type": "aws_proxy", "httpMethod": "POST", "uri": {"Fn::Sub": api + handler}}
    method = {
        "responses": {},
        "x-amazon-apigateway-integration": {
            **integration,
            "passthroughBehavior": "when_no_match",
            "contentHandling": "CONVERT_TO_TEXT",
        },
    }
    paths = {path: {ANY_METHOD: method} for path in sorted({route.path for route in ROUTES})}
    return {"RestAPI": {"Properties": {"DefinitionBody": {"paths": paths}}}}
