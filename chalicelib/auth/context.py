"""Who a request comes from, as Keystone vouched for it."""

from __future__ import annotations

from typing import Final

import msgspec

ADMIN_ROLE: Final = "admin"


class Context(msgspec.Struct, frozen=True):
    """The holder of a valid token that is scoped to a project."""

    user_id: str
    user_name: str
    project_id: str
    roles: frozenset[str]

    @property
    def is_admin(self) -> bool:
        """Whether the caller is an administrator of the whole service (`context_is_admin`)."""
        return ADMIN_ROLE in self.roles

    @property
    def visible_tenant(self) -> str | None:
        """Whose rows the caller sees: its own project's; None is everyone's (administrators)."""
        return None if self.is_admin else self.project_id
