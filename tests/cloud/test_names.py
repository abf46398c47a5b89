"""The name of a server: found by the instance's id, and by what its tenant calls it."""

from __future__ import annotations

import re

import pytest

from chalicelib.cloud import names

ONE = "11111111-1111-4111-8111-111111111111"
OTHER = "22222222-2222-4222-8222-222222222222"


def found_by(pattern: str, name: str) -> bool:
    """As Nova's filter by name: a regular expression, anywhere in it."""
    return re.search(pattern, name) is not None


@pytest.mark.parametrize("called", ["shop", "", "tempest-Actions-12", f"coffer-{OTHER}-1"])
def test_a_server_is_found_by_its_instance_whatever_that_is_called(called: str) -> None:
    for generation in (1, 12):
        name = names.server(ONE, generation, called)
        assert found_by(names.server_pattern(ONE), name)
        assert not found_by(names.server_pattern(OTHER), name)
        assert found_by(called, name)


def test_it_is_a_name_that_nova_takes_and_makes_a_name_of_a_host_of() -> None:
    assert names.server(ONE, 1, "Läden & Co.").endswith("-1 L-den - Co.")
    assert names.server(ONE, 1, "").endswith("-1")
    longest = names.server(ONE, 1, "x" * 255)
    assert len(longest) == names.SERVER_NAME_CHARACTERS
    assert names.server(ONE, 1, "\n \U0001f600").endswith("-1 - -")
