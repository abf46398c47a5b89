"""A tenant's container in Swift: the API reaches it with a token, all others by URLs signed with
the deployment's key."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from chalicelib import aws, containers, parameters
from chalicelib.api import importing
from chalicelib.auth.connection import Connection
from chalicelib.auth.containers import SLOTS, Containers
from chalicelib.bus.contract.arguments import ImportedObject
from chalicelib.bus.keyring import KeyRing
from chalicelib.containers import LENT_SECONDS, Refused
from chalicelib.domain.containers import Container
from chalicelib.errors import BadRequest, Conflict, Unauthorized
from chalicelib.objects import NotStored
from guest_agent.backups import imported
from guest_agent.backups.calls import HttpSend
from guest_agent.backups.grant import ContainerGrant, LentContainer, LentObject, ObjectGrant
from guest_agent.backups.imported import ImportedStore, ImportReader
from guest_agent.backups.store import StoreFailed
from guest_agent.backups.swift import SwiftStore
from guest_agent.clock import ServiceClock
from tests.cloud.contract.conftest import CLOUD
from tests.cloud.contract.people import Person
from tests.cloud.served import PASSWORDS
from tests.openstack import swift_alone
from tests.openstack.site import VARIABLE

BACKUP = "5d1c5c41-0f0c-4a52-9c1f-0d6a3c5a2a11"
LOCATION = f"tenant/{BACKUP}/{BACKUP}"
ATTEMPT = "0123456789abcdef"
CHECKSUM = "ab" * 32
DATA_KEYS = {BACKUP: base64.b64encode(bytes(32)).decode()}
RING = KeyRing({1: b"1" * 32, 2: b"2" * 32}, 2, 0.0, 0.0)

STORES = ("asked",) if {CLOUD, VARIABLE} & os.environ.keys() else ("asked", "Swift")

Reach = Callable[..., Container | None]


@pytest.fixture(scope="module", params=STORES)
def tenant(
    request: pytest.FixtureRequest, admin: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Person]:
    """A plain member whose object store is that of the cloud that is asked, or a real Swift."""
    with contextlib.ExitStack() as stack:
        if request.param == "Swift":
            url, password = admin.config.auth["auth_url"], PASSWORDS["validation_password"]
            folder = tmp_path_factory.mktemp("swift")
            running = swift_alone.running(folder, url, "coffer-api", password)
            stack.enter_context(swift_alone.in_catalog(admin, stack.enter_context(running)))
        made = Person(admin, "owner", ("member",))
        stack.callback(made.gone)
        yield made


@pytest.fixture
def look(tenant: Person) -> Containers:
    """The API's, with the tenant's token."""
    return Containers(_Connection(tenant))


@pytest.fixture
def reach(tenant: Person, look: Containers, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reach]:
    """Its look at a container; the containers are gone afterwards."""
    monkeypatch.setenv("OS_AUTH_URL", tenant.api.config.auth["auth_url"])
    aws.forget("settings")
    monkeypatch.setattr(parameters, "held", lambda name, kind: RING)

    def reached(name: str, *, make: bool = True, who: Person = tenant) -> Container | None:
        return look.reach(who.api.auth_token, who.project.id, name, make)

    yield reached
    store = tenant.api.object_store
    for each in store.get("?format=json").json():
        name = each["name"]
        for found in store.get(f"/{name}?format=json").json():
            assert store.delete(f"/{name}/{found['name']}").status_code == 204
        assert store.delete(f"/{name}").status_code == 204
    monkeypatch.undo()
    aws.forget("settings")


class _Connection(Connection):
    """The API's session, of a user who has it already."""

    def __init__(self, person: Person) -> None:
        super().__init__()
        self._person = person

    def session(self) -> Any:
        return self._person.api.session


def made(reach: Reach, name: str = "nightly backups") -> Container:
    found = reach(name)
    assert found is not None
    return found


def store_of(place: Container, method: str, prefix: str, **changes: Any) -> SwiftStore:
    """A guest's, that was lent URLs of one method below a prefix."""

    def lend(_: str | None) -> ContainerGrant:
        expires = int(time.time() + LENT_SECONDS)
        signed = {method: containers.signature(place, method, prefix, expires)}
        lent = LentContainer(place.url, prefix, {**signed, **changes}, expires)
        return ContainerGrant(
            writes=method == "PUT", keys=DATA_KEYS, container=lent, attempts={BACKUP: ATTEMPT}
        )

    return SwiftStore(lend, ServiceClock(), aws.event(), HttpSend(), lend(None))


def imported_of(place: Container, key: str) -> ImportedStore:
    """A guest's, that was lent an URL of one object."""

    def lend() -> ObjectGrant:
        expires = int(time.time() + LENT_SECONDS)
        url = containers.url_of(place, "GET", key, expires)
        return ObjectGrant(writes=False, keys={}, object=LentObject(url, expires))

    return ImportedStore(lend, ServiceClock(), aws.event(), HttpSend(), lend())


def sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def headers_of(tenant: Person, name: str) -> dict[str, str]:
    found = tenant.api.object_store.head(f"/{name}")
    return {each: found.headers[each] for each in SLOTS if each in found.headers}


def test_what_a_guest_writes_is_read_measured_and_removed(reach: Reach, tenant: Person) -> None:
    place = made(reach)
    assert reach("nightly backups", make=False) == place
    part, manifest = b"part" * 1000, b"{}"
    writer = store_of(place, "PUT", f"{LOCATION}/{ATTEMPT}/")
    writer.put(f"{LOCATION}/{ATTEMPT}/0", part, sha256(part))
    writer.put(f"{LOCATION}/{ATTEMPT}/0", part, sha256(part))
    writer.put(f"{LOCATION}/manifest.{CHECKSUM}", manifest, sha256(manifest))
    listed = [each.name for each in tenant.api.object_store.objects("nightly backups")]
    assert listed == [f"{LOCATION}/{ATTEMPT}/0", f"{LOCATION}/{ATTEMPT}/manifest"]
    reader = store_of(place, "GET", f"tenant/{BACKUP}/")
    assert reader.get(f"{LOCATION}/{ATTEMPT}/0", 4000) == part
    assert reader.get(f"{LOCATION}/manifest.{CHECKSUM}", 100) == manifest
    with pytest.raises(StoreFailed, match="more than 100 bytes"):
        reader.get(f"{LOCATION}/{ATTEMPT}/0", 100)
    assert containers.read(place, f"{LOCATION}/{ATTEMPT}/manifest", 100) == manifest
    with pytest.raises(NotStored, match="more than 100 bytes"):
        containers.read(place, f"{LOCATION}/{ATTEMPT}/0", 100)
    etag = hashlib.md5(part, usedforsecurity=False).hexdigest()
    assert containers.look(place, f"{LOCATION}/{ATTEMPT}/0") == (len(part), etag)
    for _ in range(2):
        containers.remove(place, f"{LOCATION}/{ATTEMPT}/0")
        containers.remove(place, f"{LOCATION}/{ATTEMPT}/manifest")
    assert containers.look(place, f"{LOCATION}/{ATTEMPT}/0") is None
    with pytest.raises(NotStored, match="is not there"):
        containers.read(place, f"{LOCATION}/{ATTEMPT}/manifest", 100)
    assert not list(tenant.api.object_store.objects("nightly backups"))


def test_a_guest_can_do_nothing_but_what_it_was_lent(reach: Reach) -> None:
    place = made(reach)
    own = f"{LOCATION}/{ATTEMPT}/0"
    writer = store_of(place, "PUT", f"{LOCATION}/{ATTEMPT}/")
    writer.put(own, b"x", sha256(b"x"))
    signature = writer.current().container.signatures["PUT"]
    for key in (f"{LOCATION}/another/0", f"tenant/another/{BACKUP}/{ATTEMPT}/0", "else"):
        with pytest.raises(StoreFailed, match=r"refused the deployment's key \(401\)"):
            store_of(place, "PUT", f"{LOCATION}/{ATTEMPT}/").put(key, b"x", sha256(b"x"))
    with pytest.raises(StoreFailed, match="refused"):  # with what it was lent to write
        store_of(place, "PUT", f"{LOCATION}/{ATTEMPT}/", GET=signature).get(own, 10)
    with pytest.raises(StoreFailed, match="refused"):  # and to read
        store_of(place, "GET", f"{LOCATION}/").put(own, b"y", sha256(b"y"))
    assert containers.read(place, own, 10) == b"x"


def test_what_is_broken_on_the_way_is_not_kept(reach: Reach) -> None:
    place = made(reach)
    expires = int(time.time() + 60)
    signed = containers.signature(place, "PUT", "a/", expires)
    url = f"{place.url}/a/0?temp_url_sig={signed}&temp_url_expires={expires}&temp_url_prefix=a%2F"
    broken = HttpSend()("PUT", url, b"other", {"ETag": hashlib.md5(b"that").hexdigest()})  # noqa: S324
    assert broken is not None
    assert broken.status == 422
    assert containers.look(place, "a/0") is None


def test_a_url_that_is_over_is_none(reach: Reach, monkeypatch: pytest.MonkeyPatch) -> None:
    place = made(reach)
    monkeypatch.setattr(containers, "URL_SECONDS", -10.0)
    with pytest.raises(Refused):
        containers.look(place, "a")


def test_a_key_of_the_tenants_stays_and_two_leave_no_room(reach: Reach, tenant: Person) -> None:
    swift = tenant.api.object_store
    assert swift.put("/own", headers={SLOTS[1]: "the-tenants"}).status_code == 201
    place = made(reach, "own")
    kept = headers_of(tenant, "own")
    assert kept[SLOTS[1]] == "the-tenants"
    assert containers.look(place, "a") is None
    assert swift.post("/own", headers={SLOTS[0]: "another"}).status_code == 204
    with pytest.raises(Refused, match="container own"):
        containers.look(place, "a")
    with pytest.raises(Conflict, match="no room"):
        reach("own")
    assert set(headers_of(tenant, "own").values()) == {"the-tenants", "another"}


def test_a_key_of_an_older_version_goes_on_being_used(
    reach: Reach, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = KeyRing({1: RING.keys[1]}, 1, 0.0, 0.0)
    monkeypatch.setattr(parameters, "held", lambda name, kind: older)
    place = made(reach)
    monkeypatch.setattr(parameters, "held", lambda name, kind: RING)
    assert made(reach) == place
    assert place.key == 1
    assert containers.look(place, "a") is None


def test_a_container_that_is_gone_is_told_apart_by_a_token_alone(
    reach: Reach, tenant: Person
) -> None:
    place = made(reach)
    assert tenant.api.object_store.delete("/nightly backups").status_code == 204
    with pytest.raises(Refused, match="was deleted or its key changed"):
        containers.look(place, "a")
    assert reach("nightly backups", make=False) is None


def test_who_may_only_read_is_refused_as_trove_does(reach: Reach, admin: Any) -> None:
    reader = Person(admin, "reader", ("reader",))
    try:
        with pytest.raises(Unauthorized, match="Swift account not accessible for tenant"):
            reach("nightly backups", who=reader)
    finally:
        admin.identity.delete_user(reader.user)
        admin.identity.delete_project(reader.project)


def test_a_full_container_is_told(reach: Reach, tenant: Person) -> None:
    place = made(reach)
    quota = {"X-Container-Meta-Quota-Bytes": "10"}
    assert tenant.api.object_store.post("/nightly backups", headers=quota).status_code == 204
    writer = store_of(place, "PUT", f"{LOCATION}/{ATTEMPT}/")
    with pytest.raises(StoreFailed, match="answered 413, that a quota or its room is used up"):
        writer.put(f"{LOCATION}/{ATTEMPT}/0", b"x" * 100, sha256(b"x" * 100))


@pytest.mark.parametrize("large", [False, True], ids=["one object", "segments"])
def test_what_trove_has_put_there_is_read_in_ranges_by_an_url_of_it_alone(
    reach: Reach, look: Containers, tenant: Person, monkeypatch: pytest.MonkeyPatch, *, large: bool
) -> None:
    """As Trove's `SwiftStorage` puts it: one segment under its own name, or a manifest of more."""
    monkeypatch.setattr(imported, "PART_BYTES", 1000)
    place, swift, name = made(reach), tenant.api.object_store, "a b.xbstream.gz"
    content = bytes(range(256)) * 20
    noted = {"X-Object-Meta-Lsn": "42"}
    if large:
        told = []
        for number, part in enumerate((content[:3000], content[3000:])):
            answer = swift.put(f"/nightly backups/a_0000000{number}", data=part)
            etag = hashlib.md5(part, usedforsecurity=False).hexdigest()
            path = f"/nightly backups/a_0000000{number}"
            told.append({"path": path, "etag": etag, "size_bytes": len(part)})
            assert answer.status_code == 201
        url = f"/nightly backups/{name}?multipart-manifest=put"
        answer = swift.put(url, json=told, headers=noted)
    else:
        answer = swift.put(f"/nightly backups/{name}", data=content, headers=noted)
    assert answer.status_code == 201
    swift.put("/nightly backups/a b.xbstream.gz.more", data=b"mine")
    given = (tenant.api.auth_token, tenant.project.id)
    for url in (f"{place.url}/a%20b.xbstream.gz", f"{place.url}/{name}".replace("%20", " ")):
        found = look.find(*given, url)
        assert found is not None
        assert (found.container, found.key) == ("nightly backups", name)
    assert look.find(*given, f"{place.url}/another") is None
    with pytest.raises(BadRequest, match="openstack catalog show object-store"):
        look.find(*given, place.url.replace(tenant.project.id, "0" * 32) + "/a")
    assert found is not None
    known = importing.described(found)
    assert (known.size, known.large) == (len(content), large)
    wanted = ImportedObject(known.size, known.etag, known.large)
    store = imported_of(place, name)
    read = ImportReader(store, wanted, lambda _: None, None).chunks()
    assert b"".join(read) == content
    monkeypatch.setattr(store, "request", lambda *_: (beside(store), {"Range": "bytes=0-3"}))
    with pytest.raises(StoreFailed, match=r"refused the deployment's key \(401\)"):
        store.part(wanted, 0)
    assert swift.put(f"/nightly backups/{name}", data=content[::-1]).status_code == 201
    with pytest.raises(StoreFailed, match="somebody has changed it"):
        imported_of(place, name).part(wanted, 0)
    assert swift.delete(f"/nightly backups/{name}").status_code == 204
    with pytest.raises(StoreFailed, match="answered 404"):
        imported_of(place, name).part(wanted, 0)


def beside(store: ImportedStore) -> str:
    """What was lent, used for another object."""
    return store.current().object.url.replace(".gz?", ".gz.more?")
