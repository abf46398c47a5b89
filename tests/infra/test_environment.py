"""What Lambda bounds of a function's environment: 4 KB for all of its variables together.

Source: AWS Lambda's quotas (environment variables, in aggregate).
"""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from infra.package.sources import PROJECT_ROOT
from infra.package.template import FUNCTIONS, compose

MOST_BYTES: Final = 4096
REGION: Final = "ap-southeast-7"
ACCOUNT: Final = "123456789012"
PREFIX: Final = "p" * 20
UUID: Final = "41c17c74-6146-4d87-b45c-4c23c3a89f15"
LARGEST: Final[dict[str, str]] = {
    "AWS::Partition": "aws",
    "AWS::AccountId": ACCOUNT,
    "AWS::Region": REGION,
    "AWS::URLSuffix": "amazonaws.com",
    "RestAPI": "a1b2c3d4e5",
    "Prefix": PREFIX,
    "DeploymentId": "d" * 32,
    "PackageBucket": f"{PREFIX}-packages-{ACCOUNT}",
    "BackupsBucket": f"{PREFIX}-backups-{ACCOUNT}",
    "SecretsPath": f"/{PREFIX}",
    "ApiUrlPrefix": "https://",
    "ApiUrlSuffix": "",
    "PublicEndpoint": "",
    "DomainName": "database.region-1.cloud.example.org",
    "GuestEndpointUrl": "",
    "DefaultDatastore": "postgresql",
    "NetworkId": UUID,
    "PublicNetworkId": UUID,
    "ImageProjectId": UUID,
    "VolumeZones": "zone-1=ceph-1,zone-2=ceph-2,*=ceph-3",
    "OpenStackAuthUrl": "https://keystone.region-1.cloud.example.org:5000/v3",
    "OpenStackProjectName": "database-services",
    "OpenStackUserDomainName": "service-users",
    "OpenStackProjectDomainName": "service-projects",
    "OpenStackRegionName": "region-1",
}
"""What the template does not bound, as large as an account on AWS and a private cloud have it."""
QUEUES: Final = ("TaskManagerQueue", "ConductorQueue", "HeartbeatsQueue", "DeadLettersQueue")
QUEUE_URL: Final = f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{PREFIX}-taskmanager"


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    return compose(PROJECT_ROOT, "x86_64")


def largest(value: Any, parameters: dict[str, Any]) -> str:
    """A variable's value at its largest; of two that a condition chooses between the longer one."""
    match value:
        case {"Ref": str(name)}:
            return of_name(name, parameters)
        case {"Fn::Sub": str(text)}:
            parts = text.split("${")
            rest = (each.split("}", 1) for each in parts[1:])
            return parts[0] + "".join(of_name(name, parameters) + after for name, after in rest)
        case {"Fn::If": [_, one, other]}:
            return max((largest(each, parameters) for each in (one, other)), key=len)
    assert isinstance(value, str | int), f"{value} is not counted here"
    return str(value)


def of_name(name: str, parameters: dict[str, Any]) -> str:
    """The largest value of a parameter, or of what else a template names."""
    known = parameters.get(name, {})
    if "MaxLength" in known:
        return "c" * int(known["MaxLength"])
    if "AllowedValues" in known:
        return str(max(known["AllowedValues"], key=lambda each: len(str(each))))
    if known.get("Type") == "Number":
        return str(known.get("MaxValue", 10**9))
    return QUEUE_URL if name in QUEUES else LARGEST[name]


def test_every_functions_variables_fit_at_their_largest(template: dict[str, Any]) -> None:
    parameters, common = template["Parameters"], template["Globals"]["Function"]["Environment"]
    functions = {
        each.name: template["Resources"][each.logical_id]["Properties"] for each in FUNCTIONS
    }
    for name, properties in functions.items():
        own = properties.get("Environment", {}).get("Variables", {})
        variables = {
            key: largest(value, parameters) for key, value in {**common["Variables"], **own}.items()
        }
        size = len(json.dumps(variables, separators=(",", ":")))
        assert size <= MOST_BYTES, f"{name}: {size} bytes"
