"""Trove's policy: its names and its default rules.

An administrator is whoever has the role `admin`; an owner is whoever's token is of the tenant that
the target belongs to. Source: `trove.common.policies`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from chalicelib.auth.context import Context
from chalicelib.errors import AdminRequired, Forbidden

Rule = Callable[[Context, str], bool]


def _admin(context: Context, _: str) -> bool:
    return context.is_admin


def _admin_or_owner(context: Context, tenant_id: str) -> bool:
    return context.is_admin or context.project_id == tenant_id


def _anyone(_context: Context, _tenant_id: str) -> bool:
    return True


def _named(rule: Rule, prefix: str, *names: str) -> dict[str, Rule]:
    return {f"{prefix}:{name}": rule for name in names}


RULES: Final[dict[str, Rule]] = {
    **_named(_admin_or_owner, "instance", "create", "delete", "force_delete", "index", "detail"),
    **_named(_admin_or_owner, "instance", "show", "update", "edit", "restart", "configuration"),
    **_named(_admin_or_owner, "instance", "stop", "start", "cancel", "metrics"),  # not Trove's
    **_named(_admin_or_owner, "instance", "resize_volume", "resize_flavor"),
    **_named(_admin_or_owner, "instance", "promote_to_replica_source", "eject_replica_source"),
    **_named(_admin, "instance", "ignore_protection"),  # not Trove's
    **_named(_admin, "instance", "reset_status"),
    # Not Trove's: there whoever may use mgmt.
    **_named(_admin, "instance", "rebuild", "expel", "migrate", "upgrade_agent"),
    **_named(_admin_or_owner, "instance:extension:root", "create", "delete", "index"),
    **_named(_admin_or_owner, "instance:extension:user", "create", "delete", "index", "show"),
    **_named(_admin_or_owner, "instance:extension:user", "update", "update_all"),
    **_named(_admin_or_owner, "instance:extension:user_access", "update", "delete", "index"),
    **_named(_admin_or_owner, "instance:extension:database", "create", "delete", "index", "show"),
    **_named(_anyone, "datastore", "index", "show", "version_index", "version_show"),
    **_named(_anyone, "datastore", "version_show_by_uuid", "list_associated_flavors"),
    **_named(_anyone, "datastore", "list_associated_volume_types"),
    **_named(_admin, "datastore", "delete"),
    **_named(_anyone, "configuration-parameter", "index", "show"),
    **_named(_anyone, "configuration-parameter", "index_by_version", "show_by_version"),
    **_named(_admin_or_owner, "configuration", "create", "delete", "index", "show"),
    **_named(_admin_or_owner, "configuration", "instances", "update", "edit"),
    **_named(_admin_or_owner, "instance", "backups", "archives"),
    **_named(_admin_or_owner, "backup", "create", "delete", "index", "show"),
    **_named(_admin_or_owner, "backup", "verify"),  # not Trove's
    **_named(_admin, "backup", "index:all_projects"),
    **_named(_admin_or_owner, "backup_strategy", "create", "delete", "index"),
    **_named(_admin_or_owner, "backup_schedule", "create", "delete", "index", "show", "update"),
    **_named(_anyone, "flavor", "index", "show"),
    **_named(_admin_or_owner, "limits", "index"),
}


def authorize(context: Context, name: str, tenant_id: str) -> None:
    """Refuse with 403 what the rule of that name does not allow on the tenant's things."""
    if not RULES[name](context, tenant_id):
        raise Forbidden(f"Policy doesn't allow {name} to be performed.")


def require_admin(context: Context) -> None:
    """Refuse with Trove's 401 whoever is no administrator: the rule of the `mgmt` routes."""
    if not context.is_admin:
        raise AdminRequired("User does not have admin privileges.")
