"""The usual mix: every action of the workload, and how often it is asked for beside the others.

Apart from `actions.py`, so that plans can be checked and made smaller without what a run imports.
"""

from __future__ import annotations

from typing import Final

USUAL_MIX: Final[dict[str, float]] = {
    "create": 8,
    "delete": 7,
    "show": 8,
    "list": 5,
    "list_operations": 1,
    "list_events": 1,
    "plan": 1,
    "cancel": 1,
    "create_user": 8,
    "list_users": 5,
    "show_user": 2,
    "change_password": 4,
    "change_user": 3,
    "delete_user": 4,
    "grant": 4,
    "list_access": 2,
    "revoke": 3,
    "create_database": 8,
    "list_databases": 5,
    "delete_database": 4,
    "enable_root": 3,
    "show_root": 2,
    "disable_root": 1,
    "restart": 2,
    "resize_volume": 2,
    "resize_flavor": 2,
    "stop": 1,
    "start": 2,
    "reboot": 1,
    "migrate": 1,
    "rebuild": 2,
    "upgrade": 2,
    "upgrade_agent": 1,
    "expel": 0.5,
    "roll_out": 0.3,
    "rename": 3,
    "protect": 2,
    "update_access": 4,
    "write": 6,
    "limits": 1,
    "quota": 3,
    "force_delete": 2,
    "reset_status": 1,
    "create_group": 2,
    "change_group": 3,
    "list_groups": 1,
    "delete_group": 1,
    "attach": 4,
    "detach": 1,
}
"""Weights; an action that a plan's own mix does not name is not asked for."""
