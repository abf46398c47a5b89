"""The page on the API, from its OpenAPI document: for people, what that is for programs."""

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from json import dumps
from typing import Any, Final

Json = Mapping[str, Any]

HEAD: Final = """# API reference

Rendered from the [OpenAPI 3.1 document](openapi.json), which every deployment serves without a
token at `GET /v1.0/openapi.json`. What of it is Trove's, and where it differs, is in
[compatibility](compatibility.md).

Every request but the version documents, the document itself and the guests' two carries
`X-Auth-Token`. Every answer carries `X-OpenStack-Request-Id`. What is refused has Trove's fault
body, or a problem document (RFC 9457) for whoever accepts `application/problem+json`.
"""
METHODS: Final = ("get", "post", "put", "patch", "delete")


def page(document: Json) -> str:
    """The page as Markdown."""
    lines = [HEAD]
    for tag in document["tags"]:
        lines += [f"## {tag['name'].capitalize()}", ""]
        for path, methods in document["paths"].items():
            for method in METHODS:
                if method in methods and methods[method]["tags"] == [tag["name"]]:
                    lines += _operation(method, path, methods[method])
    lines += ["## Refusals", "", "| status | fault | when |", "|---|---|---|"]
    lines += _refusals(document["components"]["responses"])
    lines += ["", "## Objects", ""]
    for name, schema in document["components"]["schemas"].items():
        lines += _object(name, schema)
    return "\n".join([*lines, ""])


def _operation(method: str, path: str, told: Json) -> Iterator[str]:
    yield f"### `{method.upper()} {path}`"
    yield ""
    yield f"{told['summary']}."
    if "description" in told:
        yield ""
        yield told["description"]
    if told["parameters"]:
        yield from ("", "| parameter | in | | |", "|---|---|---|---|")
        for each in told["parameters"]:
            described = each.get("description", "")
            yield f"| `{each['name']}` | {each['in']} | {_kind(each['schema'])} | {described} |"
    if "requestBody" in told:
        yield from _body(told["requestBody"])
    yield ""
    refused = []
    for status, answer in told["responses"].items():
        if "$ref" in answer:
            refused.append(status)
            continue
        content = answer.get("content", {}).get("application/json")
        body = _kind(content["schema"]) if content else "no body"
        yield f"**{status}** {HTTPStatus(int(status)).phrase}: {body}."
    yield f"Refused with {', '.join(refused)}."
    yield ""


def _body(body: Json) -> Iterator[str]:
    content = body["content"]["application/json"]
    needed = "" if body["required"] else " (may be left out)"
    yield ""
    yield f"Body{needed}: {_kind(content['schema'])}."
    for example in content["examples"].values():
        yield from ("", "```json", dumps(example["value"], indent=2, ensure_ascii=False), "```")


def _refusals(responses: Json) -> Iterator[str]:
    for told in responses.values():
        ((fault, example),) = told["content"]["application/json"]["example"].items()
        words = " ".join(told["description"].split())
        yield f"| {example['code']} | `{fault}` | {words} |"


def _object(name: str, schema: Json) -> Iterator[str]:
    yield f"### {name}"
    yield ""
    yield schema["description"]
    if schema.get("properties"):
        yield from ("", "| attribute | | |", "|---|---|---|")
        required = schema.get("required", ())
        for attribute, told in schema["properties"].items():
            needed = "always" if attribute in required else ""
            yield f"| `{attribute}` | {_kind(told)} | {needed} |"
    yield ""


def _kind(schema: Json) -> str:
    """A schema in words that stand in a cell of a table."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    for way in ("anyOf", "oneOf"):
        if way in schema:
            return " or ".join(dict.fromkeys(_kind(each) for each in schema[way]))
    if "enum" in schema:
        return ", ".join(f"`{each}`" if each else "empty" for each in schema["enum"])
    kind = schema.get("type", "anything")
    if kind == "array":
        return f"list of {_kind(schema['items'])}" if "items" in schema else "list"
    if kind == "object" and schema.get("properties"):
        parts = (f"`{name}`: {_kind(told)}" for name, told in schema["properties"].items())
        return f"{{{', '.join(parts)}}}"
    return f"{kind}{_bounds(schema)}"


def _bounds(schema: Json) -> str:
    """What is said of a number's or a text's size."""
    least = schema.get("minimum", schema.get("minLength"))
    most = schema.get("maximum", schema.get("maxLength"))
    unit = " characters" if "maxLength" in schema or "minLength" in schema else ""
    if least is not None and most is not None:
        return f", {least} to {most}{unit}"
    if least is not None:
        return f", at least {least}{unit}"
    return f", at most {most}{unit}" if most is not None else ""
