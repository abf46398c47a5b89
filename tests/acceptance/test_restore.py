"""A row that a restore of the table loses: nothing is removed, and all of it is found again."""

from __future__ import annotations

import json
from contextlib import closing
from typing import Any

import pymysql

from infra.deploy import outputs
from infra.local.settings import STACK_NAME
from tests.acceptance.stack import Stack

KINDS = ("servers", "volumes", "ports", "security_groups")
PASSWORD = "secret-of-the-keeper"


def look_for_orphans(stack: Stack) -> dict[str, Any]:
    """What a whole round of the look for leftovers answers, begun by an operator who is sure."""
    function = outputs(stack.settings.target, STACK_NAME)["TaskManagerCloudName"]
    event = json.dumps({"step": "look_for_orphans", "sure": True}).encode()
    answer = stack.aws("lambda").invoke(FunctionName=function, Payload=event)
    document: dict[str, Any] = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, document
    return document


def things(stack: Stack, instance_id: str) -> dict[str, set[str]]:
    """The ids of what the cloud holds in the name of an instance."""
    return {kind: {each["id"] for each in stack.things_of(instance_id, kind)} for kind in KINDS}


def kept(instance: dict[str, Any], statement: str) -> list[Any]:
    """What the instance's database answers to its user."""
    login = pymysql.connect(
        host=instance["ip"][0], user="keeper", password=PASSWORD, database="shop", autocommit=True
    )
    with closing(login) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall())


def test_an_instance_whose_row_is_lost_stays_and_is_adopted(stack: Stack) -> None:
    api = stack.demo
    user = {"name": "keeper", "password": PASSWORD, "databases": [{"name": "shop"}]}
    instance_id = api.created("restored", databases=[{"name": "shop"}], users=[user])
    before = api.healthy(instance_id)
    kept(before, "create table t as select 7 as v")
    owned = things(stack, instance_id)
    assert all(len(ids) == 1 for ids in owned.values())

    key = {"id": {"S": instance_id}}
    stack.aws("dynamodb").delete_item(TableName=f"{STACK_NAME}-instances", Key=key)
    assert api.show(instance_id) is None
    assert stack.quota_in_use(api) != stack.quota_expected(api)
    for _ in range(3):
        seen = look_for_orphans(stack)
        assert seen["unknown"] >= len(KINDS)
        assert seen["removed"] == 0
    assert things(stack, instance_id) == owned

    line = f"  {instance_id}: restored of {api.user.project_id}"
    assert line in stack.coffer("adopt", "--check").splitlines()
    assert api.show(instance_id) is None
    assert line in stack.coffer("adopt").splitlines()
    after = api.healthy(instance_id)
    moves = {"updated": None, "service_status_updated": None}
    assert {**after, **moves} == {**before, **moves}
    assert kept(after, "select v from t") == [(7,)]
    assert stack.quota_in_use(api) == stack.quota_expected(api)
    again = stack.coffer("adopt")
    assert instance_id not in again
    assert api.user.project_id not in again

    assert api.delete(instance_id).status_code == 202
    api.wait(instance_id, "GONE")
    stack.assert_owns_nothing(api, instance_id)
