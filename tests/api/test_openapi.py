"""The published document: valid, complete, and what the routes really read and answer.

That each answer of the API is as described is asserted at every request of these tests
(`tests.api.client`).
"""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest
from jsonschema_rs import Draft202012Validator, Registry
from openapi_spec_validator import OpenAPIV31SpecValidator

from chalicelib.api import openapi
from chalicelib.api.application import ROUTES, Application
from chalicelib.api.frame import Route
from chalicelib.api.published import rendered
from chalicelib.errors import CofferError
from tests.api.client import HOST, Api

READING = [route for route in ROUTES if route.reads is not None]


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    """Method, path and what is said of it."""
    return [
        (method.upper(), path, told)
        for path, methods in rendered()["paths"].items()
        for method, told in methods.items()
    ]


def test_it_is_a_valid_document_of_openapi_3_1() -> None:
    assert rendered()["openapi"] == "3.1.0"
    assert list(OpenAPIV31SpecValidator(rendered()).iter_errors()) == []


def test_it_has_every_route_of_the_app_and_no_other(app: Application) -> None:
    served = {(method, path) for path, methods in app.routes.items() for method in methods}
    assert {(method, path) for method, path, _ in operations()} == served


def test_it_is_served_without_a_token_with_the_url_of_this_deployment(api: Api) -> None:
    answer = api.raw("GET", "/v1.0/openapi.json", headers={"X-Auth-Token": ""})
    assert answer.status == 200
    assert answer.body == {
        **msgspec.to_builtins(rendered()),
        "servers": [{"url": f"https://{HOST}/api"}],
    }


def test_each_schema_has_a_plain_name_and_a_description() -> None:
    """Two classes of one name would be told apart by their modules, which are nobody's business."""
    for name, schema in rendered()["components"]["schemas"].items():
        assert re.fullmatch(r"[A-Za-z]+", name)
        assert schema["description"]


def test_each_operation_says_what_it_is_for() -> None:
    for method, path, told in operations():
        assert told["summary"], f"{method} {path}"
        assert re.fullmatch(r"[a-z0-9_]+", told["operationId"])


def test_what_is_not_served_says_501_and_no_success() -> None:
    for method, path, told in operations():
        succeeds = any(status < "400" for status in told["responses"])
        refused = "501" in told["responses"]
        assert succeeds or refused, f"{method} {path}"
        assert succeeds != (told["tags"] == [openapi.NOT_SERVED])


def test_only_what_needs_no_token_says_so() -> None:
    public = {(route.method, route.path) for route in ROUTES if route.public}
    assert {(method, path) for method, path, told in operations() if "security" in told} == public


@pytest.mark.parametrize("route", READING, ids=lambda route: f"{route.method} {route.path}")
def test_an_example_of_a_body_fits_its_schema_and_is_read(route: Route) -> None:
    body = rendered()["paths"][route.path][route.method.lower()]["requestBody"]
    told = body["content"]["application/json"]
    registry = Registry([("urn:it", rendered())])
    schema = msgspec.json.decode(
        msgspec.json.encode(told["schema"]).replace(b'"#/', b'"urn:it#/'), type=dict[str, Any]
    )
    validator = Draft202012Validator(schema, registry=registry)
    for example in told["examples"].values():
        assert [error.message for error in validator.iter_errors(example["value"])] == []
        kinds = openapi.bodies(route)
        name, value = (
            ("", example["value"]) if "" in kinds else next(iter(example["value"].items()))
        )
        msgspec.convert(value, kinds[name])


def test_each_error_has_its_own_response() -> None:
    told = rendered()["components"]["responses"]
    errors = {error for route in ROUTES for error in openapi.refusals(route)}
    assert set(told) == {error.__name__ for error in errors}
    assert len({error.status for error in errors}) == len(errors)


def _all(kind: type[CofferError]) -> set[type[CofferError]]:
    return {kind, *(each for below in kind.__subclasses__() for each in _all(below))}


def test_each_status_that_there_is_an_error_for_is_told_of_somewhere() -> None:
    told = {status for _, _, each in operations() for status in each["responses"]}
    outside = {"405"}  # told of by having no such method
    assert {str(each.status) for each in _all(CofferError)} - outside <= told
