"""Configuration groups of the stack's tenant, and how far their values have come."""

from __future__ import annotations

from typing import Any, Final

from tests.acceptance.stack import Stack, eventually

GROUP: Final = ("database", "configuration")
"""What the client calls them."""
WITHIN: Final = 120


def new_group(stack: Stack, datastore: str, version: str, **values: Any) -> str:
    """The id of a group with these values."""
    wanted = {"type": datastore, "version": version}
    body = {"configuration": {"name": "a group", "values": values, "datastore": wanted}}
    answer = stack.demo.request("POST", "/configurations", body)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["configuration"]["id"])


def hold(stack: Stack, instance_id: str, group: str | None) -> None:
    """Give an instance a group, or take it away."""
    body = {"instance": {"configuration": group}}
    answer = stack.demo.request("PUT", f"/instances/{instance_id}", body)
    assert answer.status_code == 202, answer.text


def change(stack: Stack, group: str, **values: Any) -> None:
    """Give some parameters of a group other values."""
    body = {"configuration": {"values": values}}
    answer = stack.demo.request("PATCH", f"/configurations/{group}", body)
    assert answer.status_code == 200, answer.text


def applied(stack: Stack, group: str) -> dict[str, Any]:
    """The group, when its values have come to each instance that was there to be told."""

    def look() -> dict[str, Any] | None:
        shown = stack.demo.request("GET", f"/configurations/{group}").json()["configuration"]
        return shown if shown["status"] == "ACTIVE" else None

    told = eventually(look, WITHIN, "the values are applied")
    assert told["fault"] is None, told
    return told


def delete_group(stack: Stack, group: str) -> None:
    """Delete a group that no instance has."""
    assert stack.demo.request("DELETE", f"/configurations/{group}").status_code == 202
