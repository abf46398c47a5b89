"""Keystone's part of the model: domains, projects, users, roles, and tokens with their life."""

from __future__ import annotations

import hashlib
import hmac
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TypeVar

from simulator.cloud.model.caller import Caller
from simulator.cloud.model.catalog import Catalog
from simulator.cloud.model.errors import Conflict, NotFound, Unauthorized
from simulator.cloud.model.seams import Clock, Ids

_NAMESPACE = uuid.UUID("6f1f5a5e-0f0b-5c5c-9d63-5d1f6f3b6a10")
DEFAULT_DOMAIN_ID = "default"
T = TypeVar("T")


def stable_id(kind: str, name: str) -> str:
    """The id of a thing made at start: the same for the same name in every run."""
    return str(uuid.uuid5(_NAMESPACE, f"{kind}:{name}"))


@dataclass
class Project:
    """A tenant."""

    id: str
    name: str
    description: str = ""
    enabled: bool = True


@dataclass
class User:
    """A user with a digest of the password, never the password."""

    id: str
    name: str
    password_digest: str = field(repr=False)
    enabled: bool = True
    description: str = ""


@dataclass(frozen=True)
class Role:
    """A named role; this cloud knows admin, member, reader and service."""

    id: str
    name: str


@dataclass(frozen=True)
class ApplicationCredential:
    """What a program logs in with in its user's place: for one project, with the user's roles."""

    id: str
    name: str
    user_id: str
    project_id: str
    secret_digest: str = field(repr=False)


@dataclass(frozen=True)
class Token:
    """An issued token. `secret` is what the client sends; it is left out of every repr."""

    secret: str = field(repr=False)
    user_id: str
    project_id: str | None
    roles: tuple[Role, ...]
    methods: tuple[str, ...]
    audit_ids: tuple[str, ...]
    issued_at: float
    expires_at: float
    application_credential: ApplicationCredential | None = None
    system: bool = False
    """Scoped to the whole system, which is no project."""

    def caller(self) -> Caller:
        """The caller that the other services see; an unscoped token has no project."""
        return Caller(
            self.user_id, self.project_id or "", frozenset(role.name for role in self.roles)
        )


class Identity:
    """Users, projects, role assignments and live tokens of one domain (`default`)."""

    def __init__(self, clock: Clock, ids: Ids, token_seconds: float) -> None:
        self._clock = clock
        self._ids = ids
        self._token_seconds = token_seconds
        self.projects: dict[str, Project] = {}
        self.users: dict[str, User] = {}
        self.roles: dict[str, Role] = {}
        self.assignments: set[tuple[str, str, str]] = set()
        self.system_assignments: set[tuple[str, str]] = set()
        self.application_credentials: dict[str, ApplicationCredential] = {}
        self.catalog = Catalog(ids)
        self._tokens: dict[str, Token] = {}
        self._sweep_at = 0.0

    def add_project(self, name: str, project_id: str | None = None) -> Project:
        """Make a project; Conflict when the name is taken."""
        if any(project.name == name for project in self.projects.values()):
            raise Conflict(
                "Conflict occurred attempting to store project - it is not permitted to have two "
                f"projects with the same name in the same domain : {name}."
            )
        project = Project(project_id or _hex(self._ids.uuid()), name)
        self.projects[project.id] = project
        return project

    def add_user(self, name: str, password: str, user_id: str | None = None) -> User:
        """Make a user; Conflict when the name is taken."""
        if any(user.name == name for user in self.users.values()):
            raise Conflict(
                f"Conflict occurred attempting to store user - Duplicate entry found with name "
                f"{name} at domain ID default."
            )
        identifier = user_id or _hex(self._ids.uuid())
        user = User(identifier, name, _digest(identifier, password))
        self.users[user.id] = user
        return user

    def add_role(self, name: str) -> Role:
        """Make a role with a stable id."""
        role = Role(_hex(stable_id("role", name)), name)
        self.roles[role.id] = role
        return role

    def grant(self, user_id: str, project_id: str, role_id: str) -> None:
        """Give a user a role on a project; a token has it too, as one of Fernet's would."""
        grant = (self.user(user_id).id, self.project(project_id).id, self.role(role_id).id)
        self.assignments.add(grant)
        roles = self.roles_of(user_id, project_id)
        for secret, token in self._tokens.items():
            if (token.user_id, token.project_id) == (user_id, project_id):
                self._tokens[secret] = replace(token, roles=roles)

    def revoke_grant(self, user_id: str, project_id: str, role_id: str) -> None:
        """Take a role from a user; tokens for that project end with it."""
        if (user_id, project_id, role_id) not in self.assignments:
            raise NotFound(f"Could not find role assignment with role: {role_id}.")
        self.assignments.discard((user_id, project_id, role_id))
        live = self._tokens.values()
        self._drop(t for t in live if (t.user_id, t.project_id) == (user_id, project_id))

    def project(self, project_id: str) -> Project:
        """The project of that id, or NotFound."""
        return _found(self.projects, "project", project_id)

    def user(self, user_id: str) -> User:
        """The user of that id, or NotFound."""
        return _found(self.users, "user", user_id)

    def role(self, role_id: str) -> Role:
        """The role of that id, or NotFound."""
        return _found(self.roles, "role", role_id)

    def roles_of(self, user_id: str, project_id: str) -> tuple[Role, ...]:
        """The user's roles on a project, by name."""
        held = (self.roles[r] for u, p, r in self.assignments if (u, p) == (user_id, project_id))
        return tuple(sorted(held, key=lambda role: role.name))

    def projects_of(self, user_id: str) -> list[Project]:
        """The projects on which the user has a role."""
        ids = {p for u, p, _ in self.assignments if u == user_id}
        return [project for project in self.projects.values() if project.id in ids]

    def set_enabled(self, thing: User | Project, enabled: bool) -> None:
        """Enable or disable a user or a project; disabling ends its tokens."""
        thing.enabled = enabled
        if not enabled:
            live = self._tokens.values()
            self._drop(t for t in live if thing.id in (t.user_id, t.project_id))

    def set_password(self, user: User, password: str) -> None:
        """Give a user another password; tokens end with the one before."""
        user.password_digest = _digest(user.id, password)
        self._drop(token for token in self._tokens.values() if token.user_id == user.id)

    def delete_project(self, project_id: str) -> None:
        """Remove a project, its assignments and its tokens."""
        self.set_enabled(self.project(project_id), False)
        self.assignments = {a for a in self.assignments if a[1] != project_id}
        del self.projects[project_id]

    def delete_user(self, user_id: str) -> None:
        """Remove a user, the assignments and the tokens."""
        self.set_enabled(self.user(user_id), False)
        self.assignments = {a for a in self.assignments if a[0] != user_id}
        del self.users[user_id]

    def authenticate(self, user: User | None, password: str) -> User:
        """The user whose password this is; Unauthorized without telling what was wrong."""
        digest = user.password_digest if user else ""
        matches = hmac.compare_digest(digest, _digest(user.id if user else "", password))
        if user is None or not user.enabled or not matches:
            raise Unauthorized
        return user

    def add_application_credential(
        self, user_id: str, project_id: str, name: str
    ) -> tuple[ApplicationCredential, str]:
        """Make an application credential; its secret is told this once."""
        identifier, secret = _hex(self._ids.uuid()), self._ids.token()
        made = ApplicationCredential(
            identifier, name, user_id, project_id, _digest(identifier, secret)
        )
        self.application_credentials[made.id] = made
        return made, secret

    def application_credential(self, identifier: str, secret: str) -> ApplicationCredential:
        """The credential of that id whose secret this is, or Unauthorized."""
        found = self.application_credentials.get(identifier)
        digest = found.secret_digest if found else ""
        if not hmac.compare_digest(digest, _digest(identifier, secret)) or found is None:
            raise Unauthorized
        if found.user_id not in self.users:
            raise Unauthorized
        return found

    def issue(
        self,
        user: User,
        project: Project | None,
        methods: tuple[str, ...],
        parent: Token | None = None,
        application: ApplicationCredential | None = None,
        *,
        system: bool = False,
    ) -> Token:
        """A new token; one that was made from another (re-scoping) ends when that one does."""
        roles: tuple[Role, ...] = ()
        if project is not None:
            roles = self.roles_of(user.id, project.id)
            if not roles or not project.enabled:
                raise Unauthorized
        elif system:
            held = sorted(role for who, role in self.system_assignments if who == user.id)
            roles = tuple(self.roles[role] for role in held)
            if not roles:
                raise Unauthorized
        now = self._clock()
        audit_id = self._ids.token()[:22]
        token = Token(
            secret=f"gAAAAA{self._ids.token()}",
            user_id=user.id,
            project_id=project.id if project else None,
            roles=roles,
            methods=methods,
            audit_ids=(audit_id, parent.audit_ids[-1]) if parent else (audit_id,),
            issued_at=now,
            expires_at=parent.expires_at if parent else now + self._token_seconds,
            application_credential=application,
            system=system,
        )
        self._tokens[token.secret] = token
        self._sweep(now)
        return token

    def token(self, secret: str) -> Token | None:
        """The live token of that secret, or None when it is unknown, revoked or expired."""
        token = self._tokens.get(secret)
        if token is not None and token.expires_at <= self._clock():
            del self._tokens[secret]
            return None
        return token

    def revoke(self, secret: str) -> bool:
        """End one token; whether it was live."""
        return self._tokens.pop(secret, None) is not None

    def _drop(self, tokens: Iterable[Token]) -> None:
        for token in list(tokens):
            self._tokens.pop(token.secret, None)

    def _sweep(self, now: float) -> None:
        """Forget expired tokens once a minute, so that a long run does not keep them all."""
        if now < self._sweep_at:
            return
        self._sweep_at = now + 60
        self._drop(token for token in self._tokens.values() if token.expires_at <= now)


def _found(things: dict[str, T], kind: str, identifier: str) -> T:
    try:
        return things[identifier]
    except KeyError:
        raise NotFound(f"Could not find {kind}: {identifier}.") from None


def _digest(user_id: str, password: str) -> str:
    return hashlib.sha256(f"{user_id}\0{password}".encode()).hexdigest()


def _hex(identifier: str) -> str:
    return identifier.replace("-", "")
