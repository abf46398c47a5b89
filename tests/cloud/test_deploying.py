"""What `coffer deploy` finds wrong with a cloud, what it makes in Keystone, and takes back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from chalicelib.parameters import Credential
from infra.deploy import Stack
from infra.deployment import catalog, checks, service_users
from infra.deployment.catalog import Entry
from infra.deployment.checks import Finding
from infra.deployment.openstack import Cloud, RefusedCredentialError
from infra.deployment.survey import Service, Survey, Wanted
from infra.target import Target
from tests.cloud.served import PASSWORDS, ServedCloud
from tests.support.loopback import free_port

EMULATOR = Target("us-east-1", "http://127.0.0.1:1", "test", "test")
DOMAINS = {"user_domain_name": "Default", "project_domain_name": "Default"}
SERVICE = Credential("coffer", PASSWORDS["service_password"])
DEMO = Credential("demo", PASSWORDS["demo_password"])
ADMIN = Credential("admin", PASSWORDS["admin_password"])
OF_AN_ACCOUNT = {"lambda-concurrency", "api-address", "backups", "rings"}
"""Checks that look into an account, which is none here."""


def logged_in(cloud: ServedCloud, user: Credential, project: str, region: str) -> Cloud:
    """The cloud as that user sees it."""
    url = f"{cloud.url}/identity/v3"
    return Cloud.of(url, region, user, {"project_name": project, **DOMAINS})


def surveyed(
    cloud: ServedCloud,
    wanted: Wanted | None = None,
    user: Credential = ADMIN,
    project: str | None = None,
    region: str = "RegionOne",
) -> Survey:
    """A survey of a deployment that is not there yet, without a look at AWS."""
    login = logged_in(cloud, user, project or user.username, region)
    survey = Survey(wanted or Wanted("dbs"), lambda: EMULATOR, lambda: login)
    vars(survey).update(present=None, _stored=lambda: None)
    return survey


def finding(survey: Survey, name: str) -> Finding:
    (found,) = checks.findings(survey, only=(name,))
    return found


class Case(NamedTuple):
    """A check, what makes it fail or doubt, and words of what is said and advised."""

    check: str
    survey: Callable[[ServedCloud], Survey]
    said: str
    advice: str
    verdict: str = "failure"


def _elsewhere(_: ServedCloud) -> Survey:
    url = f"http://127.0.0.1:{free_port()}/v3"
    nobody = Cloud.of(url, "RegionOne", ADMIN, {"project_name": "admin", **DOMAINS})
    return Survey(Wanted("dbs"), lambda: EMULATOR, lambda: nobody)


CASES = (
    Case("keystone", _elsewhere, "No Keystone answers at", "curl"),
    Case(
        "cloud-credentials",
        lambda cloud: surveyed(cloud, user=Credential("admin", "wrong")),
        "refuses the user, the password or the project",
        "openstack token issue",
    ),
    Case(
        "cloud-services",
        lambda cloud: surveyed(cloud, region="Nowhere"),
        "no public endpoint in region Nowhere of Nova (compute), Neutron",
        "OS_REGION_NAME",
    ),
    Case(
        "service-user",
        lambda cloud: surveyed(cloud, Wanted("coffer")),
        "There is a user coffer and a user coffer-api in Keystone already",
        "--service-password-file",
    ),
    Case(
        "service-user",
        lambda cloud: surveyed(cloud, Wanted("dbs", service_project="nowhere")),
        "no project nowhere",
        "openstack project create nowhere",
    ),
    Case(
        "service-user",
        lambda cloud: surveyed(
            cloud,
            Wanted("dbs", credentials={"cloud": Credential("coffer", "wrong")}),
        ),
        "refuses the user, the password or the project",
        "openstack token issue",
    ),
    Case(
        "service-roles",
        lambda cloud: surveyed(cloud, user=DEMO),
        "demo has not the role service on project demo",
        "openstack role add --user demo --project demo service",
    ),
    Case(
        "service-roles",
        lambda cloud: surveyed(
            cloud, Wanted("dbs", credentials={"cloud": ADMIN}, service_project="admin")
        ),
        "whoever reads its secret owns the cloud",
        "member and service on its project are enough",
        "warning",
    ),
    Case(
        "catalog",
        lambda cloud: surveyed(cloud, user=SERVICE, project="service"),
        "only an administrator can make it",
        "told at the end",
        "warning",
    ),
    Case(
        "image",
        lambda cloud: surveyed(cloud, Wanted("dbs", parameters={"ImageProjectId": "another"})),
        "No image boots mariadb 10.11, mysql 10.11, postgresql 15, redis 7.0: coffer-guest",
        "openstack image set --tag coffer --project service IMAGE",
    ),
    Case(
        "quotas",
        surveyed,
        "room for 9 databases of all tenants: instances 10, cores 20, ram 51200",
        "openstack quota set --instances 1000 --cores 1000 --ram 1024000",
        "warning",
    ),
    Case(
        "network",
        lambda cloud: surveyed(cloud, Wanted("dbs", network="nowhere")),
        "sees no network nowhere",
        "openstack network list",
    ),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.check}: {case.said[:24]}")
def test_a_check_says_what_is_wrong_and_what_to_do(cloud: ServedCloud, case: Case) -> None:
    found = finding(case.survey(cloud), case.check)
    assert found.verdict == case.verdict
    assert case.said in found.said
    assert case.advice in found.advice


@pytest.mark.parametrize(
    ("user", "project"), [(ADMIN, "admin"), (SERVICE, "service")], ids=["admin", "service user"]
)
def test_a_cloud_that_is_right_fails_no_check(
    cloud: ServedCloud, user: Credential, project: str
) -> None:
    survey = surveyed(cloud, user=user, project=project)
    names = [name for name in checks.NAMES if not name.startswith(("aws", "stack", "tables"))]
    names = [name for name in names if name not in {"bucket", *OF_AN_ACCOUNT}]
    found = list(checks.findings(survey, only=names))
    assert {each.verdict for each in found} <= {"ok", "warning"}, found


def test_all_failures_are_told_and_what_hangs_on_them_is_not_checked() -> None:
    survey = _elsewhere(ServedCloud.__new__(ServedCloud))
    found = {each.check: each for each in checks.findings(survey)}
    assert found["aws-credentials"].verdict == "failure"
    assert "No AWS answers" in found["aws-credentials"].said
    assert found["keystone"].verdict == "failure"
    assert found["image"].said == "It needs cloud-services."
    assert {each.verdict for each in found.values()} == {"ok", "failure", "not checked"}


def test_a_failure_that_is_ignored_stops_nothing(cloud: ServedCloud) -> None:
    survey = surveyed(cloud, Wanted("dbs", network="nowhere"))
    (found,) = checks.findings(survey, ignored=("network",), only=("network",))
    assert found.verdict == "warning"


def standing(cloud: ServedCloud, wanted: Wanted | None = None, **parameters: str) -> Survey:
    """A deployment that is there, for that cloud but for some parameters."""
    survey = surveyed(cloud, wanted)
    now = {
        "OpenStackAuthUrl": f"{cloud.url}/identity",  # as another openrc file names it
        "OpenStackRegionName": "RegionOne",
        "OpenStackProjectName": "service",
        "OpenStackProjectDomainName": "Default",
    }
    vars(survey)["backups_bucket"] = "dbs-backups"
    vars(survey)["present"] = Stack("UPDATE_COMPLETE", {**now, **parameters}, {})
    return survey


def test_a_deployment_that_stands_stays_in_its_cloud(cloud: ServedCloud) -> None:
    assert finding(standing(cloud), "same-cloud").said == "as before"
    moved = finding(standing(cloud, OpenStackAuthUrl="https://first.example/v3"), "same-cloud")
    assert moved.verdict == "failure"
    assert "OpenStackAuthUrl is https://first.example/v3, and would be http://" in moved.said
    assert "--without-cloud" in moved.advice
    region = finding(standing(cloud, OpenStackRegionName="RegionTwo"), "same-cloud")
    assert region.verdict == "failure"
    given = Wanted("dbs", parameters={"OpenStackAuthUrl": "https://inside.example/v3/"})
    inside = standing(cloud, given, OpenStackAuthUrl="https://inside.example/v3")
    assert finding(inside, "same-cloud").verdict == "ok"


def test_a_keystone_by_another_of_its_addresses_is_the_same_one(
    cloud: ServedCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who deploys may be inside of the cloud; the functions go on asking it from outside."""
    public = "https://keystone.example/v3"
    survey = standing(cloud, OpenStackAuthUrl=public)
    urls = [*survey.cloud.identity_urls, "https://keystone.example"]
    assert cloud.url in urls[0]
    monkeypatch.setattr(Cloud, "identity_urls", urls)
    assert finding(survey, "same-cloud").verdict == "ok"
    assert survey.template_parameters()["OpenStackAuthUrl"] == public


def test_servers_stay_in_the_project_that_was_chosen_once(cloud: ServedCloud) -> None:
    there = {"OpenStackProjectName": "demo"}
    again = standing(
        cloud, None, **there
    )  # whose stored password Keystone refuses, as after a change
    assert (again.service.source, again.service_project) == ("made", "demo")
    assert again.users.project == "demo"
    assert again.template_parameters()["OpenStackProjectName"] == "demo"
    assert finding(again, "service-user").verdict == "ok"
    moved = standing(cloud, Wanted("dbs", service_project="service"), **there)
    found = finding(moved, "service-user")
    assert found.verdict == "failure"
    assert "OpenStackProjectName is demo, and would be service" in found.said
    assert "--service-project" in found.advice
    sound = standing(cloud, Wanted("dbs", service_project="service"), **there)
    vars(sound)["service"] = Service("stored", {}, {**again.service.scope, "project_name": "demo"})
    assert finding(sound, "service-user").said == found.said, "stored credentials are as good"
    own = standing(cloud, Wanted("dbs", credentials={"cloud": SERVICE}), **there)
    assert own.service.scope["project_name"] == "demo", "a new password is for the same project"


def test_a_network_that_is_a_parameter_may_be_a_name(cloud: ServedCloud) -> None:
    survey = surveyed(cloud, Wanted("dbs", parameters={"NetworkId": "private"}))
    assert finding(survey, "network").verdict == "ok"
    vars(survey)["backups_bucket"] = "dbs-backups"
    network = survey.seen.connection.network.find_network("private")
    assert survey.template_parameters()["NetworkId"] == network.id
    nowhere = surveyed(cloud, Wanted("dbs", parameters={"NetworkId": "nowhere"}))
    assert "sees no network nowhere" in finding(nowhere, "network").said


@pytest.fixture
def admin_cloud(cloud: ServedCloud) -> Iterator[Cloud]:
    """The cloud as its administrator sees it; without what a test has made of ours."""
    made = logged_in(cloud, ADMIN, "admin", "RegionOne")
    yield made
    identity = made.connection.identity
    for endpoint in identity.endpoints():
        if "example" in endpoint.url:
            identity.delete_endpoint(endpoint)
    for user in identity.users():
        if user.name.startswith("dbs"):
            identity.delete_user(user)


def test_the_entry_is_made_once_moved_and_removed(admin_cloud: Cloud, cloud: ServedCloud) -> None:
    first = Entry("https://one.example", "RegionOne", "ours")
    assert catalog.register(admin_cloud, first)
    assert not catalog.register(admin_cloud, first)
    seen = logged_in(cloud, DEMO, "demo", "RegionOne")
    assert catalog.leads_to(seen, "https://one.example/")
    assert not catalog.leads_to(seen, "https://two.example")
    assert catalog.register(admin_cloud, first._replace(root="https://two.example"))
    assert catalog.remove(admin_cloud, first) == 0
    assert catalog.remove(admin_cloud, first._replace(root="https://two.example")) == 3


def test_an_entry_that_leads_elsewhere_is_left_alone_unless_that_is_asked_for(
    admin_cloud: Cloud, cloud: ServedCloud
) -> None:
    catalog.register(admin_cloud, Entry("https://trove.example", "RegionOne", "theirs"))
    found = finding(surveyed(cloud), "catalog")
    assert found.verdict == "failure"
    assert "leads to https://trove.example/v1.0: to a Trove, or another deployment" in found.said
    assert "--replace-catalog-entry" in found.advice
    replaced = finding(surveyed(cloud, Wanted("dbs", replace_entry=True)), "catalog")
    assert replaced.verdict == "ok"


def test_users_are_made_with_the_roles_that_are_enough_and_removed(
    admin_cloud: Cloud, cloud: ServedCloud
) -> None:
    users = surveyed(cloud).users
    made = service_users.make(admin_cloud, users)
    roles = {
        name: logged_in(cloud, credential, "service", "RegionOne").roles
        for name, credential in made.items()
    }
    assert roles == {"cloud": {"member", "service"}, "identity": {"service"}}
    assert len({each.password for each in made.values()}) == 2
    again = service_users.make(admin_cloud, users)  # the first run was interrupted
    assert again["cloud"].username == made["cloud"].username
    assert logged_in(cloud, again["cloud"], "service", "RegionOne").roles == roles["cloud"]
    assert service_users.remove(admin_cloud, users._replace(mark="another deployment")) == []
    assert service_users.remove(admin_cloud, users) == ["dbs", "dbs-api"]


def test_a_deployer_who_is_no_administrator_comes_as_the_functions_user(
    cloud: ServedCloud,
) -> None:
    service = surveyed(cloud, user=SERVICE, project="service").service
    assert (service.source, service.scope["project_name"]) == ("deployer", "service")
    assert service.credentials == {"cloud": SERVICE, "identity": SERVICE}


def test_an_application_credential_is_a_login_of_the_functions(cloud: ServedCloud) -> None:
    service = logged_in(cloud, SERVICE, "service", "RegionOne")
    user = service.access.user_id
    made = service.connection.identity.create_application_credential(user, name="coffer")
    given = Credential(made.id, made.secret, application=True)
    login = logged_in(cloud, given, "ignored", "RegionOne")
    assert (login.access.username, login.access.project_name) == ("coffer", "service")
    survey = Survey(Wanted("dbs"), lambda: EMULATOR, lambda: login)
    vars(survey).update(present=None, _stored=lambda: None)
    assert survey.service.credentials == {"cloud": given, "identity": given}
    assert finding(survey, "service-roles").verdict == "ok"
    refused = logged_in(
        cloud, Credential(made.id, "wrong", application=True), "ignored", "RegionOne"
    )
    with pytest.raises(RefusedCredentialError):
        _ = refused.roles


def test_the_commands_for_an_administrator_name_what_is_registered(cloud: ServedCloud) -> None:
    entry: Any = Entry("https://one.example", "RegionOne", "Coffer, deployment 1")
    told = "\n".join(catalog.commands(entry))
    assert told.count("https://one.example/v1.0/%(tenant_id)s") == 3
    assert "openstack service create --name coffer" in told
    assert "grep -F 'https://one.example/v1.0'" in catalog.removal(entry)[0]
