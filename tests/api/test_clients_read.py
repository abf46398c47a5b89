"""What clients read of an answer is in the document, also where that tells as little as it may.

The clients' own code reads the smallest and the largest answer that the document allows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from openstack.database.v1 import database, flavor, instance, user
from troveclient.base import Resource
from troveclient.osc.v1 import database_flavors, database_instances, datastores

from chalicelib.api import openapi
from chalicelib.api.application import ROUTES

SCHEMAS = openapi.document(ROUTES)["components"]["schemas"]
NEVER = {"hostname", "id", "password"}
"""Trove tells a name where it has DNS; databases and users have no ids, and no password is told."""


def sample(schema: dict[str, Any], *, outside: bool, inside: bool) -> Any:
    """What the schema allows: with all attributes, or with those alone that are always there.

    The two say which, of the object itself and of those in it.
    """
    if "$ref" in schema:
        return sample(SCHEMAS[schema["$ref"].rpartition("/")[2]], outside=outside, inside=inside)
    if "anyOf" in schema:
        return sample(schema["anyOf"][0 if outside else -1], outside=outside, inside=inside)
    if "enum" in schema:
        return schema["enum"][0]
    if schema.get("type") == "object":
        told = schema["properties"]
        wanted = told if outside else schema.get("required", ())
        return {name: sample(told[name], outside=inside, inside=inside) for name in wanted}
    if schema.get("type") == "array":
        return [sample(schema["items"], outside=inside, inside=inside)]
    plain = {"string": "text", "integer": 1, "number": 1.5, "boolean": True, "null": None}
    return plain[schema["type"]]


@pytest.mark.parametrize(("outside", "inside"), [(False, False), (True, False), (True, True)])
@pytest.mark.parametrize(
    ("read", "name"),
    [
        (database_instances.set_attributes_for_print_detail, "InstanceDetail"),
        (lambda each: database_instances.get_instances_info([each]), "InstanceDetail"),
        (lambda each: database_instances.get_instances_info([each]), "InstanceSummary"),
        (lambda each: database_instances.get_instances_info([each]), "ManagedInstance"),
        (database_flavors.set_attributes_for_print_detail, "FlavorView"),
        (datastores.set_attributes_for_print_detail, "DatastoreView"),
    ],
)
def test_troveclient_reads_what_the_document_allows(
    read: Callable[[Resource], Any], name: str, outside: bool, inside: bool
) -> None:
    assert read(Resource(None, sample(SCHEMAS[name], outside=outside, inside=inside)))


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (instance.Instance, "InstanceDetail"),
        (flavor.Flavor, "FlavorView"),
        (database.Database, "Database"),
        (user.User, "UserView"),
    ],
)
def test_openstacksdk_finds_its_attributes(kind: Any, name: str) -> None:
    assert set(kind._body_mapping()) - NEVER <= set(SCHEMAS[name]["properties"])
