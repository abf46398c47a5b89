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


class Entrances:
    """The functions and rules that write rows by themselves, closed as docs/operations.md says."""

    FUNCTIONS = ("api", "dispatcher", "sweeper", "taskmanager")
    RULES = ("sweeper", "orphans")

    def __init__(self, stack: Stack) -> None:
        self._lambda, self._events = stack.aws("lambda"), stack.aws("events")
        self._reserved: dict[str, int | None] = {}

    def close(self) -> None:
        for name in self.FUNCTIONS:
            function = {"FunctionName": f"{STACK_NAME}-{name}"}
            found = self._lambda.get_function_concurrency(**function)
            self._reserved[name] = found.get("ReservedConcurrentExecutions")
            self._lambda.put_function_concurrency(**function, ReservedConcurrentExecutions=0)
        for rule in self.RULES:
            self._events.disable_rule(Name=f"{STACK_NAME}-{rule}")

    def open(self) -> None:
        for name, reserved in self._reserved.items():
            function = {"FunctionName": f"{STACK_NAME}-{name}"}
            if reserved is None:
                self._lambda.delete_function_concurrency(**function)
            else:
                self._lambda.put_function_concurrency(
                    **function, ReservedConcurrentExecutions=reserved
                )
        for rule in self.RULES:
            self._events.enable_rule(Name=f"{STACK_NAME}-{rule}")


def restore(stack: Stack, table: str, backup: str) -> None:
    """Put the table of a backup in the place of the present one."""
    dynamodb = stack.aws("dynamodb")
    dynamodb.delete_table(TableName=table)
    dynamodb.get_waiter("table_not_exists").wait(TableName=table)
    dynamodb.restore_table_from_backup(TargetTableName=table, BackupArn=backup)
    dynamodb.get_waiter("table_exists").wait(TableName=table)
    dynamodb.update_time_to_live(
        TableName=table,
        TimeToLiveSpecification={"Enabled": True, "AttributeName": "expires"},
    )
    dynamodb.update_continuous_backups(
        TableName=table, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
    )


def test_an_instance_younger_than_a_restored_table_stays_and_is_adopted(stack: Stack) -> None:
    """The steps of docs/operations.md, "Restoring tables", with a backup for the moment, since an
    emulator keeps no history of a table."""
    api, table = stack.demo, f"{STACK_NAME}-instances"
    backup = stack.aws("dynamodb").create_backup(TableName=table, BackupName="moment")
    user = {"name": "keeper", "password": PASSWORD, "databases": [{"name": "shop"}]}
    instance_id = api.created("restored", databases=[{"name": "shop"}], users=[user])
    before = api.healthy(instance_id)
    kept(before, "create table t as select 7 as v")
    owned = things(stack, instance_id)
    assert all(len(ids) == 1 for ids in owned.values())

    entrances = Entrances(stack)
    entrances.close()
    try:
        refused = api.request("GET", f"/instances/{instance_id}")
        assert refused.status_code in (429, 503), (
            refused.text
        )  # MiniStack's word, and API Gateway's
        restore(stack, table, backup["BackupDetails"]["BackupArn"])
        for _ in range(3):
            seen = look_for_orphans(stack)
            assert seen["unknown"] >= len(KINDS)
            assert seen["removed"] == 0
        assert things(stack, instance_id) == owned
        line = f"  {instance_id}: restored of {api.user.project_id}"
        for asked in (("adopt", "--check"), ("adopt", "--check"), ("adopt",)):
            assert line in stack.coffer(*asked).splitlines()
    finally:
        entrances.open()

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
