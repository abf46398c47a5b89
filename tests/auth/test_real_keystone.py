"""Token validation at a real Keystone, and at the local cloud's, which has to answer alike."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import openstack
import pytest
import requests

from chalicelib import aws
from chalicelib.auth import connection, keystone
from chalicelib.auth.keystone import Keystone
from chalicelib.errors import Unauthorized, Unavailable
from chalicelib.parameters import LOOK_SECONDS, Credential
from chalicelib.settings import Settings
from tests.acceptance.stack import eventually
from tests.cloud.served import PASSWORDS, ServedCloud
from tests.openstack import keystone as service
from tests.openstack.site import Site
from tests.support.installed import installed
from tests.support.loopback import free_port, own_network

pytestmark = [pytest.mark.xdist_group("keystone"), pytest.mark.timeout(900)]

PASSWORD = "a-users-password"
REQUIREMENTS = "openstack/keystone-requirements.txt"
MANY_SECONDS = 60


class AloneSite(Site):
    """A Keystone without the other services, on SQLite."""

    def database_url(self, name: str) -> str:
        return f"sqlite:///{self.folder(name)}/tables.db"


class Running(NamedTuple):
    """A Keystone and its administrator's password."""

    auth_url: str
    password: str

    def connect(self, user: str, password: str, **scope: Any) -> Any:
        """A client of openstacksdk."""
        return openstack.connect(
            load_yaml_config=False,
            load_envvars=False,
            auth_url=self.auth_url,
            username=user,
            password=password,
            user_domain_name="Default",
            region_name="RegionOne",
            **scope,
        )


@pytest.fixture(scope="module", params=["Keystone", "local cloud"])
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("keystone")
    yield from _real(folder) if request.param == "Keystone" else _local(folder)


def _real(folder: Path) -> Iterator[Running]:
    environment = installed("keystone", REQUIREMENTS)
    password = secrets.token_urlsafe(12)
    site = AloneSite(folder, environment, {"keystone": free_port()}, "", password)
    service.configure(site)
    service.sync(site)
    service.bootstrap(site)
    part = service.start(site)
    try:
        part.wait_until(lambda: _answers(site.auth_url), MANY_SECONDS)
        yield Running(site.auth_url, password)
    finally:
        part.stop()


def _local(folder: Path) -> Iterator[Running]:
    cloud = ServedCloud(folder, own_network())
    cloud.start()
    try:
        yield Running(f"{cloud.url}/identity/v3", PASSWORDS["admin_password"])
    finally:
        cloud.stop()


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=MANY_SECONDS).ok
    except requests.RequestException:
        return False


class People:
    """A project with a tenant's user and the functions' own, made by the administrator."""

    def __init__(self, running: Running) -> None:
        self.running = running
        domain = {"project_domain_name": "Default"}
        admin = running.connect("admin", running.password, project_name="admin", **domain)
        self.identity = admin.identity
        self.name = f"people-{secrets.token_hex(4)}"
        self.project = self.identity.create_project(name=self.name, domain_id="default")

    def add(self, *roles: str) -> str:
        """A user with those roles on the project; its name."""
        name = f"{self.name}-{secrets.token_hex(4)}"
        user = self.identity.create_user(name=name, password=PASSWORD, domain_id="default")
        known = {role.name: role for role in self.identity.roles()}
        for role in roles:
            self.identity.assign_project_role_to_user(self.project, user, known[role])
        return name

    def client(self, user: str, **scope: Any) -> Any:
        """A client for a user, scoped to the project unless told otherwise."""
        return self.running.connect(user, PASSWORD, **(scope or {"project_id": self.project.id}))

    def token(self, user: str, **scope: Any) -> str:
        return str(self.client(user, **scope).auth_token)


@pytest.fixture(scope="module")
def people(running: Running) -> People:
    return People(running)


class Functions(aws.Provider):
    """What validates has a parameter with its credential, and a clock that can go forward."""

    def __init__(self, credential: Credential) -> None:
        super().__init__()
        self.credential = credential
        self.offset_seconds = 0.0
        self.keystone = Keystone()

    def clock(self) -> float:
        return super().clock() + self.offset_seconds

    def client(self, _: str) -> Any:
        return self

    def get_parameter(self, **_: Any) -> dict[str, Any]:
        return {"Parameter": {"Value": msgspec.json.encode(self.credential).decode()}}


By = Callable[[Credential], Functions]


@pytest.fixture
def by(running: Running, people: People, monkeypatch: pytest.MonkeyPatch) -> Iterator[By]:
    """Makes the functions that validate with a credential."""
    chosen = Settings(
        os_auth_url=running.auth_url, os_project_name=people.name, token_cache_seconds=0
    )
    for module in (connection, keystone):
        monkeypatch.setattr(module, "settings", lambda: chosen)
    previous: list[aws.Provider] = []
    made: list[Functions] = []

    def with_credential(credential: Credential) -> Functions:
        made.append(Functions(credential))
        previous.append(aws.install(made[-1]))
        return made[-1]

    yield with_credential
    for each in made:
        each.keystone.close()
    if previous:
        aws.install(previous[0])


@pytest.fixture
def validate(people: People, by: By) -> Functions:
    """As deployed: the role service, and no other."""
    return by(Credential(people.add("service"), PASSWORD))


def test_a_tenants_token_tells_who_and_where(people: People, validate: Functions) -> None:
    name = people.add("member")
    context = validate.keystone(people.token(name))
    assert (context.user_name, context.project_id) == (name, people.project.id)
    assert "member" in context.roles
    assert not context.is_admin


def test_the_role_member_is_not_enough_to_validate(people: People, by: By) -> None:
    token = people.token(people.add("member"))
    with pytest.raises(Unavailable):
        by(Credential(people.add("member"), PASSWORD)).keystone(token)


def test_a_revoked_token_and_one_that_was_never_issued_are_refused(
    people: People, validate: Functions
) -> None:
    name = people.add("member")
    client = people.client(name)
    token = client.auth_token
    assert validate.keystone(token).user_name == name
    answer = client.session.delete(
        f"{people.running.auth_url}/auth/tokens", headers={"X-Subject-Token": token}
    )
    assert answer.status_code == 204
    for bad in (token, "never-issued", f"{token[:-4]}AAAA"):
        with pytest.raises(Unauthorized):
            validate.keystone(bad)


def test_a_token_of_no_project_is_refused(people: People, validate: Functions) -> None:
    """One that is scoped to nothing, and one to the whole system."""
    unscoped = people.token(people.add("member"), project_id=None)
    admin = people.running.connect("admin", people.running.password, system_scope="all")
    for token in (unscoped, str(admin.auth_token)):
        with pytest.raises(Unauthorized, match="not scoped to a project"):
            validate.keystone(token)


def test_an_application_credential_may_validate(people: People, by: By) -> None:
    own = people.client(people.add("service"))
    made = own.identity.create_application_credential(user=own.current_user_id, name="functions")
    validate = by(Credential(made.id, made.secret, application=True))
    token = people.token(people.add("member"))
    assert validate.keystone(token).project_id == people.project.id


def test_a_password_that_was_changed_in_both_places_is_taken(
    people: People, validate: Functions
) -> None:
    token = people.token(people.add("member"))
    assert validate.keystone(token).project_id == people.project.id
    user = people.identity.find_user(validate.credential.username)
    people.identity.update_user(user, password="another-password")
    validate.credential = Credential(user.name, "another-password")
    validate.offset_seconds = LOOK_SECONDS

    def taken() -> bool:
        try:
            return bool(validate.keystone(token).project_id == people.project.id)
        except Unavailable:
            return False

    # What Keystone issues in the second of a change of password, it refuses as older than that.
    eventually(taken, MANY_SECONDS, "the new password is taken")
