"""Backups in the project's own Swift, a real one, by unmodified clients."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

import openstack
import pg8000.native
import pymysql
import pytest

from infra.local.settings import load_secrets
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
    objects,
    rows_of,
    shown,
)
from tests.acceptance.test_clients import run
from tests.openstack import swift_alone
from tests.openstack.site import VARIABLE
from tests.support import trove, trove_postgresql

CONTAINER: Final = "nightly backups"
STORES: Final = ("asked",) if VARIABLE in os.environ else ("Swift",)
"""A real OpenStack has one; beside the local cloud, whose own answers alike
(`tests/cloud/contract/test_containers.py`), one from PyPI is started."""

pytestmark = pytest.mark.timeout(900)


def connect(stack: Stack, user: str, password: str) -> Any:
    """A client of openstacksdk with a token, and so a catalog, of its own."""
    return openstack.connect(
        auth_url=stack.settings.auth_url,
        username=user,
        password=password,
        project_name=user,
        user_domain_name="Default",
        project_domain_name="Default",
        region_name="RegionOne",
        load_yaml_config=False,
        load_envvars=False,
    )


@pytest.fixture(scope="module", params=STORES)
def store(
    request: pytest.FixtureRequest, stack: Stack, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    """The object store of the project, as its user sees it."""
    secrets = load_secrets(stack.settings)
    if request.param != "Swift":
        yield connect(stack, "demo", secrets.demo_password).object_store
        return
    folder: Path = tmp_path_factory.mktemp("swift")
    url, password = stack.settings.auth_url, secrets.validation_password
    admin = connect(stack, "admin", secrets.admin_password)
    with (
        swift_alone.running(folder, url, "coffer-api", password) as place,
        swift_alone.in_catalog(admin, place),
    ):
        yield connect(stack, "demo", secrets.demo_password).object_store


@pytest.fixture(scope="module")
def instance(stack: Stack) -> Iterator[str]:
    user = {"name": USER, "password": PASSWORD, "databases": [{"name": "shop"}]}
    made = stack.demo.created("in-swift", databases=[{"name": "shop"}], users=[user])
    yield made
    assert stack.demo.delete(made).status_code == 202
    stack.demo.wait(made, "GONE")
    stack.assert_owns_nothing(stack.demo, made)


@pytest.fixture(scope="module")
def writer(stack: Stack, instance: str) -> Iterator[Writer]:
    made = Writer(address_of(stack, instance))
    made.start()
    yield made
    made.over.set()
    made.join(30)


def names(store: Any) -> list[str]:
    """What lies in the container."""
    return [each["name"] for each in store.get(f"/{CONTAINER}?format=json").json()]


def test_a_chain_is_made_restored_and_deleted_and_nothing_is_left(
    stack: Stack, store: Any, instance: str, writer: Writer
) -> None:
    before = objects(stack)
    goes_on(writer)
    full = back_up(stack, instance, "full", "--swift-container", CONTAINER)
    assert ended(stack, full)["status"] == "COMPLETED", shown(stack, full)
    goes_on(writer)
    least = writer.committed
    more = back_up(stack, instance, "more", "--swift-container", CONTAINER, "--incremental")
    done = ended(stack, more)
    most = writer.committed + 1
    assert (done["status"], done["parent_id"]) == ("COMPLETED", full), done
    assert done["swift_container"] == CONTAINER
    assert done["locationRef"].rpartition(f"/{full}/")[2] in "\n".join(names(store))
    assert objects(stack) == before, "nothing of it is in the deployment's own store"
    run(
        stack, "database", "instance", "create", "copy-of-more", "--flavor", "1", "--size", "1",
        "--datastore", "mariadb", "--datastore-version", "10.11", "--backup", more,
    )  # fmt: skip
    listed = run(stack, "database", "instance", "list")
    (copy,) = (each["ID"] for each in listed if each["Name"] == "copy-of-more")
    assert least <= rows_of(address_of(stack, copy)) <= most
    assert stack.demo.delete(copy).status_code == 202
    run(stack, "database", "backup", "delete", more)
    is_gone(stack, more)
    run(stack, "database", "backup", "delete", full)
    is_gone(stack, full)
    assert names(store) == []
    assert store.delete(f"/{CONTAINER}").status_code == 204
    stack.demo.wait(copy, "GONE")


TROVES: Final = "database_backups"
SEGMENT_BYTES: Final = 200_000


def put_as_trove_does(store: Any, name: str, content: bytes) -> str:
    """In segments below a manifest, as what is larger than 2 GiB there; the manifest's URL."""
    store.put(f"/{TROVES}")
    told = []
    for number, start in enumerate(range(0, len(content), SEGMENT_BYTES)):
        part, path = content[start : start + SEGMENT_BYTES], f"/{TROVES}/{name}_{number:08d}"
        assert store.put(path, data=part).status_code == 201
        etag = hashlib.md5(part, usedforsecurity=False).hexdigest()
        told.append({"path": path, "etag": etag, "size_bytes": len(part)})
    key = f"/{TROVES}/{name}"
    noted = {"X-Object-Meta-Lsn": "42"}
    answer = store.put(f"{key}?multipart-manifest=put", json=told, headers=noted)
    assert answer.status_code == 201, answer.text
    return f"{store.get_endpoint()}{key}"


def test_what_trove_has_made_becomes_an_instance_and_stays_where_it_lies(
    stack: Stack, store: Any
) -> None:
    with trove.mariadb() as folder:
        url = put_as_trove_does(store, "of-trove.xbstream.gz", trove.zipped(trove.stream(folder)))
    with imported(stack, store, url, "mariadb", "10.11") as address:
        with (
            pymysql.connect(host=address, user="carol", password=trove.PASSWORD) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute("SELECT COUNT(*), MAX(n) FROM shop.numbers")
            assert cursor.fetchone() == (trove.ROWS, trove.ROWS)
        for name in ("os_admin", "root"):
            with pytest.raises(pymysql.OperationalError, match="Access denied"):
                pymysql.connect(host=address, user=name, password=trove.ADMIN_PASSWORD)


def test_so_does_a_postgresql_of_troves(stack: Stack, store: Any) -> None:
    with trove_postgresql.postgresql() as theirs:
        url = put_as_trove_does(store, "of-trove.tar.gz", theirs.tar())
    with imported(stack, store, url, "postgresql", "15") as address:
        login = {"host": address, "password": trove.PASSWORD, "database": "shop"}
        with closing(pg8000.native.Connection("carol", ssl_context=False, **login)) as connection:
            held = connection.run("SELECT COUNT(*), MAX(n) FROM numbers")
            assert held == [[trove_postgresql.ROWS, trove_postgresql.ROWS]]
        for name in ("os_admin", "root", "postgres"):
            with pytest.raises(pg8000.native.DatabaseError, match="28"):
                pg8000.native.Connection(
                    name, host=address, password=trove.ADMIN_PASSWORD, database="shop"
                )


@contextmanager
def imported(stack: Stack, store: Any, url: str, datastore: str, named: str) -> Iterator[str]:
    """The address of an instance that has begun with it. Afterwards it is backed up, and nothing
    is left of it; what Trove has put there lies as it did until the end."""
    before = {each["name"] for each in store.get(f"/{TROVES}?format=json").json()}
    versions = run(stack, "datastore", "version", "list", datastore)
    version = next(each["ID"] for each in versions if each["Name"] == named)
    run(
        stack, "database", "backup", "create", "from-trove", "--restore-from", url,
        "--restore-datastore-version", version, "--restore-size", "0.2",
    )  # fmt: skip
    (backup,) = (
        each["ID"]
        for each in run(stack, "database", "backup", "list")
        if each["Name"] == "from-trove"
    )
    assert shown(stack, backup)["status"] == "RESTORED"
    run(
        stack, "database", "instance", "create", "of-trove", "--flavor", "1", "--size", "1",
        "--datastore", datastore, "--datastore-version", named, "--backup", backup,
    )  # fmt: skip
    listed = run(stack, "database", "instance", "list")
    (instance,) = (each["ID"] for each in listed if each["Name"] == "of-trove")
    yield address_of(stack, instance)
    made = back_up(stack, instance, "of-its-own")
    assert ended(stack, made)["status"] == "COMPLETED", "it is one of ours from now on"
    for each in (made, backup):
        run(stack, "database", "backup", "delete", each)
        is_gone(stack, each)
    after = {each["name"] for each in store.get(f"/{TROVES}?format=json").json()}
    assert after == before
    assert stack.demo.delete(instance).status_code == 202
    stack.demo.wait(instance, "GONE")
    for name in after:
        assert store.delete(f"/{TROVES}/{name}").status_code == 204
    assert store.delete(f"/{TROVES}").status_code == 204
