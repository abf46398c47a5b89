"""The sessions of expelled guests: denied while they live, and no longer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

import boto3
import pytest
from moto import mock_aws

from infra import sessions
from infra.errors import StackError
from infra.package.sources import PROJECT_ROOT
from infra.package.template import policy

ROLE = "coffer-guest"
INSTANCE = "0ef5a1e2-6a0f-4c0c-9d3c-1a2b3c4d5e6f"
NOW = 1_800_000_000.0
INLINE_CHARACTERS = 10_240
GUESTS_OWN = json.dumps(policy(PROJECT_ROOT / "infra/policies", "guest"), separators=(",", ":"))


@pytest.fixture
def iam(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        made = boto3.client("iam", region_name="us-east-1")
        made.create_role(RoleName=ROLE, AssumeRolePolicyDocument="{}")
        yield made


def denied(iam: Any, session: str) -> bool:
    """Whether some inline policy of the role denies everything to a session of that name."""
    for name in iam.list_role_policies(RoleName=ROLE)["PolicyNames"]:
        document = iam.get_role_policy(RoleName=ROLE, PolicyName=name)["PolicyDocument"]
        document = json.loads(document) if isinstance(document, str) else document
        statement = document["Statement"]
        assert (statement["Effect"], statement["Action"]) == ("Deny", "*")
        patterns = statement["Condition"]["StringLike"]["aws:userid"]
        if any(fnmatchcase(f"AROAEXAMPLE:{session}", each) for each in patterns):
            return True
    return False


def test_the_expelled_guest_is_denied_and_the_next_one_and_others_are_not(iam: Any) -> None:
    sessions.deny(iam, ROLE, {INSTANCE: 3}, NOW)
    assert denied(iam, f"guest-{INSTANCE}-2")
    assert denied(iam, f"guest-{INSTANCE}-1")
    assert not denied(iam, f"guest-{INSTANCE}-3")
    assert not denied(iam, f"guest-{INSTANCE[::-1]}-2")


def test_a_denial_goes_when_its_sessions_have_run_out(iam: Any) -> None:
    sessions.deny(iam, ROLE, {INSTANCE: 2}, NOW)
    other = INSTANCE.replace("0ef5", "1ef5")
    assert sessions.deny(iam, ROLE, {other: 2}, NOW + sessions.LIFE_SECONDS) == 0
    assert sessions.deny(iam, ROLE, {other: 2}, NOW + sessions.LIFE_SECONDS + 1) == 1
    assert not denied(iam, f"guest-{INSTANCE}-1")
    assert denied(iam, f"guest-{other}-1")


def test_a_host_full_of_guests_is_denied_by_one_policy_that_fits(iam: Any) -> None:
    """IAM counts the characters of all inline policies of a role, without white space."""
    many = {f"{number:08d}{INSTANCE[8:]}": 2 for number in range(150)}
    sessions.deny(iam, ROLE, many, NOW)
    assert all(denied(iam, f"guest-{each}-1") for each in many)
    (name,) = iam.list_role_policies(RoleName=ROLE)["PolicyNames"]
    document = iam.get_role_policy(RoleName=ROLE, PolicyName=name)["PolicyDocument"]
    text = json.dumps(document, separators=(",", ":"))
    assert len(text) + len(GUESTS_OWN) < INLINE_CHARACTERS


def test_too_many_within_the_hour_are_told_when_there_is_room_again(
    iam: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions.deny(iam, ROLE, {INSTANCE: 2}, NOW)

    def full(**_: Any) -> None:
        raise iam.exceptions.LimitExceededException({"Error": {}}, "PutRolePolicy")

    monkeypatch.setattr(iam, "put_role_policy", full)
    with pytest.raises(StackError) as told:
        sessions.deny(iam, ROLE, {INSTANCE[::-1]: 2}, NOW + 1800)
    assert "31 minutes" in told.value.advice
