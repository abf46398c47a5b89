"""What each role may read of the secrets, and that the API deletes no row of state."""

from __future__ import annotations

import pytest

from chalicelib import parameters
from chalicelib.parameters import (
    BACKUP_KEYS,
    CLOUD,
    CONTAINER_KEYS,
    CONTROL_KEYS,
    GUEST_KEYS,
    IDENTITY,
)
from infra.package.key import SEALING_ACTIONS
from simulator import template
from simulator.aws.policies import allows, parsed

SECRETS = {
    "api": {GUEST_KEYS, CONTROL_KEYS, BACKUP_KEYS, CONTAINER_KEYS, IDENTITY},
    "conductor": {GUEST_KEYS},
    "heartbeats": {GUEST_KEYS},
    "dead-letters": {GUEST_KEYS},
    "taskmanager": {GUEST_KEYS, CONTROL_KEYS, CONTAINER_KEYS},
    "taskmanager-cloud": {CLOUD, CONTROL_KEYS},
}
ROLES = template.roles(SecretsPath="/coffer")


@pytest.mark.parametrize("name", sorted(ROLES))
def test_a_role_reads_only_the_secrets_that_it_needs(name: str) -> None:
    policy = parsed(ROLES[name])
    arn = "arn:aws:ssm:us-east-1:123456789012:parameter/coffer"
    allowed = {
        each for each in parameters.NAMES if allows(policy, "ssm:GetParameter", f"{arn}/{each}")
    }
    assert allowed == SECRETS.get(name.removeprefix("coffer-"), set())


@pytest.mark.parametrize("name", sorted(ROLES))
def test_the_api_alone_seals_and_opens_the_keys_of_backups(name: str) -> None:
    policy = parsed(ROLES[name])
    allowed = {allows(policy, each, template.KEY_ARN) for each in SEALING_ACTIONS}
    assert allowed == {name == "coffer-api"}


@pytest.mark.parametrize("table", ["instances", "operations", "quotas", "events", "guests"])
def test_the_api_deletes_no_row_of_state(table: str) -> None:
    arn = f"arn:aws:dynamodb:us-east-1:123456789012:table/coffer-{table}"
    assert not allows(parsed(ROLES["coffer-api"]), "dynamodb:DeleteItem", arn)
