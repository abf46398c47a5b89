"""The cloud that Coffer is to serve, as the deployer's credentials see it.

Which one it is says openstacksdk's own configuration: `OS_*` variables, or a name in clouds.yaml.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any, Final

from chalicelib.parameters import Credential
from infra.errors import StackError

TIMEOUT_SECONDS: Final = 20
CONNECT_RETRIES: Final = 1

Ask = Callable[[str], str]
"""Asks a person for a secret, by a prompt."""


class CloudError(StackError):
    """The cloud refused a call, or did not answer."""


class UnreachableError(CloudError):
    """Nobody answers there, or somebody who is no OpenStack."""


class RefusedCredentialError(CloudError):
    """Keystone does not accept the user, the password or the project."""


class Cloud:
    """A connection of openstacksdk, and what its token says of the one who holds it."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    @classmethod
    def configured(cls, name: str | None, ask: Ask) -> Cloud:
        """The cloud of that name in clouds.yaml, else that of `OS_CLOUD` or the `OS_*` variables.

        `ask` is for a password that stands nowhere; raises CloudError when no cloud is named.
        """
        from keystoneauth1.exceptions import MissingRequiredOptions
        from openstack.config import OpenStackConfig
        from openstack.connection import Connection
        from openstack.exceptions import ConfigException

        _quiet()

        def password(prompt: str | None = None) -> str:
            return ask("Password of the cloud's user")

        config = OpenStackConfig(pw_func=password)
        named = set(config.get_cloud_names()) - {"defaults"}
        if name is None and named <= {"envvars"} and not os.environ.get("OS_AUTH_URL"):
            raise CloudError("No cloud is named: there is no OS_AUTH_URL.", _HOW_TO_NAME)
        try:
            region = config.get_one(cloud=name, **_BOUNDS)
        except ConfigException as error:
            raise CloudError(f"There is no such cloud: {error}", _HOW_TO_NAME) from None
        except MissingRequiredOptions as error:
            lacking = ", ".join(option.dest for option in error.options)
            raise CloudError(
                f"The cloud is not named as a whole: {lacking} lacks.", _HOW_TO_NAME
            ) from None
        return cls(Connection(config=region))

    @classmethod
    def of(
        cls,
        auth_url: str,
        region: str,
        credential: Credential,
        scope: dict[str, str],
        trust: dict[str, Any] | None = None,
    ) -> Cloud:
        """The cloud for a user or an application credential; `scope` names project and domains.

        `trust` is how another connection to the same cloud checks certificates.
        """
        import openstack

        _quiet()
        return cls(
            openstack.connect(
                load_yaml_config=False,
                load_envvars=False,
                region_name=region,
                **credential.login(auth_url, **scope),
                **(trust or {}),
                **_BOUNDS,
            )
        )

    @cached_property
    def access(self) -> Any:
        """The token's document (keystoneauth's AccessInfo); raises CloudError without one."""
        with self.answering("give a token"):
            return self.connection.session.auth.get_access(self.connection.session)

    @property
    def auth_url(self) -> str:
        return str(self.connection.config.config["auth"]["auth_url"]).rstrip("/")

    @property
    def region(self) -> str:
        """The region of the cloud; the only one when none is named."""
        if named := self.connection.config.get_region_name():
            return str(named)
        found = {
            endpoint["region_id"]
            for service in self.access.service_catalog.catalog
            for endpoint in service["endpoints"]
        }
        return str(min(found, default="RegionOne"))

    @property
    def trust(self) -> dict[str, Any]:
        """How certificates are checked, as openstacksdk's settings."""
        config = self.connection.config.config
        return {name: config[name] for name in ("verify", "cacert") if config.get(name) is not None}

    @property
    def roles(self) -> frozenset[str]:
        return frozenset(self.access.role_names)

    @property
    def is_admin(self) -> bool:
        """Whether the token may change users and the catalog, by OpenStack's default policies."""
        return "admin" in self.roles

    @property
    def scope(self) -> dict[str, str]:
        """The project of the token and the domains, by the names that `Cloud.of` takes."""
        return {
            "project_name": str(self.access.project_name),
            "user_domain_name": str(self.access.user_domain_name),
            "project_domain_name": str(self.access.project_domain_name),
        }

    @property
    def own_credential(self) -> Credential | None:
        """What the deployer came with, when a function could come with the same; else None."""
        auth = self.connection.config.config["auth"]
        if auth.get("application_credential_secret"):
            return Credential(
                username=str(self.access.application_credential_id),
                password=str(auth["application_credential_secret"]),
                application=True,
            )
        if auth.get("password"):
            return Credential(str(self.access.username), str(auth["password"]))
        return None

    def variables(self) -> dict[str, str]:
        """The `OS_*` variables that lead any client to the same cloud as the same user."""
        config = self.connection.config.config
        found = {
            "OS_AUTH_TYPE": config.get("auth_type"),
            "OS_REGION_NAME": self.region,
            "OS_IDENTITY_API_VERSION": "3",
            "OS_INTERFACE": "public",
            "OS_CACERT": config.get("cacert"),
            **{f"OS_{name.upper()}": value for name, value in config["auth"].items()},
        }
        return {name: str(value) for name, value in found.items() if value}

    def urls(self, service_type: str) -> list[str]:
        """The public URLs of a service in this region, for this project."""
        return [
            str(endpoint["url"]).rstrip("/")
            for service in self.access.service_catalog.catalog
            for endpoint in service["endpoints"]
            if service["type"] == service_type
            and endpoint["interface"] == "public"
            and endpoint["region_id"] == self.region
        ]

    @property
    def identity_urls(self) -> list[str]:
        """Every URL of Keystone in this region's catalog, also those inside of the cloud."""
        return [
            str(endpoint["url"])
            for service in self.access.service_catalog.catalog
            for endpoint in service["endpoints"]
            if service["type"] == "identity" and endpoint["region_id"] == self.region
        ]

    @contextmanager
    def answering(self, what: str) -> Iterator[None]:
        """Turn the libraries' errors into ours; `what` the cloud was asked to do."""
        from keystoneauth1 import exceptions
        from openstack.exceptions import HttpException, SDKException

        try:
            yield
        except exceptions.Unauthorized:
            raise RefusedCredentialError(
                f"Keystone at {self.auth_url} refuses the user, the password or the project.",
                "`openstack token issue` with the same OS_* variables says the same; mend those.",
            ) from None
        except exceptions.SSLError:
            raise CloudError(
                f"The certificate of {self.auth_url} is of no authority that is known here.",
                "Name the file with its authority's: OS_CACERT, or cacert in clouds.yaml.",
            ) from None
        except (exceptions.ConnectFailure, exceptions.DiscoveryFailure, exceptions.NotFound):
            raise UnreachableError(
                f"No Keystone answers at {self.auth_url}.",
                "Try `curl` there: the URL ends with /v3, and a firewall may stand in between.",
            ) from None
        except exceptions.AuthPluginException as error:
            raise CloudError(
                f"The cloud's credentials are not whole: {error}", _HOW_TO_NAME
            ) from None
        except HttpException as error:
            said = error.details or error.message
            raise CloudError(f"The cloud refused to {what}: {said}") from None
        except (exceptions.ClientException, SDKException) as error:
            raise CloudError(f"The cloud could not {what}: {error}") from None


_BOUNDS: Final[dict[str, Any]] = {"api_timeout": TIMEOUT_SECONDS, "app_name": "coffer-deploy"}
_HOW_TO_NAME: Final = (
    "Set OS_AUTH_URL, OS_USERNAME, OS_PASSWORD, OS_PROJECT_NAME and the domains (an openrc file "
    "does), or name a cloud of clouds.yaml: --os-cloud NAME"
)


def _quiet() -> None:
    """keystoneauth writes tracebacks of what it goes on without to its log: ours says it better."""
    for name in ("keystoneauth", "openstack"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
