"""Backups that are snapshots, by unmodified clients on a running stack: of a MariaDB below a writer
and of a PostgreSQL, both restored, and outlived."""

from __future__ import annotations

import pytest

from tests.acceptance.stack import Stack
from tests.acceptance.test_backups import (
    PASSWORD,
    USER,
    Writer,
    address_of,
    back_up,
    ended,
    goes_on,
    is_gone,
    made_by,
    psql,
    rows_of,
    shown,
)
from tests.acceptance.test_clients import run

pytestmark = pytest.mark.crash  # half a minute each

CONTENTS = {
    "databases": [{"name": "shop"}],
    "users": [{"name": USER, "password": PASSWORD, "databases": [{"name": "shop"}]}],
}


def deleted(stack: Stack, instance_id: str) -> None:
    assert stack.demo.delete(instance_id).status_code == 202
    stack.demo.wait(instance_id, "GONE")


def test_what_was_committed_before_a_snapshot_is_restored_from_it(stack: Stack) -> None:
    """The rest of the writer's rows is whole, too: the first ones and no others. The volume of an
    instance that is gone stays for its snapshot, and goes with that."""
    source = stack.demo.created("source-of-snapshots", **CONTENTS)
    writer = Writer(address_of(stack, source))
    writer.start()
    goes_on(writer)
    least = writer.committed
    backup = back_up(stack, source, "snapshot", "--storage-driver", "cinder")
    done = ended(stack, backup)
    assert (done["status"], done["storage_driver"], done["size"]) == ("COMPLETED", "cinder", 1)
    most = writer.committed + 1
    goes_on(writer)
    writer.over.set()
    writer.join(30)
    deleted(stack, source)
    (left,) = stack.left_of(source)
    assert left.startswith("volumes ")
    run(
        stack, "database", "instance", "create", "of-a-snapshot", "--flavor", "1", "--size", "2",
        "--datastore", "mariadb", "--datastore-version", "10.11", "--backup", backup,
    )  # fmt: skip
    listed = run(stack, "database", "instance", "list")
    (copy,) = (each["ID"] for each in listed if each["Name"] == "of-a-snapshot")
    assert least <= rows_of(address_of(stack, copy)) <= most
    run(stack, "database", "backup", "delete", backup)
    is_gone(stack, backup)
    stack.assert_owns_nothing(stack.demo, source)
    deleted(stack, copy)
    stack.assert_owns_nothing(stack.demo, copy)
    assert stack.things_of(backup, "snapshots") == []


def test_postgresql_goes_on_with_a_snapshot_of_its_volume(stack: Stack) -> None:
    api, datastore = stack.demo, {"type": "postgresql", "version": "15"}
    source = api.created("elephant", datastore=datastore, **CONTENTS)
    address = address_of(stack, source)
    psql(address, "CREATE TABLE kept AS SELECT g AS n FROM generate_series(1, 1000) g")
    backup = made_by(stack, source, "snapshot", storage_driver="cinder")
    psql(address, "DELETE FROM kept")
    point = {"backupRef": backup}
    more = {"name": "bob", "password": PASSWORD}
    copy = api.created("elephant-again", datastore=datastore, restorePoint=point, users=[more])
    counted = psql(address_of(stack, copy), "SELECT count(*), max(n) FROM kept")
    assert counted == "1000|1000"
    users = {
        each["name"] for each in api.request("GET", f"/instances/{copy}/users").json()["users"]
    }
    assert users == {USER, "bob"}
    deleted(stack, copy)
    assert api.request("DELETE", f"/backups/{backup}").status_code == 202
    is_gone(stack, backup)
    assert shown(stack, backup)["status"] == "GONE"
    deleted(stack, source)
    stack.assert_owns_nothing(api, source)
