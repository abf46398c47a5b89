"""The API's own session with Keystone: what validates tokens, and knows where the services are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chalicelib import parameters, trust
from chalicelib.parameters import Credential
from chalicelib.settings import settings

if TYPE_CHECKING:
    from keystoneauth1.session import Session

TIMEOUT_SECONDS: Final = 5


class Connection:
    """A session that is made at the first need, and anew when the password has changed."""

    def __init__(self) -> None:
        self._session: Session | None = None
        self._credential: Credential | None = None

    def session(self) -> Session:
        """The session of the service's user; imported here, since warm tokens do not need it."""
        credential = parameters.held(parameters.IDENTITY, Credential)
        if self._credential != credential:
            self.close()
            self._credential = credential
        if self._session is None:
            from keystoneauth1.identity import v3
            from keystoneauth1.session import Session

            chosen = settings()
            login = credential.login(
                auth_url(),
                user_domain_name=chosen.os_user_domain_name,
                project_name=chosen.os_project_name,
                project_domain_name=chosen.os_project_domain_name,
            )
            plugin = v3.ApplicationCredential if credential.application else v3.Password
            self._session = Session(
                auth=plugin(**login["auth"]),
                timeout=TIMEOUT_SECONDS,
                verify=trust.authority() or True,
            )
        return self._session

    def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            self._session.session.close()
            self._session = None


def auth_url() -> str:
    """Keystone's address with the version that is spoken here."""
    url = settings().os_auth_url.rstrip("/")
    return url if url.endswith("/v3") else f"{url}/v3"
