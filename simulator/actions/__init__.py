"""What tenants, their applications and operators ask for: each action is one coroutine's work.

Names are drawn from a few, so that requests meet each other's things; lists in bodies are as long
as the plan allows. A tenant forgets an instance that is said to be gone.
"""

from __future__ import annotations

from typing import Final

from chalicelib.engines.engine import Part
from simulator.actions.asking import UNFIT, Action
from simulator.actions.backups import (
    create_backup,
    create_backup_in_container,
    create_snapshot,
    delete_after_backup,
    delete_backup,
    list_backups,
    restore,
    verify_backup,
)
from simulator.actions.contents import (
    change_password,
    change_user,
    create_database,
    create_user,
    delete_database,
    delete_user,
    disable_root,
    enable_root,
    grant,
    list_access,
    list_databases,
    list_users,
    revoke,
    show_root,
    show_user,
    write,
)
from simulator.actions.groups import (
    attach,
    change_group,
    create_group,
    delete_group,
    detach,
    list_groups,
)
from simulator.actions.imports import import_backup
from simulator.actions.instances import (
    cancel,
    create,
    creation,
    delete,
    limits,
    list_events,
    list_instances,
    list_operations,
    plan,
    protect,
    rename,
    resize_flavor,
    resize_volume,
    restart,
    show,
    start,
    stop,
    update_access,
    upgrade,
)
from simulator.actions.moments import archive_log, purge_log, restore_to_moment
from simulator.actions.operators import (
    USUAL_LIMITS,
    expel,
    force_delete,
    migrate,
    quota,
    reboot,
    rebuild,
    reset_status,
    roll_out,
    set_quota,
    upgrade_agent,
)
from simulator.actions.schedules import (
    change_schedule,
    create_schedule,
    delete_schedule,
    list_schedules,
)
from simulator.actions.strategies import drop_strategy, set_strategy

__all__ = ["ACTIONS", "PART_OF", "UNFIT", "USUAL_LIMITS", "creation", "set_quota"]


ACTIONS: Final[dict[str, Action]] = {
    "list": list_instances,
    **{
        action.__name__: action
        for action in (
            *(create, delete, show, list_operations, list_events, cancel, rename, protect),
            *(update_access, restart, resize_volume, resize_flavor, plan),
            *(stop, start, reboot, migrate, rebuild, upgrade, upgrade_agent, expel, roll_out),
            *(create_user, list_users, show_user, change_password, change_user, delete_user),
            *(grant, list_access, revoke, create_database, list_databases, delete_database, write),
            *(enable_root, show_root, disable_root, limits, quota, force_delete, reset_status),
            *(create_group, change_group, list_groups, delete_group, attach, detach),
            *(
                create_backup,
                list_backups,
                restore,
                delete_backup,
                verify_backup,
                delete_after_backup,
            ),
            create_backup_in_container,
            create_snapshot,
            *(import_backup, set_strategy, drop_strategy),
            *(create_schedule, change_schedule, list_schedules, delete_schedule),
            *(archive_log, restore_to_moment, purge_log),
        )
    },
}
"""All actions by the name that a plan's mix uses."""
_BY_PART: Final = {
    Part.USERS: (create_user, list_users, show_user, change_password, change_user, delete_user),
    Part.ACCESS: (grant, list_access, revoke),
    Part.DATABASES: (create_database, list_databases, delete_database),
    Part.ROOT: (enable_root, show_root, disable_root),
    Part.UPGRADES: (upgrade,),
    Part.BACKUPS: (
        create_backup,
        create_backup_in_container,
        create_snapshot,
        create_schedule,
        delete_after_backup,
    ),
    Part.LOG: (archive_log, purge_log),
}
PART_OF: Final = {action.__name__: part for part, all_of in _BY_PART.items() for action in all_of}
"""The part of the guest contract that an action asks for, where it is not every engine's."""
