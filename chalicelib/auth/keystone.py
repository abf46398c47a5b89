"""Validates tokens at Keystone with the service's own credentials, and remembers them briefly.

A revoked token is good for at most `token_cache_seconds` longer; one that expires, not at all.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final

import msgspec

from chalicelib import aws, parameters
from chalicelib.auth.connection import Connection, auth_url
from chalicelib.auth.context import Context
from chalicelib.errors import Unauthorized, Unavailable
from chalicelib.parameters import Credential
from chalicelib.settings import settings

Authenticate = Callable[[str], Context]
"""What makes a context of a token; raises `Unauthorized` or `Unavailable`."""

ANSWER_SECONDS: Final = 7
"""How long Keystone's answer may take: of API Gateway's 29 s, what a guest's call (20) and our own
work leave."""
CACHE_ENTRIES: Final = 512
_TOKEN: Final = re.compile(r"[\x21-\x7e]{1,8192}")

log = logging.getLogger(__name__)


class _Named(msgspec.Struct, frozen=True):
    id: str
    name: str = ""


class _Token(msgspec.Struct, frozen=True):
    expires_at: datetime
    user: _Named
    project: _Named | None = None
    roles: list[_Named] = []


class _Answer(msgspec.Struct, frozen=True):
    token: _Token


_decode_answer: Final = msgspec.json.Decoder(_Answer)


class _Remembered(msgspec.Struct, frozen=True):
    context: Context
    until: float


class Keystone:
    """Token validation with a small cache; one object per process (or simulated container)."""

    def __init__(self, connection: Connection | None = None) -> None:
        self._connection = connection or Connection()
        self._cache: OrderedDict[bytes, _Remembered] = OrderedDict()

    def __call__(self, token: str) -> Context:
        """The context of a token that Keystone accepts now, or accepted a few seconds ago."""
        if not _TOKEN.fullmatch(token):
            raise Unauthorized("The request you have made requires authentication.")
        key = hashlib.sha256(token.encode()).digest()
        now = aws.clock()
        known = self._cache.get(key)
        if known is not None and now < known.until:
            return known.context
        self._cache.pop(key, None)
        found = self._validate(token)
        expires_at = found.expires_at.timestamp()
        if expires_at <= now:
            raise Unauthorized("The token has expired.")
        context = _context(found)
        until = min(now + settings().token_cache_seconds, expires_at)
        self._cache[key] = _Remembered(context, until)
        if len(self._cache) > CACHE_ENTRIES:
            self._cache.popitem(last=False)
        return context

    def close(self) -> None:
        """Close the connections to Keystone."""
        self._connection.close()

    def _validate(self, token: str) -> _Token:
        answer = self._ask(token)
        if answer is None:
            parameters.looked_up(parameters.IDENTITY, Credential)
            answer = self._ask(token)  # with the new password, if there is one
        if answer is None:
            log.error("Keystone refuses the service's own credentials")
            raise Unavailable("The identity service cannot validate tokens at the moment.")
        if answer.status_code in (400, 404):
            raise Unauthorized("The token is not valid: unknown, expired or revoked.")
        if answer.status_code != 200:
            log.error("Keystone answered %d to a token validation", answer.status_code)
            raise Unavailable("The identity service cannot validate tokens at the moment.")
        try:
            return _decode_answer.decode(answer.content).token
        except msgspec.DecodeError:
            log.exception("Keystone's answer to a token validation cannot be read")
            raise Unavailable("The identity service cannot validate tokens now.") from None

    def _ask(self, token: str) -> Any:
        """Keystone's answer; None when it does not accept our own credentials.

        A connection that broke (one kept open, that Keystone has closed) is made anew, once. An
        answer that is slow is waited for and not asked for again: that is twice the work.
        """
        from keystoneauth1 import exceptions

        try:
            try:
                answer = self._get(token)
            except exceptions.ConnectFailure:
                answer = self._get(token)
        except exceptions.Unauthorized:
            return None
        except exceptions.ClientException as error:
            log.error("Keystone cannot be asked: %s", type(error).__name__)  # noqa: TRY400
            raise Unavailable("The identity service is not available at the moment.") from None
        return None if answer.status_code == HTTPStatus.UNAUTHORIZED else answer

    def _get(self, token: str) -> Any:
        return self._connection.session().get(
            f"{auth_url()}/auth/tokens?nocatalog",
            headers={"X-Subject-Token": token, "Accept": "application/json"},
            authenticated=True,
            timeout=ANSWER_SECONDS,
            raise_exc=False,
            log=False,
        )


def _context(token: _Token) -> Context:
    if token.project is None:
        raise Unauthorized("The token is not scoped to a project.")
    return Context(
        user_id=token.user.id,
        user_name=token.user.name,
        project_id=token.project.id,
        roles=frozenset(role.name for role in token.roles),
    )
