"""The guest contract: every method with its arguments, its answer, its bound, and what a second
delivery of it may do.

Both sides import it. From here come what the API and the steps send, what the conductor takes for
an answer, the agent's dispatch, and the simulated guests, honest and hostile. `docs/adding-a-
datastore.md` says what answers it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Generic, TypeVar

import msgspec

from chalicelib.bus.contract import answers, arguments
from chalicelib.engines.engine import Part

A = TypeVar("A")
R = TypeVar("R")

FIRST_RELEASE: Final = 1
"""Of guests that do not say theirs."""


class Method(msgspec.Struct, Generic[A, R], frozen=True):
    """One method. The field of `Settings` that `timeout` names bounds the wait for its answer.

    A datastore without its `part` has it not, nor does a guest of a release before `since`.
    `repeatable`: one that was interrupted may simply run again. `long`: the agent runs it beside
    its loop. `alone`: no two of these at the same time. `reports`: it tells how far it is.
    """

    name: str
    arguments: type[A]
    answer: type[R]
    part: Part
    repeatable: bool
    since: int = FIRST_RELEASE
    timeout: str = "guest_call_seconds"
    long: bool = False
    alone: bool = False
    reports: bool = False

    def decode(self, result: Any) -> R:
        """The typed answer in a result; `msgspec.ValidationError` when it does not fit."""
        return msgspec.convert(result, self.answer)


def _takes_its_time(
    name: str,
    takes: type[A],
    gives: type[R],
    timeout: str,
    *,
    part: Part = Part.SERVER,
    reports: bool = False,
    since: int = FIRST_RELEASE,
) -> Method[A, R]:
    """What may take its time, and is asked by a step of a flow, which runs again."""
    return Method(
        name,
        takes,
        gives,
        part,
        repeatable=True,
        since=since,
        timeout=timeout,
        long=True,
        alone=True,
        reports=reports,
    )


PREPARE: Final = _takes_its_time(
    "prepare", arguments.Prepare, answers.Prepared, "create_timeout_seconds", reports=True
)
REBUILD: Final = _takes_its_time(
    "rebuild", arguments.Rebuild, answers.Prepared, "rebuild_timeout_seconds", reports=True, since=2
)
UPGRADE: Final = _takes_its_time(
    "upgrade",
    arguments.Upgrade,
    answers.Upgraded,
    "rebuild_timeout_seconds",
    part=Part.UPGRADES,
    reports=True,
    since=2,
)
RESTART: Final = _takes_its_time(
    "restart", arguments.Nothing, answers.Done, "restart_timeout_seconds"
)
STOP_DB: Final = _takes_its_time(
    "stop_db", arguments.StopDatabase, answers.Done, "power_timeout_seconds"
)
START_DB_WITH_CONF_CHANGES: Final = _takes_its_time(
    "start_db_with_conf_changes",
    arguments.StartForFlavor,
    answers.Configured,
    "resize_timeout_seconds",
    since=2,
)
RESIZE_FS: Final = _takes_its_time(
    "resize_fs", arguments.ResizeFileSystem, answers.Done, "resize_timeout_seconds", since=2
)
UPGRADE_AGENT: Final = _takes_its_time(
    "upgrade_agent",
    arguments.UpgradeAgent,
    answers.Done,
    "restart_timeout_seconds",
    reports=True,
    since=3,
)
UPDATE_OVERRIDES: Final = _takes_its_time(
    "update_overrides",
    arguments.UpdateOverrides,
    answers.Overridden,
    "restart_timeout_seconds",
    part=Part.CONFIGURATION,
    since=4,
)

CREATE_BACKUP: Final = _takes_its_time(
    "create_backup",
    arguments.CreateBackup,
    answers.BackedUp,
    "backup_timeout_seconds",
    part=Part.BACKUPS,
    reports=True,
    since=5,
)
CANCEL_BACKUP: Final = Method(
    "cancel_backup",
    arguments.CancelBackup,
    answers.Done,
    Part.BACKUPS,
    repeatable=True,
    since=5,
)
FETCH_BACKUP: Final = _takes_its_time(
    "fetch_backup",
    arguments.FetchBackup,
    answers.Done,
    "restore_timeout_seconds",
    part=Part.BACKUPS,
    reports=True,
    since=5,
)
APPLY_BACKUP: Final = _takes_its_time(
    "apply_backup",
    arguments.ApplyBackup,
    answers.Applied,
    "restore_timeout_seconds",
    part=Part.BACKUPS,
    reports=True,
    since=5,
)
VERIFY_BACKUP: Final = _takes_its_time(
    "verify_backup",
    arguments.VerifyBackup,
    answers.Verified,
    "restore_timeout_seconds",
    part=Part.BACKUPS,
    reports=True,
    since=6,
)

KEEP_LOG: Final = Method(
    "keep_log",
    arguments.KeepLog,
    answers.LogKept,
    Part.LOG,
    repeatable=True,
    since=6,
)

LIST_DATABASES: Final = Method(
    "list_databases", arguments.Page, answers.DatabasePage, Part.DATABASES, repeatable=True
)
CREATE_DATABASE: Final = Method(
    "create_database", arguments.CreateDatabases, answers.Done, Part.DATABASES, repeatable=False
)
DELETE_DATABASE: Final = Method(
    "delete_database",
    arguments.DeleteDatabase,
    answers.Done,
    Part.DATABASES,
    repeatable=False,
    long=True,
)
LIST_USERS: Final = Method(
    "list_users", arguments.Page, answers.UserPage, Part.USERS, repeatable=True
)
GET_USER: Final = Method(
    "get_user", arguments.Account, answers.OneUser, Part.USERS, repeatable=True
)
CREATE_USER: Final = Method(
    "create_user", arguments.CreateUsers, answers.Done, Part.USERS, repeatable=False
)
DELETE_USER: Final = Method(
    "delete_user", arguments.DeleteUser, answers.Done, Part.USERS, repeatable=False
)
CHANGE_PASSWORDS: Final = Method(
    "change_passwords", arguments.ChangePasswords, answers.Done, Part.USERS, repeatable=True
)
UPDATE_ATTRIBUTES: Final = Method(
    "update_attributes", arguments.UpdateAttributes, answers.Done, Part.USERS, repeatable=False
)
LIST_ACCESS: Final = Method(
    "list_access", arguments.Account, answers.Access, Part.ACCESS, repeatable=True
)
GRANT_ACCESS: Final = Method(
    "grant_access", arguments.GrantAccess, answers.Done, Part.ACCESS, repeatable=True
)
REVOKE_ACCESS: Final = Method(
    "revoke_access", arguments.RevokeAccess, answers.Done, Part.ACCESS, repeatable=False
)
IS_ROOT_ENABLED: Final = Method(
    "is_root_enabled", arguments.Nothing, answers.RootState, Part.ROOT, repeatable=True
)
ENABLE_ROOT: Final = Method(
    "enable_root", arguments.EnableRoot, answers.Done, Part.ROOT, repeatable=True
)
DISABLE_ROOT: Final = Method(
    "disable_root", arguments.Nothing, answers.Done, Part.ROOT, repeatable=True
)

METHODS: Final[Mapping[str, Method[Any, Any]]] = {
    each.name: each
    for each in (
        *(PREPARE, REBUILD, UPGRADE, RESTART, STOP_DB, START_DB_WITH_CONF_CHANGES, RESIZE_FS),
        *(UPGRADE_AGENT, UPDATE_OVERRIDES),
        *(CREATE_BACKUP, CANCEL_BACKUP, FETCH_BACKUP, APPLY_BACKUP, VERIFY_BACKUP, KEEP_LOG),
        *(LIST_DATABASES, CREATE_DATABASE, DELETE_DATABASE),
        *(LIST_USERS, GET_USER, CREATE_USER, DELETE_USER, CHANGE_PASSWORDS, UPDATE_ATTRIBUTES),
        *(LIST_ACCESS, GRANT_ACCESS, REVOKE_ACCESS),
        *(IS_ROOT_ENABLED, ENABLE_ROOT, DISABLE_ROOT),
    )
}
"""All of them, by name."""

RELEASE: Final = max(each.since for each in METHODS.values())
"""What a guest of this release says that it knows: every method up to it."""
