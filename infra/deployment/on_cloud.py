"""The checks of the cloud that Coffer is to serve."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlsplit

import yaml

from chalicelib import parameters
from infra import deploy
from infra.deployment import catalog, service_users
from infra.deployment.openstack import Cloud
from infra.deployment.survey import MADE, MOST_OF_AUTHORITIES, Survey, place_of
from infra.deployment.verdicts import Doubt, Failed
from infra.seed import DATASTORES

SERVICES: Final = {
    "compute": "Nova",
    "network": "Neutron",
    "block-storage": "Cinder",
    "image": "Glance",
}
"""Of which a database is made."""
ALSO_KNOWN_AS: Final = {"block-storage": ("volumev3", "block-store")}


def keystone(survey: Survey) -> str:
    """Whether Keystone answers, and can answer to the functions."""
    cloud = survey.cloud
    _require_trust(survey)
    with cloud.answering("tell its version"):
        cloud.connection.session.get(cloud.auth_url, authenticated=False)
    host = urlsplit(cloud.auth_url).hostname or ""
    in_vpc = {**survey.present_parameters, **survey.wanted.parameters}.get("SubnetIds")
    if not survey.on_emulator and not in_vpc and _is_private(host):
        raise Doubt(
            f"{cloud.auth_url} is a private address: Lambda reaches it only inside a VPC.",
            'See docs/deploying.md, "Networks".',
        )
    return cloud.auth_url


def _require_trust(survey: Survey) -> None:
    """Whether the functions can check the cloud's certificates as we do."""
    cloud = survey.cloud
    if cloud.auth_url.startswith("https:") and not cloud.connection.session.verify:
        raise Failed(
            "You have certificates not checked (insecure), and the functions check them.",
            "Name the file of the authority's certificate: OS_CACERT, or cacert in clouds.yaml.",
        )
    given = survey.cloud_authority
    if cloud.trust.get("cacert") and not given:
        raise Failed(
            f"There is no certificate in {cloud.trust['cacert']}.",
            "The file of OS_CACERT holds the authority's, in PEM.",
        )
    if len(given) > MOST_OF_AUTHORITIES:
        raise Failed(
            f"{cloud.trust['cacert']} has {len(survey.cloud_authorities)} certificates of "
            f"{len(given)} characters together, packed, and a function's variables take "
            f"{MOST_OF_AUTHORITIES}.",
            "Write the one that signs the cloud's into a file of its own, and name that one. If it "
            "is alone already, have the public endpoints signed by an authority with a shorter key "
            "(an elliptic curve, or RSA of 4,096 bits at most) or a public one.",
        )


def _is_private(host: str) -> bool:
    try:
        return ipaddress.ip_address(socket.gethostbyname(host)).is_private
    except (OSError, ValueError):
        return False


def credentials(survey: Survey) -> str:
    """Who deploys."""
    access = survey.cloud.access
    if not access.project_scoped:
        raise Failed(
            f"The token of {access.username} is for no project.",
            "Set OS_PROJECT_NAME and OS_PROJECT_DOMAIN_NAME.",
        )
    what = "administrator" if survey.cloud.is_admin else "no administrator"
    return f"{access.username} in {access.project_name}, {what}"


def same_cloud(survey: Survey) -> str:
    """Whether a stack that stands stays with the cloud that its instances are in.

    By the variables of another one everything would go well, and no instance be found again.
    """
    return _require_as_before(
        survey,
        {
            "OpenStackAuthUrl": survey.auth_url,
            "OpenStackRegionName": survey.cloud.region,
        },
        "another cloud",
        "Come with the variables of that cloud (OS_*, --os-cloud). If it is the same one, whose "
        "address has changed for the functions, too: --ignore same-cloud (coffer undeploy: "
        "--without-cloud).",
    )


def _require_as_before(survey: Survey, now: dict[str, str], what: str, advice: str) -> str:
    """Raise when a stack that stands has others of these parameters."""
    present = survey.present
    if present is None or present.status not in deploy.STANDING:
        return "the deployment's first"
    moved = [
        f"{name} is {before}, and would be {after}"
        for name, after in now.items()
        if place_of(before := present.parameters.get(name, after)) != place_of(after)
    ]
    if moved:
        raise Failed(
            f"The deployment {survey.wanted.stack} is in {what}, where its instances are: "
            f"{'; '.join(moved)}.",
            advice,
        )
    return "as before"


def services(survey: Survey) -> str:
    """Whether everything is in the catalog that a database is made of."""
    cloud = survey.cloud
    lacking = [
        f"{name} ({kind})"
        for kind, name in SERVICES.items()
        if not any(cloud.urls(each) for each in (kind, *ALSO_KNOWN_AS.get(kind, ())))
    ]
    if lacking:
        raise Failed(
            f"The catalog has no public endpoint in region {cloud.region} of {', '.join(lacking)}.",
            "Set OS_REGION_NAME if it is another region (`openstack catalog list`).",
        )
    return f"{', '.join(SERVICES.values())} in {cloud.region}"


def service_user(survey: Survey) -> str:
    """Whom the functions will be, and whether Keystone lets them in."""
    service = survey.service
    _require_as_before(
        survey,
        {
            "OpenStackProjectName": survey.wanted.service_project or service.scope["project_name"],
            "OpenStackProjectDomainName": service.scope["project_domain_name"],
        },
        "another project",
        "Leave --service-project out, and come with a user of that project.",
    )
    if service.source == MADE:
        return _to_be_made(survey)
    for name, cloud in survey.as_service.items():
        if not cloud.access.project_scoped:
            raise Failed(f"The credential of {name} is for no project.", "Name the project.")
    users = {str(cloud.access.username) for cloud in survey.as_service.values()}
    return f"{' and '.join(sorted(users))} ({_SOURCES[service.source]})"


_SOURCES: Final = {
    "given": "given",
    "stored": "as before",
    "deployer": "the deployer's own; an administrator's run makes users for it",
}


def _to_be_made(survey: Survey) -> str:
    users = survey.users
    if taken := service_users.strangers(survey.cloud, users):
        raise Failed(
            f"There is a user {' and a user '.join(taken)} in Keystone already, and this "
            "deployment has not made it.",
            f"Use it: --service-user {taken[0]} --service-password-file FILE. Or choose another "
            "name for the deployment: --stack NAME",
        )
    if survey.service_project_id is None:
        raise Failed(
            f"The cloud has no project {users.project}, which servers and volumes would be in.",
            f"openstack project create {users.project}, or name another: --service-project NAME",
        )
    return f"{' and '.join(users.names.values())} will be made in project {users.project}"


def service_roles(survey: Survey) -> str:
    """Whether the functions' user may do what they do, and no more."""
    if survey.service.source == MADE:
        return "member and service will be given"
    for name, cloud in survey.as_service.items():
        _require_roles(cloud, service_users.ROLES[name])
    held = {name: cloud.roles for name, cloud in survey.as_service.items()}
    if any(service_users.TOO_MUCH in roles for roles in held.values()):
        raise Doubt(
            "The functions' user is an administrator: whoever reads its secret owns the cloud.",
            "member and service on its project are enough (docs/the-cloud.md).",
        )
    return ", ".join(sorted(held[parameters.CLOUD]))


def _require_roles(cloud: Cloud, wanted: tuple[str, ...]) -> None:
    if service_users.TOO_MUCH in cloud.roles:
        return
    if lacking := [role for role in wanted if role not in cloud.roles]:
        access = cloud.access
        commands = "; ".join(
            f"openstack role add --user {access.username} --project {access.project_name} {role}"
            for role in lacking
        )
        raise Failed(
            f"{access.username} has not the role {' and not the role '.join(lacking)} on project "
            f"{access.project_name}.",
            f"An administrator runs: {commands}",
        )


def catalog_entry(survey: Survey) -> str:
    """Whether clients find the API, and who can see to it."""
    cloud = survey.cloud
    found = sorted(catalog.places(cloud))
    if others := survey.foreign_entries:
        if survey.wanted.replace_entry:
            return f"leads to {', '.join(others)}, and will be replaced"
        raise Failed(
            f"The catalog's entry of type {catalog.TYPE} leads to {', '.join(others)}: to a "
            "Trove, or another deployment.",
            "Clients can be led to one of them. To put this one in its place: "
            "--replace-catalog-entry. To deploy beside it: --ignore catalog",
        )
    if found:
        return f"leads to {', '.join(found)}"
    if not cloud.is_admin:
        raise Doubt(
            "The catalog has no entry of this deployment, and only an administrator can make it.",
            "The commands for one are told at the end.",
        )
    return "will be made"


def image(survey: Survey) -> str:
    """Whether each version of a datastore on offer has an image that may boot its servers."""
    lacking, found = [], []
    for name, tags in _versions():
        images = list(_tagged(survey.seen, tags))
        trusted = [each for each in images if _may_be_trusted(survey, each)]
        if trusted:
            newest = max(trusted, key=lambda each: (each.created_at or "", each.id))
            found.append(f"{name}: {newest.name}")
        else:
            lacking.append((name, tags, images))
    if not lacking:
        return ", ".join(found)
    name, tags, images = lacking[0]
    what = "; ".join(_why_not(survey, each) for each in images) or "no active image has its tags"
    tagging = " ".join(f"--tag {tag}" for tag in tags)
    project = survey.service.scope["project_name"]
    error = Failed if not found else Doubt
    raise error(
        f"No image boots {', '.join(name for name, _, _ in lacking)}: {what}.",
        f"Build one (docs/guest-images.md), then: openstack image set {tagging} "
        f"--project {project} IMAGE",
    )


def _versions() -> Iterator[tuple[str, list[str]]]:
    """The datastores' versions on offer with the tags of their images."""
    for name, datastore in yaml.safe_load(DATASTORES.read_text()).items():
        for version, about in datastore["versions"].items():
            if about.get("active", True):
                yield f"{name} {version}", about["image_tags"]


def _tagged(cloud: Cloud, tags: list[str]) -> Iterator[Any]:
    with cloud.answering("list its images"):
        for each in cloud.connection.image.images(tag=tags[0]):
            if set(tags) <= set(each.tags or []):
                yield each


def _may_be_trusted(survey: Survey, each: Any) -> bool:
    """As the functions choose: chalicelib/cloud/images.py."""
    if each.status != "active":
        return False
    chosen = survey.wanted.parameters.get("ImageProjectId")
    if chosen := chosen or survey.present_parameters.get("ImageProjectId"):
        return bool(each.owner_id == chosen)
    return bool(each.owner_id == survey.service_project_id or each.visibility == "public")


def _why_not(survey: Survey, each: Any) -> str:
    if each.status != "active":
        return f"{each.name} ({each.id}) is {each.status}"
    return f"{each.name} ({each.id}) is {each.visibility} in project {each.owner_id}"


def network(survey: Survey) -> str:
    """Whether there is a network for instances that name none."""
    found = survey.network
    if found is not None:
        if not found.subnet_ids:
            raise Failed(
                f"The network {found.name} has no subnet, so that servers get no address.",
                f"openstack subnet create --network {found.id} --subnet-range CIDR NAME",
            )
        return f"{found.name} ({found.id})"
    if named := survey.wanted.parameters.get("NetworkId") or survey.wanted.network:
        raise Failed(
            f"The service's project sees no network {named}.",
            "`openstack network list` lists them; --network takes a name or an id.",
        )
    names = ", ".join(str(each.name) for each in survey.networks) or "none"
    raise Failed(
        f"No network is named for instances that name none; the service's project sees {names}.",
        "Name it: --network NAME",
    )
