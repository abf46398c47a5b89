"""A plain client of the Trove API: a token, the catalog's endpoint, JSON in and out."""

from typing import Any, Final

import requests

from infra.errors import StackError
from infra.local.cloud import authenticate

HTTP_SECONDS: Final = 35.0


class NotFoundError(StackError):
    """The API answered 404."""


class Api:
    """The Trove API as a user of one project sees it."""

    def __init__(self, url: str, project_id: str, token: str) -> None:
        self.url = url
        self.project_id = project_id
        self._session = requests.Session()
        self._session.headers["X-Auth-Token"] = token

    @classmethod
    def log_in(cls, auth_url: str, user: str, password: str) -> "Api":
        """A session of `user` for the project of the same name, at the catalog's endpoint."""
        token = authenticate(auth_url, user, user, password)
        return cls(token.endpoint("database"), token.project_id, token.id)

    def call(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        """One request; raises StackError with the fault's message, NotFoundError for a 404."""
        response = self._session.request(
            method, f"{self.url}{path}", timeout=HTTP_SECONDS, **options
        )
        if response.ok:
            document: dict[str, Any] = response.json() if response.content else {}
            return document
        kind = NotFoundError if response.status_code == requests.codes.not_found else StackError
        raise kind(
            f"{method} {path} was answered {response.status_code}: {response.text[:300]}",
            "The API's log: coffer logs api",
        )
