"""STS: credentials of a role, narrowed by a session policy, and what they allow."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import msgspec

from simulator.aws.errors import Exceptions, client_error
from simulator.aws.policies import Policy, allows, parsed
from simulator.aws.rights import needed

LEAST_SECONDS: Final = 900
MOST_CHAINED_SECONDS: Final = 3600
"""A Lambda function assumes a role from a role: such a session lasts an hour at most."""
MOST_POLICY_CHARACTERS: Final = 2048

_SESSION_NAME: Final = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)


class Session(NamedTuple):
    """What credentials stand for. `session` is None without a session policy."""

    role_arn: str
    name: str
    expires_at: float
    role: Policy
    session: Policy | None

    def allows(self, action: str, resource: str) -> bool:
        """Whether both the role and the session policy allow it."""
        if not allows(self.role, action, resource):
            return False
        return self.session is None or allows(self.session, action, resource)


class Sts:
    """Hands out credentials. `roles` are the policy documents of the roles, by ARN."""

    calls: Mapping[str, str] = {"assume_role": "AssumeRole"}
    exceptions = Exceptions(
        ExpiredTokenException="ExpiredTokenException",
        MalformedPolicyDocumentException="MalformedPolicyDocument",
        PackedPolicyTooLargeException="PackedPolicyTooLarge",
    )

    def __init__(self, now: Callable[[], float], roles: Mapping[str, Mapping[str, Any]]) -> None:
        self.now = now
        self._roles = {arn: parsed(document) for arn, document in roles.items()}
        self._sessions: dict[str, Session] = {}
        self._order: deque[tuple[float, str]] = deque()
        self._number = 0

    def assume_role(
        self,
        *,
        RoleArn: str,  # noqa: N803
        RoleSessionName: str,  # noqa: N803
        Policy: str | None = None,  # noqa: N803
        DurationSeconds: int = 3600,  # noqa: N803
    ) -> dict[str, Any]:
        """Credentials for a session."""
        operation = "AssumeRole"
        role = self._roles.get(RoleArn)
        if role is None:
            message = f"User is not authorized to perform: sts:AssumeRole on resource: {RoleArn}"
            raise client_error("AccessDenied", operation, message, status=403)
        if not _SESSION_NAME.fullmatch(RoleSessionName):
            message = f"Value '{RoleSessionName}' at 'roleSessionName' is not a session's name"
            raise client_error("ValidationError", operation, message)
        if not LEAST_SECONDS <= DurationSeconds <= MOST_CHAINED_SECONDS:
            message = (
                "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed "
                "by role chaining, or is less than 15 minutes"
            )
            raise client_error("ValidationError", operation, message)
        expires_at = self.now() + DurationSeconds
        session = Session(RoleArn, RoleSessionName, expires_at, role, self._policy(Policy))
        key = self._remember(session)
        return {
            "Credentials": {
                "AccessKeyId": key,
                "SecretAccessKey": secret_of(key),
                "SessionToken": f"token-of-{key}",
                "Expiration": datetime.fromtimestamp(expires_at, UTC),
            },
            "AssumedRoleUser": {"Arn": _assumed(RoleArn, RoleSessionName)},
            "ResponseMetadata": {"HTTPStatusCode": 200},
        }

    def remember(self, role_arn: str, name: str, seconds: float) -> str:
        """Credentials that were handed out before the run began; returns their key's id."""
        expires_at = self.now() + seconds
        return self._remember(Session(role_arn, name, expires_at, self._roles[role_arn], None))

    def _policy(self, text: str | None) -> Policy | None:
        if text is None:
            return None
        if len(text) > MOST_POLICY_CHARACTERS:
            raise self.exceptions.make(
                "PackedPolicyTooLargeException", "AssumeRole", "The session policy is too large"
            )
        try:
            return parsed(msgspec.json.decode(text))
        except (KeyError, TypeError, ValueError):
            raise self.exceptions.make(
                "MalformedPolicyDocumentException", "AssumeRole", "The policy is not in JSON form"
            ) from None

    def _remember(self, session: Session) -> str:
        while self._order and self._order[0][0] < self.now() - MOST_CHAINED_SECONDS:
            del self._sessions[self._order.popleft()[1]]
        self._number += 1
        key = f"ASIA{self._number:016d}"
        self._sessions[key] = session
        self._order.append((session.expires_at, key))
        return key

    def session(self, access_key_id: str) -> Session | None:
        """What credentials stand for, also some time after their end; None for no credentials."""
        return self._sessions.get(access_key_id)

    def guard(
        self, service: str, access_key_id: str, session_token: str
    ) -> Callable[[str, Mapping[str, Any]], None]:
        """What a client with these credentials has to pass before each call of a service."""

        def guard(operation: str, kwargs: Mapping[str, Any]) -> None:
            session = self.session(access_key_id)
            if session is None or session_token != f"token-of-{access_key_id}":
                message = "The security token included in the request is invalid."
                raise client_error("InvalidClientTokenId", operation, message, status=403)
            if session.expires_at <= self.now():
                message = "The security token included in the request is expired"
                raise client_error("ExpiredToken", operation, message, status=403)
            for action, resource in needed(service, operation, kwargs):
                if not session.allows(action, resource):
                    message = (
                        f"User: {_assumed(session.role_arn, session.name)} is not authorized to "
                        f"perform: {action.lower()} on resource: {resource} because no session "
                        f"policy allows the {action} action"
                    )
                    raise client_error("AccessDenied", operation, message, status=403)

        return guard


def secret_of(access_key_id: str) -> str:
    """The secret of a key: what a request has to be signed by."""
    return f"secret-of-{access_key_id}"


def _assumed(role_arn: str, name: str) -> str:
    head, _, role = role_arn.rpartition("/")
    return f"{head.replace(':iam:', ':sts:').removesuffix(':role')}:assumed-role/{role}/{name}"
