"""What is wanted, and what is there: everything that checks, plan and deployment are decided by.

Each fact is looked up once, when it is first asked for; nothing here changes anything.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from chalicelib import parameters, trust
from chalicelib.parameters import Credential
from infra import backups_bucket, deploy
from infra.deploy import Stack
from infra.deployment import catalog, service_users
from infra.deployment.catalog import Entry
from infra.deployment.openstack import Cloud, RefusedCredentialError
from infra.deployment.service_users import Users
from infra.errors import StackError
from infra.local.settings import HOST
from infra.target import Target, account_of

CERTIFICATE: Final = re.compile(
    "-----BEGIN CERTIFICATE-----\n.+?\n-----END CERTIFICATE-----", re.DOTALL
)
MOST_OF_AUTHORITIES: Final = 1800
"""The template's parameter OpenStackCaCertificate."""
DEFAULT_DATASTORE: Final = "mariadb"
SERVICE_PROJECT: Final = "service"
"""Of servers and volumes, unless another one is named."""
OF_THE_RELEASE: Final = frozenset({deploy.BUCKET, deploy.KEY, deploy.BEFORE})
EXECUTE_API: Final = "/_aws/execute-api/"
"""Where LocalStack and MiniStack serve their APIs, by path and not by host."""
API_STAGE: Final = "/api"


def place_of(auth_url: str) -> str:
    """A Keystone's address, however its version and its slashes are written."""
    return auth_url.rstrip("/").removesuffix("/v3").rstrip("/")


@dataclass(frozen=True)
class Wanted:
    """What the deployer has asked for; what is None is found, or stays as it is."""

    stack: str = "coffer"
    parameters: dict[str, str] = field(default_factory=dict)
    network: str | None = None
    public_endpoint: str | None = None
    front_port: int | None = None
    service_project: str | None = None
    # Credentials by the group of functions; empty: the stored ones, the deployer's, or made ones.
    credentials: dict[str, Credential] = field(default_factory=dict)
    # Takes the place of another deployment's, or Trove's, entry in the catalog.
    replace_entry: bool = False
    # Parameters of the stack stay as they are unless they are given.
    keep_parameters: bool = True

    @property
    def secrets_path(self) -> str:
        return f"/{self.stack}"


class Service(NamedTuple):
    """Whom the functions will be in the cloud: where that comes from, and the project."""

    source: str
    credentials: dict[str, Credential]
    scope: dict[str, str]


MADE: Final = "made"


class Survey:
    """One deployment's facts. `target` and `cloud` may raise what is wrong with their settings."""

    def __init__(
        self,
        wanted: Wanted,
        target: Callable[[], Target],
        cloud: Callable[[], Cloud],
    ) -> None:
        self.wanted = wanted
        self._target = target
        self._cloud = cloud

    @cached_property
    def target(self) -> Target:
        return self._target()

    @cached_property
    def cloud(self) -> Cloud:
        return self._cloud()

    @property
    def on_emulator(self) -> bool:
        return self.target.endpoint_url is not None

    @cached_property
    def account(self) -> str:
        return account_of(self.target)

    @cached_property
    def present(self) -> Stack | None:
        """The stack as it is, or None."""
        return deploy.stack_of(self.target, self.wanted.stack)

    @property
    def present_parameters(self) -> dict[str, str]:
        return self.present.parameters if self.present is not None else {}

    @cached_property
    def deployment_id(self) -> str:
        """Made once and kept by the stack, also by one whose first deployment failed."""
        given = self.wanted.parameters.get("DeploymentId")
        return given or self.present_parameters.get("DeploymentId") or str(uuid.uuid4())

    @cached_property
    def backups_bucket(self) -> str:
        """Where backups lie: in the given bucket, where they lie already, or in one to be made."""
        name = backups_bucket.PARAMETER
        given = self.wanted.parameters.get(name) or self.present_parameters.get(name)
        return given or backups_bucket.name_of(self.target, self.wanted.stack)

    @property
    def service_project(self) -> str:
        """The project of servers and volumes: the one that is named, else where they are."""
        kept = self.present_parameters if self.wanted.keep_parameters else {}
        return self.wanted.service_project or kept.get("OpenStackProjectName") or SERVICE_PROJECT

    @property
    def auth_url(self) -> str:
        """Keystone as the functions find it: where the deployer does, or as before, when that is
        the same Keystone by another of its addresses."""
        if given := self.wanted.parameters.get("OpenStackAuthUrl"):
            return given
        before = self.present_parameters.get("OpenStackAuthUrl")
        known = {place_of(each) for each in self.cloud.identity_urls}
        if before is not None and place_of(before) in known:
            return before
        return self.cloud.auth_url

    @property
    def mark(self) -> str:
        """What the users and the service that we make say in their descriptions."""
        return f"Coffer, deployment {self.deployment_id}"

    @property
    def users(self) -> Users:
        """The users that an administrator's run makes."""
        names = {
            parameters.CLOUD: self.wanted.stack,
            parameters.IDENTITY: f"{self.wanted.stack}-api",
        }
        domain = str(self.cloud.access.user_domain_name)
        return Users(names, self.service_project, domain, self.mark)

    @property
    def root(self) -> str | None:
        """The root of the API in the catalog and in links; None: API Gateway's own.

        An emulator's has another path than clients need: a proxy of this machine stands before it.
        """
        wanted, endpoint = self.wanted, self.target.endpoint_url
        given = wanted.public_endpoint or wanted.parameters.get("PublicEndpoint")
        if given:
            return given.rstrip("/")
        if domain := {**self.present_parameters, **wanted.parameters}.get("DomainName"):
            return f"https://{domain}"
        if endpoint and wanted.front_port:
            return f"http://{HOST}:{wanted.front_port}"
        if present := self.present_parameters.get("PublicEndpoint"):
            return present
        return f"http://{HOST}:{(urlsplit(endpoint).port or 80) + 1}" if endpoint else None

    @property
    def present_root(self) -> str | None:
        """Where the catalog's entry of this deployment leads so far; None without a stack."""
        if self.present is None:
            return None
        return self.present.parameters.get("PublicEndpoint") or self.present.outputs.get("Endpoint")

    @property
    def foreign_entries(self) -> list[str]:
        """Where the catalog's entry leads that is not this deployment: a Trove, or another one."""
        ours = {catalog.place_of(each) for each in (self.root, self.present_root) if each}
        return sorted(catalog.places(self.cloud) - ours)

    def entry(self, endpoint: str) -> Entry:
        """The catalog's entry; `endpoint` is API Gateway's own root."""
        return Entry(self.root or endpoint, self.cloud.region, self.mark)

    @cached_property
    def service(self) -> Service:
        """Given, else stored, else the deployer itself; an administrator has users made."""
        wanted, cloud = self.wanted, self.cloud
        scope = {**cloud.scope, "project_name": self.service_project}
        if wanted.credentials:
            return Service("given", wanted.credentials, scope)
        if stored := self._stored():
            return stored
        if cloud.is_admin:
            return Service(MADE, {}, scope)
        own = cloud.own_credential
        if own is None:
            raise StackError(
                "The functions need a user of the cloud, and a token is none that lasts.",
                "Give a password or an application credential, or --service-user with "
                "--service-password-file; or run it as an administrator, who has one made.",
            )
        return Service("deployer", dict.fromkeys(service_users.ROLES, own), cloud.scope)

    def _stored(self) -> Service | None:
        """What the functions have, when Keystone still accepts it."""
        path = self.wanted.secrets_path
        found = {
            name: service_users.stored(self.target, path, name) for name in service_users.ROLES
        }
        credentials = {name: each for name, each in found.items() if each is not None}
        present = self.present_parameters
        if len(credentials) < len(found) or "OpenStackProjectName" not in present:
            return None
        scope = {
            "project_name": present["OpenStackProjectName"],
            "user_domain_name": present["OpenStackUserDomainName"],
            "project_domain_name": present["OpenStackProjectDomainName"],
        }
        stored = Service("stored", credentials, scope)
        try:
            for credential in credentials.values():
                self._login(credential, scope).access  # noqa: B018 - the token is what is asked for
        except RefusedCredentialError:
            return None
        return stored

    def _login(self, credential: Credential, scope: dict[str, str]) -> Cloud:
        cloud = self.cloud
        return Cloud.of(cloud.auth_url, cloud.region, credential, scope, cloud.trust)

    @cached_property
    def as_service(self) -> dict[str, Cloud]:
        """The cloud as each group of functions sees it; empty while their users are to be made."""
        service = self.service
        return {
            name: self._login(each, service.scope) for name, each in service.credentials.items()
        }

    @property
    def seen(self) -> Cloud:
        """The cloud as the functions see it or, before there is their user, as we do."""
        return self.as_service.get(parameters.CLOUD) or self.cloud

    @cached_property
    def service_project_id(self) -> str | None:
        """The project that will hold servers and volumes; None when there is none of that name."""
        if self.as_service:
            return str(self.seen.access.project_id)
        name = self.service.scope["project_name"]
        with self.cloud.answering("list its projects"):
            found = self.cloud.connection.identity.projects(name=name)
            return next((str(each.id) for each in found if each.name == name), None)

    @cached_property
    def network(self) -> Any | None:
        """The network of an instance that names none: the one that is named, else the only one."""
        present = self.present_parameters if self.wanted.keep_parameters else {}
        named = (
            self.wanted.parameters.get("NetworkId")
            or self.wanted.network
            or present.get("NetworkId")
        )
        with self.seen.answering("list its networks"):
            if named:
                return self.seen.connection.network.find_network(named)
            own = self.networks
            return own[0] if len(own) == 1 else None

    @cached_property
    def networks(self) -> list[Any]:
        """The networks that servers of the service's project can be on."""
        with self.seen.answering("list its networks"):
            return [
                each
                for each in self.seen.connection.network.networks()
                if not each.is_router_external
                and (each.is_shared or each.project_id == self.service_project_id)
            ]

    @cached_property
    def cloud_authorities(self) -> list[str]:
        """The certificates of the operator's own authority in PEM, without words around them."""
        file = self.cloud.trust.get("cacert")
        try:
            return CERTIFICATE.findall(Path(file).read_text()) if file else []
        except (OSError, ValueError) as error:
            raise StackError(
                f"{file} cannot be read: {error}", "Correct OS_CACERT, or cacert in clouds.yaml."
            ) from None

    @cached_property
    def cloud_authority(self) -> str:
        """The same as the template's parameter takes it: packed where PEM is too long."""
        in_pem = "\n".join(self.cloud_authorities)
        if len(in_pem) <= MOST_OF_AUTHORITIES:
            return in_pem
        try:
            return trust.packed(self.cloud_authorities)
        except ValueError as error:
            raise StackError(
                f"{self.cloud.trust.get('cacert')} holds something that is no certificate: {error}",
                "The file of OS_CACERT holds the authority's, in PEM.",
            ) from None

    def template_parameters(self) -> dict[str, str]:
        """The stack's parameters: as they are, but for what was found, and for what was given."""
        scope = self.service.scope
        network = self.network
        present = self.present_parameters if self.wanted.keep_parameters else {}
        found = {
            "Prefix": self.wanted.stack,
            "SecretsPath": self.wanted.secrets_path,
            "DeploymentId": self.deployment_id,
            backups_bucket.PARAMETER: self.backups_bucket,
            "OpenStackAuthUrl": self.auth_url,
            "OpenStackRegionName": self.cloud.region,
            "OpenStackProjectName": scope["project_name"],
            "OpenStackUserDomainName": scope["user_domain_name"],
            "OpenStackProjectDomainName": scope["project_domain_name"],
            "NetworkId": "",
            "PublicEndpoint": self.root or "",
            **({"OpenStackCaCertificate": own} if (own := self.cloud_authority) else {}),
            **self._of_the_emulator(),
        }
        kept = {key: value for key, value in present.items() if key not in OF_THE_RELEASE}
        return {
            "DefaultDatastore": DEFAULT_DATASTORE,
            **kept,
            **found,
            **self.wanted.parameters,
            # By its id, also where --parameter gives a name: functions look none up.
            **({"NetworkId": str(network.id)} if network is not None else {}),
        }

    def _of_the_emulator(self) -> dict[str, str]:
        if (url := self.target.endpoint_url) is None:
            return {}
        return {
            "ApiUrlPrefix": f"{url}{EXECUTE_API}",
            "ApiUrlSuffix": API_STAGE,
            "GuestEndpointUrl": url,
            "Emulated": "true",
            "DeletionProtection": "false",
        }
