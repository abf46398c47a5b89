"""The same calls to the simulated KMS, to moto and to MiniStack: the same outcomes."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any, NamedTuple

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from simulator import template
from simulator.aws.kms import Kms

REGION = "us-east-1"
CHANGES = ({"project": "q"}, {"backup": "c"}, {"more": "x"})
CONTEXT = {"deployment": template.DEPLOYMENT_ID, "project": "p", "backup": "b"}


class Key(NamedTuple):
    """A client, and the key that it is to use."""

    client: Any
    alias: str

    def make(self, context: dict[str, str] | None = None, **more: Any) -> bytes:
        asked = {"KeyId": self.alias, "KeySpec": "AES_256", "EncryptionContext": context or CONTEXT}
        answer = self.client.generate_data_key_without_plaintext(**(asked | more))
        assert "Plaintext" not in answer
        return bytes(answer["CiphertextBlob"])

    def open(self, sealed: bytes, context: dict[str, str] | None = None, **more: Any) -> bytes:
        asked = {"KeyId": self.alias, "EncryptionContext": context or CONTEXT}
        return bytes(self.client.decrypt(**(asked | more), CiphertextBlob=sealed)["Plaintext"])

    def refuses(self, call: str, *args: Any, **more: Any) -> str:
        with pytest.raises(ClientError) as caught:
            getattr(self, call)(*args, **more)
        error: Any = caught.value
        return str(error.response["Error"]["Code"])


@pytest.fixture(params=["simulated", "moto"])
def key(request: pytest.FixtureRequest) -> Iterator[Key]:
    if request.param == "simulated":
        chance = random.Random(1).randbytes
        yield Key(Kms(template.KEY_ALIAS, template.DEPLOYMENT_ID, chance), template.KEY_ALIAS)
        return
    with mock_aws():
        yield made_by(boto3.client("kms", REGION), template.KEY_ALIAS)


def made_by(client: Any, alias: str) -> Key:
    key_id = client.create_key()["KeyMetadata"]["KeyId"]
    client.create_alias(AliasName=alias, TargetKeyId=key_id)
    return Key(client, alias)


def test_a_key_is_new_each_time_and_opens_by_its_context(key: Key) -> None:
    sealed = [key.make() for _ in range(2)]
    opened = [key.open(each) for each in sealed]
    assert {len(each) for each in opened} == {32}
    assert opened[0] != opened[1]
    assert key.open(sealed[0], dict(reversed(CONTEXT.items()))) == opened[0]


@pytest.mark.parametrize("change", CHANGES)
def test_another_context_opens_nothing(key: Key, change: dict[str, str]) -> None:
    assert key.refuses("open", key.make(), CONTEXT | change) == "InvalidCiphertextException"


def test_what_was_changed_is_not_opened(key: Key) -> None:
    sealed = key.make()
    changed = sealed[:-1] + bytes([sealed[-1] ^ 1])
    assert key.refuses("open", changed) == "InvalidCiphertextException"


def test_a_key_that_is_not_there_is_named(key: Key) -> None:
    assert key.refuses("make", KeyId="alias/another") == "NotFoundException"


def test_ministack_answers_alike(ministack: dict[str, Any]) -> None:
    """But that it opens what was changed."""
    key = made_by(boto3.client("kms", **ministack), "alias/of-these-tests")
    test_a_key_is_new_each_time_and_opens_by_its_context(key)
    for change in CHANGES:
        test_another_context_opens_nothing(key, change)
    test_a_key_that_is_not_there_is_named(key)


def test_a_key_that_is_disabled_does_nothing() -> None:
    """As on AWS; moto goes on."""
    kms = Kms(template.KEY_ALIAS, template.DEPLOYMENT_ID, random.Random(1).randbytes)
    key = Key(kms, template.KEY_ALIAS)
    sealed = key.make()
    kms.enabled = False
    assert [key.refuses("make"), key.refuses("open", sealed)] == ["DisabledException"] * 2


@pytest.mark.parametrize("context", [{"deployment": "another", "project": "p"}, {"project": "p"}])
def test_a_context_that_the_policy_of_the_key_does_not_know_is_refused(
    context: dict[str, str],
) -> None:
    kms = Kms(template.KEY_ALIAS, template.DEPLOYMENT_ID, random.Random(1).randbytes)
    key = Key(kms, template.KEY_ALIAS)
    assert key.refuses("make", context) == "AccessDeniedException"
    nobodys = {"deployment": template.DEPLOYMENT_ID, "project": ""}
    assert key.refuses("make", nobodys) == "AccessDeniedException"
